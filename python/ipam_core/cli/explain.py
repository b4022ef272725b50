"""`ipam-core explain`: what settings do on a node, before any node has them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._options import JsonOption, PolicyOption, SeedOption, given_text, policy_named
from ipam_core.cli._out import print_text, waiting
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.finding import Finding, Kind
    from ipam_core.manifests import Environment

STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold"}
_FILE = "as a file, or - for the standard input"


def explain(
    instance: Annotated[
        list[str] | None, typer.Option(help="The instance type; may be given several times.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable; wins over files."),
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help=f"The DaemonSet aws-node {_FILE}.")] = None,
    values: Annotated[
        Path | None, typer.Option(help=f"Helm values of the chart aws-vpc-cni {_FILE}.")
    ] = None,
    addon: Annotated[
        Path | None,
        typer.Option(help=f"What aws eks describe-addon prints, or its configuration, {_FILE}."),
    ] = None,
    max_pods: Annotated[
        int | None, typer.Option(min=1, help="The kubelet's maxPods; else AWS's for the type.")
    ] = None,
    subnet_free: Annotated[
        int | None, typer.Option(min=0, help="Free addresses of the subnet; else without end.")
    ] = None,
    policy: PolicyOption = "vpc-cni",
    seed: SeedOption = 0,
    show_list: Annotated[
        bool, typer.Option("--list", help="Document every finding, and explain nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Say what settings do on a node: whether every pod gets an address, at what cost.

    Plays a fresh node from 0 pods to maxPods and back, and shows the table, what is
    wrong, why, and what to set instead. Exits 1 if something is wrong: pods that get no
    address, or a finding of severity error or warning.

    Example: ipam-core explain --instance m8g.4xlarge -e MINIMUM_IP_TARGET=25
    """
    from ipam_core.cli._out import print_json
    from ipam_core.diagnosis.explain.explanation import CHECKS
    from ipam_core.diagnosis.explain.explanation import explain as explain_one

    if show_list:
        kinds = [check.kind for check in CHECKS]
        if as_json:
            print_json([_plain_kind(kind) for kind in kinds])
        else:
            _tell_kinds(kinds)
        return 0
    if not instance:
        raise InputError("give an instance type, as --instance m5.large")
    environment = _environment(manifest, values, addon, env or [])
    chosen = policy_named(policy)
    with waiting("Playing the node"):  # thousands of pods take seconds
        explained = [
            explain_one(
                each,
                environment.variables,
                unknown=environment.unknown,
                max_pods=max_pods,
                subnet_free=subnet_free,
                policy=chosen,
                seed=seed,
            )
            for each in dict.fromkeys(instance)
        ]
    healthy = all(each.healthy for each in explained)
    if as_json:
        print_json({"healthy": healthy, "nodes": [_plain(each) for each in explained]})
    else:
        _tell(explained, _place(values, addon))
    return 0 if healthy else 1


# --- what is given ------------------------------------------------------------------------


def _environment(
    manifest: Path | None, values: Path | None, addon: Path | None, env: list[str]
) -> Environment:
    """Return the variables of the one file, if any, with those of `-e` over them."""
    from ipam_core.manifests import Environment, read_addon, read_daemonset, read_helm_values

    given = [
        (path, read)
        for path, read in (
            (manifest, read_daemonset),
            (values, read_helm_values),
            (addon, read_addon),
        )
        if path is not None
    ]
    if len(given) > 1:
        raise InputError("give one of --manifest, --values and --addon")
    found = Environment({}, {})
    for path, read in given:
        try:
            found = read(given_text(path))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    over = dict(_variable(each) for each in env)
    unknown = {name: where for name, where in found.unknown.items() if name not in over}
    return Environment(found.variables | over, unknown)


def _place(values: Path | None, addon: Path | None) -> str:
    """Return where a fix is made, if not in the DaemonSet itself."""
    if values:
        return " in the Helm values"
    return " in the add-on's configuration" if addon else ""


def _variable(text: str) -> tuple[str, str]:
    """Return the name and value of `NAME=VALUE`; the name must be one that counts here."""
    from difflib import get_close_matches

    from ipam_core.variables import ADDRESS_VARIABLES

    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"-e takes NAME=VALUE, not {text!r}")
    known = sorted(ADDRESS_VARIABLES)
    if name.lower() not in {each.lower() for each in known}:
        nearest = get_close_matches(name, known, n=1)
        hint = f"; nearest: {nearest[0]}" if nearest else f"; known: {', '.join(known)}"
        raise InputError(f"-e: no setting of addresses is called {name!r}{hint}")
    return name, value


# --- for people ---------------------------------------------------------------------------


