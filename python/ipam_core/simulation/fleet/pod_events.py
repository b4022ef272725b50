"""Recorded pods: a CSV with the times when each came and went.

    time,node,pod,action
    0,web-0,api-7f9c,add
    90s,,batch-1,add
    2m,web-0,api-7f9c,remove

A time is a duration from the start; without a node the scheduler chooses one. A file whose
name ends in .parquet is read as Parquet: see `parquet`.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from ipam_core.errors import InputError
from ipam_core.simulation.fleet.pod_event import ACTIONS, PodEvent, checked
from ipam_core.simulation.validation import duration_ns, non_empty, one_of, shown
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HEADER = ("time", "node", "pod", "action")
_MS = 1_000_000
_PLAIN_TIME = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,3}))?").fullmatch
"""Seconds as `format_events` writes them: read in a fifth of the time of any other duration."""


def read_events(path: Path, where: str) -> tuple[PodEvent, ...]:
    """Read a CSV or Parquet file.

    Raises:
        InputError: it is none, with `where` in front.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
        OSError: it cannot be read.
    """
    if is_parquet(path):
        from ipam_core.simulation.fleet.parquet import read_rows  # noqa: PLC0415  (heavy)

        where = f"{where}: {path}"
        return tuple(checked(read_rows(path, where), where, row="row"))
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return parse_events(lines, f"{where}: {path}")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: {path}: not UTF-8 text at byte {error.start}") from error


def parse_events(lines: Iterable[str], where: str) -> tuple[PodEvent, ...]:
    """Parse the lines of a CSV. Raises `InputError` with the line's number."""
    return tuple(each_event(lines, where))


def each_event(lines: Iterable[str], where: str) -> Iterator[PodEvent]:
    """Yield the events of a CSV's lines. Raises as `parse_events`, where it comes to it."""
    return checked(_rows(lines, where), where, row="line")


def _rows(lines: Iterable[str], where: str) -> Iterator[tuple[PodEvent, int]]:
    rows = csv.reader(lines)
    try:
        if tuple(first := next(rows, [])) != HEADER:
            raise InputError(f"{where}: line 1 is {','.join(HEADER)}, not {shown(','.join(first))}")
        for row in rows:
            number = rows.line_num
            yield _event(row, where, number), number
    except csv.Error as error:
        raise InputError(f"{where}: line {rows.line_num}: {error}") from error


def is_parquet(path: Path) -> bool:
    """Return whether a file of events is Parquet, by its name."""
    return path.suffix.lower() == ".parquet"


def format_events(events: Iterable[PodEvent], *, header: bool = True) -> str:
    """Return the text of a CSV, which `parse_events` reads. Times are rounded to a millisecond."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    if header:
        rows.writerow(HEADER)
    for event in events:
        ms = (event.time_ns + _MS // 2) // _MS
        seconds, rest = divmod(ms, NS // _MS)
        time = f"{seconds}.{rest:03}".rstrip("0").rstrip(".") if rest else str(seconds)
        rows.writerow((time, event.node, event.pod, "add" if event.add else "remove"))
    return text.getvalue()


def _event(row: list[str], where: str, number: int) -> PodEvent:
    if len(row) == len(HEADER):
        time, node, pod, action = row
        if (plain := _PLAIN_TIME(time)) and pod and action in ACTIONS:
            time_ns = int(plain[1]) * NS + int((plain[2] or "").ljust(3, "0")) * _MS
            return PodEvent(time_ns=time_ns, node=node, pod=pod, add=ACTIONS[action])
    where = f"{where}: line {number}"
    if len(row) != len(HEADER):
        raise InputError(f"{where}: {len(HEADER)} values ({','.join(HEADER)}), not {len(row)}")
    return PodEvent(
        time_ns=duration_ns(time, f"{where}: time"),
        node=node,
        pod=non_empty(pod, f"{where}: pod"),
        add=ACTIONS[one_of(*ACTIONS)(action, f"{where}: action")],
    )
