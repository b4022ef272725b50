"""Fleets whose pods stay on their nodes: played node by node, in C.

Where every pod is of the node that it was made for, one node cannot touch another but through
EC2. Then each node is a `NodeKernel`: its pods and its pool checks run ahead, without Python,
to the end of a slice of time, or until a check may call EC2. That check, and the steps that
follow it, are those of `Agent`, in the order of the engine, on the same store.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

from ipam_core._kernel import (
    NEXT_CHECK,
    NEXT_RECONCILE,
    NodeKernel,
    Samples,
    advance_all,
    refusals_of,
)
from ipam_core.errors import SubnetFullError, ThrottledError
from ipam_core.node.idle import PERIOD_NS
from ipam_core.node.timers import Timers
from ipam_core.settings import Settings
from ipam_core.simulation.engine import RANK_LOOP
from ipam_core.simulation.fleet.agent import REFUSAL_CAUSES, Agent
from ipam_core.simulation.fleet.workload_specs import Churn, DaemonSet
from ipam_core.simulation.processes import StepProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipam_core.effects import Step
    from ipam_core.errors import IpamError
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.members import NodeGroup
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.processes import ApiClient

_NEVER_NS = 2**63 - 1
SAMPLES_AHEAD = 10
"""Nodes run ahead of so many samples: a node that is played for longer stays in the cache."""
WORTH_THREADS = 64
"""With fewer nodes than this, threads cost more than they save."""
MOST_THREADS = 8


def pods_stay(spec: FleetSpec) -> bool:
    """Return whether every pod of a fleet stays on its node, and no node is changed from outside.

    Pods of `churn` and `daemon_set` do. Not so where nodes are removed or get new settings, or
    where ENIs may be excluded, of several network cards, of a trunk, or of IPv6.
    """
    return (
        all(isinstance(workload, Churn | DaemonSet) for workload in spec.workloads)
        and not spec.rollouts
        and not any(group.autoscale for group in spec.groups)
        and not any(subnet.tag for subnet in spec.subnets)
        and not any(
            settings.enable_ipv6 or settings.enable_multi_nic or settings.enable_pod_eni
            for settings in (Settings.from_env(group.env) for group in spec.groups)
        )
    )


def n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Horizon:
    """How far nodes may run ahead, exclusive."""

    __slots__ = ("until_ns",)

    def __init__(self) -> None:
        self.until_ns: int = 0


class _OwnEngine:
    """The engine as the steps of one node see it: the node hears when a reply is due."""

    __slots__ = ("_agent", "_engine")

    def __init__(self, agent: ResidentAgent, engine: Engine) -> None:
        self._agent = agent
        self._engine = engine

    @property
    def now_ns(self) -> int:
        return self._engine.now_ns

    def at(
        self,
        time_ns: int,
        rank: int,
        number: int,
        callback: Callable[[Any], None],
        argument: Any = None,
    ) -> None:
        self._agent.due_ns = time_ns
        self._engine.at(time_ns, rank, number, self._agent.replied, (callback, argument))


class _Peaks(Timers):
    """The timers of a node whose kernel keeps what was in use."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: NodeKernel, release_delay_s: float) -> None:
        super().__init__(n_cards=1, release_delay_s=release_delay_s)
        self._kernel = kernel

    def note_in_use(self, card: int, in_use: int, now_ns: int) -> None:
        self._kernel.note_in_use(in_use, now_ns)

    def peak_in_use(self, card: int) -> int:
        return self._kernel.peak_in_use()


