"""Pods that the scheduler puts on nodes which are played in C: what C must know of them.

`FleetPods` has the pods of `Arrivals`, `RollingUpdate` and `Trace`, and the scheduler. Here a
recorded trace is turned into numbers, piece by piece, and groups and nodes get theirs.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ipam_core._fleet_pods import FleetPods
from ipam_core.errors import InputError
from ipam_core.simulation.fleet.event_file import in_order
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipam_core._kernel import NodeKernel
    from ipam_core.simulation.fleet.pod_event import PodEvent
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.fleet.workload_specs import Workload

PIECE = 10_000
"""Events of a trace that are turned into numbers at a time."""
PIECES_AHEAD = 10
"""Nodes have so many pieces before them: an event takes some 200 bytes until it is played."""


class Placing:
    """The pods of a fleet that the scheduler puts on nodes; `times_ns` are those of its samples.

    `shortest_ns` is how long after a pod has its address its workload hears of it, at least: a
    pod's life is over, or it is ready. So long nothing that happens on its node changes where
    others are put. None: it never hears. `has_pods`: whether there are any.
    """

    def __init__(self, spec: FleetSpec, times_ns: Sequence[int]) -> None:
        self._groups = {group.name: number for number, group in enumerate(spec.groups)}
        daemon_sets = [
            (each.at_ns, self._group(each.group))
            for each in spec.workloads
            if isinstance(each, DaemonSet)
        ]
        self.pods: FleetPods = FleetPods(
            len(spec.groups), daemon_sets, list(times_ns), spec.measure_from_ns
        )
        self._until_ns = spec.duration_ns
        self.shortest_ns: int | None = None
        self.has_pods: bool = False
        self._traces: list[_Numbered] = []
        self._nodes: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def takes(self, number: int, workload: Workload) -> bool:
        """Have the pods of a workload of a number; return whether they are such."""
        if isinstance(workload, Arrivals):
            self._hears_after(workload.lifetime_ns)
            if workload.pods > 0:
                self.has_pods = True
                self.pods.add_wave(
                    number,
                    at_ns=workload.at_ns,
                    over_ns=workload.over_ns,
                    n_pods=workload.pods,
                    life_ns=workload.lifetime_ns,
                    every_ns=workload.every_ns,
                    group=self._group(workload.group),
                )
            return True
        if isinstance(workload, Trace):
            self.has_pods = True
            self.pods.add_trace(number)
            self._traces.append(_Numbered(workload.events, self._until_ns))
            return True
        if isinstance(workload, RollingUpdate):
            self.has_pods = True
            self._hears_after(workload.ready_after_ns)
            surge, unavailable = workload.bounds()
            self.pods.add_deployment(
                number,
                n_pods=workload.pods,
                surge=surge,
                unavailable=unavailable,
                ready_ns=workload.ready_after_ns,
                updates_ns=[workload.at_ns + n * workload.every_ns for n in range(workload.times)],
                group=self._group(workload.group),
            )
            return True
        return False

    def _hears_after(self, delay_ns: int | None) -> None:
        if delay_ns is not None:
            self.shortest_ns = min(delay_ns, self.shortest_ns or delay_ns)

    def add_node(
        self, number: int, name: str, kernel: NodeKernel, *, group: str, room: int
    ) -> None:
        """Add the node of the next number, on which the scheduler puts nothing yet."""
        self.pods.add_node(kernel, self._groups[group], room)
        if self._nodes.setdefault(name, number) != number:
            return
        if name in self._names:
            self.pods.name(self._names[name], number)

    def place(self, until_ns: int, *, with_workloads: bool = False) -> int:
        """Let pods come and go up to a time, exclusive, or an earlier one; return which.

        With `with_workloads` also what workloads do at that time. It is earlier where traces have
        many events. All nodes have been played up to the last such time, or to now if that is
        later.
        Raises `InputError` if a pod is recorded on a node that is not there.
        """
        self.pods.collect()
        n_pieces = 0
        while True:
            try:
                number = self.pods.place(until_ns, with_workloads=with_workloads)
            except LookupError as missing:
                number, at_ns = missing.args
                name = next(name for name, its in self._names.items() if its == number)
                raise InputError(f"no node {name!r} at {at_ns / NS:g} s") from None
            if number is None:
                return until_ns
            trace = self._traces[number]
            before_ns = trace.last_ns
            piece, is_whole = trace.next_piece(self._number_of)
            self.pods.feed(number, piece, trace.n_pods, is_whole=is_whole)
            n_pieces += 1
            if n_pieces >= PIECES_AHEAD and piece and before_ns < piece[0][0]:
                until_ns = min(until_ns, piece[0][0])  # nothing of that time is placed yet

    def _group(self, name: str | None) -> int | None:
        return None if name is None else self._groups[name]

    def _number_of(self, name: str) -> int:
        """Return the number of the name of a node, which need not be there yet."""
        if name not in self._names:
            self._names[name] = self.pods.add_name(self._nodes.get(name))
        return self._names[name]


class _Numbered:
    """The events of a trace with pods as numbers: one that is gone gives its to another.

    `last_ns` is the time of the last event that was read. None is read after the first that is
    later than `until_ns`, the end.
    """

    def __init__(self, events: Iterable[PodEvent], until_ns: int) -> None:
        self._events = in_order(events)
        self._until_ns = until_ns
        self._numbers: dict[str, int] = {}
        self._unused: list[int] = []
        self.n_pods = 0
        self.last_ns = 0

    def next_piece(
        self, number_of: Callable[[str], int]
    ) -> tuple[list[tuple[int, int, int | None, bool]], bool]:
        """Return the next events, and whether they are the last."""
        piece: list[tuple[int, int, int | None, bool]] = []
        for event in islice(self._events, PIECE):
            if event.time_ns > self._until_ns:
                return piece, True
            if event.add:
                pod = self._unused.pop() if self._unused else self._new()
                self._numbers[event.pod] = pod
            else:
                pod = self._numbers.pop(event.pod)
                self._unused.append(pod)
            node = number_of(event.node) if event.node else None
            piece.append((event.time_ns, pod, node, event.add))
            self.last_ns = event.time_ns
        return piece, len(piece) < PIECE

    def _new(self) -> int:
        self.n_pods += 1
        return self.n_pods - 1
