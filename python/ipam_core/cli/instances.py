"""`ipam-core instances`: what instance types allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core import instances as table
from ipam_core.cli._out import print_empty, print_json, print_table, print_text
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.instances import InstanceLimits


def instances(
    types: Annotated[
        list[str] | None,
        typer.Argument(metavar="TYPE", help="Names, or patterns with * and ?; none: all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show the ENIs, pod addresses and usual maxPods of instance types.

    Pods are the addresses for pods of a full node, on its first network card:
    with secondary IPs, and with /28 prefixes where the type can have them.

    Example: ipam-core instances m8g.4xlarge 'c5n.*'
    """
    found = [table.limits(name) for name in _chosen(types or ["*"])]
    if as_json:
        print_json(
            {"table": _fields(table.source()), "instances": [_facts(each) for each in found]}
        )
    else:
        _print_table(found)
    return 0


def _chosen(wanted: list[str]) -> list[str]:
    """Return the names asked for, in that order, each once; a pattern stands for those it fits."""
    from fnmatch import filter as matching

    chosen: dict[str, None] = {}
    for each in wanted:
        names = matching(table.names(), each) if set(each) & set("*?[") else [each]
        if not names:
            raise InputError(f"no instance type is like {each!r}")
        chosen.update(dict.fromkeys(names))
    return list(chosen)


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)


def _facts(limits: InstanceLimits) -> dict[str, Any]:
    """Return what is shown of a type, under the names of its fields and properties."""
    return _fields(limits) | {
        "nitro": limits.nitro,
        "slots": limits.slots,
        "max_addresses": limits.max_addresses,
        "max_addresses_prefix": limits.max_addresses_prefix if limits.nitro else None,
        "usual_max_pods": limits.usual_max_pods,
    }


def _print_table(found: list[InstanceLimits]) -> None:
    from ipam_core.cli._tables import Table

    shown = Table()
    shown.text_column("\nInstance type", no_wrap=True)
    shown.number_columns(
        "\nENIs", "IPv4/\nENI", "Pods,\nsec. IPs", "Pods,\nprefixes", "Usual\nmaxPods"
    )
    shown.text_column("\nHypervisor")
    shown.number_columns("\nCards")
    for each in found:
        shown.row(
            each.instance_type,
            str(each.max_enis),
            str(each.ipv4_per_eni),
            str(each.max_addresses),
            str(each.max_addresses_prefix) if each.nitro else "-",
            str(each.usual_max_pods),
            "bare metal" if each.bare_metal else each.hypervisor,
            str(len(each.enis_per_network_card)),
        )
    print_table(shown)
    print_empty()
    source = table.source()
    print_text(f"From {source.file} of the agent {source.agent_version}, {source.as_of}")
