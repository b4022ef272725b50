"""Which node a pod is put on, and the pods that wait for one.

The rule is short: the node with the smallest share of its room taken, the oldest of equal
ones. It is asked for every pod, so nothing here walks over all nodes: a node whose pods
changed is noted, and at the next question it alone is looked at again.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ipam_core.simulation.fleet.members import FleetNode, NodeGroup, Pod

FULL = 1.0
"""The share of a node that takes no more pods."""
_SPARE = 64
"""So many entries of a heap may be out of date beyond one for each node."""


class Unplaced:
    """The pods that have no node, in the order in which they came.

    Each operation costs constant time; a walk costs O(n log n).
    """

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[str | None, OrderedDict[Pod, None]] = {}

    def __len__(self) -> int:
        """Return how many pods wait."""
        return sum(map(len, self._queues.values()))

    def __bool__(self) -> bool:
        """Return whether any pod waits."""
        return any(self._queues.values())

    def __iter__(self) -> Iterator[Pod]:
        """Yield them in order."""
        waiting = (pod for queue in self._queues.values() for pod in queue)
        return iter(sorted(waiting, key=lambda pod: pod.number))

    def count(self, group: str | None) -> int:
        """Return how many wait for a node of this group alone; None: of any group."""
        return len(self._queues.get(group, ()))

    def groups(self) -> Iterator[str | None]:
        """Yield the groups that pods wait for."""
        return (group for group, queue in self._queues.items() if queue)

    def add(self, pod: Pod) -> None:
        """Let a pod wait, behind all others: it is the newest."""
        self._queues.setdefault(pod.group, OrderedDict())[pod] = None

    def remove(self, pod: Pod) -> None:
        """Let a pod wait no more."""
        del self._queues[pod.group][pod]

    def first(self, groups: Iterable[str | None]) -> Pod:
        """Return the pod of these groups, which pods wait for, that came first."""
        return min(
            (next(iter(self._queues[group])) for group in groups), key=lambda pod: pod.number
        )


class Scheduler:
    """The scheduler of a fleet.

    `groups` are its groups, whose nodes are there now, and `daemon_sets` when each DaemonSet
    begins and on which group, None: on every one. A DaemonSet's pod has its place from then
    on, even if it is not there yet. `now_ns` gives the time.
    """

    def __init__(
        self,
        groups: Mapping[str, NodeGroup],
        daemon_sets: Iterable[tuple[int, str | None]],
        now_ns: Callable[[], int],
    ) -> None:
        self._groups = groups
        self._now_ns = now_ns
        self._n_daemons = dict.fromkeys(groups, 0)
        self._begin_later = sorted(daemon_sets, key=lambda each: -each[0])
        self.unplaced: Unplaced = Unplaced()
        self.changed: list[FleetNode] = []
        """The nodes to look at again; each notes itself here once."""
        self._heaps: dict[str, list[tuple[float, int, FleetNode]]] = {name: [] for name in groups}
        self._room = dict.fromkeys(groups, 0)

    def n_daemons(self, group: str) -> int:
        """Return how many DaemonSets have a pod on every node of a group now."""
        if self._begin_later:
            self._begin_daemons()
        return self._n_daemons[group]

    def free_room(self, group: str) -> int:
        """Return how many more pods the nodes of a group have room for. Cost: amortised O(1)."""
        self._look_again()
        return self._room[group]

    def find(self, group: str | None) -> FleetNode | None:
        """Return the node for a pod, None where all are full. Cost: O(log nodes), amortised."""
        self._look_again()
        if group is not None:
            return self._least(group)
        found = (node for node in map(self._least, self._heaps) if node is not None)
        return min(found, key=lambda node: (node.share, node.number), default=None)

    def place_waiting(self, bind: Callable[[Pod, FleetNode], None]) -> None:
        """Put pods that found no node where there is room now, in their order.

        Where a pod finds no room none does that wants the same: a call that places nothing
        costs O(groups), however many pods wait.
        """
        hopeful = set(self.unplaced.groups())
        while hopeful:
            pod = self.unplaced.first(hopeful)
            node = self.find(pod.group)
            if node is not None:
                self.unplaced.remove(pod)
                bind(pod, node)
            if node is None or not self.unplaced.count(pod.group):
                hopeful.discard(pod.group)
            if node is None and pod.group is None:
                return  # no node of any group has room

    def _begin_daemons(self) -> None:
        now_ns = self._now_ns()
        while self._begin_later and self._begin_later[-1][0] <= now_ns:
            _, wanted = self._begin_later.pop()
            for name, group in self._groups.items():
                if wanted in (None, name):
                    self._n_daemons[name] += 1
                    for node in group.nodes.values():
                        node.note_change()

    def _look_again(self) -> None:
        """Note the room of changed nodes again."""
        if self._begin_later:
            self._begin_daemons()
        for node in self.changed:
            name = node.group.name
            node.is_noted = False
            share, free = FULL, 0
            if node.takes_pods and node.room:
                taken = node.taken(self._n_daemons[name])
                share, free = taken / node.room, max(node.room - taken, 0)
            self._room[name] += free - node.free
            node.free = free
            if share != node.share:
                node.share = share
                if share < FULL:
                    heapq.heappush(self._heaps[name], (share, node.number, node))
        self.changed.clear()

    def _least(self, group: str) -> FleetNode | None:
        """Return the node of a group with the smallest share taken, None where all are full."""
        heap = self._heaps[group]
        if len(heap) > 2 * len(self._groups[group].nodes) + _SPARE:
            current = {node.number: (share, number, node) for share, number, node in heap
                       if share == node.share}  # fmt: skip
            heap[:] = current.values()
            heapq.heapify(heap)
        while heap:
            share, _, node = heap[0]
            if share == node.share:
                return node
            heapq.heappop(heap)
        return None
