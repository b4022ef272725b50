"""Play a node from 0 pods to all that it may run, and back: the base of `explain`.

Between two pods the pool settles. Only pool checks that may do something are played: 5 s apart
while something changes, then one after a time longer than every pause of the agent. Calls take
no time, as in scenarios.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from ipam_core._dataclass import dataclass
from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.cloud.simulated import CHANGING_APIS, count_calls
from ipam_core.diagnosis.explain.giving_up import check_wanted
from ipam_core.errors import PoolExhaustedError
from ipam_core.instances import HOST_NETWORK_PODS
from ipam_core.node.timers import LOOK_INTERVAL_S
from ipam_core.node.waiting import WAITS_S
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.scenario.observe import largest_first
from ipam_core.simulation.scenario.spec import Scenario
from ipam_core.simulation.scenario.world import World
from ipam_core.units import NS
from ipam_core.variables import PROVISIONING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipam_core.errors import CloudError
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.pool import Decision

SETTLED_AFTER_S = 185.0
"""After this time every pause of the agent is over (the longest is 120 s: a full subnet)."""
LONGEST_COOLDOWN_S = 600.0
"""The longest cooldown that is awaited between two pods."""
MOST_TURNS = 6
"""A pool that turned from growing to shrinking, or back, more often does not settle."""
MOST_LOOKS = 400
FLAP_WATCHED_S = 600
WITHOUT_END = 10**9
"""A target or limit that is never reached."""
_GROWING = frozenset({"AssignPrivateIpAddresses", "AttachNetworkInterface"})
_ASKING = _GROWING | {"CreateNetworkInterface"}


@dataclass(frozen=True, kw_only=True)
class NodeCase:
    """One node to play. `env` are its variables as set; `max_pods` is the kubelet's maxPods.

    `subnet_free` addresses are free in the subnet of the node's ENIs, in free /28s as far as
    possible; None: any number. `seed` decides what the agent leaves to chance.
    """

    limits: InstanceLimits
    env: Mapping[str, str]
    max_pods: int
    policy: Policy = VPC_CNI
    subnet_free: int | None = None
    seed: int = 0

    @property
    def n_pods(self) -> int:
        """Pods that need an address: maxPods counts those on the host network too."""
        return max(self.max_pods - HOST_NETWORK_PODS, 0)

    def with_env(self, changes: Mapping[str, str | None]) -> NodeCase:
        """Return the case with variables set, or removed if None."""
        merged = {**self.env, **changes}
        return replace(self, env={name: v for name, v in merged.items() if v is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The settled node with so many pods, and the calls since the level before.

    `per_eni` are the slots in use on each ENI, largest first: secondary IPs, prefixes in
    prefix mode, and both if a policy allows that. `free` can be given to pods. `calls` are
    those that succeeded, `refused` those that failed. `settled` is False if the pool grows and
    shrinks without end. `waited`: the pod found no address and waited for a pool check.
    """

    pods: int
    per_eni: tuple[int, ...]
    total: int
    free: int
    calls: Counter[str]
    refused: Counter[str] = field(default_factory=Counter)
    settled: bool = True
    waited: bool = False

    @property
    def enis(self) -> int:
        """ENIs attached."""
        return len(self.per_eni)

    @property
    def taken(self) -> int:
        """Addresses of the subnet that the node took after its first: ENIs have one too."""
        return self.total + self.enis - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Flap:
    """A pool that does not settle: the number of pods, and the calls it repeats without end."""

    pods: int
    calls_per_hour: int


