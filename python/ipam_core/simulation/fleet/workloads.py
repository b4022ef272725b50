"""Where pods come from and when they go: a process for each workload.

A fleet calls a process for its pods: `served` when a pod has its address, `ended` when one is
gone, `joined` when a node is ready for pods.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ipam_core.simulation.engine import RANK_WORKLOAD
from ipam_core.simulation.fleet.event_file import in_order
from ipam_core.simulation.fleet.members import PodOwner
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.simulation.fleet.members import FleetNode, Pod
    from ipam_core.simulation.fleet.pod_event import PodEvent
    from ipam_core.simulation.fleet.ports import Environment
    from ipam_core.simulation.fleet.workload_specs import Workload

SpecT = TypeVar("SpecT")


class WorkloadProcess(PodOwner, Generic[SpecT]):
    """A running workload; `number` is its own, and orders events of one moment."""

    __slots__ = ("chance", "fleet", "number", "spec")

    def __init__(self, spec: SpecT, fleet: Environment, number: int) -> None:
        self.spec: SpecT = spec
        self.fleet: Environment = fleet
        self.number: int = number
        self.chance: random.Random = random.Random(f"{fleet.seed}/workload/{number}")

    def begin(self) -> None:
        """Put the first events into the fleet's queue."""

    def at(self, time_ns: int, callback: Callable[[Any], None], argument: Any = None) -> None:
        """Call a function at a time."""
        self.fleet.engine.at(time_ns, RANK_WORKLOAD, self.number, callback, argument)


