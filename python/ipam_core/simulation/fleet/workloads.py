"""Where pods come from and when they go. Each workload is a value with a `begin`.

A fleet tells a workload of its pods through its run: `served` when a pod has its
address, `ended` when one is gone, `joined` when a node is ready for pods.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Protocol

from ipam_core.simulation.engine import RANK_WORKLOAD
from ipam_core.simulation.validation import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.simulation.fleet.fleet import Fleet
    from ipam_core.simulation.fleet.members import FleetNode, Pod
    from ipam_core.simulation.fleet.pod_events import PodEvent

QUARTER = Share(25, percent=True)
"""A Deployment's default for both its surge and its unavailable pods."""


class Workload(Protocol):
    """A source of pods."""

    def begin(self, fleet: Fleet, number: int) -> None:
        """Put the first events into the fleet's queue; `number` is this workload's own."""


class Run:
    """A workload under way; what it does when told is up to each."""

    __slots__ = ("chance", "fleet", "number")

    is_daemon = False
    """Whether its pods leave a node empty in the eyes of an autoscaler."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet = fleet
        self.number = number
        self.chance = random.Random(f"{fleet.seed}/workload/{number}")

    def at(self, time_ns: int, act: Callable[[Any], None], given: Any = None) -> None:
        """Have something done at a time."""
        self.fleet.engine.at(time_ns, RANK_WORKLOAD, self.number, act, given)

    def served(self, pod: Pod) -> None:
        """Hear that a pod has its address."""

    def ended(self, pod: Pod) -> None:
        """Hear that a pod is gone."""

    def joined(self, node: FleetNode) -> None:
        """Hear that a node is ready for pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Pods that come within `over_ns`, evenly: a burst where it is 0, a ramp otherwise.

    Each lives `lifetime_ns`, None to the end; `every_ns` repeats it all, as cron jobs do.
    """

    pods: int
    at_ns: int = 0
    over_ns: int = 0
    lifetime_ns: int | None = None
    every_ns: int | None = None
    group: str | None = None

    def begin(self, fleet: Fleet, number: int) -> None:
        """See `Workload`."""
        run = Run(fleet, number)

        def add(_: object) -> None:
            fleet.create(run, group=self.group, lifetime_ns=self.lifetime_ns)

        def wave(start_ns: int) -> None:
            for n in range(self.pods):
                run.at(start_ns + self.over_ns * n // self.pods, add)
            if self.every_ns is not None:
                run.at(start_ns + self.every_ns, wave, start_ns + self.every_ns)

        run.at(self.at_ns, wave, self.at_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """So many pods on every node, each replaced on its node when its life is over.

    Lives are exponential with a mean of `lifetime_ns`: a node in steady churn.
    """

    pods_per_node: int
    lifetime_ns: int
    at_ns: int = 0
    group: str | None = None

    def begin(self, fleet: Fleet, number: int) -> None:
        """See `Workload`."""
        fleet.watch_nodes(_ChurnRun(self, fleet, number))


class _ChurnRun(Run):
    __slots__ = ("_rate", "_spec")

    def __init__(self, spec: Churn, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self._spec = spec
        self._rate = 1 / spec.lifetime_ns

    def joined(self, node: FleetNode) -> None:
        if self._spec.group in (None, node.group.name):
            start_ns = max(self._spec.at_ns, self.fleet.engine.now_ns)
            for _ in range(self._spec.pods_per_node):
                self.at(start_ns, self._add, node)

    def _add(self, node: FleetNode) -> None:
        if not node.gone:
            lifetime_ns = round(self.chance.expovariate(self._rate))
            self.fleet.create(self, node=node, lifetime_ns=lifetime_ns)

    def ended(self, pod: Pod) -> None:
        if pod.node is not None:
            self._add(pod.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSet:
    """One pod on every node that joins; nodes there before `at_ns` get theirs then."""

    at_ns: int = 0
    group: str | None = None

    def begin(self, fleet: Fleet, number: int) -> None:
        """See `Workload`."""
        fleet.watch_nodes(_DaemonRun(self, fleet, number))


class _DaemonRun(Run):
    __slots__ = ("_spec",)

    is_daemon = True

    def __init__(self, spec: DaemonSet, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self._spec = spec

    def joined(self, node: FleetNode) -> None:
        if self._spec.group in (None, node.group.name):
            self.at(max(self._spec.at_ns, self.fleet.engine.now_ns), self._add, node)

    def _add(self, node: FleetNode) -> None:
        if not node.gone:
            self.fleet.create(self, node=node)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingUpdate:
    """A Deployment of so many pods, there from the start and replaced at `at_ns`.

    At most `max_surge` pods more than asked for exist, at least all but `max_unavailable`
    are ready, as the Deployment controller has it: the surge rounded up, the unavailable
    down. A pod is ready `ready_after_ns` after it has its address. `times` updates follow
    each other `every_ns` apart.
    """

    pods: int
    at_ns: int
    max_surge: Share = QUARTER
    max_unavailable: Share = QUARTER
    ready_after_ns: int = 0
    times: int = 1
    every_ns: int = 0
    group: str | None = None

    def begin(self, fleet: Fleet, number: int) -> None:
        """See `Workload`."""
        _RollingRun(self, fleet, number).begin()


class _RollingRun(Run):
    """One Deployment. `_old` are pods of the last template, ready ones and others."""

    __slots__ = ("_new", "_old", "_ready", "_spec", "_surge", "_unavailable")

    def __init__(self, spec: RollingUpdate, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self._spec = spec
        self._surge = ceil(spec.max_surge.of(spec.pods))
        self._unavailable = floor(spec.max_unavailable.of(spec.pods))
        if self._surge == self._unavailable == 0:
            self._unavailable = 1  # as the API server's fencepost rule has it
        self._old: deque[Pod] = deque()
        self._new: list[Pod] = []
        self._ready: set[Pod] = set()

    def begin(self) -> None:
        self.at(0, self._create)
        for n in range(self._spec.times):
            self.at(self._spec.at_ns + n * self._spec.every_ns, self._update)

    def _create(self, _: object) -> None:
        for _n in range(self._spec.pods):
            self._new.append(self.fleet.create(self, group=self._spec.group))

    def _update(self, _: object) -> None:
        self._old.extend(self._new)
        self._new = []
        self._roll()

    def served(self, pod: Pod) -> None:
        self.at(self.fleet.engine.now_ns + self._spec.ready_after_ns, self._is_ready, pod)

    def _is_ready(self, pod: Pod) -> None:
        if not pod.gone:
            self._ready.add(pod)
            self._roll()

    def _roll(self) -> None:
        """Take away old pods that need not stay, then make as many new ones as may be."""
        if not self._old:
            return
        pods = self._spec.pods
        # Pods that are not ready cost no availability: they go first.
        for pod in [pod for pod in self._old if pod not in self._ready]:
            self._old.remove(pod)
            self.fleet.remove(pod)
        while self._old and len(self._ready) > pods - self._unavailable:
            self.fleet.remove(self._old.popleft())
        n_more = min(pods - len(self._new), pods + self._surge - len(self._new) - len(self._old))
        for _ in range(n_more):
            self._new.append(self.fleet.create(self, group=self._spec.group))

    def ended(self, pod: Pod) -> None:
        self._ready.discard(pod)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Pods that come and go as was recorded (`pod_events` reads such files)."""

    events: tuple[PodEvent, ...]

    def begin(self, fleet: Fleet, number: int) -> None:
        """See `Workload`."""
        run = Run(fleet, number)
        pods: dict[str, Pod] = {}

        def play(event: PodEvent) -> None:
            if event.add:
                node = fleet.node_named(event.node) if event.node else None
                pods[event.pod] = fleet.create(run, node=node)
            else:
                fleet.remove(pods.pop(event.pod))

        for event in self.events:
            run.at(event.time_ns, play, event)