class Play:
    """A node played up, and back on request.

    `up` are the levels from 0 pods on; its last is that of all pods, or of the last pod
    served. `idle` and `top` are what the rules decide with no pod, and with all pods or at the
    stall; the errors are those of the last refused call for more until then, None without one.
    `mode` is the node's, and `n_cards` are the network cards that the agent manages. Cost: 30
    to 100 us a level.

    A play can be pickled: it is played back first, and its node is left behind.
    """

    def __init__(self, case: NodeCase, *, n_pods: int | None = None) -> None:
        self.case = case
        played = PlayedNode(case)
        self._played: PlayedNode | None = played
        node = played.world.node
        self.mode: Literal["secondary-ip", "prefix", "ipv6"] = node.mode
        self.prefix_mode: bool = node.prefix_mode
        self.falls_back: bool = node.falls_back
        self.n_cards: int = len(node.stores)
        self.flap: Flap | None = None
        """The first level at which the pool does not settle, on the way up, or back if played."""
        self.init_error: str = played.init_error
        self.top_error: CloudError | None = None
        self.up: list[Level] = []
        self.idle: Decision = node.decide()
        self.top: Decision = self.idle
        self.idle_error: CloudError | None = None
        if self.init_error:
            return
        for level in played.up(n_pods):
            self.up.append(level)
            if level.pods == 0:
                self.idle = played.world.node.decide()
                self.idle_error = played.refused
        self.top = node.decide()
        self.top_error = played.refused
        self.flap = played.flap

    def __getstate__(self) -> dict[str, Any]:
        """Return everything except the node: the levels back are played before."""
        assert isinstance(self.back, list)
        return self.__dict__ | {"_played": None}

    @property
    def served(self) -> int:
        """Pods that got an address."""
        return self.up[-1].pods if self.up else 0

    @property
    def serves_all(self) -> bool:
        """Whether every pod got an address."""
        return not self.init_error and self.served == self.case.n_pods

    @cached_property
    def back(self) -> list[Level]:
        """The levels on the way back to 0 pods, the oldest pod going first."""
        assert self._played is not None  # a pickled play has them
        levels = list(self._played.back())
        self.flap = self._played.flap
        return levels

    @property
    def burst(self) -> int | None:
        """The number of pods that may start at once at any level without a wait; None: any."""
        n_pods = self.case.n_pods
        return min((at.free for at in self.up if at.free < n_pods - at.pods), default=None)

    def same_as(self, case: NodeCase) -> bool:
        """Return whether another case's node goes through the same levels."""
        played = PlayedNode(case)
        if self.init_error or played.init_error:
            return self.init_error == played.init_error
        for mine, levels in ((self.up, played.up()), (self.back, played.back())):
            if any(level != other for level, other in zip_longest(mine, levels)):
                return False
        return True


def capacity_slots(case: NodeCase) -> int:
    """Return how many slots the node can fill when nothing but ENIs and slots limits it."""
    wanting = replace(case, max_pods=WITHOUT_END, subnet_free=None)
    everything = {"WARM_IP_TARGET": str(WITHOUT_END), **dict.fromkeys(PROVISIONING)}
    played = PlayedNode(wanting.with_env(everything))
    if played.init_error:
        return 0
    played.settle()
    node = played.world.node
    # Cards above 0 have targets of their own, and grow with demand until they are full.
    others = case.limits.enis_per_network_card[1 : len(node.stores)]
    now_ns = played.world.now_ns
    held = sum(node.store.eni_stats(e.eni_id, now_ns).slots_used for e in node.store.enis())
    return held + sum(min(n_enis, node.max_enis) for n_enis in others) * node.slots


