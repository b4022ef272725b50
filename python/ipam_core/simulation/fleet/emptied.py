"""The nodes of a group that are empty, in the eyes of its autoscaler."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.members import FleetNode


class Emptied:
    """The empty nodes of a group, and which of them have been so for `after_ns`.

    A node is noted each time it becomes empty (`FleetNode.empty_ns`); that it is so no more is
    found out here. Each operation costs O(log nodes), amortised.
    """

    __slots__ = ("_after_ns", "_long", "_numbers", "_since")

    def __init__(self, after_ns: int) -> None:
        self._after_ns = after_ns
        self._since: deque[tuple[int, FleetNode]] = deque()  # in order of time
        self._long: list[tuple[int, FleetNode]] = []  # a heap by number, each node once
        self._numbers: set[int] = set()  # of the nodes in the heap

    def note(self, node: FleetNode) -> None:
        """Note a node that became empty now."""
        self._since.append((node.empty_ns, node))

    def let_pass(self, now_ns: int) -> None:
        """Note which nodes have been empty for long enough by now."""
        since = self._since
        while since and now_ns - since[0][0] >= self._after_ns:
            _, node = since.popleft()
            if node.number not in self._numbers and self._is_long(node, now_ns):
                self._numbers.add(node.number)
                heapq.heappush(self._long, (node.number, node))

    def first(self, now_ns: int, but: FleetNode) -> FleetNode | None:
        """Return the oldest node that has been empty for long enough, but one; None: none."""
        self.let_pass(now_ns)
        passed_over = None
        found = None
        while self._long and found is None:
            number, node = self._long[0]
            if node is not but and self._is_long(node, now_ns):
                found = node
                break
            heapq.heappop(self._long)
            if node is but:
                passed_over = node
            else:
                self._numbers.discard(number)
        if passed_over is not None:
            heapq.heappush(self._long, (passed_over.number, passed_over))
        return found

    def _is_long(self, node: FleetNode, now_ns: int) -> bool:
        return not node.gone and 0 <= node.empty_ns <= now_ns - self._after_ns
