"""Pod events as Parquet (extra `parquet`): smaller than the CSV, and read without parsing.

Columns: `time_ns` (int64, since the start), `node`, `pod` and `action` (strings; `add` or
`remove`), in order of time. Others are passed over.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.simulation.fleet.pod_event import ACTIONS, PodEvent

with extra("parquet", "a Parquet file"):
    import pyarrow as pa
    import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCHEMA = pa.schema(
    [
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("pod", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
    ]
)
ROWS_AT_ONCE = 1 << 16


def count_rows(path: Path, where: str) -> int:
    """Return how many rows a file says it has. Raises as `read_rows`."""
    try:
        with pq.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    except (pa.ArrowException, ValueError) as error:
        raise _refused(error, where) from error


def read_rows(path: Path, where: str) -> Iterator[tuple[PodEvent, int]]:
    """Yield the events of a file, each with the number of its row, from 1.

    No more than a batch of rows is in memory. Raises `InputError` for what is no such file,
    and `OSError`.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:  # what is read ahead stays in memory
            missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(f"{where}: no column {', '.join(map(quoted, missing))}")
            number = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=SCHEMA.names):
                rows = pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)
                columns = [column.to_pylist() for column in rows.columns]
                for time_ns, node, pod, action in zip(*columns, strict=True):
                    number += 1
                    if time_ns < 0 or not pod or action not in ACTIONS:
                        shown = quoted({"time_ns": time_ns, "pod": pod, "action": action})
                        raise InputError(f"{where}: row {number}: no pod event: {shown}")
                    yield PodEvent(time_ns=time_ns, node=node, pod=pod, add=ACTIONS[action]), number
    except (pa.ArrowException, ValueError) as error:
        raise _refused(error, where) from error


def _refused(error: Exception, where: str) -> InputError:
    said = " ".join(str(error).split())
    return InputError(f"{where}: {said[:200]}")


def write(path: Path, events: Iterable[PodEvent]) -> None:
    """Write events to a file, a batch of rows at a time. Raises `OSError`."""
    rest = iter(events)
    words = {add: action for action, add in ACTIONS.items()}
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as file:
        while batch := list(islice(rest, ROWS_AT_ONCE)):
            columns = [
                [event.time_ns for event in batch],
                [event.node for event in batch],
                [event.pod for event in batch],
                [words[event.add] for event in batch],
            ]
            file.write_table(pa.table(columns, schema=SCHEMA))