class _Waiting:
    """The pods that wait, as the node counts them: the kernel's."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: NodeKernel) -> None:
        self._kernel = kernel

    def __len__(self) -> int:
        return self._kernel.n_waiting


class ResidentAgent(Agent):
    """An agent whose pods, and pool checks that do nothing, are a kernel's.

    `kernel` is None until the agent has started. Nobody else adds or removes pods.
    """

    def __init__(
        self,
        client: ApiClient,
        *arguments: Any,
        group: str,
        horizon: Horizon,
        samples: Samples,
        chance_seed: int,
        from_ns: int,
        **more: Any,
    ) -> None:
        self.group = group
        self.kernel: NodeKernel | None = None
        self.due_ns: int = _NEVER_NS
        """When the reply to the step under way is due."""
        self._horizon = horizon
        self._samples = samples
        self._chance_seed = chance_seed
        self._from_ns = from_ns
        super().__init__(client, *arguments, **more)
        self._own_client = copy(client)
        self._own_client.engine = _OwnEngine(self, client.engine)  # type: ignore[assignment]

    # --- steps ------------------------------------------------------------------

    def _perform(self, step: Step[Any], done: Callable[[Any, IpamError | None], None]) -> None:
        run = StepProcess(self._own_client, step, self.instance, self.number, done)
        self._run = run
        run.begin()

    def replied(self, given: tuple[Callable[[Any], None], Any]) -> None:
        """Go on with a step whose reply is here, then with the node."""
        callback, argument = given
        self.due_ns = _NEVER_NS
        callback(argument)
        self._go_ahead()

    def _begin(self, start: int) -> None:
        super()._begin(start)
        self._go_ahead()

    def _started(self, _: None, error: IpamError | None) -> None:
        if error is None:
            self._make_kernel()
        super()._started(_, error)

    def _make_kernel(self) -> None:
        node = self.node
        self.kernel = NodeKernel(
            node.store,
            node.settings,
            node.policy,
            slots=node.slots,
            max_pods=node.max_pods,
            prefix_mode=node.prefix_mode,
            falls_back=node.falls_back,
            changes_pool=node.changes_pool,
            seed=self._chance_seed,
            number=self.number,
            samples=self._samples,
            from_ns=self._from_ns,
            now_ns=self._engine.now_ns,
        )
        before = node.timers
        node.timers = _Peaks(self.kernel, node.policy.release_delay_s)
        for name in ("changed_ns", "shrunk_ns", "full_ns", "no_prefix_ns", "young_ns",
                     "given_back_ns"):  # fmt: skip
            setattr(node.timers, name, getattr(before, name))
        node.waiting = _Waiting(self.kernel)  # type: ignore[assignment]

    def keeps_pods(self, at_ns: int, n_pods: int, rate: float) -> bool:
        """Create pods at a time, for good."""
        assert self.kernel is not None
        self.kernel.add_pods(at_ns, n_pods, rate)
        return True

    # --- the loop ---------------------------------------------------------------

    def _look_in(self, delay_ns: int) -> None:
        assert self.kernel is not None
        self.kernel.set_next(NEXT_CHECK, self._engine.now_ns + delay_ns)

    def _reconcile_in(self, delay_ns: int) -> None:
        assert self.kernel is not None
        self.kernel.set_next(NEXT_RECONCILE, self._engine.now_ns + delay_ns)

    def _park(self, looked_ns: int) -> None:
        self._look_in(PERIOD_NS)

    def _go_ahead(self) -> None:
        """Let the kernel go on from now, after Python changed the node."""
        if self.kernel is None:
            return
        self._tell(self.kernel)
        if advance_all([self.kernel], self._horizon.until_ns):
            self.needed()

    def _tell(self, kernel: NodeKernel) -> None:
        node, run, error = self.node, self._run, self.node.last_error
        running = 0
        if run is not None:
            running = 1 if isinstance(run.refusal, ThrottledError) else 2
        failure = 0
        if error is not None:
            failure = 1 if isinstance(error, SubnetFullError) else 0
            failure = 2 if isinstance(error, ThrottledError) else failure
        kernel.due_ns = self.due_ns
        kernel.tell(
            node.timers.changed_ns,
            node.timers.shrunk_ns,
            node.timers.full_ns,
            is_clean=self._reconciled_clean,
            most_enis=node.max_enis - node.n_unmanaged[0],
            running=running,
            failure=failure,
        )

    def needed(self) -> None:
        """Have the next check or reconcile made by Python, at its time."""
        assert self.kernel is not None
        self._engine.at(self.kernel.next[1], RANK_LOOP, self.number, self._take_over)

    def _take_over(self, _: None) -> None:
        assert self.kernel is not None
        kind, _at_ns = self.kernel.next
        self.node.timers.changed_ns = self.kernel.changed_ns
        self.kernel.set_next(0, 0)
        (self._look if kind == NEXT_CHECK else self._reconcile)(self._n_starts)
        self._go_ahead()


class Residents:
    """The agents of a fleet whose pods stay, and what their kernels counted.

    `seed` is the fleet's; what is before `from_ns` is not counted. `times_ns` are those of the
    fleet's samples. Nodes are dealt to as many threads as there are processors.
    """

    def __init__(
        self, groups: Iterable[str], seed: int, from_ns: int, times_ns: Sequence[int]
    ) -> None:
        self._seed = seed
        self._from_ns = from_ns
        self._times_ns = times_ns
        self._horizon = Horizon()
        self._agents: list[ResidentAgent] = []
        self._starting: list[ResidentAgent] = []
        self._n_threads = min(n_processors(), MOST_THREADS)
        self._lanes: list[list[ResidentAgent]] = [[] for _ in range(self._n_threads)]
        self._samples = {
            group: [Samples(list(times_ns)) for _ in range(self._n_threads)] for group in groups
        }

    def make_agent(self, group: str, *arguments: Any, **more: Any) -> ResidentAgent:
        """Return a new agent of a group's node, as `Agent` is made."""
        lane = len(self._agents) % self._n_threads
        agent = ResidentAgent(
            *arguments,
            group=group,
            horizon=self._horizon,
            samples=self._samples[group][lane],
            chance_seed=self._seed,
            from_ns=self._from_ns,
            **more,
        )
        self._agents.append(agent)
        self._lanes[lane].append(agent)
        self._starting.append(agent)
        return agent

    def run_ahead(self, number: int) -> None:
        """Let every node run ahead of the sample of a number, where none is ahead of it yet.

        Each plays up to a later sample, or until it needs the engine.
        """
        if number % SAMPLES_AHEAD:
            return
        last = min(number + SAMPLES_AHEAD, len(self._times_ns)) - 1
        self._horizon.until_ns = self._times_ns[last] + 1
        lanes = [[agent for agent in lane if agent.kernel is not None] for lane in self._lanes]
        if len(self._agents) < WORTH_THREADS or self._n_threads == 1:
            stopped = [self._advance(lane) for lane in lanes]
        else:
            with ThreadPoolExecutor(self._n_threads) as threads:
                stopped = list(threads.map(self._advance, lanes))
        for agent in sorted(chain.from_iterable(stopped), key=lambda agent: agent.number):
            agent.needed()

    def _advance(self, agents: list[ResidentAgent]) -> list[ResidentAgent]:
        kernels = [agent.kernel for agent in agents if agent.kernel is not None]
        return [agents[place] for place in advance_all(kernels, self._horizon.until_ns)]

    def count(self, groups: dict[str, NodeGroup], number: int) -> tuple[int, int, int]:
        """Fill in each group's sums at a sample; return (pods, those with an address, refusals)."""
        n_refusals = 0
        for name, members in groups.items():
            sums = [sum(each) for each in zip(
                *(samples.sums(number) for samples in self._samples[name]), strict=True
            )]  # fmt: skip
            (members.enis, members.total, members.assigned, members.cooling, members.pods,
             members.waiting) = sums[:6]  # fmt: skip
            n_refusals += sums[6]
        self._starting = [agent for agent in self._starting if agent.kernel is None]
        for agent in self._starting:  # it may hold addresses already
            members = groups[agent.group]
            for pool in agent.stats():
                members.enis += pool.enis
                members.total += pool.total
        n_pods = sum(members.pods for members in groups.values())
        return n_pods, n_pods - sum(members.waiting for members in groups.values()), n_refusals

    def kernels(self) -> list[NodeKernel]:
        """Return the kernels of the nodes that have started."""
        return [agent.kernel for agent in self._agents if agent.kernel is not None]

    def refusals(self) -> dict[str, int]:
        """Return how many pods were refused, by cause."""
        counts = refusals_of(self.kernels())
        return {cause: n for cause, n in zip(REFUSAL_CAUSES, counts, strict=True) if n}

    def waits(self) -> Iterable[tuple[int, list[float]]]:
        """Yield how many pods of a node were served at once, and the waits of the others."""
        for kernel in self.kernels():
            yield kernel.n_at_once, kernel.waits_s()

    def asked_ns(self) -> Iterable[int]:
        """Yield since when each pod waits that waits now, node by node."""
        for kernel in self.kernels():
            yield from kernel.asked_ns()
