"""The text of `ipam-core cluster`: one screen, or a line for each node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.cli._out import (
    WIDTH,
    print_empty,
    print_line,
    print_table,
    print_text,
    start_screen,
)
from ipam_core.cli._tables import Table
from ipam_core.k8s.judging import State, fold
from ipam_core.k8s.overview import set_variables
from ipam_core.quoting import cut
from ipam_core.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.diagnosis.explain import Explanation
    from ipam_core.k8s.judging import NodeGroup, NodeReport
    from ipam_core.k8s.overview import Overview
    from ipam_core.k8s.subnets import SubnetState

MOST_ROWS = 14
"""Groups of nodes on one screen; the rest is counted."""
MOST_SUBNETS = 8
MOST_VARIABLES = 6
LEAST_STATE = 18
"""Columns of a screen that the state has at least, while a name keeps `LEAST_NAME`."""
LEAST_NAME = 14
LONGEST_TYPE = 17
"""As u-24tb1.112xlarge."""
_HEADS = ("Type", "Pods", "Most", "ENIs", "Free", "Burst")
_STYLES = {
    State.STUCK: "bold red",
    State.WAITING: "red",
    State.WILL_BE_STUCK: "yellow",
    State.UNKNOWN: "dim",
    State.FINE: "",
}


def print_overview(overview: Overview, *, again: bool = False) -> None:
    """Write a cluster within one screen: groups of equal nodes, the worst first."""
    if again:
        start_screen()
    _print_head(overview)
    groups = fold(overview.nodes)
    if groups:
        print_empty()
        _print_groups(groups)
    _print_stalls(overview)
    if overview.subnets:
        print_empty()
        _print_subnets(overview.subnets)
    _print_unread(overview)


def print_wide(overview: Overview, *, again: bool = False) -> None:
    """Write a line for each node and each subnet, as wide as it is."""
    if again:
        start_screen()
    _print_head(overview)
    print_empty()
    _print_lines(
        ("NAME", "STATE", "TYPE", "ZONE", "GROUP", "AGENT", "PODS", "MAXPODS", "WAITING", "ENIS",
         "ADDRESSES", "FREE", "STALLS", "BURST", "WHY"),
        [_wide_row(each) for each in overview.nodes],
    )  # fmt: skip
    if overview.subnets:
        print_empty()
        _print_lines(
            ("SUBNET", "CIDR", "ZONE", "NODES", "FREE", "/28S", "SCORE", "FITS IDLE", "FITS FULL",
             "TYPE"),
            [_wide_subnet(each) for each in overview.subnets],
        )  # fmt: skip
    _print_stalls(overview)
    _print_unread(overview)


def _print_head(overview: Overview) -> None:
    reading = overview.reading
    pods = f"{counted(overview.n_pods, 'pod')} in need of an address"
    at_least = "" if reading.pods_read else "at least "
    parts = [f"{counted(len(overview.nodes), 'node')}, {at_least}{pods}"]
    if overview.n_waiting:
        parts.append(f"{overview.n_waiting} without one")
    parts += [f"{counted(count, f'{what} node')} without aws-node" for what, count in
              sorted(overview.others.items())]  # fmt: skip
    print_text(", ".join(parts), style="bold")
    daemonset = reading.daemonset
    if daemonset is None:
        return
    env = set_variables(daemonset.environment)
    shown = [f"{name}={value}" for name, value in env.items()]
    if len(shown) > MOST_VARIABLES:
        shown = [*shown[:MOST_VARIABLES], f"{len(shown) - MOST_VARIABLES} more"]
    said = ", ".join(shown) if shown else "set as in the published manifest"
    print_text(f"aws-node {daemonset.version or '(version not known)'}: {said}")
    for name, where in daemonset.environment.unknown.items():
        print_text(f"{name} is kept elsewhere, and taken as unset: {where}", style="yellow")
    others = [
        f"{counted(count, 'node')} with {version}"
        for version, count in overview.versions.most_common()
        if version != daemonset.version
    ]
    if others:
        print_text(f"Still on another version: {', '.join(others)}", style="yellow")


def _print_groups(groups: Sequence[NodeGroup]) -> None:
    table = Table()
    table.text_column("Nodes", no_wrap=True)
    table.text_column(_HEADS[0], no_wrap=True)
    table.number_columns(*_HEADS[1:])
    table.text_column("State", takes_rest=True)
    shown_groups = groups[:MOST_ROWS]
    cells = [_group_cells(each) for each in shown_groups]
    beside = sum(max(map(len, column)) + 2 for column in zip(_HEADS, *cells, strict=True))
    longest_name = max(WIDTH - LEAST_STATE - 2 - beside, LEAST_NAME)
    names = list(map(_names, shown_groups))
    for group, name, each in zip(shown_groups, names, cells, strict=True):
        shown_name = cut(name, longest_name)
        table.row(shown_name, *each, _state(group), style=_STYLES[group.first.state])
    print_table(table)
    if any(len(name) > longest_name for name in names):
        print_text("-o wide shows names that are cut here.", style="dim")
    left = groups[MOST_ROWS:]
    if left:
        n_nodes = sum(len(each.nodes) for each in left)
        worst = left[0].first.state.words
        print_text(f"and {counted(n_nodes, 'node')} more, at worst {worst}: -o wide shows each")
    if not any(report.pool is not None and report.pool.told for each in groups
               for report in each.nodes):  # fmt: skip
        print_text(
            "ENIs and free addresses are the model's; --metrics asks the agents.", style="dim"
        )


def _group_cells(group: NodeGroup) -> tuple[str, ...]:
    """Return what is between the name and the state of a group."""
    node = group.first.node
    return (
        cut(node.instance_type or "?", LONGEST_TYPE),
        _span(group.span("pods")),
        "?" if node.max_pods is None else str(node.max_pods),
        _span(group.span("enis")),
        _span(group.span("free")),
        _burst(group.first),
    )


def _names(group: NodeGroup) -> str:
    if len(group.nodes) == 1:
        return group.first.node.name.partition(".")[0]
    return f"{len(group.nodes)} nodes"


def _state(group: NodeGroup) -> str:
    first = group.first
    if first.state in (State.FINE, State.UNKNOWN):
        return first.why or first.state.words
    if first.state is State.WILL_BE_STUCK:
        return first.why
    worst = "" if len(group.nodes) == 1 or not first.pods.waiting else ", at worst"
    return f"{first.state.words}{worst}: {first.why}"


def _burst(report: NodeReport) -> str:
    if report.explanation is None:
        return "?"
    return "any" if report.burst is None else str(report.burst)


def _span(span: tuple[int, int] | None) -> str:
    if span is None:
        return "?"
    least, most = span
    return str(least) if least == most else f"{least}-{most}"


def _print_stalls(overview: Overview) -> None:
    for explanation, types in overview.stalls():
        print_empty()
        named = ", ".join(types[:3]) + (f" and {len(types) - 3} more" if len(types) > 3 else "")
        _print_stall(explanation, named)
    stuck = [each for each in overview.nodes if each.state in (State.STUCK, State.WAITING)]
    if stuck:
        print_empty()
        print_text(f"ipam-core doctor node/{stuck[0].node.name}", whole=True, style="green")


def _print_stall(explanation: Explanation, types: str) -> None:
    for finding in explanation.findings:
        kind = finding.kind
        print_text((f"{types}: {kind.identifier}. ", "bold"), kind.rule)
        for command in finding.fix.commands if finding.fix else ():
            print_text(command, indent="  ", style="green", whole=True)
        if finding.fix and finding.fix.note:
            print_text(finding.fix.note, indent="  ")


def _print_subnets(subnets: Sequence[SubnetState]) -> None:
    table = Table()
    table.text_column("Subnet", no_wrap=True)
    table.number_columns("Nodes", "Free", "/28s")
    table.text_column("Score")
    table.text_column("Fit, idle/full")
    for each in subnets[:MOST_SUBNETS]:
        at_most = "<=" if each.report.partial else ""
        table.row(
            each.report.subnet_id,
            str(each.nodes),
            f"{at_most}{each.report.subnet.n_free}",
            f"{at_most}{each.report.subnet.n_free_prefixes}",
            _score(each),
            "?" if each.fits_idle is None
            else f"{at_most}{each.fits_idle}/{at_most}{each.fits_full} {each.fits_type}",
            style="bold red" if each.is_problem else "",
        )  # fmt: skip
    print_table(table)
    if len(subnets) > MOST_SUBNETS:
        print_text(f"and {counted(len(subnets) - MOST_SUBNETS, 'subnet')} more: -o wide shows each")


def _score(state: SubnetState) -> str:
    found = state.report.fragmentation
    return found.band if found.score is None else f"{found.score} {found.band}"


def _print_unread(overview: Overview) -> None:
    if not overview.unread:
        return
    print_empty()
    print_text("Not read", style="bold yellow")
    for line in overview.unread:
        print_text(line, indent="  ", style="yellow")


def _wide_row(report: NodeReport) -> tuple[str, ...]:
    node, pool = report.node, report.pool
    environment = report.environment
    return (
        node.name,
        report.state.words.replace(" ", "-"),
        node.instance_type or "?",
        node.zone or "-",
        node.group or "-",
        (environment.version if environment else "") or "?",
        str(report.pods.n_pods),
        "?" if node.max_pods is None else str(node.max_pods),
        str(len(report.pods.waiting)),
        "?" if pool is None or pool.enis is None else str(pool.enis),
        "?" if pool is None else str(pool.total),
        "?" if pool is None else f"{pool.free}{'' if pool.told else '*'}",
        "-" if report.stalls_at is None else str(report.stalls_at),
        _burst(report),
        report.why or "-",
    )


def _wide_subnet(state: SubnetState) -> tuple[str, ...]:
    report = state.report
    return (
        report.subnet_id,
        report.subnet.cidr,
        state.zone or "-",
        str(state.nodes),
        str(report.subnet.n_free),
        str(report.subnet.n_free_prefixes),
        _score(state),
        "?" if state.fits_idle is None else str(state.fits_idle),
        "?" if state.fits_full is None else str(state.fits_full),
        state.fits_type or "?",
    )


def _print_lines(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(cells).rstrip())
