"""A node's state: its stores and timers, the questions about them, and what is noted.

The steps (`start`, `grow`, `shrink`, `reconcile`, ...) take a state and change it. `Node` is a
`NodeState` with its pods and its steps.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ipam_core._store import DataStore
from ipam_core.errors import CloudError, ReplyError, SubnetFullError
from ipam_core.instances import max_pods as usual_max_pods
from ipam_core.node.own_rules import place, remember
from ipam_core.node.timers import Timers
from ipam_core.node.unattached import UnattachedAssignments
from ipam_core.node.waiting import Waiting
from ipam_core.policy import FULL_SUBNET_WORDING, VPC_CNI
from ipam_core.pool import decider, in_use_of
from ipam_core.replies import Replies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core._store import Assignment, Sandbox
    from ipam_core.errors import IpamError
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.pool import Decision
    from ipam_core.settings import Settings

logger: logging.Logger = logging.getLogger(__name__)


class Emptied(NamedTuple):
    """An address or prefix of an excluded ENI that the last pod left."""

    due_ns: int
    card: int
    eni_id: str
    cidr: str


class NodeState:
    """What a node knows and remembers; `Node` has the arguments.

    It does no I/O. Cost of each question: constant, or that of a walk over the ENIs.
    """

    def __init__(
        self,
        limits: InstanceLimits,
        settings: Settings,
        *,
        policy: Policy = VPC_CNI,
        max_pods: int | None = None,
        nitro: bool | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        seed: int = 0,
        host_network: bool = False,
        follow_groups: bool = False,
    ) -> None:
        self.limits = limits
        self.settings = settings
        self.policy = policy
        usual = usual_max_pods(limits, settings).value
        self.max_pods: int = usual if max_pods is None else max_pods
        self.nitro: bool = limits.nitro if nitro is None else nitro
        self.clock_ns = clock_ns
        self.mode = _mode(settings, self.nitro)
        if host_network and self.mode == "ipv6":
            raise ValueError("host_network=True: only with IPv4, not with ENABLE_IPv6")
        self.prefix_mode: bool = self.mode == "prefix"
        self.falls_back: bool = self.prefix_mode and policy.fallback_to_addresses
        """Whether secondary IPs are taken where there is no /28."""
        self.slots: int = limits.slots
        self.max_enis: int = min(limits.max_enis, settings.max_eni or limits.max_enis)
        n_cards = len(limits.enis_per_network_card) if settings.enable_multi_nic else 1
        self.stores: list[DataStore] = [
            DataStore(
                "mixed" if self.falls_back else self.mode,
                cooldown_s=settings.cooldown_s,
                placement="pack" if policy.pack else "arbitrary",
                seed=seed + card,
                given_time=clock_ns is not time.monotonic_ns,
            )
            for card in range(n_cards)
        ]
        self.waiting: Waiting = Waiting(clock_ns)
        """Pods that were refused and ask again."""
        self.unattached: UnattachedAssignments = UnattachedAssignments()
        """Assignments of the checkpoint whose addresses are not attached."""
        self.to_forget: list[tuple[str, Sandbox]] = []
        """Assignments that the checkpoint must forget at the next reconcile."""
        self.manage_cards(list(range(n_cards)))
        self.ready = False
        self.terminating = False
        self.unmanaged: set[str] = set()
        """ENIs on the node that the agent does not manage, EFA-only ones included."""
        self.n_unmanaged: list[int] = [0] * n_cards
        self.host_network = host_network
        """Whether the host's links, routes and rules are this node's to set up."""
        self.links: dict[str, str] = {}
        """ENIs whose links are set up, each with its primary address."""
        self.follow_groups = follow_groups
        """Whether the start gives the ENIs the primary ENI's security groups."""
        self.security_groups: set[str] = set()
        """The primary ENI's, when they were last read."""
        self.unfinished: dict[str, str] = {}
        """ENIs whose set-up failed, each with its interface type."""
        self.has_excluded = False
        """Whether some ENI may be excluded."""
        self.emptied: deque[Emptied] = deque()
        """What pods left on excluded ENIs, in order of time."""
        self.n_dropped_prefixes: list[int] = [0] * n_cards
        """Prefixes dropped from the stores in this way; the agent's counters still have them."""
        self.last_error: IpamError | None = None
        """The last failure that ended a part of a step; no step raises it."""
        self.last_error_ns: int | None = None
        """When that was, on the node's clock."""
        self._decider = decider(settings, self.slots, self.max_pods, self.prefix_mode, policy)
        self.give: Callable[[DataStore, Sandbox, str | None, int], Assignment | None] = (
            DataStore.try_assign if policy.placement is None else partial(place, policy)
        )
        """Assigns an address of a store to a pod: by the store, or by the policy's placement."""
        self.memories: list[deque[tuple[int, int]]] = [
            deque() for _ in range(n_cards if policy.sees_time else 0)
        ]
        """Of each card (time, in use) at the pool checks that an own rule remembers."""
        self.timers: Timers = Timers(n_cards=n_cards, release_delay_s=policy.release_delay_s)
        self.seed = seed
        self._random: random.Random | None = None  # 2.5 KB, which most nodes never need
        self.replies: Replies = Replies()

    def set_max_pods(self, max_pods: int) -> None:
        """Use another capacity of pods from the next pool check on: Kubernetes was late with it.

        Source: SetAPIServerConnectivity in pkg/ipamd/ipamd.go of aws/amazon-vpc-cni-k8s.
        """
        self.max_pods = max_pods
        self._decider = decider(self.settings, self.slots, max_pods, self.prefix_mode, self.policy)

    def manage_cards(self, managed: list[int]) -> None:
        """Serve pods from these network cards, and grow and shrink their pools alone."""
        self.cards = managed
        self.served: list[DataStore] = [self.stores[card] for card in managed]

    # --- questions ------------------------------------------------------------

    def decide(self, network_card: int = 0) -> Decision:
        """Return what the rules say of a card's pool as it is now."""
        return self._decider.decide(
            self.stores[network_card].stats(self.clock_ns()),
            network_card,
            len(self.waiting) if self.policy.sees_waiting else 0,
            self.timers.peak_in_use(network_card),
            self.n_dropped_prefixes[network_card],
            self._memory(network_card) if self.memories else None,
        )

    def _memory(self, network_card: int) -> tuple[int, tuple[int, ...]]:
        """Return the time, and what was in use at the pool checks of the policy's memory."""
        return self.clock_ns(), tuple(in_use for _, in_use in self.memories[network_card])

    @property
    def store(self) -> DataStore:
        """The default network card's store."""
        return self.stores[0]

    def store_of(self, eni_id: str) -> DataStore | None:
        """Return the store that holds an ENI, None if none does."""
        return next((store for store in self.stores if eni_id in store), None)

    def lacks_trunk(self) -> bool:
        """Return whether pod ENIs are enabled and no trunk ENI is attached yet."""
        return self.settings.enable_pod_eni and not any(eni.trunk for eni in self.store.enis())

    def has_room_for_eni(self, network_card: int) -> bool:
        """Return whether one more ENI may be attached to a card (pool-rules section 1)."""
        kept_free = self.n_unmanaged[network_card]
        if network_card == 0 and self.limits.trunking and self.lacks_trunk():
            kept_free += 1
        return len(self.stores[network_card].enis()) < self.max_enis - kept_free

    def pausing(self) -> bool:
        """Return whether growing pauses because the subnet was full."""
        return self.timers.pausing(self.clock_ns())

    def says_subnet_full(self, error: CloudError) -> bool:
        """Return whether the policy takes an error for "the subnet is full"."""
        if isinstance(error, SubnetFullError):
            return True
        return self.policy.know_full_subnet and FULL_SUBNET_WORDING in error.message.lower()

    def lacks_prefixes(self) -> bool:
        """Return whether a node that falls back need not ask for a /28: there was none recently."""
        return self.falls_back and self.timers.lacks_prefixes(self.clock_ns())

    @property
    def changes_pool(self) -> bool:
        """Whether the agent grows and shrinks the pool."""
        return self.mode != "ipv6" and not self.settings.disable_network_resource_provisioning

    def may_reconcile(self, now_ns: int) -> bool:
        """Return whether a reconcile at a time would do anything.

        It is due when more than 60 s passed since the pool last grew, shrank or was
        reconciled, and always while pod ENIs are enabled and no trunk ENI is attached, on a
        type that cannot carry one, too.
        """
        if self.lacks_trunk() or self.finishes_set_up(now_ns):
            return True
        return self.mode != "ipv6" and self.timers.may_reconcile(now_ns)

    def finishes_set_up(self, now_ns: int) -> bool:
        """Return whether ENIs whose set-up failed are due to be set up again."""
        return (
            bool(self.unfinished)
            and self.policy.finish_set_up
            and self.timers.may_reconcile(now_ns)
        )

    def jittered(self, seconds: float, share: float) -> float:
        """Return a back-off delay with up to `share` of random jitter added."""
        if self._random is None:
            self._random = random.Random(self.seed)
        return seconds * (1 + share * self._random.random())

    def chance(self) -> list[Any] | None:
        """Return the state of the node's own chance as plain values; None: not used yet."""
        if self._random is None:
            return None
        version, words, following = self._random.getstate()
        return [version, list(words), following]

    def take_chance(self, state: list[Any]) -> None:
        """Go on with a chance that `chance` gave. Raises `ValueError` or `TypeError` for none."""
        version, words, following = state
        self._random = random.Random()
        self._random.setstate((version, tuple(words), following))

    # --- what the steps note ------------------------------------------------------

    def note_change(self, when_ns: int | None = None) -> None:
        """Note that the pool grew, shrank or was reconciled, now or at a time."""
        self.timers.changed_ns = self.clock_ns() if when_ns is None else when_ns

    def note_failure(self, error: IpamError) -> None:
        """Keep an error that no step raises, with its time, and log it.

        A call that failed is logged at level INFO: its caller, such as `AwsCloud`, has already
        warned.
        """
        failed_call = isinstance(error, CloudError) and not isinstance(error, ReplyError)
        logger.log(logging.INFO if failed_call else logging.WARNING, "%s", error)
        self.last_error, self.last_error_ns = error, self.clock_ns()

    def note_lost(self, lost: Iterable[Assignment]) -> None:
        """Note assignments that were lost with their addresses: the checkpoint must forget them."""
        self.to_forget += [(assignment.address, assignment.sandbox) for assignment in lost]

    def note_full(self) -> None:
        """Start the pause of a full subnet."""
        self.timers.full_ns = self.clock_ns()

    def notes_lack_of_prefixes(self, error: CloudError) -> bool:
        """Note that there is no /28, if an error says so and the node then falls back."""
        if not (self.falls_back and self.says_subnet_full(error)):
            return False
        self.timers.no_prefix_ns = self.clock_ns()
        return True

    def note_in_use(self, now_ns: int) -> None:
        """Note how many addresses are in use, for rules that remember it for some time."""
        if not (self.policy.release_delay_s or self.memories):
            return
        for card, store in enumerate(self.stores):
            stats = store.stats(now_ns)
            in_use = in_use_of(stats.assigned, stats.cooling, self.policy)
            if self.policy.release_delay_s:
                self.timers.note_in_use(card, in_use, now_ns)
            if self.memories:
                remember(self.memories[card], now_ns, in_use, self.policy.memory_s)


def _mode(settings: Settings, nitro: bool) -> Literal["secondary-ip", "prefix", "ipv6"]:
    if settings.enable_ipv6:
        return "ipv6"
    return "prefix" if settings.enable_prefix_delegation and nitro else "secondary-ip"
