"""Fleets whose pods stay where they are put: played node by node, in C.

Where no pod is moved and no node is removed, one node touches another only through EC2, through
a rollout (`held`), and through the scheduler, which looks at the pods that nodes have and not at
what happens to them. Then each node is a `NodeKernel`: its pods and its pool checks run ahead,
without Python, to the end of a slice of time, or until a check may call EC2. That check, and the
steps that follow it, are those of `Agent`, in the order of the engine, on the same store.

Pods that belong to no node are put on them by C too, up to the end of a slice before nodes are
played up to it (`placing`).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from itertools import chain
from typing import TYPE_CHECKING, Any

from ipam_core._fleet_pods import MOST_GROUPS
from ipam_core._kernel import CHECKS_ONLY, Samples, advance_all, order_after, refusals_of
from ipam_core.settings import Settings
from ipam_core.simulation.fleet.agent import NO_NODE, REFUSAL_CAUSES
from ipam_core.simulation.fleet.held import Held
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
    from collections.abc import Callable, Iterable, Sequence

    from ipam_core._kernel import NodeKernel
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.members import FleetNode, NodeGroup
    from ipam_core.simulation.fleet.result import Recorder
    from ipam_core.simulation.fleet.spec import FleetSpec, RolloutSpec
    from ipam_core.simulation.fleet.workload_specs import Workload

SAMPLES_AHEAD = 10
"""Nodes run ahead of so many samples: a node that is played for longer stays in the cache."""
WORTH_THREADS, WORTH_THREADS_NS = 64, 60 * NS
"""For fewer nodes than this, or a shorter time, threads cost more than they save."""
MOST_THREADS = 8
LEAST_AHEAD_NS = NS
"""Pods are put on nodes ahead of them, by the time after which workloads hear of a pod there."""


def pods_stay(spec: FleetSpec) -> bool:
    """Return whether pods stay where they are put, on nodes that C can play.

    Not so where a workload hears of a pod at once, or an autoscaler acts; nor where ENIs may be
    excluded, or nodes use several network cards. Agents may be restarted.
    """
    return (
        all(map(_stay, spec.workloads))
        and not any(group.autoscale for group in spec.groups)
        and len(spec.groups) <= MOST_GROUPS
        and not any(subnet.tag for subnet in spec.subnets)
        and not any(settings.enable_multi_nic for settings in _all_settings(spec))
    )


def _all_settings(spec: FleetSpec) -> Iterable[Settings]:
    """Yield settings that turn on whatever any node's may turn on at some time."""
    for group in spec.groups:
        yield Settings.from_env(group.env)
        for rollout in spec.rollouts:
            if rollout.group in (None, group.name):
                env = {name: value for name, value in rollout.env.items() if value is not None}
                yield Settings.from_env({**group.env, **env})


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
        self._engine = engine
        self._times_ns = times_ns
        self._placing = Placing(spec, times_ns)
        self._agents: list[ResidentAgent] = []
        self._groups: list[str] = []
        self._starting: dict[int, ResidentAgent] = {}
        self._n_to_start = sum(group.count for group in spec.groups)
        self._n_workloads = len(spec.workloads)
        self._rollouts_ns = sorted(rollout.at_ns for rollout in spec.rollouts)
        self._held = Held()
        self._until_ns = 0  # how far nodes may run ahead, exclusive but for pool checks
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
        self._groups.append(group)
        self._lanes[lane].append(agent)
        self._starting[agent.number] = agent
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
            self._run_engine(min(self._stop_ns, until_ns))
            if self._placed_ns > until_ns:
                self._held.play_all(until_ns + 1)
                return

    def _run_engine(self, until_ns: int) -> None:
        """Play the engine's events up to a time, that moment included, and the nodes held back."""
        engine = self._engine
        while self._held:
            next_ns = engine.next_ns()
            stop_ns = until_ns if next_ns is None else min(next_ns, until_ns)
            self._held.play(stop_ns)
            engine.run(stop_ns)
            if stop_ns == until_ns:
                return
        engine.run(until_ns)

    def _run_ahead(self, most_ns: int) -> None:
        """Place pods and let nodes run ahead as far as may be, or up to a time, exclusive.

        All that is before now has been played. Where pods are put does not depend on what
        happens on nodes from now on until a workload hears of it, unless a node joins: none does
        before the next event. When a rollout begins, nodes are where it finds them.
        """
        placing, now_ns = self._placing, self._engine.now_ns
        self._held.play_all(self._placed_ns)
        if placing.shortest_ns is not None:
            most_ns = min(most_ns, now_ns + placing.shortest_ns)
        placed_ns = until_ns = most_ns
        if self._rollouts_ns and self._rollouts_ns[0] < most_ns:
            placed_ns = until_ns = self._rollouts_ns[0]
        joins = False
        if self._n_to_start and placing.has_pods:
            next_ns = self._engine.next_ns()
            if next_ns is not None:
                joins = next_ns < placed_ns
                placed_ns = min(placed_ns, next_ns)
        reached_ns = placing.place(placed_ns)
        if reached_ns < placed_ns:
            placed_ns = until_ns = most_ns = reached_ns
            joins = False
        self._placed_ns = placed_ns
        self._stop_ns = max(placed_ns - (placed_ns == most_ns), now_ns)
        if joins:
            until_ns = min(until_ns, placing.pods.next_ns)
        if until_ns > self._until_ns:
            before_ns, self._until_ns = self._until_ns, until_ns
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
        if self._held:
            agents = [agent for agent in agents if not agent.n_restarts]
        kernels = [agent.kernel for agent in agents]
        return [agents[place] for place in advance_all(kernels, self._until_ns, CHECKS_ONLY)]

    def go_on(self, agent: ResidentAgent) -> None:
        """Play an agent's node as far as it may be."""
        until_ns = self._held.until_ns if agent.n_restarts else self._until_ns
        if advance_all([agent.kernel], until_ns, CHECKS_ONLY):
            agent.needed()
        elif agent.n_restarts:
            self._held.note(agent)

    # --- rollouts ---------------------------------------------------------------

    def roll_out(self, begin: Callable[[RolloutSpec], None], rollout: RolloutSpec) -> None:
        """Have a rollout begin now, after what workloads do at this moment."""
        now_ns = self._engine.now_ns
        self._rollouts_ns.pop(0)
        self._held.play_all(now_ns)
        self._placing.place(now_ns, with_workloads=True)
        advance_all(self.kernels(), now_ns, order_after(self._n_workloads))
        for agent, group in zip(self._agents, self._groups, strict=True):
            if rollout.group in (None, group):
                agent.n_restarts += 1
                self._held.add(agent)
        begin(rollout)

    def catch_up(self, agent: ResidentAgent) -> None:
        """Play an agent's node up to now, if it was held back."""
        if agent.n_restarts:
            advance_all([agent.kernel], self._engine.now_ns, CHECKS_ONLY)

    def restarts(self, agent: ResidentAgent) -> None:
        """Note that an agent restarts now."""
        self._starting[agent.number] = agent
        agent.n_restarts -= 1
        if not agent.n_restarts:
            self._held.remove(agent)

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
        self._starting = {
            place: agent for place, agent in self._starting.items() if not agent.kernel.is_ready
        }
        for place, agent in self._starting.items():  # it may hold addresses already
            members = groups[self._groups[place]]
            for pool in agent.stats():
                members.enis += pool.enis
                members.total += pool.total
                members.assigned += pool.assigned
                members.cooling += pool.cooling
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
