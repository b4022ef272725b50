"""The output of `explain` for people: verdicts, tables, findings, one command for all types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ipam_core.cli._out import print_empty, print_table, print_text
from ipam_core.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipam_core.cli._given import GivenSettings
    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.finding import Finding, Kind
    from ipam_core.diagnosis.explain.together import Together
    from ipam_core.diagnosis.fixes import Fix

STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold"}


def print_explained(explained: Sequence[Explanation], given: GivenSettings, n_nodes: int) -> None:
    """Print verdicts, the levels, and the findings by kind, each change with its price."""
    from ipam_core.cli._levels import levels_table, nodes_table

    several = len(explained) > 1
    for each in explained:
        good = each.verdict.serves_all
        print_text(
            f"{each.case.limits.instance_type}: {each.verdict}",
            style="bold green" if good else "bold red",
        )
    for line in given.read:
        print_text(line, style="dim")
    if several:
        print_table(nodes_table(explained))
        for rule in dict.fromkeys(each.max_pods_rule for each in explained if each.max_pods_rule):
            print_text(f"maxPods: {rule}", style="dim")
    else:
        (one,) = explained
        _tell_node(one)
        if one.play.up and one.play.mode != "ipv6":
            print_table(levels_table(one.play))
        if one.max_pods_rule:
            print_text(f"maxPods {one.case.max_pods}: {one.max_pods_rule}", style="dim")
    for number, (kind, found) in enumerate(by_kind(explained).items()):
        if number:
            print_empty()
        _print_label(kind)
        print_text(kind.rule, indent="  ")
        for finding, types in found:
            _tell_why(finding, ", ".join(types) if several else "")
        for finding in _advised(found):
            _tell_advice(finding, explained, given.place, n_nodes)


def print_together(
    found: Together | None, explained: Sequence[Explanation], place: str, n_nodes: int
) -> None:
    """Print the one change of the DaemonSet for several kinds of finding, if there is one."""
    if found is None:
        return
    print_text(("one change for all of these", "bold"), f": {', '.join(found.kinds)}", before=True)
    print_text(f"played together{place}: {found.outcome}", indent="  ")
    _tell_change(found.fix, explained, place, n_nodes)
    if found.left:
        print_text(f"not with it: {', '.join(found.left)}", indent="  ")


def print_kinds(kinds: Iterable[Kind]) -> None:
    """Print a description of each kind of finding."""
    for kind in kinds:
        _print_label(kind)
        print_text(kind.rule, indent="  ")
        print_text(f"to change: {kind.change}", indent="  ")
        print_text(f"source: {kind.source}", indent="  ", style="dim")


def by_kind(
    explained: Iterable[Explanation],
) -> dict[Kind, list[tuple[Finding, list[str]]]]:
    """Return the findings by kind, the worst first, each with the types that have it."""
    from ipam_core.diagnosis.explain.explanation import CHECKS

    found: dict[Kind, list[tuple[Finding, list[str]]]] = {check.kind: [] for check in CHECKS}
    for each in explained:
        for finding in each.findings:
            types = next((t for same, t in found[finding.kind] if same == finding), None)
            if types is None:
                found[finding.kind].append((finding, types := []))
            types.append(each.case.limits.instance_type)
    return {kind: findings for kind, findings in found.items() if findings}


def _tell_node(explained: Explanation) -> None:
    case, verdict = explained.case, explained.verdict
    limits = case.limits
    if verdict.serves_all:
        limit = "no limit" if verdict.burst is None else str(verdict.burst)
        print_text(f"Burst limit: {limit} (so many pods may start at once and none waits)")
    slots = f"{counted(limits.max_enis, 'ENI')} x {counted(limits.slots, 'slot')}"
    if explained.play.mode == "ipv6":
        slots = "IPv6: the /80 of an ENI serves all its pods"
    pods = f"{counted(case.n_pods, 'pod')} {'needs' if case.n_pods == 1 else 'need'}"
    print_text(
        f"{slots}; {pods} an address (maxPods {case.max_pods})"
        + (f", policy {case.policy.name}" if case.policy.name != "vpc-cni" else ""),
        style="dim",
    )


def _tell_why(finding: Finding, types: str) -> None:
    if types:
        print_text(f"{types}:", indent="  ")
    for line in finding.why:
        print_text(line, indent="    ")


def _advised(found: Sequence[tuple[Finding, list[str]]]) -> list[Finding]:
    """Return a finding for each advice that differs, so that each is printed once."""
    shown: list[Finding] = []
    for finding, _ in found:
        if not any(one.fix == finding.fix and one.outcome == finding.outcome for one in shown):
            shown.append(finding)
    return shown


def _tell_advice(
    finding: Finding, explained: Sequence[Explanation], place: str, n_nodes: int
) -> None:
    fix = finding.fix
    if fix is None:
        print_text(f"to change: {finding.kind.change}", indent="  ")
    else:
        print_text(f"fix{place if fix.commands else ''}, played: {finding.outcome}", indent="  ")
        _tell_change(fix, explained, place, n_nodes)
    for other in finding.alternatives:
        print_text(f"or {other}", indent="  ")


def _tell_change(fix: Fix, explained: Sequence[Explanation], place: str, n_nodes: int) -> None:
    """Print what to change, in the form of the file where it is set, and its price."""
    env = fix.change.env if fix.change else None
    if place and env:
        print_text(json.dumps({"env": env}), indent="    ", style="green")
    else:
        for command in fix.commands:
            print_text(command, indent="    ", style="green", whole=True)
        if fix.note:
            print_text(fix.note, indent="    ", style="green")
    if env:
        _tell_price(explained, env, n_nodes)


def _tell_price(explained: Sequence[Explanation], env: dict[str, str | None], n_nodes: int) -> None:
    from ipam_core.diagnosis.explain.together import prices

    most = max(prices(explained, env), key=lambda price: price.after)
    before = f" (today {most.before})" if most.before else ""
    print_text(
        f"price: {counted(most.after, 'idle address')} on a half-full {most.instance_type}"
        f"{before}; "
        f"{most.after * n_nodes:,} on {counted(n_nodes, 'node')}",
        indent="  ",
    )


def _print_label(kind: Kind) -> None:
    print_text((kind.severity, STYLES[kind.severity]), "  ", (kind.identifier, "bold"))
