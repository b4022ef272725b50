"""Files of pod events that are read while they are played: of any length, in bounded memory.

A run holds the pods that are there, the next event and some rows of the file. A file that
is not in order of time, or whose pods come twice, is refused when the run gets to that row.
"""

from __future__ import annotations

import io
from operator import attrgetter
from pathlib import Path  # noqa: TC003  (a field of a value)
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.simulation.fleet.pod_event import checked
from ipam_core.simulation.fleet.pod_events import each_event, is_parquet, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam_core.simulation.fleet.pod_event import PodEvent

HELD_BYTES = 8 << 20
"""A CSV of at most so many bytes is read, and checked, before anything is played."""
HELD_ROWS = 200_000
"""And a Parquet file of so many rows."""
CHUNK_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """A file of pod events, in order of time. Each iteration reads it again, piece by piece.

    It moves to another process as its path, and is read there. `where` is in front of errors.
    """

    path: Path
    where: str

    def __iter__(self) -> Iterator[PodEvent]:
        """Yield the events. Raises as `events_of`, where it comes to it."""
        where = f"{self.where}: {self.path}"
        if is_parquet(self.path):
            from ipam_core.simulation.fleet.parquet import read_rows  # noqa: PLC0415  (heavy)

            return checked(read_rows(self.path, where), where, row="row")
        return each_event(_lines(self.path, where), where)


def events_of(path: Path, where: str) -> tuple[PodEvent, ...] | EventFile:
    """Return the events of a CSV or Parquet file; a large one is only begun to be read.

    Raises:
        InputError: it is none, with `where` in front.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
        OSError: it cannot be read.
    """
    if is_parquet(path):
        from ipam_core.simulation.fleet.parquet import count_rows  # noqa: PLC0415  (heavy)

        is_large = count_rows(path, f"{where}: {path}") > HELD_ROWS
    else:
        is_large = path.stat().st_size > HELD_BYTES
    if not is_large:
        return read_events(path, where)
    file = EventFile(path=path.absolute(), where=where)
    next(iter(file))
    return file


def in_order(events: Iterable[PodEvent]) -> Iterator[PodEvent]:
    """Yield the events of a trace in order of time: as they are, if they are a file's."""
    return iter(sorted(events, key=_time_ns) if isinstance(events, tuple) else events)


_time_ns = attrgetter("time_ns")


def _lines(path: Path, where: str) -> Iterator[str]:
    """Yield the lines of a text file; between two pieces of it, it is closed."""
    offset, rest = 0, b""
    while True:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(CHUNK_BYTES)
        piece = rest + chunk
        n_whole = piece.rfind(b"\n") + 1 if chunk else len(piece)
        try:
            yield from io.StringIO(piece[:n_whole].decode(), newline="")
        except UnicodeDecodeError as error:
            at = offset - len(rest) + error.start
            raise InputError(f"{where}: not UTF-8 text at byte {at}") from error
        if not chunk:
            return
        rest = piece[n_whole:]
        offset += len(chunk)
        if len(rest) > LONGEST_LINE_BYTES:
            raise InputError(f"{where}: a line longer than {LONGEST_LINE_BYTES:,} bytes")
