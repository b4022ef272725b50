"""A timeline as a table of 80 columns, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ipam_core.simulation.scenario.timeline import count_text, is_endless
from ipam_core.variables import shown_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ipam_core.cli._tables import Table
    from ipam_core.plots.timeline import Mark
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.simulation.scenario.timeline import Moment, Result

SHORT_NAMES = {
    "AssignPrivateIpAddresses": "Assign",
    "AssignIpv6Addresses": "AssignIPv6",
    "UnassignPrivateIpAddresses": "Unassign",
    "CreateNetworkInterface": "CreateENI",
    "AttachNetworkInterface": "Attach",
    "DetachNetworkInterface": "Detach",
    "DeleteNetworkInterface": "Delete",
}
"""The table's names of EC2 calls: the full names do not fit."""
_ROWS = ("pods", *SHORT_NAMES.values())
"""The possible rows of marks under a picture."""


def timeline_table(moments: Sequence[Moment]) -> Table:
    """Return the table of a timeline: a row for each moment, its calls below it."""
    from ipam_core.cli._tables import Table

    table = Table(ruled=True, full_width=True)
    table.number_columns("time s")
    table.text_column("what happens, EC2 calls", takes_rest=True)
    table.number_columns("pods", "wait", "ENIs", "total", "asgd", "free", "cool")
    for moment in moments:
        table.row(
            f"{moment.time_s:.1f}".removesuffix(".0"),
            _lines(moment),
            *map(count_text, moment.counts),
            style="red" if moment.waiting else "",
        )
    return table


def timeline_json(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return a timeline as plain values."""
    return [asdict(moment) for moment in moments]


def heading(scenario: Scenario) -> str:
    """Return the type and settings of a scenario's node."""
    settings = " ".join(f"{name}={value}" for name, value in shown_variables(scenario.env).items())
    return f"{scenario.instance_type}, {settings or 'default settings'}"


def plot_result(result: Result, path: Path) -> None:
    """Write the picture of a played scenario. Raises as `plots.check_path`."""
    from ipam_core.plots.timeline import plot_timeline

    moments = result.timeline
    series = {
        "assigned": [moment.assigned for moment in moments],
        "cooling": [moment.cooling for moment in moments],
        "free": [moment.free - moment.cooling for moment in moments],
        "total": [moment.total for moment in moments],
        "pods": [moment.running + moment.waiting for moment in moments],
    }
    if is_endless(max(series["total"])):
        del series["free"], series["total"]
    plot_timeline(
        [moment.time_s for moment in moments],
        series,
        sorted(_marks(moments), key=lambda mark: _ROWS.index(mark.name)),
        path,
        title=f"{result.scenario.scenario_id}: {heading(result.scenario)}",
    )


def _marks(moments: Sequence[Moment]) -> Iterator[Mark]:
    """Mark the refused pods, as long as there are any, and every EC2 call."""
    from ipam_core.plots.timeline import Mark

    waiting, since_s = 0, None
    for moment in moments:
        if moment.waiting > waiting:
            yield Mark(moment.time_s, "pods", refused=True)
        waiting = moment.waiting
        if waiting and since_s is None:
            since_s = moment.time_s
        elif not waiting and since_s is not None:
            yield Mark(since_s, "pods", refused=True, until_s=moment.time_s)
            since_s = None
        for call in moment.calls:
            request, _, code = call.partition(" -> ")
            yield Mark(moment.time_s, SHORT_NAMES[request.partition("(")[0]], refused=bool(code))
    if since_s is not None:
        yield Mark(since_s, "pods", refused=True, until_s=moments[-1].time_s)


def _lines(moment: Moment) -> list[str]:
    calls = []
    for call in moment.calls:
        name, bracket, rest = call.partition("(")
        calls.append(f"  {SHORT_NAMES.get(name, name)}{bracket}{rest}")
    return [*([moment.what] if moment.what else []), *calls]
