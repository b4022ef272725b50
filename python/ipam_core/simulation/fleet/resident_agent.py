"""A node's agent whose pods, and pool checks that do nothing, are played in C: see `resident`."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

from ipam_core._kernel import (
    FAILED_NOT,
    FAILED_SUBNET_FULL,
    FAILED_THROTTLED,
    NEXT_CHECK,
    NEXT_RECONCILE,
    RUNS,
    RUNS_NOTHING,
    RUNS_THROTTLED,
    NodeKernel,
    Samples,
)
from ipam_core.errors import SubnetFullError, ThrottledError
from ipam_core.node.idle import PERIOD_NS
from ipam_core.node.timers import Timers
from ipam_core.simulation.engine import RANK_LOOP
from ipam_core.simulation.fleet.agent import Agent
from ipam_core.simulation.processes import StepProcess
from ipam_core.simulation.scenario.restarts import checkpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.effects import CheckpointEntry, Step
    from ipam_core.errors import IpamError
    from ipam_core.settings import Settings
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.processes import ApiClient

_NEVER_NS = 2**63 - 1


class Horizon(Protocol):
    """What the agents of a fleet have in common."""

    seed: int
    from_ns: int
    """What is before is not counted."""

    def go_on(self, agent: ResidentAgent) -> None:
        """Play an agent's node as far as it may be."""

    def catch_up(self, agent: ResidentAgent) -> None:
        """Play an agent's node up to now, if it was held back."""

    def restarts(self, agent: ResidentAgent) -> None:
        """Note that an agent restarts now."""

    def note_pods(self, number: int, workload: int, at_ns: int, n_pods: int) -> None:
        """Note that pods of a node's own take room on it from a time on."""


