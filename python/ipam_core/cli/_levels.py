"""The levels of played nodes in as few rows as possible, of 80 columns."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from ipam_core.cli._timeline import SHORT_NAMES
from ipam_core.diagnosis.explain.levels import Row, unchanging

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from ipam_core.cli._tables import Table
    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.play import Level, Play

Cells = tuple[str, str, str, str, str]
MOST_ROWS = 12
"""With more rows than this for one way, there is one row for each number of ENIs."""
_SHOWN = (
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
)


def fold(levels: Sequence[Level]) -> list[Row]:
    """Return rows in which repeated rows are one; if there are many, one for each ENI."""
    rows = []
    for _, group in groupby(unchanging(levels), key=_pattern):
        alike = list(group)
        merged = tuple(level for row in alike for level in row.levels)
        rows.append(Row(levels=merged, period=len(alike[0].levels) if len(alike) > 1 else None))
    if len(rows) <= MOST_ROWS:
        return rows
    return [Row(levels=tuple(group)) for _, group in groupby(levels, key=lambda at: at.enis)]


def _pattern(row: Row) -> Any:
    """Return what repeated rows have in common."""
    return (
        row.levels[0].enis,
        row.levels[0].settled,
        tuple(level.free for level in row.levels),
        _shown_calls(row.calls),
    )


def slots_word(play: Play) -> str:
    """Return the word for what fills a slot: some nodes have prefixes and addresses."""
    return "slots" if play.falls_back else "prefixes" if play.prefix_mode else "addresses"


def level_rows(levels: Sequence[Level]) -> list[Cells]:
    """Return pods, ENIs, what each ENI holds, unused addresses and EC2 calls, in a few rows."""
    return [_cells(row) for row in fold(levels)]


def stall_row(play: Play) -> Cells | None:
    """Return the same of the first pod that never gets an address, None if all do."""
    if play.serves_all or not play.up:
        return None
    top = play.up[-1]
    error = f"{play.top_error.api}: {play.top_error.code}" if play.top_error else "none"
    return str(top.pods + 1), str(top.enis), _held(top), "0", f"{error}, for ever"


def levels_table(play: Play) -> Table:
    """Return the table of a play, up and back, in the form of AWS's documents."""
    from ipam_core.cli._tables import Table

    table = Table(ruled=True)
    table.number_columns("pods", "ENIs")
    table.text_column(f"{slots_word(play)} of each", no_wrap=True)
    table.number_columns("unused")
    table.text_column("EC2 calls")
    for cells in level_rows(play.up):
        table.row(*cells)
    stall = stall_row(play)
    if stall is not None:
        table.row(*stall, style="red")
    if play.back:
        table.rule()
        table.row("back")
        for cells in level_rows(play.back):
            table.row(*cells)
    return table


def nodes_table(explained: Sequence[Explanation]) -> Table:
    """Return a table of several nodes, a row each, from no pod to all, or to the stall.

    EC2 calls are those that change what a node holds, up and back.
    """
    from ipam_core.cli._tables import Table

    table = Table(ruled=True)
    table.text_column("instance", no_wrap=True)
    table.number_columns("pods", "burst limit", "ENIs", "addresses", "unused", "EC2 calls")
    for each in explained:
        verdict, play = each.verdict, each.play
        cells = ["-"] * 5
        if play.up and play.mode != "ipv6":
            first, last = play.up[0], play.up[-1]
            calls = [changing_calls(way) for way in (play.up, play.back)]
            cells = [
                "none" if verdict.burst is None else str(verdict.burst),
                _range(first.enis, last.enis),
                _range(first.total, last.total),
                _range(first.free, last.free),
                "{} + {}".format(*calls),
            ]
        table.row(
            each.case.limits.instance_type,
            str(verdict.n_pods),
            *cells,
            style="" if verdict.serves_all else "red",
        )
    return table


def changing_calls(levels: Sequence[Level]) -> int:
    """Return how many successful calls change what the node holds."""
    return sum(level.calls[api] for level in levels for api in _SHOWN)


def _cells(row: Row) -> Cells:
    first, last = row.levels[0], row.levels[-1]
    free = [level.free for level in row.levels]
    held = _held(first) if first.per_eni == last.per_eni else f"{_held(first)} .. {_held(last)}"
    calls = _shown_calls(row.calls)
    if calls and row.period is not None:
        calls += " each pod" if row.period == 1 else f" every {row.period} pods"
    if refused := _shown_calls(row.refused):
        calls += f"{calls and '; '}refused: {refused}"
    if not all(level.settled for level in row.levels):
        calls += ", and on and on"
    return (
        _range(first.pods, last.pods),
        str(first.enis),
        held,
        _range(free[0], free[-1]) if _is_monotone(free) else f"{min(free)}-{max(free)}",
        calls,
    )


def _is_monotone(values: Sequence[int]) -> bool:
    ordered = sorted(values)
    return list(values) in (ordered, ordered[::-1])


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _held(level: Level) -> str:
    """Return what each ENI holds, largest first: `29`, `29 29 6`, `7x29 6`; `3-29` of many."""
    runs = [(n_slots, len(list(same))) for n_slots, same in groupby(level.per_eni)]
    if len(runs) > 3:
        return f"{runs[-1][0]}-{runs[0][0]}"
    return " ".join(
        f"{n}x{n_slots}" if n > 2 else " ".join([str(n_slots)] * n) for n_slots, n in runs
    )


def _shown_calls(calls: Counter[str]) -> str:
    """Return the calls that change what a node holds: `Assign 2, CreateENI 1`."""
    return ", ".join(f"{SHORT_NAMES[api]} {calls[api]}" for api in _SHOWN if calls[api])
