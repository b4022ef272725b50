"""How `ipam-core subnet` writes for people: a map of blocks, tables, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._subnet import BLOCK_STATES
from ipam_core.cli._out import print_empty, print_table, print_text
from ipam_core.cli._tables import Table
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.blockmap import MARKS, rows

if TYPE_CHECKING:
    from ipam_core.cli._out import Part
    from ipam_core.subnet.advice import Advice, Fit
    from ipam_core.subnet.drains import DrainPlan
    from ipam_core.subnet.forecast import Forecast
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


def print_report(report: SubnetReport, advice: Advice) -> None:
    """Write one subnet: its counts, map and owners, then the advice."""
    found = report.fragmentation
    score = "-" if found.score is None else str(found.score)
    print_text(
        (f"{report.subnet_id}  {report.subnet.cidr}  ", "bold"),
        "fragmentation ",
        (f"{score} {found.band}", _BANDS[found.band]),
    )
    print_text(f"{report.n_used} addresses used, {report.subnet.n_free} free: {report.agreement}")
    print_text(
        f"{report.subnet.n_free_prefixes} free /28s for prefix mode, "
        f"the longest run of free blocks {found.longest_free_run}"
    )
    for each in report.skipped:
        print_text(f"Skipped {each.eni_id}: {each.why}", style="yellow")
    print_empty()
    _print_map(report)
    print_empty()
    _print_owners(report)
    print_empty()
    _print_drains(report, advice.drains)
    if advice.reservation:
        print_empty()
        _print_reservation(advice.reservation)
    if advice.fits:
        print_empty()
        _print_fits(advice)
    print_empty()


def print_forecast(forecast: Forecast) -> None:
    """Write free /28s over time, a column for each placement."""
    names = list(forecast.samples)
    table = Table()
    table.number_columns("Hour", "Nodes", "Pods", *names, "Score")
    for moments in zip(*forecast.samples.values(), strict=True):
        table.row(
            f"{moments[0].hour:g}",
            str(moments[0].nodes),
            str(moments[0].pods),
            *(str(moment.free_prefixes) for moment in moments),
            " / ".join("-" if moment.score is None else str(moment.score) for moment in moments),
        )
    print_text(f"{forecast.cidr}: free /28s, by placement of addresses")
    print_table(table)
    refused = {name: samples[-1].refused for name, samples in forecast.samples.items()}
    if any(refused.values()):
        told = ", ".join(f"{name} {count}" for name, count in refused.items())
        print_text(f"Calls that EC2 refused, the subnet being full: {told}")


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


def _print_drains(report: SubnetReport, plan: DrainPlan) -> None:
    if not plan.attainable:
        print_text("No drain wins a free /28: no block is held by nodes alone.")
        return
    if not plan.wanted:
        return
    pods = f"{plan.pods} pods" if plan.pods_known else f"at most {plan.pods} pods"
    print_text(
        f"To win {plan.won} free /28s, drain and end {len(plan.nodes)} of "
        f"{len(report.nodes)} nodes ({pods} evicted):",
        style="bold",
    )
    if plan.won < plan.wanted:
        print_text(f"({plan.wanted} were asked for; drains can win {plan.attainable})", indent="  ")
    shown = plan.nodes[:_MOST_NODES_SHOWN]
    for at in range(0, len(shown), 3):
        print_text("  ".join(shown[at : at + 3]), indent="  ")
    if len(plan.nodes) > len(shown):
        print_text(f"and {len(plan.nodes) - len(shown)} more, listed by --json", indent="  ")
    if plan.method == "exact":
        print_text("Proven: no choice evicts fewer.", indent="  ")
    else:
        print_text(
            f"Best found ({plan.method}); no choice evicts fewer than {plan.at_least}.", indent="  "
        )


def _print_reservation(plan: ReservationPlan) -> None:
    print_text(f"A prefix reservation costs least at {plan.cidr}:", style="bold")
    print_text(
        f"{plan.whole_now} of its {plan.n_blocks} /28s are free at once; {plan.held} single "
        f"addresses hold the others ({plan.held_by_nodes} of nodes, that go with a drain); "
        f"{plan.withdrawn} free addresses are no longer picked one by one.",
        indent="  ",
    )
    print_text(" ".join(plan.command), indent="  ", whole=True)


def _print_fits(advice: Advice) -> None:
    columns: dict[str, list[int | None]] = {
        "Now": [fit.now for fit in advice.fits],
        "Drained": [fit.after_drains for fit in advice.fits],
        "Reserved": [fit.after_reservation for fit in advice.fits],
        "Both": [fit.after_both for fit in advice.fits],
    }
    shown = {name: counts for name, counts in columns.items() if None not in counts}
    print_text(
        f"More nodes of {advice.instance_type} that fit, before the first refusal", style="bold"
    )
    table = Table()
    table.text_column("Mode")
    table.number_columns("Pods")
    table.text_column("Each draws")
    table.number_columns(*shown)
    for at, fit in enumerate(advice.fits):
        table.row(
            fit.mode, str(fit.pods), _draw(fit), *(str(counts[at]) for counts in shown.values())
        )
    print_table(table)


def _draw(fit: Fit) -> str:
    more = f"{fit.draw.prefixes} /28s" if fit.draw.prefixes else f"{fit.draw.addresses} IPs"
    enis = "1 ENI" if fit.draw.enis == 1 else f"{fit.draw.enis} ENIs"
    return f"{enis}, {more}"