class _ArrivalsProcess(WorkloadProcess[Arrivals]):
    __slots__ = ()

    def begin(self) -> None:
        self.at(self.spec.at_ns, self._wave, self.spec.at_ns)

    def _wave(self, start_ns: int) -> None:
        spec = self.spec
        for n in range(spec.pods):
            self.at(start_ns + spec.over_ns * n // spec.pods, self._add)
        if spec.every_ns is not None:
            self.at(start_ns + spec.every_ns, self._wave, start_ns + spec.every_ns)

    def _add(self, _: object) -> None:
        self.fleet.create(self, group=self.spec.group, lifetime_ns=self.spec.lifetime_ns)


class _ChurnProcess(WorkloadProcess[Churn]):
    __slots__ = ("_rate",)

    def __init__(self, spec: Churn, fleet: Environment, number: int) -> None:
        super().__init__(spec, fleet, number)
        self._rate = 1 / spec.lifetime_ns

    def begin(self) -> None:
        self.fleet.watch_nodes(self)

    def joined(self, node: FleetNode) -> None:
        if self.spec.group in (None, node.group.name):
            start_ns = max(self.spec.at_ns, self.fleet.engine.now_ns)
            n_pods = self.spec.pods_per_node
            if node.agent.keeps_pods(self.number, start_ns, n_pods, self._rate):
                return
            for _ in range(n_pods):
                self.at(start_ns, self._add, node)

    def _add(self, node: FleetNode) -> None:
        if not node.gone:
            lifetime_ns = round((node.chance or self.chance).expovariate(self._rate))
            self.fleet.create(self, node=node, lifetime_ns=lifetime_ns)

    def ended(self, pod: Pod) -> None:
        if pod.node is not None:
            self._add(pod.node)


class _DaemonProcess(WorkloadProcess[DaemonSet]):
    __slots__ = ()

    is_daemon = True

    def begin(self) -> None:
        self.fleet.watch_nodes(self)

    def joined(self, node: FleetNode) -> None:
        if self.spec.group in (None, node.group.name):
            start_ns = max(self.spec.at_ns, self.fleet.engine.now_ns)
            if not node.agent.keeps_pods(self.number, start_ns, 1, 0.0):
                self.at(start_ns, self._add, node)

    def _add(self, node: FleetNode) -> None:
        if not node.gone:
            self.fleet.create(self, node=node)


class _RollingProcess(WorkloadProcess[RollingUpdate]):
    """One Deployment. `_old` are pods of the last template, ready ones and others.

    Each pod has a number in its Deployment, in order of creation; one that replaces an
    evicted pod has its number, and so its place. `_unready` may be old pods that are not
    ready; all others are. Every event costs O(log n) for each pod that it moves.
    """

    __slots__ = ("_n_made", "_new", "_numbers", "_old", "_ready", "_surge", "_unavailable",
                 "_unready")  # fmt: skip

    def __init__(self, spec: RollingUpdate, fleet: Environment, number: int) -> None:
        super().__init__(spec, fleet, number)
        self._surge, self._unavailable = spec.bounds()
        self._n_made = 0
        self._numbers: dict[Pod, int] = {}
        self._old: OrderedDict[int, Pod] = OrderedDict()
        self._new: dict[int, Pod] = {}
        self._unready: set[int] = set()
        self._ready: set[Pod] = set()

    def begin(self) -> None:
        self.at(0, self._create)
        for n in range(self.spec.times):
            self.at(self.spec.at_ns + n * self.spec.every_ns, self._update)

    def _create(self, _: object) -> None:
        self._make(self.spec.pods)

    def _make(self, n_pods: int) -> None:
        for _ in range(n_pods):
            pod = self.fleet.create(self, group=self.spec.group)
            self._numbers[pod] = self._n_made
            self._new[self._n_made] = pod
            self._n_made += 1

    def _update(self, _: object) -> None:
        self._unready.update(number for number, pod in self._new.items() if pod not in self._ready)
        self._old.update(self._new)
        self._new = {}
        self._roll()

    def served(self, pod: Pod) -> None:
        self.at(self.fleet.engine.now_ns + self.spec.ready_after_ns, self._is_ready, pod)

    def _is_ready(self, pod: Pod) -> None:
        if not pod.gone:
            self._ready.add(pod)
            self._roll()

    def _roll(self) -> None:
        """Remove old pods that need not stay, then make as many new ones as allowed."""
        if not self._old:
            return
        pods = self.spec.pods
        # Pods that are not ready do not count as available: they are removed first.
        unready, self._unready = sorted(self._unready), set()
        for number in unready:
            if self._old[number] not in self._ready:
                self.fleet.remove(self._old.pop(number))
        while self._old and len(self._ready) > pods - self._unavailable:
            self.fleet.remove(self._old.popitem(last=False)[1])
        self._make(min(pods - len(self._new), pods + self._surge - len(self._new) - len(self._old)))

    def ended(self, pod: Pod) -> None:
        self._ready.discard(pod)
        self._numbers.pop(pod, None)

    def replaced(self, pod: Pod, by: Pod) -> None:
        self._ready.discard(pod)
        number = self._numbers.pop(pod, None)
        if number is None:
            return
        self._numbers[by] = number
        if number in self._old:
            self._old[number] = by
            self._unready.add(number)
        else:
            self._new[number] = by


class _TraceProcess(WorkloadProcess[Trace]):
    """Only the next event is in memory, and the pods that are there."""

    __slots__ = ("_events", "_names", "_pods")

    def __init__(self, spec: Trace, fleet: Environment, number: int) -> None:
        super().__init__(spec, fleet, number)
        self._events = in_order(spec.events)
        self._pods: dict[str, Pod] = {}
        self._names: dict[Pod, str] = {}

    def begin(self) -> None:
        event = next(self._events, None)
        if event is not None:
            self.at(event.time_ns, self._play, event)

    def _play(self, event: PodEvent) -> None:
        if event.add:
            node = self.fleet.node_named(event.node) if event.node else None
            pod = self._pods[event.pod] = self.fleet.create(self, node=node)
            self._names[pod] = event.pod
        else:
            pod = self._pods.pop(event.pod)
            del self._names[pod]
            self.fleet.remove(pod)
        self.begin()

    def replaced(self, pod: Pod, by: Pod) -> None:
        name = self._names.pop(pod, None)
        if name is not None:
            self._pods[name] = by
            self._names[by] = name


_PROCESSES: dict[type, type[WorkloadProcess[Any]]] = {
    Arrivals: _ArrivalsProcess,
    Churn: _ChurnProcess,
    DaemonSet: _DaemonProcess,
    RollingUpdate: _RollingProcess,
    Trace: _TraceProcess,
}


def begin(workload: Workload, fleet: Environment, number: int) -> None:
    """Start a workload's process in a fleet."""
    _PROCESSES[type(workload)](workload, fleet, number).begin()
