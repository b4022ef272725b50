"""A recorded pod event, whichever file it is in, and what holds for a list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ACTIONS = {"add": True, "remove": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEvent:
    """A pod comes, or goes; `node` is empty if the scheduler chooses it."""

    time_ns: int
    pod: str
    add: bool
    node: str = ""


def checked(rows: Iterable[tuple[PodEvent, int]], where: str, *, row: str) -> Iterator[PodEvent]:
    """Yield events, each given with the number of its row, as long as they can be played.

    Raises `InputError`: one is earlier than the one before, or its pod is there already, or
    is not there. `row` is what one is called, such as "line". Memory: the pods that are there.
    """
    last_ns = 0
    there: set[str] = set()
    for event, number in rows:
        pod = event.pod
        if event.add == (pod in there):
            state = "there already" if event.add else "not there"
            raise InputError(f"{where}: {row} {number}: pod {pod!r} is {state}")
        if event.time_ns < last_ns:
            raise InputError(
                f"{where}: {row} {number}: earlier than the {row} before; sort the file by time"
            )
        (there.add if event.add else there.discard)(pod)
        last_ns = event.time_ns
        yield event
