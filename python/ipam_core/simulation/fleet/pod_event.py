"""A recorded pod event, whichever file it is in, and what holds for a list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

ACTIONS = {"add": True, "remove": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEvent:
    """A pod comes, or goes; `node` is empty if the scheduler chooses it."""

    time_ns: int
    pod: str
    add: bool
    node: str = ""


def checked(rows: Iterable[tuple[PodEvent, str]], *, row: str) -> tuple[PodEvent, ...]:
    """Return events, each given with the words that name it, if they can be played.

    Raises `InputError`: one is earlier than the one before, or its pod is there already, or
    is not there. `row` is what one is called, such as "line".
    """
    found: list[PodEvent] = []
    there: set[str] = set()
    for event, where in rows:
        if event.add == (event.pod in there):
            state = "there already" if event.add else "not there"
            raise InputError(f"{where}: pod {event.pod!r} is {state}")
        if found and event.time_ns < found[-1].time_ns:
            raise InputError(f"{where}: earlier than the {row} before")
        (there.add if event.add else there.discard)(event.pod)
        found.append(event)
    return tuple(found)
