"""An idle node: when its next pool check could do something, and its state after those before.

After a pool check that did nothing, the next ones do nothing either, until a pod comes or goes
or `until_ns` has passed. After a reconcile that found nothing, the next ones find nothing
until the node changes something. So a simulator can leave them out: it asks when the next one
matters, and then brings the node into the state as if they had run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.node import shrink
from ipam_core.node.timers import LOOK_INTERVAL_S, RECONCILE_INTERVAL_S
from ipam_core.units import NS

if TYPE_CHECKING:
    from ipam_core.node.state import NodeState

PERIOD_NS = round(LOOK_INTERVAL_S * NS)
HALF_NS = PERIOD_NS // 2
RECONCILE_PERIOD_NS = -(-(RECONCILE_INTERVAL_S * NS + 1) // PERIOD_NS) * PERIOD_NS
"""An idle node reconciles every 65 s: at the first chance after more than 60."""


def would_idle(node: NodeState) -> bool:
    """Return whether a pool check now would do nothing, at a fraction of its cost.

    False may be wrong: then only the check itself gives the answer. It notes what a check
    notes.
    """
    if not node.changes_pool:
        return True
    now_ns = node.clock_ns()
    node.note_in_use(now_ns)
    if node.emptied:
        return False
    for card in node.cards:
        decision = node.decide(card)
        if decision.low or (decision.high and node.timers.may_shrink(now_ns)):
            return False
        if (
            node.falls_back
            and node.timers.may_shrink(now_ns)
            and shrink.secondary_ips_to_spare(node, card)
        ):
            return False
        if shrink.may_spare_eni(node, card, decision) and shrink.has_freeable_eni(node, card):
            return False
    return True


def may_act_at_reconcile(node: NodeState) -> bool:
    """Return whether a reconcile now may do anything. True may be wrong. Cost: constant."""
    return bool(node.emptied or node.to_forget) or node.may_reconcile(node.clock_ns())


def idles_until_pods_change(node: NodeState) -> bool:
    """Return whether pool checks do nothing, at any time, until a pod comes or goes.

    False may be wrong. Cost: that of a look-up for each card.
    """
    if not node.changes_pool:
        return True
    policy = node.policy
    if node.falls_back or policy.release_delay_s or policy.sees_cooling or policy.sees_time:
        return False
    if node.emptied or (policy.sees_waiting and node.waiting):  # this may end
        return False
    for card in node.cards:
        decision = node.decide(card)
        if decision.low or decision.high or shrink.may_spare_eni(node, card, decision):
            return False
    return True


def until_ns(node: NodeState, *, reconciles: bool = False) -> int | None:
    """Return when a pool check may do more than the last one, which did nothing; None: never.

    `reconciles`: a reconcile may find something, so that the check before the next one counts
    too. The answer is valid as long as no pod comes or goes and nothing else changes the node:
    time alone changes nothing before then. Cost: O(network cards).
    """
    now_ns = node.clock_ns()
    if node.policy.sees_time:
        return now_ns
    due_ns = [node.timers.next_ns(now_ns)]
    if node.emptied:
        due_ns.append(node.emptied[0].due_ns)
    if node.policy.sees_waiting:
        due_ns.append(node.waiting.ends_ns())
    for card, store in enumerate(node.stores):
        # For the agent, cooling decides only whether an ENI may be freed.
        if node.policy.sees_cooling or shrink.may_spare_eni(node, card, node.decide(card)):
            due_ns.append(store.next_cool_ns(now_ns))
    if reconciles:
        changed_ns = node.timers.changed_ns
        reconcile_ns = now_ns if changed_ns is None else _reconcile_due_ns(changed_ns)
        due_ns.append(reconcile_ns - HALF_NS)
    return min((each_ns for each_ns in due_ns if each_ns is not None), default=None)


def catch_up(node: NodeState, checked_ns: int, next_ns: int, *, reconciles: bool = False) -> int:
    """Leave a node as the pool checks after `checked_ns` and before `next_ns` would have.

    These are the times of two checks, an integer number of periods apart; those between are
    left out. Each of them would have noted what is in use and freed what had cooled by then.
    Unless `reconciles`, the reconciles between found nothing. Return the time of the last
    check left out, `checked_ns` without one.
    """
    last_ns = next_ns - PERIOD_NS
    if last_ns <= checked_ns:
        return checked_ns
    node.note_in_use(last_ns)
    for store in node.stores:
        store.stats(last_ns)
    changed_ns = node.timers.changed_ns
    if not reconciles and changed_ns is not None:
        first_ns = tick_ns(checked_ns + HALF_NS, _reconcile_due_ns(changed_ns))
        n_more = (last_ns + HALF_NS - first_ns) // RECONCILE_PERIOD_NS
        if n_more >= 0:
            node.note_change(first_ns + n_more * RECONCILE_PERIOD_NS)
    return last_ns


def tick_ns(from_ns: int, least_ns: int) -> int:
    """Return the first time at or after `least_ns` that is n periods after `from_ns`."""
    return from_ns + max(-(-(least_ns - from_ns) // PERIOD_NS), 0) * PERIOD_NS


def _reconcile_due_ns(changed_ns: int) -> int:
    return changed_ns + RECONCILE_INTERVAL_S * NS + 1