class _OwnEngine:
    """The engine as the steps of one node see it: the node hears when a reply is due."""

    __slots__ = ("_agent", "_engine", "_start")

    def __init__(self, agent: ResidentAgent, engine: Engine, start: int) -> None:
        self._agent = agent
        self._engine = engine
        self._start = start

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
        self._agent.expect(self._start, time_ns)
        given = (self._start, callback, argument)
        self._engine.at(time_ns, rank, number, self._agent.replied, given)


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
    """The pods that wait, as the node counts them: its kernel does."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: NodeKernel) -> None:
        self._kernel = kernel

    def __len__(self) -> int:
        return self._kernel.n_counted


class ResidentAgent(Agent):
    """An agent whose pods, and pool checks that do nothing, are a kernel's.

    Nobody else adds or removes pods.
    """

    def __init__(
        self,
        client: ApiClient,
        *arguments: Any,
        horizon: Horizon,
        samples: Samples,
        **more: Any,
    ) -> None:
        self._horizon = horizon
        self.due_ns: int = _NEVER_NS
        """When the reply to the step under way is due."""
        self.n_restarts: int = 0
        """Rollouts under way that are to restart it, at a time that is not known yet."""
        super().__init__(client, *arguments, **more)
        self.kernel: NodeKernel = NodeKernel(
            horizon.seed,
            self.number,
            samples,
            from_ns=horizon.from_ns,
            now_ns=self._engine.now_ns,
        )
        self._own_client = self._client_of_start()

    def _client_of_start(self) -> ApiClient:
        """Return the client of steps until the next restart: later replies are not waited for."""
        client = copy(self._client)
        client.engine = _OwnEngine(self, self._engine, self._n_starts)  # type: ignore[assignment]
        return client

    # --- restarts ---------------------------------------------------------------

    def restart(self, settings: Settings, down_ns: int) -> None:
        """End the agent and start it again with other settings, `down_ns` later."""
        self._horizon.catch_up(self)
        super().restart(settings, down_ns)
        self._own_client = self._client_of_start()
        self.due_ns = self._engine.now_ns + down_ns
        self._horizon.restarts(self)
        self._go_ahead()

    def stop(self) -> None:
        """End the agent; it does not start again."""
        super().stop()
        self.kernel.stop()

    def _checkpoint(self, at_ns: int) -> list[CheckpointEntry]:
        self._forget_unattached()
        return checkpoint_of(self.node, at_ns, self.kernel.name_sandboxes())

    def _forget_unattached(self) -> None:
        """Forget what was kept for pods that have gone since: the kernel does not report it."""
        node = self.node
        for address, holder in list(node.unattached.items()):
            if not self.kernel.has(holder.sandbox):
                node.unattached.forget([address])
                node.to_forget.append((address, holder.sandbox))

    # --- steps ------------------------------------------------------------------

    def _perform(self, step: Step[Any], done: Callable[[Any, IpamError | None], None]) -> None:
        run = StepProcess(self._own_client, step, self.instance, self.number, done)
        self._run = run
        run.begin()

    def expect(self, start: int, time_ns: int) -> None:
        """Note when a reply is due, to a step that began after so many starts."""
        if start == self._n_starts:
            self.due_ns = time_ns

    def replied(self, given: tuple[int, Callable[[Any], None], Any]) -> None:
        """Go on with a step whose reply is here, then with the node."""
        start, callback, argument = given
        if start != self._n_starts:
            callback(argument)  # EC2 does what it was asked; nobody waits for it
            return
        self._horizon.catch_up(self)
        self._forget_unattached()
        self.due_ns = _NEVER_NS
        callback(argument)
        self._go_ahead()

    def _begin(self, start: int) -> None:
        if start != self._n_starts:
            return
        self._horizon.catch_up(self)
        self.due_ns = _NEVER_NS
        super()._begin(start)
        self._go_ahead()

    def _started(self, _: None, error: IpamError | None) -> None:
        if error is None:
            self._answer_pods()
        else:
            self.due_ns = self._engine.now_ns + self._crash_ns
        super()._started(_, error)

    def _answer_pods(self) -> None:
        node = self.node
        self.kernel.start(
            node.store,
            node.settings,
            node.policy,
            slots=node.slots,
            max_pods=node.max_pods,
            prefix_mode=node.prefix_mode,
            falls_back=node.falls_back,
            changes_pool=node.changes_pool,
        )
        before = node.timers
        node.timers = _Peaks(self.kernel, node.policy.release_delay_s)
        for name in Timers.__slots__:
            setattr(node.timers, name, getattr(before, name))
        node.waiting = _Waiting(self.kernel)  # type: ignore[assignment]

    def keeps_pods(self, workload: int, at_ns: int, n_pods: int, rate: float) -> bool:
        """Create pods at a time, for good."""
        self.kernel.add_pods(at_ns, n_pods, rate, workload=workload)
        if rate:
            self._horizon.note_pods(self.number, workload, at_ns, n_pods)
        return True

    # --- the loop ---------------------------------------------------------------

    def _look_in(self, delay_ns: int) -> None:
        self.kernel.set_next(NEXT_CHECK, self._engine.now_ns + delay_ns)

    def _reconcile_in(self, delay_ns: int) -> None:
        self.kernel.set_next(NEXT_RECONCILE, self._engine.now_ns + delay_ns)

    def _park(self, looked_ns: int) -> None:
        self._look_in(PERIOD_NS)

    def _go_ahead(self) -> None:
        """Let the kernel go on from now, after Python changed the node."""
        self.kernel.due_ns = self.due_ns
        if self.kernel.is_ready:
            self._tell()
        self._horizon.go_on(self)

    def _tell(self) -> None:
        """Let the kernel know what Python changed."""
        node, run = self.node, self._run
        runs = RUNS_NOTHING
        if run is not None:
            runs = RUNS_THROTTLED if isinstance(run.refusal, ThrottledError) else RUNS
        lacks_trunk = node.lacks_trunk()
        failure = FAILED_NOT
        if isinstance(node.last_error, ThrottledError):
            failure = FAILED_THROTTLED
        elif isinstance(node.last_error, SubnetFullError):
            failure = FAILED_SUBNET_FULL
        self.kernel.tell(
            node.timers.changed_ns,
            node.timers.shrunk_ns,
            node.timers.full_ns,
            is_clean=self._reconciled_clean,
            lacks_trunk=lacks_trunk,
            most_enis=node.max_enis - node.n_unmanaged[0] - (lacks_trunk and node.limits.trunking),
            running=runs,
            failure=failure,
        )

    def needed(self) -> None:
        """Have the next check or reconcile made by Python, at its time."""
        _kind, at_ns = self.kernel.next
        self.kernel.due_ns = at_ns
        self._engine.at(at_ns, RANK_LOOP, self.number, self._take_over, self._n_starts)

    def _take_over(self, start: int) -> None:
        if start != self._n_starts:
            return
        kind, _at_ns = self.kernel.next
        self._forget_unattached()
        self.node.timers.changed_ns = self.kernel.changed_ns
        self.kernel.set_next(0, 0)
        (self._look if kind == NEXT_CHECK else self._reconcile)(self._n_starts)
        self._go_ahead()
