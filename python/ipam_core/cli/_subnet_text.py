"""How `ipam-core subnet` writes for people: a map of blocks, tables, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ipam_core._subnet import BLOCK_STATES
from ipam_core.cli._out import console
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.blockmap import MARKS, rows

if TYPE_CHECKING:
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
    out = console()
    score = "-" if found.score is None else str(found.score)
    out.print(
        Text.assemble(
            (f"{report.subnet_id}  {report.subnet.cidr}  ", "bold"),
            "fragmentation ",
            (f"{score} {found.band}", _BANDS[found.band]),
        )
    )
    out.print(f"{report.n_used} addresses used, {report.subnet.n_free} free: {report.agreement}")
    out.print(
        f"{report.subnet.n_free_prefixes} free /28s for prefix mode, "
        f"the longest run of free blocks {found.longest_free_run}"
    )
    for each in report.skipped:
        out.print(Text(f"Skipped {each.eni_id}: {each.why}", "yellow"))
    out.print()
    _print_map(report)
    out.print()
    _print_owners(report)
    out.print()
    _print_drains(report, advice.drains)
    if advice.reservation:
        out.print()
        _print_reservation(advice.reservation)
    if advice.fits:
        out.print()
        _print_fits(advice)
    out.print()


def print_forecast(forecast: Forecast) -> None:
    """Write free /28s over time, a column for each placement."""
    names = list(forecast.samples)
    table = Table(title=f"{forecast.cidr}: free /28s, by placement of addresses", box=None)
    for heading in ("Hour", "Nodes", "Pods", *names):
        table.add_column(heading, justify="right")
    table.add_column("Score", justify="right")
    for moments in zip(*forecast.samples.values(), strict=True):
        table.add_row(
            f"{moments[0].hour:g}",
            str(moments[0].nodes),
            str(moments[0].pods),
            *(str(moment.free_prefixes) for moment in moments),
            " / ".join("-" if moment.score is None else str(moment.score) for moment in moments),
        )
    console().print(table)
    refused = {name: samples[-1].refused for name, samples in forecast.samples.items()}
    if any(refused.values()):
        told = ", ".join(f"{name} {count}" for name, count in refused.items())
        console().print(f"Calls that EC2 refused, the subnet being full: {told}")


def _print_map(report: SubnetReport) -> None:
    states = report.subnet.block_states().tolist()
    free = report.subnet.free_counts().tolist()
    for label, blocks in rows(report.subnet):
        line = Text(f"{label:15} ")
        for state, n_free in zip(states[blocks], free[blocks], strict=True):
            name = BLOCK_STATES[state]
            mark = MARKS[name]
            if name == "fragmented":
                mark = f"{ADDRESSES_PER_PREFIX - n_free:x}"
            line.append(mark, _STYLES[name])
        console().print(line)
    counts = report.fragmentation
    legend = []
    for name, mark in MARKS.items():
        count = getattr(counts, name.replace("-", "_"))
        if count:
            shown = "1-f" if name == "fragmented" else mark
            legend.append(f"{shown} {name} {count}")
    console().print("Each mark is a /28, 1-f its addresses in use:")
    for at in range(0, len(legend), 4):
        console().print(f"  {', '.join(legend[at : at + 4])}")


def _print_owners(report: SubnetReport) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("Owner")
    for heading in ("ENIs", "Addresses", "/28s"):
        table.add_column(heading, justify="right")
    for each in report.owners:
        table.add_row(each.owner, str(each.enis), str(each.addresses), str(each.prefixes))
    console().print(table)


def _print_drains(report: SubnetReport, plan: DrainPlan) -> None:
    out = console()
    if not plan.attainable:
        out.print("No drain wins a free /28: no block is held by nodes alone.")
        return
    if not plan.wanted:
        return
    pods = f"{plan.pods} pods" if plan.pods_known else f"at most {plan.pods} pods"
    out.print(
        Text(
            f"To win {plan.won} free /28s, drain and end {len(plan.nodes)} of "
            f"{len(report.nodes)} nodes ({pods} evicted):",
            "bold",
        )
    )
    if plan.won < plan.wanted:
        out.print(f"  ({plan.wanted} were asked for; drains can win {plan.attainable})")
    shown = plan.nodes[:_MOST_NODES_SHOWN]
    for at in range(0, len(shown), 3):
        out.print("  " + "  ".join(shown[at : at + 3]))
    if len(plan.nodes) > len(shown):
        out.print(f"  and {len(plan.nodes) - len(shown)} more, listed by --json")
    if plan.method == "exact":
        out.print("  Proven: no choice evicts fewer.")
    else:
        out.print(f"  Best found ({plan.method}); no choice evicts fewer than {plan.at_least}.")


def _print_reservation(plan: ReservationPlan) -> None:
    out = console()
    out.print(Text(f"A prefix reservation costs least at {plan.cidr}:", "bold"))
    out.print(
        f"  {plan.whole_now} of its {plan.n_blocks} /28s are free at once; {plan.held} single "
        f"addresses hold the others"
    )
    out.print(
        f"  ({plan.held_by_nodes} of nodes, that go with a drain); {plan.withdrawn} free "
        "addresses are no longer"
    )
    out.print("  picked one by one.")
    words = plan.command
    out.print(f"  {' '.join(words[:5])} \\")
    out.print(f"      {' '.join(words[5:])}")


def _print_fits(advice: Advice) -> None:
    columns: dict[str, list[int | None]] = {
        "Now": [fit.now for fit in advice.fits],
        "Drained": [fit.after_drains for fit in advice.fits],
        "Reserved": [fit.after_reservation for fit in advice.fits],
        "Both": [fit.after_both for fit in advice.fits],
    }
    shown = {name: counts for name, counts in columns.items() if None not in counts}
    table = Table(box=None, pad_edge=False, title_justify="left", title_style="bold")
    table.title = f"More nodes of {advice.instance_type} that fit, before the first refusal"
    table.add_column("Mode")
    table.add_column("Pods", justify="right")
    table.add_column("Each draws")
    for name in shown:
        table.add_column(name, justify="right")
    for at, fit in enumerate(advice.fits):
        table.add_row(
            fit.mode, str(fit.pods), _draw(fit), *(str(counts[at]) for counts in shown.values())
        )
    console().print(table)


def _draw(fit: Fit) -> str:
    more = f"{fit.draw.prefixes} /28s" if fit.draw.prefixes else f"{fit.draw.addresses} IPs"
    enis = "1 ENI" if fit.draw.enis == 1 else f"{fit.draw.enis} ENIs"
    return f"{enis}, {more}"
