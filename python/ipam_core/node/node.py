"""A node's state, its pods, and when each of its steps is due."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, TypeVar

from ipam_core._store import DataStore
from ipam_core.errors import (
    CloudError,
    IpamError,
    NotReadyError,
    PoolExhaustedError,
    ReplyError,
    SubnetFullError,
    UnknownSandboxError,
)
from ipam_core.instances import max_pods as usual_max_pods
from ipam_core.ipamd.messages import FULL_SUBNET_WORDING
from ipam_core.node import attach, cards, excluded, grow, leaks, reconcile, shrink, start
from ipam_core.node.timers import Timers
from ipam_core.node.unattached import KeptAside
from ipam_core.node.waiting import Waiting
from ipam_core.policy import VPC_CNI
from ipam_core.pool import decider, in_use_of
from ipam_core.replies import Replies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core._store import Assignment, Sandbox
    from ipam_core.effects import Step
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.pool import Decision
    from ipam_core.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 5.0
"""The loop's period; a look comes after half of it, a reconcile may come after the rest."""


class Node:
    """One node's address pool under a policy.

    `start`, `look` and `reconcile` are steps to be driven (`ipam_core.cloud.drive`, or a
    simulator); `add_pod` and `remove_pod` answer at once and never call EC2. After
    each effect a step looks at the stores afresh, so pods may come and go while a
    call is under way.

    `max_pods` is the node's pod capacity; left out, the kubelet's usual value
    (`instances.max_pods`). `clock_ns` gives monotonic nanoseconds. `seed` decides whatever
    the real agent leaves to Go's map order. `nitro` overrides the instance table.
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
    ) -> None:
        self.seed = seed
        self.limits = limits
        self.settings = settings
        self.policy = policy
        self.max_pods = usual_max_pods(limits, settings).value if max_pods is None else max_pods
        self.nitro = limits.nitro if nitro is None else nitro
        self.clock_ns = clock_ns
        self.mode = _mode(settings, self.nitro)
        self.prefix_mode = self.mode == "prefix"
        self.falls_back = self.prefix_mode and policy.fallback_to_addresses
        """Whether secondary IPs are taken where there is no /28."""
        self.slots = limits.slots
        self.max_enis = min(limits.max_enis, settings.max_eni or limits.max_enis)
        n_cards = len(limits.enis_per_network_card) if settings.enable_multi_nic else 1
        self.stores = [
            DataStore(
                "mixed" if self.falls_back else self.mode,
                cooldown_s=settings.cooldown_s,
                placement="pack" if policy.pack else "arbitrary",
                seed=seed + card,
                given_time=clock_ns is not time.monotonic_ns,
            )
            for card in range(n_cards)
        ]
        self.waiting = Waiting(clock_ns)
        """Pods that were refused and ask again."""
        self.aside = KeptAside()
        """What the checkpoint says is held of addresses that are not attached."""
        self.to_forget: list[tuple[str, Sandbox]] = []
        """Assignments that the checkpoint shall forget at the next reconcile."""
        self.manage_cards(list(range(n_cards)))
        self.ready = False
        self.terminating = False
        self.unmanaged: set[str] = set()
        """ENIs on the node that the agent leaves alone, EFA-only ones among them."""
        self.n_unmanaged = [0] * n_cards
        self.unfinished: dict[str, str] = {}
        """ENIs whose set-up failed, each with its interface type."""
        self.has_excluded = False
        """Whether some ENI may be excluded."""
        self.emptied: deque[excluded.Emptied] = deque()
        """What pods left on excluded ENIs, in order of time."""
        self.n_dropped_prefixes = [0] * n_cards
        """Prefixes that left the stores so, and that the agent's counters still have."""
        self.last_error: IpamError | None = None
        """The last failure that ended something a step was about; no step lets it out."""
        self.last_error_ns: int | None = None
        """When that was, on the node's clock."""
        self._decider = decider(settings, self.slots, self.max_pods, self.prefix_mode, policy)
        self.timers = Timers(n_cards=n_cards, release_delay_s=policy.release_delay_s)
        self._random = random.Random(seed)
        self._replies = Replies()

    # --- pods ---------------------------------------------------------------

    def add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Assign an address out of the first network card that has one.

        Idempotent for a sandbox. Cost: constant, no call. Raises `PoolExhaustedError`
        when nothing can be given; the pod then waits until it is served, or has not asked
        for a minute: with a new sandbox each time, as runtimes do. Raises `NotReadyError`
        before the start is done: what the checkpoint holds would be given away. Source:
        pool-rules sections 1 and 3.
        """
        now_ns = self._answering()
        if len(self.served) > 1:
            for store in self.served:
                if (held := store.find(sandbox)) is not None:
                    self.waiting.note_served(sandbox, pod)
                    return held
        for store in self.served[:-1]:
            try:
                assignment = store.assign(sandbox, pod, now_ns)
            except PoolExhaustedError:
                continue
            break
        else:
            try:
                assignment = self.served[-1].assign(sandbox, pod, now_ns)
            except PoolExhaustedError:
                self.waiting.note_refused(sandbox, pod)
                raise
        self.waiting.note_served(sandbox, pod)
        if self.aside:
            self._forget_aside(sandbox)
        return assignment

    def add_pod_to_all_cards(self, sandbox: Sandbox, pod: str | None = None) -> list[Assignment]:
        """Assign one address out of every network card, or none at all.

        Idempotent for a sandbox. Raises `PoolExhaustedError` when a card has none; what
        this call took is given back then. So is what a running pod held before, when it
        asks again: upstream's rule, unless `keep_on_refusal` is on. Raises `NotReadyError`.
        Source: pool-rules section 1, network cards.
        """
        now_ns = self._answering()
        taken: list[Assignment] = []
        new: list[DataStore] = []
        for store in self.served:
            held = store.find(sandbox)
            try:
                taken.append(held or store.assign(sandbox, pod, now_ns))
            except PoolExhaustedError:
                kept = self.policy.keep_on_refusal
                for other in new if kept else self.served[: len(taken)]:
                    other.release(sandbox, now_ns)
                self.waiting.note_refused(sandbox, pod)
                raise
            if held is None:
                new.append(store)
        self.waiting.note_served(sandbox, pod)
        if self.aside:
            self._forget_aside(sandbox)
        return taken

    def remove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Release what a sandbox holds, on every card; its addresses cool.

        An address that is kept aside for it is forgotten, and not in the list. Raises
        `UnknownSandboxError`, and changes nothing, when it holds none (a pod whose sandbox
        was refused goes on waiting), and `NotReadyError`. A store with addresses of the
        other mode may now have some to drain: see `drain`.
        """
        now_ns = self._answering()
        forgot = self.aside and self._forget_aside(sandbox)
        if len(self.served) == 1 and not forgot:
            released = [self.served[0].release(sandbox, now_ns)]
        else:
            released = [
                store.release(sandbox, now_ns)
                for store in self.served
                if store.find(sandbox) is not None
            ]
        if not released and not forgot:
            raise UnknownSandboxError(sandbox)
        if self.has_excluded:
            excluded.note_released(self, released)
        return released

    def manage_cards(self, managed: list[int]) -> None:
        """Serve pods from these network cards, and grow and shrink their pools alone."""
        self.cards = managed
        self.served = [self.stores[card] for card in managed]

    def _forget_aside(self, sandbox: Sandbox) -> bool:
        """Keep nothing aside for a sandbox any longer; return whether anything was."""
        addresses = self.aside.held_by(sandbox)
        self.aside.forget(addresses)
        self.to_forget += [(address, sandbox) for address in addresses]
        return bool(addresses)

    def _answering(self) -> int:
        """Return the time, if the node answers pods."""
        if not self.ready:
            raise NotReadyError
        return self.clock_ns()

    # --- steps --------------------------------------------------------------

    def start(self) -> Step[None]:
        """Take over what is attached, restore assignments, and grow once if too low.

        Raises `StartError` where the real agent would not become ready. Source:
        pool-rules section 5, "At start".
        """
        yield from self._replies.checked(start.start(self))
        self.ready = True

    def look(self) -> Step[bool]:
        """Look at the pool once and act: grow, give back, free an ENI.

        Returns whether the shrinking rule applied, which starts its timers even where
        nothing could be given back. Nothing that a call, metadata or Kubernetes answers is
        raised: it is kept in `last_error` with its time, and logged. Source: pool-rules
        section 5, "The loop".
        """
        return self._replies.checked(self._look())

    def _look(self) -> Step[bool]:
        if not self.changes_pool:
            return False
        self.note_in_use(self.clock_ns())
        yield from self._attempt(self._handle_emptied())
        shrank = False
        for card, decision in [(card, self.decide(card)) for card in cards.in_turn(self)]:
            if decision.low:
                yield from self._attempt(grow.grow(self, card))
            elif decision.high and self.timers.may_shrink(self.clock_ns()):
                shrank = True
                yield from self._attempt(shrink.give_back(self, card))
            if self.falls_back and self.timers.may_shrink(self.clock_ns()):
                gave = yield from self._attempt(shrink.give_back_lone(self, card))
                shrank |= bool(gave)
            if self._may_spare_eni(card, decision):
                yield from self._attempt(shrink.free_one_eni(self, card))
        if shrank:
            self.timers.shrunk_ns = self.timers.changed_ns = self.clock_ns()
        return shrank

    def _attempt(self, step: Step[T]) -> Step[T | None]:
        """Run a step; what it fails with is noted and ends here, with None."""
        try:
            return (yield from step)
        except IpamError as error:
            self.note_failure(error)
            return None

    def rests(self) -> bool:
        """Return whether a look now would do nothing at all, at a fraction of its cost.

        False may be wrong: only the look itself tells then. It notes what a look notes.
        """
        if not self.changes_pool:
            return True
        now_ns = self.clock_ns()
        self.note_in_use(now_ns)
        if self.emptied:
            return False
        for card in self.cards:
            decision = self.decide(card)
            if decision.low or (decision.high and self.timers.may_shrink(now_ns)):
                return False
            if (
                self.falls_back
                and self.timers.may_shrink(now_ns)
                and shrink.lone_to_spare(self, card)
            ):
                return False
            if self._may_spare_eni(card, decision) and shrink.has_freeable_eni(self, card):
                return False
        return True

    def rests_for_long(self) -> bool:
        """Return whether looks do nothing however late, until a pod comes or goes.

        False may be wrong. Cost: that of a look-up for each card.
        """
        if not self.changes_pool:
            return True
        policy = self.policy
        if self.falls_back or policy.release_delay_s or not policy.cooling_is_available:
            return False
        if self.emptied or (policy.grow_when_exhausted and self.waiting):  # it may cease to
            return False
        for card in self.cards:
            decision = self.decide(card)
            if decision.low or decision.high or self._may_spare_eni(card, decision):
                return False
        return True

    @property
    def changes_pool(self) -> bool:
        """Whether the agent grows and shrinks the pool at all."""
        return self.mode != "ipv6" and not self.settings.disable_network_resource_provisioning

    def _may_spare_eni(self, card: int, decision: Decision) -> bool:
        return decision.enis_to_spare or (
            self.prefix_mode and shrink.has_idle_eni(self.stores[card], self.clock_ns())
        )

    def reconcile(self) -> Step[None]:
        """Compare with metadata and EC2 if that is due, and believe EC2.

        What the checkpoint shall forget is struck from it, due or not. In IPv6 mode there is
        none: only a trunk ENI is looked for. Failures end as those of `look` do. Source:
        pool-rules sections 5 and 9.
        """
        return self._replies.checked(self._reconcile())

    def _reconcile(self) -> Step[None]:
        yield from self._attempt(self._handle_emptied())
        now_ns = self.clock_ns()
        finishes = self._finishes(now_ns)
        if self.mode == "ipv6":
            if self.lacks_trunk():
                yield from self._attempt(reconcile.find_trunk(self))
        elif self.may_reconcile(now_ns):
            yield from self._attempt(reconcile.reconcile(self))
        if finishes:
            yield from self._attempt(attach.finish_set_up(self))
            self.note_change()
        if self.to_forget:
            yield from self._attempt(reconcile.strike(self))

    def may_reconcile(self, now_ns: int) -> bool:
        """Return whether a reconcile at a time would do anything.

        It is due when more than 60 s passed since the pool last grew, shrank or was
        reconciled, and always while pod ENIs are enabled and no trunk ENI is attached, on a
        type that cannot carry one, too.
        """
        if self.lacks_trunk() or self._finishes(now_ns):
            return True
        return self.mode != "ipv6" and self.timers.may_reconcile(now_ns)

    def _finishes(self, now_ns: int) -> bool:
        """Return whether ENIs whose set-up failed are due to be set up again."""
        return (
            bool(self.unfinished)
            and self.policy.finish_set_up
            and self.timers.may_reconcile(now_ns)
        )

    def _handle_emptied(self) -> Step[None]:
        """Do with what pods left empty on excluded ENIs as the policy says."""
        if self.emptied and self.policy.give_back_excluded:
            yield from excluded.give_back_emptied(self)
        else:
            excluded.drop_emptied(self)

    def drain(self, released: Iterable[Assignment]) -> Step[None]:
        """Give back what the other mode left, now that these assignments are gone.

        In secondary-IP mode the exit of a pod on a prefix at once gives back that
        ENI's prefixes without pods (pool-rules section 3). Failures end as those of `look`.
        """
        return self._replies.checked(self._attempt(self._drain(released)))

    def _drain(self, released: Iterable[Assignment]) -> Step[None]:
        for assignment in released:
            if assignment.prefix is not None and self.mode == "secondary-ip":
                store = self.store_of(assignment.eni_id)
                if store is not None:
                    yield from shrink.give_back_prefixes(self, store, assignment.eni_id)

    def free_eni(self, warm_ip: int, minimum_ip: int) -> Step[str | None]:
        """Free one ENI of card 0 under these targets; return its id, or None."""
        freeing = shrink.free_under(self, 0, warm_ip, minimum_ip)
        return self._replies.checked(self._attempt(freeing))

    def clean_leaked(self, now_s: float) -> Step[leaks.Cleanup]:
        """Run the leaked-ENI task once; `now_s` is wall-clock time (Unix seconds).

        A search that fails finds nothing; failures end as those of `look` do.
        """
        return self._replies.checked(leaks.clean(self, now_s))

    # --- questions ------------------------------------------------------------

    def decide(self, network_card: int = 0) -> Decision:
        """Return what the rules say of a card's pool as it is now."""
        return self._decider.decide(
            self.stores[network_card].stats(self.clock_ns()),
            network_card,
            len(self.waiting) if self.policy.grow_when_exhausted else 0,
            self.timers.peak_in_use(network_card),
            self.n_dropped_prefixes[network_card],
        )

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
        """Return whether growing rests because the subnet was full."""
        return self.timers.pausing(self.clock_ns())

    def says_subnet_full(self, error: CloudError) -> bool:
        """Return whether the policy takes an error for "the subnet is full"."""
        if isinstance(error, SubnetFullError):
            return True
        return self.policy.know_full_subnet and FULL_SUBNET_WORDING in error.message.lower()

    def lacks_prefixes(self) -> bool:
        """Return whether a node that falls back need not ask for a /28: there was none lately."""
        return self.falls_back and self.timers.lacks_prefixes(self.clock_ns())

    # --- what the steps note ------------------------------------------------------

    def note_change(self) -> None:
        """Note that the pool grew, shrank or was reconciled now."""
        self.timers.changed_ns = self.clock_ns()

    def note_failure(self, error: IpamError) -> None:
        """Keep an error that no step lets out, with its time, and log it.

        A call that failed is logged at level INFO: whoever made it, such as `AwsCloud`, has
        warned of it.
        """
        failed_call = isinstance(error, CloudError) and not isinstance(error, ReplyError)
        logger.log(logging.INFO if failed_call else logging.WARNING, "%s", error)
        self.last_error, self.last_error_ns = error, self.clock_ns()

    def note_lost(self, lost: Iterable[Assignment]) -> None:
        """Note assignments that went with their addresses: the checkpoint shall forget them."""
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
        """Note how many addresses are in use, for rules that remember it for a while."""
        if self.policy.release_delay_s:
            for card, store in enumerate(self.stores):
                stats = store.stats(now_ns)
                in_use = in_use_of(stats.assigned, stats.cooling, self.policy)
                self.timers.note_in_use(card, in_use, now_ns)

    def idle_until_ns(self) -> int | None:
        """Return when a look may do more than the last one, which did nothing; None: never.

        It holds as long as no pod comes or goes and nobody else changes the node: time
        alone does nothing before then. Cost: O(network cards).
        """
        now_ns = self.clock_ns()
        due_ns = self.timers.next_ns(now_ns)
        if self.emptied and (due_ns is None or self.emptied[0].due_ns < due_ns):
            due_ns = self.emptied[0].due_ns
        if self.policy.grow_when_exhausted and (ends_ns := self.waiting.ends_ns()) is not None:
            due_ns = ends_ns if due_ns is None else min(due_ns, ends_ns)
        for card, store in enumerate(self.stores):
            # Cooling alone decides nothing for the agent but whether an ENI may be freed.
            if not self.policy.cooling_is_available or self._may_spare_eni(card, self.decide(card)):
                cool_ns = store.next_cool_ns(now_ns)
                if cool_ns is not None and (due_ns is None or cool_ns < due_ns):
                    due_ns = cool_ns
        return due_ns

    def jittered(self, seconds: float, share: float) -> float:
        """Return a back-off delay with up to `share` of random jitter added."""
        return seconds * (1 + share * self._random.random())


def _mode(settings: Settings, nitro: bool) -> Literal["secondary-ip", "prefix", "ipv6"]:
    if settings.enable_ipv6:
        return "ipv6"
    return "prefix" if settings.enable_prefix_delegation and nitro else "secondary-ip"