def _tell(explained: list[Explanation], place: str) -> None:
    from ipam_core.cli._levels import levels_table, nodes_table
    from ipam_core.cli._out import print_empty, print_table

    several = len(explained) > 1
    for each in explained:
        good = each.verdict.serves_all
        print_text(
            f"{each.case.limits.instance_type}: {each.verdict}",
            style="bold green" if good else "bold red",
        )
    if several:
        print_table(nodes_table(explained))
    else:
        (one,) = explained
        _tell_node(one)
        if one.play.up and one.play.node.mode != "ipv6":
            print_table(levels_table(one.play))
    for number, (kind, found) in enumerate(_by_kind(explained).items()):
        if number:
            print_empty()
        _print_label(kind)
        print_text(kind.rule, indent="  ")
        for finding, types in found:
            _tell_finding(finding, ", ".join(types) if several else "", place)


def _tell_node(explained: Explanation) -> None:
    case, verdict = explained.case, explained.verdict
    limits = case.limits
    if verdict.serves_all:
        limit = "none" if verdict.burst is None else str(verdict.burst)
        print_text(f"Burst limit: {limit} (so many pods may start at once and none waits)")
    print_text(
        f"{limits.max_enis} ENIs x {limits.slots} slots; "
        f"{case.n_pods} pods need an address (maxPods {case.max_pods})"
        + (f", policy {case.policy.name}" if case.policy.name != "vpc-cni" else ""),
        style="dim",
    )


def _tell_finding(finding: Finding, types: str, place: str) -> None:
    if types:
        print_text(f"{types}:", indent="  ")
    for line in finding.why:
        print_text(line, indent="    ")
    fix = finding.fix
    if fix is None:
        print_text(f"to change: {finding.kind.change}", indent="  ")
        return
    print_text(f"fix{place if fix.commands else ''}, played: {finding.outcome}", indent="  ")
    if place and fix.change and fix.change.env:
        print_text(json.dumps({"env": fix.change.env}), indent="    ", style="green")
        return
    for command in fix.commands:
        print_text(command, indent="    ", style="green", whole=True)
    if fix.note:
        print_text(fix.note, indent="    ", style="green")


def _by_kind(
    explained: Iterable[Explanation],
) -> dict[Kind, list[tuple[Finding, list[str]]]]:
    """Return the findings by kind, the worst first, each with the types on which it is so."""
    from ipam_core.diagnosis.explain.explanation import CHECKS

    found: dict[Kind, list[tuple[Finding, list[str]]]] = {check.kind: [] for check in CHECKS}
    for each in explained:
        for finding in each.findings:
            types = next((t for same, t in found[finding.kind] if same == finding), None)
            if types is None:
                found[finding.kind].append((finding, types := []))
            types.append(each.case.limits.instance_type)
    return {kind: findings for kind, findings in found.items() if findings}


def _tell_kinds(kinds: Iterable[Kind]) -> None:
    for kind in kinds:
        _print_label(kind)
        print_text(kind.rule, indent="  ")
        print_text(f"to change: {kind.change}", indent="  ")
        print_text(f"source: {kind.source}", indent="  ", style="dim")


def _print_label(kind: Kind) -> None:
    print_text((kind.severity, STYLES[kind.severity]), "  ", (kind.identifier, "bold"))


# --- for machines -------------------------------------------------------------------------


def _plain(explained: Explanation) -> dict[str, Any]:
    from ipam_core.cli._levels import levels_json

    case, verdict, play = explained.case, explained.verdict, explained.play
    return {
        "instance_type": case.limits.instance_type,
        "max_pods": case.max_pods,
        "subnet_free": case.subnet_free,
        "policy": case.policy.name,
        "env": dict(case.env),
        "verdict": {"text": str(verdict), "serves_all": verdict.serves_all, **asdict(verdict)},
        "capacity_slots": explained.capacity_slots,
        "healthy": explained.healthy,
        "up": levels_json(play.up),
        "back": levels_json(play.back),
        "findings": [_plain_finding(finding) for finding in explained.findings],
    }


def _plain_finding(finding: Finding) -> dict[str, Any]:
    fix = finding.fix
    change = fix.change if fix else None
    return {
        **_plain_kind(finding.kind),
        "why": list(finding.why),
        "fix": None
        if fix is None
        else {
            "commands": list(fix.commands),
            "note": fix.note,
            "env": change.env if change else None,
            "max_pods": change.max_pods if change else None,
            "outcome": finding.outcome,
        },
    }


def _plain_kind(kind: Kind) -> dict[str, Any]:
    return {
        "identifier": kind.identifier,
        "severity": str(kind.severity),
        "rule": kind.rule,
        "change": kind.change,
        "source": kind.source,
    }
