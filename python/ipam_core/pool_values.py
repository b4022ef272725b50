"""What the target rules take and give: a pool's counts, a view of it, a decision.

`pool.decide` makes the one of the other; a rule of one's own (`Policy.rule`) may too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ipam_core._dataclass import dataclass
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from ipam_core.settings import Settings


_PODS_WAIT = 4
"""The place in `low_reason` of a policy's rule that a pool grows for the pods that wait."""


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
    now_ns: int = 0  # the node's clock; only rules with a memory get it (`Policy.memory_s`)
    recent_in_use: tuple[int, ...] = ()
    """Addresses in use at each pool check of the policy's memory, the newest last."""

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
        now_ns: int = 0,
        recent_in_use: tuple[int, ...] = (),
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
            now_ns=now_ns,
            recent_in_use=recent_in_use,
        )

    @property
    def available(self) -> int:
        """The agent's count "available": total - assigned, so cooling ones too."""
        return self.total - self.assigned

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
        if self.low and self.why == _PODS_WAIT:
            terms += (f"{self.low_reason}: {view.waiting} wait, {self.available} are free",)
        return (*terms, "the pool grows" if self.low else "the pool does not grow")

    def shrink_rule(self) -> tuple[str, ...]:
        """Return what the rules let the pool give back, with this case's numbers, line by line.

        The last line is its outcome; the agent gives back at intervals of more than 30 s.
        """
        view = self.view
        kind = "prefixes" if view.prefix_mode and view.network_card == 0 else "addresses"
        terms: tuple[str, ...]
        if self.targets_defined:
            terms = (
                f"over {self.over} {kind}, beyond WARM_IP_TARGET {self.warm_ip}",
                f"and MINIMUM_IP_TARGET {self.minimum_ip}",
            )
        elif view.prefix_mode:
            terms = (f"free prefixes {view.free_prefixes}, WARM_PREFIX_TARGET {self.warm}",)
        else:
            terms = ("without IP targets single addresses are kept",)
        if self.kept:
            terms += (f"{self.kept} more were in use recently: they are kept",)
        outcome = f"gives back up to {self.give_back} {kind}" if self.high else "gives nothing back"
        return (*terms, f"the pool {outcome}")
