"""Fleets whose nodes nothing changes from outside: played node by node, in C.

Where no pod is moved and no node is removed or restarted, one node touches another only through
EC2, and through the scheduler, which looks at the pods that nodes have and not at what happens
to them. Then each node is a `NodeKernel`: its pods and its pool checks run ahead, without
Python, to the end of a slice of time, or until a check may call EC2. That check, and the steps
that follow it, are those of `Agent`, in the order of the engine, on the same store.

Pods that belong to no node are put on them by C too, up to the end of a slice before nodes are
played up to it (`placing`).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import chain
from typing import TYPE_CHECKING, Any

from ipam_core._fleet_pods import MOST_GROUPS
from ipam_core._kernel import Samples, advance_all, refusals_of
from ipam_core.settings import Settings
from ipam_core.simulation.fleet.agent import NO_NODE, REFUSAL_CAUSES
from ipam_core.simulation.fleet.placing import Placing
from ipam_core.simulation.fleet.resident_agent import ResidentAgent
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipam_core._kernel import NodeKernel
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.members import FleetNode, NodeGroup
    from ipam_core.simulation.fleet.result import Recorder
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.fleet.workload_specs import Workload

SAMPLES_AHEAD = 10
"""Nodes run ahead of so many samples: a node that is played for longer stays in the cache."""
WORTH_THREADS, WORTH_THREADS_NS = 64, 60 * NS
"""For fewer nodes than this, or a shorter time, threads cost more than they save."""
MOST_THREADS = 8
LEAST_AHEAD_NS = NS
"""Pods are put on nodes ahead of them, by the time after which workloads hear of a pod there."""


def pods_stay(spec: FleetSpec) -> bool:
    """Return whether pods stay where they are put, and nodes are changed by nothing outside.

    Not so where a workload hears of a pod at once, or an autoscaler or a rollout acts; nor where
    ENIs may be excluded, of several network cards, of a trunk, or of IPv6.
    """
    return (
        all(map(_stay, spec.workloads))
        and not spec.rollouts
        and not any(group.autoscale for group in spec.groups)
        and len(spec.groups) <= MOST_GROUPS
        and not any(subnet.tag for subnet in spec.subnets)
        and not any(
            settings.enable_ipv6 or settings.enable_multi_nic or settings.enable_pod_eni
            for settings in (Settings.from_env(group.env) for group in spec.groups)
        )
    )


def _stay(workload: Workload) -> bool:
    if isinstance(workload, Arrivals):
        return workload.lifetime_ns is None or workload.lifetime_ns >= LEAST_AHEAD_NS
    if isinstance(workload, RollingUpdate):
        return workload.ready_after_ns >= LEAST_AHEAD_NS
    return isinstance(workload, Churn | DaemonSet | Trace)


def n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Residents:
    """The agents of a fleet whose pods stay, and what their kernels counted.

    `seed` is the fleet's, and `times_ns` are those of its samples. Nodes are dealt to as many
    threads as there are processors.
    """

    def __init__(self, spec: FleetSpec, seed: int, engine: Engine, times_ns: Sequence[int]) -> None:
        self.seed: int = seed
        self.from_ns: int = spec.measure_from_ns
        self.until_ns: int = 0
        self._engine = engine
        self._times_ns = times_ns
        self._placing = Placing(spec, times_ns)
        self._agents: list[ResidentAgent] = []
        self._starting: list[tuple[str, ResidentAgent]] = []
        self._n_to_start = sum(group.count for group in spec.groups)
        self._placed_ns = 0
        self._stop_ns = -1
        self._n_threads = min(n_processors(), MOST_THREADS)
        self._lanes: list[list[ResidentAgent]] = [[] for _ in range(self._n_threads)]
        self._samples = {
            group.name: [Samples(list(times_ns)) for _ in range(self._n_threads)]
            for group in spec.groups
        }

    def takes(self, number: int, workload: Workload) -> bool:
        """Have the pods of a workload that are of no node of their own; return whether they are."""
        return self._placing.takes(number, workload)

    # --- nodes ------------------------------------------------------------------

    def make_agent(self, group: str, *arguments: Any, **more: Any) -> ResidentAgent:
        """Return a new agent of a group's node, as `Agent` is made."""
        lane = len(self._agents) % self._n_threads
        agent = ResidentAgent(*arguments, horizon=self, samples=self._samples[group][lane], **more)
        self._agents.append(agent)
        self._lanes[lane].append(agent)
        self._starting.append((group, agent))
        return agent

    def add_node(self, node: FleetNode) -> None:
        """Note a new node, whose agent has not started yet."""
        kernel = self._agents[node.number].kernel
        self._placing.add_node(
            node.number, node.name, kernel, group=node.group.name, room=node.room
        )

    def joined(self, node: FleetNode) -> None:
        """Note that a node takes pods."""
        self._n_to_start -= 1
        self._placing.pods.join(node.number, self._engine.now_ns)

    def note_pods(self, number: int, workload: int, at_ns: int, n_pods: int) -> None:
        """Note that pods of a node's own take room on it from a time on."""
        self._placing.pods.occupy(number, at_ns, workload, n_pods)

    # --- time -------------------------------------------------------------------

    def run(self, until_ns: int) -> None:
        """Play everything up to a time, that moment included.

        Raises `InputError` if a pod is recorded on a node that is not there.
        """
        place = bisect_right(self._times_ns, until_ns)
        ahead_ns = self._times_ns[min(place + SAMPLES_AHEAD, len(self._times_ns)) - 1]
        while True:
            if self._stop_ns <= self._engine.now_ns:
                self._run_ahead(max(ahead_ns, until_ns) + 1)
            self._engine.run(min(self._stop_ns, until_ns))
            if self._placed_ns > until_ns:
                return

    def _run_ahead(self, most_ns: int) -> None:
        """Place pods and let nodes run ahead as far as may be, or up to a time, exclusive.

        All that is before now has been played. Where pods are put does not depend on what
        happens on nodes from now on until a workload hears of it, unless a node joins: none does
        before the next event.
        """
        placing, now_ns = self._placing, self._engine.now_ns
        if placing.shortest_ns is not None:
            most_ns = min(most_ns, now_ns + placing.shortest_ns)
        placed_ns = until_ns = most_ns
        if self._n_to_start and placing.has_pods:
            next_ns = self._engine.next_ns()
            if next_ns is not None:
                placed_ns = min(most_ns, next_ns)
        placing.place(placed_ns)
        self._placed_ns, self._stop_ns = placed_ns, placed_ns - (placed_ns == most_ns)
        if placed_ns < most_ns:
            until_ns = min(most_ns, placing.pods.next_ns)
        if until_ns > self.until_ns:
            before_ns, self.until_ns = self.until_ns, until_ns
            self._advance_nodes(until_ns - before_ns)

    def _advance_nodes(self, by_ns: int) -> None:
        if len(self._agents) < WORTH_THREADS or self._n_threads == 1 or by_ns < WORTH_THREADS_NS:
            stopped = [self._advance(lane) for lane in self._lanes]
        else:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (slow to import)

            with ThreadPoolExecutor(self._n_threads) as threads:
                stopped = list(threads.map(self._advance, self._lanes))
        for agent in sorted(chain.from_iterable(stopped), key=lambda agent: agent.number):
            agent.needed()

    def _advance(self, agents: list[ResidentAgent]) -> list[ResidentAgent]:
        kernels = [agent.kernel for agent in agents]
        return [agents[place] for place in advance_all(kernels, self.until_ns)]

    # --- what was counted -------------------------------------------------------

    def count(self, groups: dict[str, NodeGroup], number: int) -> tuple[int, int, int]:
        """Fill in each group's sums at a sample; return (pods, those with an address, refusals)."""
        n_unplaced, n_refusals = self._placing.pods.sample(number)
        for name, members in groups.items():
            sums = [sum(each) for each in zip(
                *(samples.sums(number) for samples in self._samples[name]), strict=True
            )]  # fmt: skip
            (members.enis, members.total, members.assigned, members.cooling, members.pods,
             members.waiting) = sums[:6]  # fmt: skip
            n_refusals += sums[6]
        self._starting = [each for each in self._starting if not each[1].kernel.is_ready]
        for name, agent in self._starting:  # it may hold addresses already
            members = groups[name]
            for pool in agent.stats():
                members.enis += pool.enis
                members.total += pool.total
        n_placed = sum(members.pods for members in groups.values())
        n_served = n_placed - sum(members.waiting for members in groups.values())
        return n_placed + n_unplaced, n_served, n_refusals

    def kernels(self) -> list[NodeKernel]:
        """Return the nodes' kernels."""
        return [agent.kernel for agent in self._agents]

    @property
    def n_unplaced(self) -> int:
        """How many pods have no node."""
        return self._placing.pods.n_unplaced

    def record(self, recorder: Recorder) -> None:
        """Record how long pods waited, and why they were refused or found no node."""
        for kernel in self.kernels():
            recorder.add_waits(kernel.n_at_once, kernel.waits_s())
        causes = (*REFUSAL_CAUSES, NO_NODE)
        counts = (*refusals_of(self.kernels()), self._placing.pods.n_refused)
        recorder.set_refusals({cause: n for cause, n in zip(causes, counts, strict=True) if n})

    def asked_ns(self) -> Iterable[int]:
        """Yield since when each pod waits that waits now, node by node, then those without one."""
        for kernel in self.kernels():
            yield from kernel.asked_ns()
        yield from self._placing.pods.asked_ns()
