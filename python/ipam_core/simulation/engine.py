"""Virtual time: a clock and a queue of events.

An event has a time, a rank and a number (of a node or pod). These three order the events, so
that the events of one moment have the same order, however they came into the queue. So a run
that skips idle pool checks gives the same result as one that does not.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

RANK_LOOP = 0
"""At one moment nodes act first,"""
RANK_CALL = 1
"""then replies arrive,"""
RANK_WORKLOAD = 2
"""then workloads and rollouts act,"""
RANK_POD = 3
"""then pods come, ask again and go."""

_MINUTE_NS = 60 * NS
_Event = tuple[int, int, int, int, "Callable[[Any], None]", Any]
"""When, rank, number, in order of arrival; the callback, and its argument."""


class Engine:
    """A queue of events and the virtual clock: nanoseconds from 0.

    Only events of the current and of earlier minutes are in order, in a heap. Those of a later
    minute wait in a list of their own. Most events are ends of pods hours away, and a heap of
    all of them would be too large for the cache. The later minutes themselves are a heap, so
    an event costs O(log n), however long the simulated time is.
    """

    __slots__ = ("_later", "_minute", "_minutes", "_n", "_queue", "now_ns")

    def __init__(self) -> None:
        self.now_ns: int = 0
        self._n = 0
        self._minute = 0
        self._queue: list[_Event] = []
        self._later: dict[int, list[_Event]] = {}
        self._minutes: list[int] = []  # the keys of `_later`, as a heap

    def at(
        self,
        time_ns: int,
        rank: int,
        number: int,
        callback: Callable[[Any], None],
        argument: Any = None,
    ) -> None:
        """Call `callback(argument)` at a time, which is not before now."""
        self._n += 1
        event = (time_ns, rank, number, self._n, callback, argument)
        minute = time_ns // _MINUTE_NS
        if minute <= self._minute:
            heapq.heappush(self._queue, event)
        elif (events := self._later.get(minute)) is not None:
            events.append(event)
        else:
            self._later[minute] = [event]
            heapq.heappush(self._minutes, minute)

    def next_ns(self) -> int | None:
        """Return a time before which there is no event; None: there is none at all."""
        if self._queue:
            return self._queue[0][0]
        return max(self._minutes[0] * _MINUTE_NS, self.now_ns) if self._minutes else None

    def run(self, until_ns: int) -> None:
        """Process all events up to a time, that moment included."""
        queue, minutes, pop = self._queue, self._minutes, heapq.heappop
        while True:
            while queue and queue[0][0] <= until_ns:
                self.now_ns, _, _, _, callback, argument = pop(queue)
                callback(argument)
            if queue or not minutes or minutes[0] * _MINUTE_NS > until_ns:
                break
            self._minute = pop(minutes)
            queue.extend(self._later.pop(self._minute))
            heapq.heapify(queue)
        self.now_ns = until_ns
