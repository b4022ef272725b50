"""One node's agent in virtual time: its loop, its restarts, and the pool checks left out.

The loop is upstream's `StartNodeIPPoolManager` (pkg/ipamd/ipamd.go): wait 2.5 s, check the
pool, wait 2.5 s, perhaps reconcile, repeat. An idle agent is parked until
`Node.idle_until_ns`. When it wakes, its node gets the state that the checks left out would
have given (`ipam_core.node.idle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.errors import IpamError, SubnetFullError, ThrottledError
from ipam_core.node import Node
from ipam_core.node.idle import HALF_NS, PERIOD_NS, tick_ns
from ipam_core.node.leaks import LEAK_INTERVAL_S
from ipam_core.simulation.engine import RANK_LOOP
from ipam_core.simulation.processes import StepProcess
from ipam_core.simulation.scenario.restarts import checkpoint_of
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core._store import PoolStats, Sandbox
    from ipam_core.cloud.simulated import SimulatedInstance
    from ipam_core.effects import CheckpointEntry, Step
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.settings import Settings
    from ipam_core.simulation.processes import ApiClient

FIRST_CRASH_NS = 10 * NS
LONGEST_CRASH_NS = 300 * NS
"""A container that exits is started again after 10 s, then twice as long, up to 300 s."""
MOST_SPARED = 4
"""After so many pods came or went before a pool check, it is made without asking if needed."""

REFUSAL_CAUSES = (
    "the agent is not ready",
    "EC2 throttles the agent",
    "an EC2 call is under way",
    "the subnet is full",
    "max pods reached",
    "what is free is cooling",
    "the targets ask for no more",
    "no ENI has room",
    "the next look is awaited",
)
"""Why a pod gets no address: keys of `refusals` in JSON, so they never change.

