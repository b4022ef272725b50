"""The target rules: from a pool's counts and settings to the agent's decision.

Pure: no time, no I/O, no randomness. The arithmetic of pool-rules sections 1 and 4
(docs/rules.md) is written in one place, `src/ipam_core/_rules.pxd`, in C, so that a simulation
applies it millions of times a second. `decide` is its face: a view goes in, a decision with its
terms and its reason comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from ipam_core._rules import terms_of
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.policy import VPC_CNI
from ipam_core.settled import Climb, Settled, SettledNodes, climb, settled, settled_many

if TYPE_CHECKING:
    from ipam_core.policy import Policy
    from ipam_core.settings import Settings


__all__ = [
    "Climb",
    "Counts",
    "Decider",
    "Decision",
    "PoolView",
    "Settled",
    "SettledNodes",
    "climb",
    "decide",
    "decider",
    "in_use_of",
    "settled",
    "settled_many",
]


class Counts(Protocol):
    """What a pool holds: a store's `PoolStats`, or what the agent's files show of one."""

    @property
    def total(self) -> int:
        """Addresses in the pool."""

    @property
    def assigned(self) -> int:
        """Assigned to pods."""

    @property
    def cooling(self) -> int:
        """Released and not free yet."""

    @property
    def prefixes(self) -> int:
        """Prefixes in the pool."""

    @property
    def free_prefixes(self) -> int:
        """Prefixes with no address in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """All that a decision depends on, as one value.

    `slots` is what an ENI holds in addition to its primary address: secondary IPs, or prefixes
    in prefix mode. The counts are those of `PoolStats`.
    """

    settings: Settings
    slots: int
    max_pods: int
    prefix_mode: bool = False
    network_card: int = 0
    total: int = 0
    assigned: int = 0
    cooling: int = 0
    prefixes: int = 0
    free_prefixes: int = 0
    waiting: int = 0  # pods that were refused and wait; only better rules use it
    peak_in_use: int = 0  # most in use within the release delay; only better rules use it

    @classmethod
    def of(
        cls,
        stats: Counts,
        *,
        settings: Settings,
        slots: int,
        max_pods: int,
        prefix_mode: bool = False,
        network_card: int = 0,
        waiting: int = 0,
        peak_in_use: int = 0,
    ) -> PoolView:
        """Return the view of a pool's counts."""
        return cls(
            settings=settings,
            slots=slots,
            max_pods=max_pods,
            prefix_mode=prefix_mode,
            network_card=network_card,
            total=stats.total,
            assigned=stats.assigned,
            cooling=stats.cooling,
            prefixes=stats.prefixes,
            free_prefixes=stats.free_prefixes,
            waiting=waiting,
            peak_in_use=peak_in_use,
        )

    def losing(self, total: int, prefixes: int, free_prefixes: int) -> PoolView:
        """Return the view with this number of addresses and prefixes less."""
        return replace(
            self,
            total=self.total - total,
            prefixes=self.prefixes - prefixes,
            free_prefixes=self.free_prefixes - free_prefixes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rules decide for a view, with the terms of the decision.

    `short` and `over` are addresses, or prefixes in prefix mode (on a card above 0 `over` is
    always addresses); both are 0 without IP targets. `want` is what a growing step asks for on
    attached ENIs, `want_new_eni` on a new one, `want_addresses` secondary IPs instead of
    prefixes in prefix mode; `give_back` is what a shrinking step may give back; the three are
    in addresses, or prefixes in prefix mode. `to_spare` addresses could be given back without
    making the pool low; `kept` are those of the release delay. `enis_to_spare` says that the
    counts allow freeing an ENI.
    """

    view: PoolView
    targets_defined: bool
    warm_ip: int
    minimum_ip: int
    warm: int  # WARM_PREFIX_TARGET in prefix mode, else WARM_ENI_TARGET
    available: int
    short: int
    over: int
    low: bool
    high: bool
    why: int  # of `low`: the terms that decided it, by their place in `low_reason`
    want: int
    want_new_eni: int
    want_addresses: int
    give_back: int
    to_spare: int
    kept: int
    enis_to_spare: bool

    @property
    def low_reason(self) -> str:
        """The terms that decided `low`, with their numbers."""
        view = self.view
        size = ADDRESSES_PER_PREFIX if view.prefix_mode else view.slots
        return (
            f"total {view.total} >= max_pods {view.max_pods}",
            f"short {self.short}",
            f"warm target 0 and available {self.available}",
            f"available {self.available}, warm {self.warm} x {size} = {size * self.warm}",
            "more pods wait than addresses are free",
        )[self.why]

    def growth_rule(self) -> tuple[str, ...]:
        """Return the rule that decides growth with this case's numbers in it, line by line.

        The last line is its outcome. The settings are named as operators know them.
        """
        view = self.view
        if view.total >= view.max_pods:
            return (f"total {view.total} >= max_pods {view.max_pods}", "the pool stops growing")
        terms: tuple[str, ...]
        if self.targets_defined:
            of_warm = self.warm_ip - self.available
            of_minimum = self.minimum_ip - view.total
            terms = (
                f"short = max(WARM_IP_TARGET {self.warm_ip} - available {self.available},",
                f"            MINIMUM_IP_TARGET {self.minimum_ip} - total {view.total}, 0)",
                f"      = max({of_warm}, {of_minimum}, 0) = {max(of_warm, of_minimum, 0)}",
            )
        else:
            name = "WARM_PREFIX_TARGET" if view.prefix_mode else "WARM_ENI_TARGET"
            size = ADDRESSES_PER_PREFIX if view.prefix_mode else view.slots
            if self.warm == 0:
                terms = (f"{name} 0: low only when available, {self.available}, is 0",)
            else:
                enough = f"{name} {self.warm} x {size} addresses = {self.warm * size}"
                terms = (f"low when available {self.available} < {enough}",)
        return (*terms, "the pool grows" if self.low else "the pool does not grow")


def decide(view: PoolView, policy: Policy = VPC_CNI) -> Decision:
    """Apply the target rules to a view.

    The arithmetic is in `_rules.pxd`, where a simulation applies it without Python; a target
    above 2^50 counts as that. Cost: about ten times that of a Python call that returns a constant
    (2 us where that takes 0.2), nearly all of it the `Decision`. Source: pool-rules section 4;
    the better rules that a policy may turn on, section 8.
    """
    (
        why, targets_defined, _, _, _, available, short, over, low, high, want, want_new_eni,
        want_addresses, give_back, to_spare, kept, enis_to_spare,
    ) = terms_of(view, policy)  # fmt: skip
    settings, default_card = view.settings, view.network_card == 0
    warm = settings.warm_prefix_target if view.prefix_mode else settings.warm_eni_target
    return Decision(
        view=view,
        targets_defined=targets_defined,
        warm_ip=settings.warm_ip_target if default_card else 1,
        minimum_ip=settings.minimum_ip_target if default_card else 1,
        warm=warm,
        available=available,
        short=short,
        over=over,
        low=low,
        high=high,
        why=why,
        want=want,
        want_new_eni=want_new_eni,
        want_addresses=want_addresses,
        give_back=give_back,
        to_spare=to_spare,
        kept=kept,
        enis_to_spare=enis_to_spare,
    )


class Decider:
    """The rules for one kind of node, with the decisions for counts seen before.

    A node's counts often repeat, and `decide` is pure: the second time costs a look-up.
    `decider` gives nodes of one kind the same one.
    """

    _MOST_KEPT = 4096

    def __init__(
        self, settings: Settings, slots: int, max_pods: int, prefix_mode: bool, policy: Policy
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._max_pods = max_pods
        self._prefix_mode = prefix_mode
        self._policy = policy
        self._kept: dict[tuple[int, ...], Decision] = {}

    def decide(
        self,
        stats: Counts,
        network_card: int,
        waiting: int,
        peak_in_use: int,
        n_dropped_prefixes: int = 0,
    ) -> Decision:
        """Return `decide` of a store's statistics. Cost: constant.

        `n_dropped_prefixes` left the store and still count (pool-rules section 9, "Excluded
        ENIs").
        """
        counts = (
            stats.total,
            stats.assigned,
            stats.cooling,
            stats.prefixes + n_dropped_prefixes,
            stats.free_prefixes,
            network_card,
            waiting,
            peak_in_use,
        )
        decision = self._kept.get(counts)
        if decision is None:
            if len(self._kept) == self._MOST_KEPT:
                self._kept.clear()
            view = PoolView.of(
                stats,
                settings=self._settings,
                slots=self._slots,
                max_pods=self._max_pods,
                prefix_mode=self._prefix_mode,
                network_card=network_card,
                waiting=waiting,
                peak_in_use=peak_in_use,
            ).losing(0, -n_dropped_prefixes, 0)
            decision = self._kept[counts] = decide(view, self._policy)
        return decision


@lru_cache(maxsize=64)
def decider(
    settings: Settings, slots: int, max_pods: int, prefix_mode: bool, policy: Policy
) -> Decider:
    """Return the `Decider` of a kind of node."""
    return Decider(settings, slots, max_pods, prefix_mode, policy)


def in_use_of(assigned: int, cooling: int, policy: Policy) -> int:
    """Return how many addresses no pod can have now, as the policy counts them."""
    return assigned if policy.cooling_is_available else assigned + cooling