class PlayedNode:
    """A node driven from pool check to pool check, in the world of a scenario without steps."""

    def __init__(self, case: NodeCase) -> None:
        limits = case.limits
        self.case = case
        self.world: World = World(
            Scenario(
                scenario_id="explain",
                instance_type=limits.instance_type,
                max_enis=limits.max_enis,
                ipv4_per_eni=limits.ipv4_per_eni,
                env=case.env,
                max_pods=case.max_pods,
                steps=(),
                expect={},
                nitro=limits.nitro,
                trunking=limits.trunking,
                enis_per_card=limits.enis_per_network_card,
            ),
            policy=case.policy,
            seed=case.seed,
        )
        if case.subnet_free is not None:
            for subnet in self.world.subnets.values():
                subnet.set_free(case.subnet_free)
        self.world.start()
        self.init_error: str = self.world.init_error or ""
        self.running: list[Sandbox] = []
        self.waiting: list[Sandbox] = []
        self._pauses_s = (
            LOOK_INTERVAL_S,
            SETTLED_AFTER_S + min(self.world.node.settings.cooldown_s, LONGEST_COOLDOWN_S),
        )
        self.flap: Flap | None = None
        self._n_pods = 0
        self._n_seen = 0

    @property
    def refused(self) -> CloudError | None:
        """The error of the last refused call for more."""
        asking = (call.error for call in reversed(self.world.calls) if call.api in _ASKING)
        return next(asking, None)

    def up(self, n_pods: int | None = None) -> Iterator[Level]:
        """Yield the level of 0 pods, and of each pod that is served."""
        settled = self.settle()
        yield self.level(0, settled=settled)
        for pods in range(1, 1 + (self.case.n_pods if n_pods is None else n_pods)):
            waited = not self.ask()
            settled = self.settle()
            if self.waiting:
                return
            yield self.level(pods, settled=settled, waited=waited)

    def fill(self, n_pods: int) -> bool:
        """Play up to so many pods for the node alone; return whether all are served."""
        for pods in range(n_pods + 1):
            if pods:
                self.ask()
            settled = self.settle()
            if self.waiting:
                return False
            if not settled:
                self.level(pods, settled=False)  # the first time it is watched for a while
        return True

    def back(self) -> Iterator[Level]:
        """Yield the level of each pod fewer."""
        if self.waiting:  # the pod of the stall is removed first
            self.waiting.clear()
            self.world.now_ns += WAITS_S * NS
        while self.running:
            self.remove_oldest()
            settled = self.settle()
            yield self.level(len(self.running), settled=settled)

    def ask(self) -> bool:
        """Let one more pod ask; return whether it was served at once."""
        self._n_pods += 1
        pod = Sandbox(f"pod-{self._n_pods}")
        if self._serve(pod):
            return True
        self.waiting.append(pod)
        return False

    def remove_oldest(self) -> None:
        """Remove the pod that has run longest."""
        self.world.node.remove_pod(self.running.pop(0))

    def look(self, after_s: float) -> Counter[str]:
        """Check the pool after a time, try the waiting pods; return the calls that changed it.

        The waiting pods have asked during this time, and no address was free.
        """
        world = self.world
        world.now_ns += int(after_s * NS)
        for pod in self.waiting:
            world.node.waiting.note_refused(pod)
        n_before = len(world.calls)
        if not world.node.would_idle():
            drive(world.node.adjust(), world.instance, sleep=_no_time)
        while self.waiting and self._serve(self.waiting[0]):
            self.waiting.pop(0)
        new = world.calls[n_before:]
        return Counter(c.api for c in new if c.error is None and c.api in CHANGING_APIS)

    def settle(self) -> bool:
        """Check the pool until nothing changes; return False if that never happens."""
        check_wanted()
        quiet = turns = 0
        grew: bool | None = None
        for _ in range(MOST_LOOKS):
            if not self.waiting and self.world.node.idles_until_pods_change():
                self.world.now_ns += sum(int(pause_s * NS) for pause_s in self._pauses_s[quiet:])
                return True
            n_waiting = len(self.waiting)
            changes = self.look(self._pauses_s[quiet])
            if changes:
                now_grew = not _GROWING.isdisjoint(changes)
                turns += grew is not None and grew != now_grew
                grew = now_grew
            if turns > MOST_TURNS and not self.waiting:
                return False
            quiet = 0 if changes or len(self.waiting) < n_waiting else quiet + 1
            if quiet == len(self._pauses_s):
                return True
        return False

    def level(self, pods: int, *, settled: bool = True, waited: bool = False) -> Level:
        """Return the current level, with the calls since the one before."""
        world = self.world
        cards = [store.stats(world.now_ns) for store in world.node.stores]
        calls = world.calls[self._n_seen :]
        self._n_seen = len(world.calls)
        if not settled and self.flap is None:
            self.flap = Flap(pods=pods, calls_per_hour=self._calls_per_hour())
        return Level(
            pods=pods,
            per_eni=tuple(largest_first(world, "slots_used")),
            total=sum(card.total for card in cards),
            free=sum(card.assignable for card in cards),
            calls=count_calls([call for call in calls if call.error is None]),
            refused=count_calls([call for call in calls if call.error is not None]),
            settled=settled,
            waited=waited,
        )

    def _calls_per_hour(self) -> int:
        """Return how many EC2 calls the node makes in an hour if nothing happens to it."""
        n_before = len(self.world.calls)
        for _ in range(int(FLAP_WATCHED_S / LOOK_INTERVAL_S)):
            self.look(LOOK_INTERVAL_S)
        n_calls = len(self.world.calls) - n_before
        self._n_seen = len(self.world.calls)
        return n_calls * 3600 // FLAP_WATCHED_S

    def _serve(self, pod: Sandbox) -> bool:
        try:
            self.world.node.add_pod(pod)
        except PoolExhaustedError:
            return False
        self.running.append(pod)
        return True


def _no_time(_: float) -> None:
    """Sleep of a world in which calls take no time."""