The texts for people are in `ipam_core.cli._fleet`."""
NO_NODE = "no node has room"
"""Why a pod asks no agent: one more key of `refusals`."""


class Agent:
    """The agent of one simulated instance. `on_ready` is called when a start is done.

    In `changed` it notes itself, once, when its pools may not be as they were: see `stats`.
    """

    def __init__(
        self,
        client: ApiClient,
        instance: SimulatedInstance,
        limits: InstanceLimits,
        settings: Settings,
        *,
        policy: Policy,
        max_pods: int,
        number: int,
        seed: int,
        skip_idle: bool = True,
        on_ready: Callable[[Agent], None] = lambda _: None,
        changed: list[Agent] | None = None,
    ) -> None:
        self.instance = instance
        self.number = number
        self.max_pods = max_pods
        self.settings: Settings = settings
        self.on_ready = on_ready
        self._changed = [] if changed is None else changed
        self._is_noted = False
        self._client = client
        self._engine = client.engine
        self._limits = limits
        self._policy = policy
        self._seed = seed
        self._skip_idle = skip_idle
        self._n_starts = 0
        self._crash_ns = FIRST_CRASH_NS
        self._run: StepProcess | None = None
        self._parked = False
        self._n_parked = 0
        self._look_ns = 0
        self._spared_ns = self._n_spared = 0
        self._reconciled_clean = False
        self.node: Node = self._new_node()

    # --- pods -------------------------------------------------------------------

    def add(self, sandbox: Sandbox, pod: str) -> bool:
        """Ask for an address for a pod; return whether there was one."""
        if self._parked:
            self._catch_up(self._next_tick())
        node = self.node
        if not node.ready:
            return False
        given = node.try_add_pod(sandbox, pod)
        self.note_change()
        if self._parked:
            self._wake_if_needed()
        return given is not None

    def remove(self, sandbox: Sandbox) -> bool:
        """Release an address; return whether the agent answered."""
        if self._parked:
            self._catch_up(self._next_tick())
        node = self.node
        if not node.ready:
            return False
        node.try_remove_pod(sandbox)
        self.note_change()
        if self._parked:
            self._wake_if_needed()
        return True

    def keeps_pods(self, workload: int, at_ns: int, n_pods: int, rate: float) -> bool:
        """Create pods at a time, of exponential lives of a rate, for good; return whether it can.

        Each is replaced when its life is over; with a rate of 0 they stay: pods of a DaemonSet.
        `workload` is its number. Only an agent whose node is played in C can: others are given
        their pods one by one (`add`).
        """
        return False

    def refusal_cause(self) -> str:
        """Return why there is no address now, one of `REFUSAL_CAUSES`."""
        return REFUSAL_CAUSES[self._refusal_cause()]

    def _refusal_cause(self) -> int:
        node = self.node
        if not node.ready:
            return 0
        if self._run is not None:
            return 1 if isinstance(self._run.refusal, ThrottledError) else 2
        if node.pausing():
            return 3
        decision = node.decide()
        full = not node.has_room_for_eni(0) and not node.store.growable_enis(node.slots)
        if decision.view.cooling and (full or not decision.low):
            return 5
        if not decision.low:
            return 4 if decision.view.total >= node.max_pods else 6
        if full:
            return 7
        if isinstance(node.last_error, SubnetFullError):
            return 3
        return 1 if isinstance(node.last_error, ThrottledError) else 8

    def note_change(self) -> None:
        """Note that its pools may have changed."""
        if not self._is_noted:
            self._is_noted = True
            self._changed.append(self)

    @property
    def is_busy(self) -> bool:
        """Whether a step is under way, which may change its pools."""
        return self._run is not None

    def stats(self) -> list[PoolStats]:
        """Return the statistics of each network card's pool now; later changes are noted again."""
        self._is_noted = False
        now_ns = self._engine.now_ns
        if self._parked:
            self._catch_up(self._next_tick())
        return [store.stats(now_ns) for store in self.node.stores]

    # --- starts and restarts --------------------------------------------------------

    def start(self) -> None:
        """Start the agent, now."""
        self._begin(self._n_starts)

    def stop(self) -> None:
        """End the agent; it does not start again."""
        self._n_starts += 1
        if self._run is not None:
            self._run.cancel()
            self._run = None
        self._parked = False
        self.node.ready = False

    def restart(self, settings: Settings, down_ns: int) -> None:
        """End the agent and start it again with other settings, `down_ns` later."""
        kept = self._checkpoint(self._engine.now_ns + down_ns)
        self.stop()
        self.settings = settings
        self.instance.checkpoint = kept
        self.node = self._new_node()
        self._in(down_ns, self._begin)

    def _checkpoint(self, at_ns: int) -> list[CheckpointEntry]:
        return checkpoint_of(self.node, at_ns)

    def _new_node(self) -> Node:
        engine = self._engine
        self.note_change()
        return Node(
            self._limits,
            self.settings,
            policy=self._policy,
            max_pods=self.max_pods,
            clock_ns=lambda: engine.now_ns,
            seed=self._seed + self._n_starts,
        )

    def _in(self, delay_ns: int, callback: Callable[[int], None]) -> None:
        """Call a function at a time, unless the agent has been restarted by then."""
        when_ns = self._engine.now_ns + delay_ns
        self._engine.at(when_ns, RANK_LOOP, self.number, callback, self._n_starts)

    def _look_in(self, delay_ns: int) -> None:
        self._in(delay_ns, self._look)

    def _reconcile_in(self, delay_ns: int) -> None:
        self._in(delay_ns, self._reconcile)

    def _begin(self, start: int) -> None:
        if start == self._n_starts:
            self._perform(self.node.start(), self._started)

    def _started(self, _: None, error: IpamError | None) -> None:
        self._run = None
        if error is not None:
            self.node = self._new_node()
            self._in(self._crash_ns, self._begin)
            self._crash_ns = min(2 * self._crash_ns, LONGEST_CRASH_NS)
            return
        self._crash_ns = FIRST_CRASH_NS
        # In IPv6 mode there is no reconcile, unless the set-up of an ENI is to be finished.
        self._reconciled_clean = self.node.mode == "ipv6" and not self.node.unfinished
        self._look_in(HALF_NS)
        if self.node.changes_pool:
            self._in(LEAK_INTERVAL_S * NS, self._clean_leaked)
        self.on_ready(self)

    def _perform(self, step: Step[Any], done: Callable[[Any, IpamError | None], None]) -> None:
        self.note_change()
        run = self._run = StepProcess(self._client, step, self.instance, self.number, done)
        run.begin()

    # --- the loop -----------------------------------------------------------------

    def _look(self, start: int) -> None:
        if start != self._n_starts:
            return
        self._look_ns = self._engine.now_ns
        if self._skip_idle and self.node.would_idle():
            self._after_look(quiet=True)
        else:
            self._perform(self.node.adjust(), self._looked)

    def _looked(self, shrank: bool | None, error: IpamError | None) -> None:
        if error is not None:  # no step raises one: a fault of this library
            raise error
        run, self._run = self._run, None
        assert run is not None
        quiet = run.n_calls == 0 and not shrank
        if not quiet:
            self._reconciled_clean = False
        self._after_look(quiet=quiet)

    def _after_look(self, *, quiet: bool) -> None:
        now_ns = self._engine.now_ns
        chance_ns = now_ns + HALF_NS
        if self.node.may_reconcile(chance_ns):
            if not (self._skip_idle and self._reconciled_clean):
                self._reconcile_in(HALF_NS)
                return
            self.node.note_change(chance_ns)
        if quiet and self._skip_idle:
            self._park(now_ns)
        else:
            self._look_in(PERIOD_NS)

    def _reconcile(self, start: int) -> None:
        if start == self._n_starts:
            self._perform(self.node.reconcile(), self._reconciled)

    def _reconciled(self, _: None, error: IpamError | None) -> None:
        if error is not None:
            raise error
        run, self._run = self._run, None
        assert run is not None
        self._reconciled_clean = run.n_calls == 0 and self.instance.metadata_is_current()
        self._look_in(HALF_NS)

    def _clean_leaked(self, start: int) -> None:
        if start != self._n_starts:
            return
        now_s = self.instance.region.wall_time().timestamp()
        step = self.node.clean_leaked(now_s)
        StepProcess(self._client, step, self.instance, self.number, lambda *_: None).begin()
        self._in(LEAK_INTERVAL_S * NS, self._clean_leaked)

    # --- idle -----------------------------------------------------------------------

    def _park(self, looked_ns: int) -> None:
        """Stop the pool checks until one can have an effect."""
        due_ns = self.node.idle_until_ns(reconciles=not self._reconciled_clean)
        self._parked = True
        self._n_parked += 1
        self._look_ns = looked_ns
        if due_ns is not None:
            when_ns = max(tick_ns(looked_ns, due_ns), looked_ns + PERIOD_NS)
            self._engine.at(when_ns, RANK_LOOP, self.number, self._due, self._n_parked)

    def _due(self, n_parked: int) -> None:
        if self._parked and n_parked == self._n_parked:
            self._parked = False
            self._catch_up(self._engine.now_ns)
            self._look(self._n_starts)

    def _wake_if_needed(self) -> None:
        """Schedule the next pool check after a pod came or went, unless it would do nothing.

        If many pods come and go before it, making the check is cheaper than asking after each.
        """
        tick_ns = self._next_tick()
        if tick_ns != self._spared_ns:
            self._spared_ns, self._n_spared = tick_ns, 0
        self._n_spared += 1
        if self._n_spared > MOST_SPARED or not self.node.idles_until_pods_change():
            self._parked = False
            self._look_in(tick_ns - self._engine.now_ns)

    def _next_tick(self) -> int:
        """Return when the next pool check of a parked agent would be."""
        return tick_ns(self._look_ns, self._engine.now_ns + 1)

    def _catch_up(self, when_ns: int) -> None:
        """Bring the node into the state that the checks left out before `when_ns` would give."""
        reconciles = not self._reconciled_clean
        self._look_ns = self.node.catch_up(self._look_ns, when_ns, reconciles=reconciles)
