"""A node: its pods, and when each of its steps is due."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core._lazy import RenamedAttribute
from ipam_core.errors import IpamError, NotReadyError, PoolExhaustedError, UnknownSandboxError
from ipam_core.node import (
    attach,
    excluded,
    groups,
    grow,
    idle,
    leaks,
    reconcile,
    saved,
    shrink,
    start,
)
from ipam_core.node.state import NodeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.effects import Step
    from ipam_core.policy import Policy

T = TypeVar("T")


class Node(NodeState):
    """One node's address pool under a policy.

    `start`, `adjust` and `reconcile` are steps. A driver runs them: `ipam_core.cloud.drive`,
    or a simulator. `add_pod` and `remove_pod` answer at once and never call EC2. After each
    effect a step reads the stores again, so pods may come and go during a call.

    `max_pods` is the node's pod capacity; left out, the kubelet's usual value
    (`instances.max_pods`). `clock_ns` gives monotonic nanoseconds. `seed` decides what the
    real agent leaves to Go's map order. `nitro` overrides the instance table.
    With `follow_groups` the start gives the ENIs the primary ENI's security groups.
    A node between two steps can be pickled if its clock can: `time.monotonic_ns`, the default,
    is one of the machine, not of the process.
    With `host_network` the steps also yield what ENIs need on the host: links, routes and
    rules (`ipam_core.cloud.host` performs it); only with IPv4.

    Source of the rules: docs/rules.md, and pkg/ipamd/ipamd.go of aws/amazon-vpc-cni-k8s v1.23.
    """

    # --- pods ---------------------------------------------------------------

    def add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Assign an address out of the first network card that has one.

        Idempotent for a sandbox. Cost: constant, no call. Raises `PoolExhaustedError`
        when no address can be given. The pod then waits until it is served, or until it has
        not asked for a minute. It may ask with a new sandbox each time, as runtimes do. Raises
        `NotReadyError` before the start is done: an address that the checkpoint holds could be
        given to another pod. Source: pool-rules sections 1 and 3.
        """
        given = self.try_add_pod(sandbox, pod)
        if given is None:
            raise self._exhausted(self.served[-1])
        return given

    def try_add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment | None:
        """Do as `add_pod`, but return None where nothing can be given: the pod waits.

        For callers that are refused often. Raises `NotReadyError`.
        """
        now_ns = self._answering()
        if len(self.served) > 1:
            for store in self.served:
                if (held := store.find(sandbox)) is not None:
                    self.waiting.note_served(sandbox, pod)
                    return held
        for store in self.served:
            assignment = self.give(store, sandbox, pod, now_ns)
            if assignment is not None:
                self.waiting.note_served(sandbox, pod)
                if self.unattached:
                    self._forget_unattached(sandbox)
                return assignment
        self.waiting.note_refused(sandbox, pod)
        return None

    def add_pod_to_all_cards(self, sandbox: Sandbox, pod: str | None = None) -> list[Assignment]:
        """Assign one address out of every network card, or none at all.

        Idempotent for a sandbox. Raises `PoolExhaustedError` when a card has none. The
        addresses that this call took are then given back. A running pod that asks again also
        loses the addresses that it held: upstream's rule, unless `keep_on_refusal` is on.
        Raises `NotReadyError`. Source: pool-rules section 1, network cards.
        """
        now_ns = self._answering()
        taken: list[Assignment] = []
        new: list[DataStore] = []
        for store in self.served:
            held = store.find(sandbox)
            given = held or self.give(store, sandbox, pod, now_ns)
            if given is None:
                kept = self.policy.keep_on_refusal
                for other in new if kept else self.served[: len(taken)]:
                    other.release(sandbox, now_ns)
                self.waiting.note_refused(sandbox, pod)
                raise self._exhausted(store)
            taken.append(given)
            if held is None:
                new.append(store)
        self.waiting.note_served(sandbox, pod)
        if self.unattached:
            self._forget_unattached(sandbox)
        return taken

    def remove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Release what a sandbox holds, on every card; its addresses cool.

        An unattached address that is kept for it is forgotten, and is not in the list. Raises
        `UnknownSandboxError`, and changes nothing, when it holds none: a pod whose sandbox was
        refused continues to wait. Raises `NotReadyError`. A store with addresses of the other
        mode may now have some to drain: see `drain`.
        """
        released = self.try_remove_pod(sandbox)
        if released is None:
            raise UnknownSandboxError(sandbox)
        return released

    def try_remove_pod(self, sandbox: Sandbox) -> list[Assignment] | None:
        """Do as `remove_pod`, but return None where the sandbox holds nothing.

        For callers whose sandboxes often hold nothing. Raises `NotReadyError`.
        """
        now_ns = self._answering()
        forgot = bool(self.unattached) and self._forget_unattached(sandbox)
        found = (store.try_release(sandbox, now_ns) for store in self.served)
        released = [assignment for assignment in found if assignment is not None]
        if not released and not forgot:
            return None
        if self.has_excluded:
            excluded.note_released(self, released)
        return released

    def _forget_unattached(self, sandbox: Sandbox) -> bool:
        """Forget the unattached addresses kept for a sandbox; return whether there were any."""
        addresses = self.unattached.held_by(sandbox)
        self.unattached.forget(addresses)
        self.to_forget.extend((address, sandbox) for address in addresses)
        return bool(addresses)

    def _exhausted(self, store: DataStore) -> PoolExhaustedError:
        stats = store.stats(self.clock_ns())
        return PoolExhaustedError(total=stats.total, assigned=stats.assigned, cooling=stats.cooling)

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
        yield from self.replies.checked(start.start(self))
        self.ready = True

    def adjust(self) -> Step[bool]:
        """Check the pool once and act: grow, give back, free an ENI.

        Returns whether the shrinking rule applied. It starts its timers even where nothing
        could be given back. An error of a call, of metadata or of Kubernetes is not raised: it
        is kept in `last_error` with its time, and logged. Source: pool-rules section 5, "The
        loop".
        """
        return self.replies.checked(self._adjust())

    def _adjust(self) -> Step[bool]:
        if not self.changes_pool:
            return False
        self.note_in_use(self.clock_ns())
        yield from self._attempt(self._handle_emptied())
        shrank = False
        for card, decision in [(card, self.decide(card)) for card in self.cards]:
            if decision.low:
                yield from self._attempt(grow.grow(self, card))
            elif decision.high and self.timers.may_shrink(self.clock_ns()):
                shrank = True
                yield from self._attempt(shrink.give_back(self, card))
            if self.falls_back and self.timers.may_shrink(self.clock_ns()):
                gave = yield from self._attempt(shrink.give_back_secondary_ips(self, card))
                shrank |= bool(gave)
            if shrink.may_spare_eni(self, card, decision):
                yield from self._attempt(shrink.free_one_eni(self, card))
        if shrank:
            self.timers.shrunk_ns = self.timers.changed_ns = self.clock_ns()
        return shrank

    def _attempt(self, step: Step[T]) -> Step[T | None]:
        """Run a step; note its error, if it fails, and return None then."""
        try:
            return (yield from step)
        except IpamError as error:
            self.note_failure(error)
            return None

    def reconcile(self) -> Step[None]:
        """Compare with metadata and EC2 if that is due, and do what EC2 says.

        Entries that the checkpoint must forget are removed from it, due or not. In IPv6 mode
        nothing is compared: the node only checks for a trunk ENI. Failures end as those of
        `adjust` do. Source: pool-rules sections 5 and 9.
        """
        return self.replies.checked(self._reconcile())

    def _reconcile(self) -> Step[None]:
        yield from self._attempt(self._handle_emptied())
        now_ns = self.clock_ns()
        finishes = self.finishes_set_up(now_ns)
        if self.mode == "ipv6":
            if self.lacks_trunk():
                yield from self._attempt(reconcile.find_trunk(self))
        elif self.may_reconcile(now_ns):
            yield from self._attempt(reconcile.reconcile(self))
        if finishes:
            yield from self._attempt(attach.finish_set_up(self))
            self.note_change()
        if self.to_forget:
            yield from self._attempt(reconcile.forget_pending(self))

    def _handle_emptied(self) -> Step[None]:
        """Drop, or give back, what pods left empty on excluded ENIs: the policy decides."""
        if self.emptied and self.policy.give_back_excluded:
            yield from excluded.give_back_emptied(self)
        else:
            excluded.drop_emptied(self)

    def drain(self, released: Iterable[Assignment]) -> Step[None]:
        """Give back what the other mode left, now that these assignments are gone.

        In secondary-IP mode, when a pod on a prefix ends, that ENI's prefixes without pods are
        given back at once (pool-rules section 3). Failures end as those of `adjust`.
        """
        return self.replies.checked(self._attempt(self._drain(released)))

    def _drain(self, released: Iterable[Assignment]) -> Step[None]:
        for assignment in released:
            if assignment.prefix is not None and self.mode == "secondary-ip":
                store = self.store_of(assignment.eni_id)
                if store is not None:
                    yield from shrink.give_back_prefixes(self, store, assignment.eni_id)

    def follow_security_groups(self) -> Step[None]:
        """Give the ENIs the primary ENI's security groups, where those changed.

        For an agent: every 30 s. Failures end as those of `adjust` do.
        """
        return self.replies.checked(self._attempt(groups.follow(self)))

    def free_eni(self, warm_ip: int, minimum_ip: int) -> Step[str | None]:
        """Free one ENI of card 0 under these targets; return its id, or None.

        The targets are counts of addresses. Source: pool-rules section 5.
        """
        freeing = shrink.free_under(self, 0, warm_ip, minimum_ip)
        return self.replies.checked(self._attempt(freeing))

    def clean_leaked(self, now_s: float) -> Step[leaks.Cleanup]:
        """Run the leaked-ENI task once; `now_s` is wall-clock time (Unix seconds).

        A search that fails finds nothing; failures end as those of `adjust` do. Source:
        `cleanUpLeakedENIs` in pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s.
        """
        return self.replies.checked(leaks.clean(self, now_s))

    # --- idle -----------------------------------------------------------------

    def would_idle(self) -> bool:
        """Return whether `adjust` now would do nothing, at a fraction of its cost.

        False may be wrong: then only `adjust` itself gives the answer. It notes what `adjust`
        notes.
        """
        return idle.would_idle(self)

    def may_act_at_reconcile(self) -> bool:
        """Return whether `reconcile` now may do anything. Cost: constant."""
        return idle.may_act_at_reconcile(self)

    def idles_until_pods_change(self) -> bool:
        """Return whether `adjust` does nothing, at any time, until a pod comes or goes.

        False may be wrong. Cost: that of a look-up for each card.
        """
        return idle.idles_until_pods_change(self)

    def idle_until_ns(self, *, reconciles: bool = False) -> int | None:
        """Return when `adjust` may do more than the last one, which did nothing; None: never.

        `reconciles`: a reconcile may find something, so that the pool check before the next
        one counts too. The answer is valid as long as no pod comes or goes and nothing else
        changes the node. Cost: O(network cards).
        """
        return idle.until_ns(self, reconciles=reconciles)

    def catch_up(self, checked_ns: int, next_ns: int, *, reconciles: bool = False) -> int:
        """Leave the node as the pool checks after `checked_ns` and before `next_ns` would have.

        Both are times of checks, an integer number of periods apart; those between were left
        out because they do nothing. Unless `reconciles`, the reconciles between found nothing.
        Return the time of the last check left out, `checked_ns` without one.
        """
        return idle.catch_up(self, checked_ns, next_ns, reconciles=reconciles)

    # --- as plain values ------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the state between two steps as plain values, of schema `node/1`.

        It is JSON, with each store as its snapshot has it. `last_error` is not in it, and of a
        policy only its name. Cost: O(addresses). Raises nothing.
        """
        return saved.plain_state(self)

    @classmethod
    def from_dict(
        cls,
        given: Mapping[str, Any],
        *,
        policy: Policy | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> Self:
        """Return a node that goes on where the one of `to_dict` stood.

        A `policy` of your own is given again, under its name. Times are those of the clock: of
        the default one, since this machine was started. Cost: O(addresses).

        Raises:
            InputError: not of schema `node/1`, of another policy, or a state that cannot be.
        """
        return saved.node_of(cls, given, policy, clock_ns)

    # --- old names ------------------------------------------------------------

    look: RenamedAttribute = RenamedAttribute("adjust")
    rests: RenamedAttribute = RenamedAttribute("would_idle")
    rests_for_long: RenamedAttribute = RenamedAttribute("idles_until_pods_change")
    aside: RenamedAttribute = RenamedAttribute("unattached")
