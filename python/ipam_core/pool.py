"""The target rules: from a pool's counts and settings to the agent's decision.

Pure: no time, no I/O, no randomness. The arithmetic of pool-rules sections 1 and 4
(docs/rules.md) is written in one place, `src/ipam_core/_rules.pxd`, in C, so that a simulation
applies it millions of times a second. `decide` is its face: a view goes in, a decision with its
terms and its reason comes out.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of
from ipam_core._rules import terms_of
from ipam_core.policy import VPC_CNI
from ipam_core.pool_values import Counts, Decision, PoolView

if TYPE_CHECKING:
    from ipam_core.policy import Policy
    from ipam_core.settings import Settings
    from ipam_core.settled import Climb, Settled, SettledNodes, climb, settled, settled_many

__all__ = [
    "Climb",
    "Counts",
    "Decider",
    "Decision",
    "PoolView",
    "Settled",
    "SettledNodes",
    "aim",
    "climb",
    "decide",
    "decider",
    "in_use_of",
    "settled",
    "settled_many",
]

__getattr__: Load = loader_of(
    __name__,
    {"settled": ("Climb", "Settled", "SettledNodes", "climb", "settled", "settled_many")},
    package="ipam_core",
)


def decide(view: PoolView, policy: Policy = VPC_CNI) -> Decision:
    """Apply the target rules to a view, or the policy's own rule.

    The arithmetic is in `_rules.pxd`, where a simulation applies it without Python; a target
    above 2^50 counts as that. Cost: about ten times that of a Python call that returns a constant
    (2 us where that takes 0.2), nearly all of it the `Decision`. Source: pool-rules section 4;
    the better rules that a policy may turn on, section 8.

    Raises `TypeError` or `ValueError` if the policy's own rule returns what is no decision.
    """
    if policy.rule is not None:
        return checked(policy, policy.rule(view))
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


def aim(view: PoolView, *, warm_ip: int, minimum_ip: int = 0, policy: Policy = VPC_CNI) -> Decision:
    """Decide as with these IP targets instead of the settings' own: for rules of one's own.

    `policy` has the switches of the arithmetic; its own rule, if any, is not asked. Under both
    targets 0 the warm ENI or prefix target counts again, as ever. Cost: as `decide`. Raises
    `ValueError` for a target below 0. Source: pool-rules section 4.
    """
    if warm_ip < 0 or minimum_ip < 0:
        raise ValueError(f"warm_ip {warm_ip}, minimum_ip {minimum_ip}: at least 0")
    settings = replace(view.settings, warm_ip_target=warm_ip, minimum_ip_target=minimum_ip)
    switches = policy if policy.rule is None else replace(policy, rule=None)
    return replace(decide(replace(view, settings=settings), switches), view=view)


def checked(policy: Policy, decision: object) -> Decision:
    """Return what a policy's own rule returned, if a node can act on it."""
    if not isinstance(decision, Decision):
        raise TypeError(f"the rule of policy {policy.name!r} returned {decision!r}, no Decision")
    amounts = ("want", "want_new_eni", "want_addresses", "give_back", "to_spare", "kept",
               "warm_ip", "minimum_ip")  # fmt: skip
    for name in amounts:
        if getattr(decision, name) < 0:
            raise ValueError(
                f"the rule of policy {policy.name!r}: {name} {getattr(decision, name)}, at least 0"
            )
    return decision


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
        memory: tuple[int, tuple[int, ...]] | None = None,
    ) -> Decision:
        """Return `decide` of a store's statistics. Cost: constant.

        `n_dropped_prefixes` left the store and still count (pool-rules section 9, "Excluded
        ENIs"). `memory` is the time and the recent counts, for a policy that has one.
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
        decision = self._kept.get(counts) if memory is None else None
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
                now_ns=0 if memory is None else memory[0],
                recent_in_use=() if memory is None else memory[1],
            )
            if n_dropped_prefixes:
                view = view.losing(0, -n_dropped_prefixes, 0)
            decision = decide(view, self._policy)
            if memory is None:
                self._kept[counts] = decision
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
