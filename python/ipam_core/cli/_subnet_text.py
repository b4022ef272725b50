"""The text of `ipam-core subnet`: a map of blocks, tables, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._subnet import BLOCK_STATES
from ipam_core.cli._out import print_empty, print_table, print_text
from ipam_core.cli._tables import Table
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.blockmap import MARKS, rows
from ipam_core.subnet.orphans import delete_command
from ipam_core.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.cli._out import Part
    from ipam_core.subnet.advice import Advice, Fit
    from ipam_core.subnet.drains import DrainPlan
    from ipam_core.subnet.leaks import Deletion
    from ipam_core.subnet.placing import ReservationPlan
    from ipam_core.subnet.report import SubnetReport

_STYLES = {
    "free": "green",
    "fragmented": "yellow",
    "full": "red",
    "aws-reserved": "dim",
    "prefix-allocated": "magenta",
    "prefix-reserved": "cyan",
    "explicit-reserved": "blue",
}
_BANDS = {
    "healthy": "green",
    "low": "green",
    "medium": "yellow",
    "high": "red",
    "critical": "bold red",
    "exhausted": "bold red",
    "unscored": "dim",
}
_MOST_NODES_SHOWN = 9
_MOST_ENIS_SHOWN = 10
_MOST_ENIS_A_COMMAND = 100
"""A longer command would not fit the screen."""


def print_overview(reports: Sequence[SubnetReport], advices: Sequence[Advice]) -> None:
    """Write many subnets as one table, a line for each, before the details of each."""
    table = Table()
    table.text_column("Subnet")
    table.text_column("CIDR", no_wrap=True)
    table.number_columns("Free", "/28s", "Leaked", "Fragmented")
    for report, advice in zip(reports, advices, strict=True):
        at_most = "<=" if report.partial else ""
        table.row(
            report.subnet_id,
            report.subnet.cidr,
            f"{at_most}{report.subnet.n_free}",
            f"{at_most}{report.subnet.n_free_prefixes}",
            _leaked(advice),
            _score(report),
            style=_BANDS[report.fragmentation.band],
        )
    print_table(table)
    print_empty()


def _leaked(advice: Advice) -> str:
    """Return how many addresses leaked ENIs hold; "?" where the input does not say."""
    if advice.withheld:
        return "?"
    return str(advice.deletion.addresses if advice.deletion else 0)


def print_report(report: SubnetReport, advice: Advice) -> None:
    """Write one subnet: its counts, map and owners, then the advice."""
    print_text(
        (f"{report.subnet_id}  {report.subnet.cidr}  ", "bold"),
        "fragmentation ",
        (_score(report), _BANDS[report.fragmentation.band]),
    )
    print_text(
        f"{counted(report.n_used, 'address')} used, {report.subnet.n_free:,} free: "
        f"{report.agreement}"
    )
    print_text(
        f"{counted(report.subnet.n_free_prefixes, 'free /28')} for prefix mode, "
        f"the longest run of free blocks {report.fragmentation.longest_free_run}"
    )
    if report.partial:
        for why in report.missing:
            print_text(f"Partial: {why}.", style="yellow")
        print_text("The free counts, and all advice below, are upper bounds.", style="yellow")
    if report.has_no_single_address:
        print_text(
            "All free addresses are in CIDR reservations. No ENI can be created here: its own "
            "address is a single one. With subnet discovery the agent skips this subnet.",
            style="red",
        )
    for each in report.skipped:
        print_text(f"Skipped {each.eni_id}: {each.why}", style="yellow")
    print_empty()
    _print_map(report)
    print_empty()
    _print_owners(report)
    print_empty()
    if advice.withheld:
        print_text(f"No advice: {advice.withheld}.")
    if advice.deletion:
        _print_deletion(advice.deletion)
        print_empty()
    if advice.drains:
        _print_drains(report, advice.drains)
    if advice.reservation:
        print_empty()
        _print_reservation(advice.reservation)
    if advice.fits:
        print_empty()
        _print_fits(advice)
    elif advice.type_unknown and not advice.withheld:
        print_empty()
        print_text(
            f"The number of nodes that fit is not known: {advice.type_unknown}. "
            "Give --instance TYPE."
        )
    print_empty()


def _score(report: SubnetReport) -> str:
    found = report.fragmentation
    return f"{'-' if found.score is None else found.score} {found.band}"


def _print_map(report: SubnetReport) -> None:
    states = report.subnet.block_states().tolist()
    free = report.subnet.free_counts().tolist()
    for label, blocks in rows(report.subnet):
        line: list[Part] = [f"{label:15} "]
        for state, n_free in zip(states[blocks], free[blocks], strict=True):
            name = BLOCK_STATES[state]
            mark = MARKS[name]
            if name == "fragmented":
                mark = f"{ADDRESSES_PER_PREFIX - n_free:x}"
            line.append((mark, _STYLES[name]))
        print_text(*line)
    counts = report.fragmentation
    legend = []
    for name, mark in MARKS.items():
        count = getattr(counts, name.replace("-", "_"))
        if count:
            shown = "1-f" if name == "fragmented" else mark
            legend.append(f"{shown} {name} {count}")
    print_text("Each mark is a /28, 1-f its addresses in use:")
    for at in range(0, len(legend), 4):
        print_text(", ".join(legend[at : at + 4]), indent="  ")


def _print_owners(report: SubnetReport) -> None:
    table = Table()
    table.text_column("Owner")
    table.number_columns("ENIs", "Addresses", "/28s")
    for each in report.owners:
        table.row(each.owner, str(each.enis), str(each.addresses), str(each.prefixes))
    print_table(table)


def _print_deletion(deletion: Deletion) -> None:
    orphans = deletion.orphans
    print_text(
        f"Delete {counted(len(orphans), 'leaked ENI')}: frees "
        f"{counted(deletion.addresses, 'address')} and {counted(deletion.won, '/28')}:",
        style="bold",
    )
    for each in orphans[:_MOST_ENIS_SHOWN]:
        held = (
            counted(len(each.addresses), "address"),
            counted(len(each.prefixes), "/28") if each.prefixes else "",
            f"made for {each.instance}" if each.instance else "",
            f"created {each.created}" if each.created else "",
        )
        print_text(f"{each.eni_id}: {', '.join(filter(None, held))}", indent="  ")
    if len(orphans) > _MOST_ENIS_SHOWN:
        print_text(f"and {len(orphans) - _MOST_ENIS_SHOWN} more, listed by --json", indent="  ")
    for at in range(0, len(orphans), _MOST_ENIS_A_COMMAND):
        names = [each.eni_id for each in orphans[at : at + _MOST_ENIS_A_COMMAND]]
        if len(names) == 1:
            command = " ".join(delete_command(names[0]))
        else:
            command = f"for eni in {' '.join(names)}; do {' '.join(delete_command('$eni'))}; done"
        print_text(command, indent="  ", whole=True)


def _print_drains(report: SubnetReport, plan: DrainPlan) -> None:
    if not plan.attainable:
        print_text("No drain gives a free /28: every used block has other owners too.")
        return
    if not plan.wanted:
        return
    pods = counted(plan.pods, "pod") if plan.pods_known else f"at most {counted(plan.pods, 'pod')}"
    print_text(
        f"To get {counted(plan.won, 'free /28')}, drain and end {len(plan.nodes)} of "
        f"{counted(len(report.nodes), 'node')} ({pods} evicted):",
        style="bold",
    )
    if plan.won < plan.wanted:
        print_text(
            f"({plan.wanted} were asked for; drains can give {plan.attainable})", indent="  "
        )
    shown = [
        f"{node}{' (probably a node)' * (node in report.probable_nodes)}"
        for node in plan.nodes[:_MOST_NODES_SHOWN]
    ]
    for at in range(0, len(shown), 3):
        print_text("  ".join(shown[at : at + 3]), indent="  ")
    if len(plan.nodes) > len(shown):
        print_text(f"and {len(plan.nodes) - len(shown)} more, listed by --json", indent="  ")
    if plan.proven:
        print_text("Proven: no choice evicts fewer pods.", indent="  ")
    elif plan.method == "exact":
        print_text(f"The best of what is known, not proven: {'; '.join(plan.doubts)}.", indent="  ")
    else:
        print_text(
            f"Best found ({plan.method}); no choice evicts fewer than {plan.at_least}, as far as "
            "is known.",
            indent="  ",
        )


def _print_reservation(plan: ReservationPlan) -> None:
    if plan.whole_now + plan.withdrawn == 0:
        print_text(
            f"No prefix reservation helps now: the best range, {plan.cidr}, has no free address."
        )
        return
    print_text(f"A prefix reservation costs least at {plan.cidr}:", style="bold")
    held = (
        f"{counted(plan.held, 'single address')} {'holds' if plan.held == 1 else 'hold'} "
        f"the others ({plan.held_by_nodes} of nodes, freed by a drain); "
        if plan.held
        else ""
    )
    print_text(
        f"{plan.whole_now} of its {counted(plan.n_blocks, '/28')} "
        f"{'is' if plan.whole_now == 1 else 'are'} free at once; "
        f"{held}{counted(plan.withdrawn, 'free address')} can then be used for /28s only.",
        indent="  ",
    )
    print_text(" ".join(plan.command), indent="  ", whole=True)


def _print_fits(advice: Advice) -> None:
    columns: dict[str, list[int | None]] = {
        "Now": [fit.now for fit in advice.fits],
        "Deleted": [fit.after_deletion for fit in advice.fits],
        "Drained": [fit.after_drains for fit in advice.fits],
        "Reserved": [fit.after_reservation for fit in advice.fits],
        "Both": [fit.after_both for fit in advice.fits],
    }
    shown = {
        name: counts
        for name, counts in columns.items()
        if any(count is not None for count in counts)
    }
    at_most = ", at most" * advice.upper_bound
    print_text(
        f"More nodes of {advice.instance_type} that fit before the first refusal{at_most}:",
        style="bold",
    )
    if advice.type_assumed:
        print_text(
            f"{advice.instance_type} is assumed: the input names no type of a node here; "
            "--instance gives one.",
            style="yellow",
        )
    table = Table()
    table.text_column("Mode")
    table.number_columns("Pods")
    table.text_column("Each draws")
    table.number_columns(*shown)
    for at, fit in enumerate(advice.fits):
        counts = ("-" if each[at] is None else str(each[at]) for each in shown.values())
        table.row(fit.mode, str(fit.pods), _draw(fit), *counts)
    print_table(table)
    rules = {fit.mode: fit for fit in advice.fits}
    for mode, fit in rules.items():
        print_text(f"maxPods with {mode}: {fit.max_pods}, {fit.max_pods_rule}", indent="  ")
    for fit in advice.fits:
        if fit.note:
            print_text(
                f"{fit.mode}, {counted(fit.pods, 'pod')}: {fit.note}", indent="  ", style="yellow"
            )


def _draw(fit: Fit) -> str:
    draw = fit.draw
    more = counted(draw.prefixes, "/28") if draw.prefixes else counted(draw.addresses, "IP")
    return f"{counted(draw.enis, 'ENI')}, {more}"
