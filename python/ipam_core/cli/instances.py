"""`ipam-core instances`: limits of instance types, and types for a number of pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core import instances as table
from ipam_core.cli._given import LimitsOption, TypesFileOption, chosen_types
from ipam_core.cli._options import JsonOption
from ipam_core.cli._out import print_empty, print_error, print_json, print_table, print_text

if TYPE_CHECKING:
    from ipam_core.instances import InstanceLimits, MaxPods
    from ipam_core.settings import Settings


def instances(
    types: Annotated[
        list[str] | None,
        typer.Argument(metavar="TYPE", help="Names, or patterns with * and ?; none: all."),
    ] = None,
    prefixes: Annotated[bool, typer.Option("--prefixes", help="Prefix mode.")] = False,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="IPv6.")] = False,
    custom_networking: Annotated[
        bool, typer.Option("--custom-networking", help="The primary ENI has no pods.")
    ] = False,
    pod_eni: Annotated[
        bool, typer.Option("--pod-eni", help="Security groups for pods: one ENI is a trunk.")
    ] = False,
    max_eni: Annotated[int | None, typer.Option(min=1, help="The variable MAX_ENI.")] = None,
    pods: Annotated[
        int | None, typer.Option(min=1, help="Only types with at least this maxPods.")
    ] = None,
    max_vcpus: Annotated[int | None, typer.Option(min=1, help="Only types up to these.")] = None,
    min_vcpus: Annotated[int | None, typer.Option(min=1, help="Only types from these on.")] = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show the ENIs, pod addresses and maxPods of instance types.

    Pods are the addresses for pods of a full node, on its first network card: with
    secondary IPs, and with /28 prefixes where the type can have them.
    "Usual maxPods" is what a node has if it is not set; "calculator" is the answer of AWS's
    max-pods calculator for the given mode. Exits 1 if no type matches.

    Example: ipam-core instances 'm7g.*' --pods 60 --prefixes --max-vcpus 8
    """
    from ipam_core.settings import Settings

    settings = Settings(
        enable_ipv4=not ipv6,
        enable_ipv6=ipv6,
        enable_prefix_delegation=prefixes or ipv6,
        custom_networking=custom_networking,
        enable_pod_eni=pod_eni,
        max_eni=max_eni,
    )
    everything = not types and not limits and instance_types is None
    unknown: list[str] = []
    found = chosen_types(
        ["*"] if everything else types or [],
        limits=limits,
        file=instance_types,
        report=unknown.append,
    )
    found = [
        each
        for each in found
        if (pods is None or _most(each, settings) >= pods)
        and (max_vcpus is None or (each.vcpus is not None and each.vcpus <= max_vcpus))
        and (min_vcpus is None or (each.vcpus is not None and each.vcpus >= min_vcpus))
        and (each.nitro or not (prefixes or ipv6) or not everything)
    ]
    if as_json:
        print_json(
            {
                "table": _fields(table.source()),
                "instances": [_facts(each, settings) for each in found],
            }
        )
    elif found:
        _print_table(found, settings)
    elif not unknown:
        print_text("No instance type matches.")
    if unknown:
        print_error(unknown[0])
        return 2
    return 0 if found else 1


def _most(limits: InstanceLimits, settings: Settings) -> int:
    """Return the pods that a node can run: its maxPods, or fewer if it has fewer addresses."""
    found = table.max_pods(limits, settings)
    return min(found.value, found.allowed)


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def _facts(limits: InstanceLimits, settings: Settings) -> dict[str, Any]:
    """Return the values shown for a type, under the names of its fields and properties."""
    mode: MaxPods = table.max_pods(limits, settings)
    return _fields(limits) | {
        "nitro": limits.nitro,
        "slots": limits.slots,
        "max_addresses": limits.max_addresses,
        "max_addresses_prefix": limits.max_addresses_prefix if limits.nitro else None,
        "usual_max_pods": limits.usual_max_pods,
        "mode": {
            "max_pods": mode.value,
            "rule": mode.rule,
            "calculated": mode.calculated,
            "allowed": mode.allowed,
        },
    }


def _print_table(found: list[InstanceLimits], settings: Settings) -> None:
    from ipam_core.cli._tables import Table

    shown = Table()
    shown.text_column("\n\nInstance type", no_wrap=True)
    shown.number_columns(
        "\n\nvCPUs",
        "\n\nENIs",
        "\nIPv4/\nENI",
        "Pods,\nsec.\nIPs",
        "Pods,\npre-\nfixes",
        "\nUsual\nmaxPods",
        "\nCalcu-\nlator",
    )
    shown.text_column("\n\nNotes")
    for each in found:
        mode = table.max_pods(each, settings)
        shown.row(
            each.instance_type,
            "-" if each.vcpus is None else str(each.vcpus),
            str(each.max_enis),
            str(each.ipv4_per_eni),
            str(each.max_addresses),
            str(each.max_addresses_prefix) if each.nitro else "-",
            str(mode.value),
            str(mode.calculated),
            ", ".join(_notes(each)),
        )
    print_table(shown)
    print_empty()
    source = table.source()
    print_text(f"From {source.file} of the agent {source.agent_version}, {source.as_of}")


def _notes(limits: InstanceLimits) -> list[str]:
    notes = [] if limits.nitro else [limits.hypervisor]
    if limits.nitro and not limits.trunking:
        notes.append("no trunk")
    if len(limits.enis_per_network_card) > 1:
        notes.append(f"{len(limits.enis_per_network_card)} cards")
    return notes
