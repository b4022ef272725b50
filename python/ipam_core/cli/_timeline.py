"""A timeline as a table of 80 columns, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ipam_core.simulation.player import Moment

SHORT_NAMES = {
    "AssignPrivateIpAddresses": "Assign",
    "UnassignPrivateIpAddresses": "Unassign",
    "CreateNetworkInterface": "CreateENI",
    "AttachNetworkInterface": "Attach",
    "DetachNetworkInterface": "Detach",
    "DeleteNetworkInterface": "Delete",
}
"""How the table calls the EC2 calls, which do not fit it in full."""


def timeline_table(moments: Sequence[Moment]) -> Table:
    """Return the table of a timeline: a row a moment, calls below the row they belong to."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), width=80, pad_edge=False)
    table.add_column("time s", justify="right", no_wrap=True)
    table.add_column("what happens, EC2 calls", ratio=1, overflow="fold")
    for name in ("pods", "wait", "ENIs", "total", "asgd", "free", "cool"):
        table.add_column(name, justify="right", no_wrap=True)
    for moment in moments:
        table.add_row(
            f"{moment.time_s:g}",
            "\n".join(_lines(moment)),
            *(
                str(count)
                for count in (
                    moment.running,
                    moment.waiting,
                    moment.enis,
                    moment.total,
                    moment.assigned,
                    moment.free,
                    moment.cooling,
                )
            ),
            style="red" if moment.waiting else None,
        )
    return table


def timeline_json(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return a timeline as plain values."""
    return [asdict(moment) for moment in moments]


def _lines(moment: Moment) -> list[str]:
    calls = []
    for call in moment.calls:
        name, bracket, rest = call.partition("(")
        calls.append(f"  {SHORT_NAMES.get(name, name)}{bracket}{rest}")
    return [*([moment.what] if moment.what else []), *calls]
