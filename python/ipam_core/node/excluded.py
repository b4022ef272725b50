"""ENIs whose subnet is tagged for no pods: what happens to the addresses that they hold.

Source: pkg/ipamd/ipamd.go (checkAndHandleAllENIExclusion, cleanupExcludedENI) and
pkg/ipamd/datastore/data_store.go (UnassignPodIPAddress, deallocateEmptyCIDR); pool-rules
section 9, "Excluded ENIs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.errors import IpamError, UnknownEniError
from ipam_core.node import shrink
from ipam_core.node.state import Emptied
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import Assignment, DataStore
    from ipam_core.effects import Step
    from ipam_core.node.state import NodeState

EMPTY_FOR_NS = 5 * NS
"""What the last pod left is dropped from the store after this long."""


def clean_up(node: NodeState) -> Step[None]:
    """Give back what excluded ENIs of card 0 hold of the mode's kind without pods.

    Only of card 0: the agent looks for each of them there.
    """
    for eni_id in node.store.turns(copied=True):
        if eni_id in node.store and node.store.eni(eni_id).excluded:
            if node.prefix_mode:
                yield from shrink.give_back_prefixes(node, node.store, eni_id)
            else:
                yield from shrink.give_back_addresses(node, node.store, eni_id)


def note_released(node: NodeState, released: Iterable[Assignment]) -> None:
    """Note what pods left empty on excluded ENIs."""
    due_ns = node.clock_ns() + EMPTY_FOR_NS
    for assignment in released:
        eni_id, cidr = assignment.eni_id, assignment.prefix or assignment.address
        for card, store in enumerate(node.stores):
            try:
                if store.eni(eni_id).excluded and cidr in _without_pods(store, eni_id):
                    node.emptied.append(Emptied(due_ns, card, eni_id, cidr))
            except UnknownEniError:  # it is on another card, or a step has just removed it
                continue


def _without_pods(store: DataStore, eni_id: str) -> list[str]:
    return store.freeable_prefixes(eni_id) + store.freeable_addresses(eni_id)


def drop_emptied(node: NodeState) -> None:
    """Drop from the stores what stayed empty long enough; EC2 is not called.

    A reconcile takes it over again. The agent's counter of prefixes still counts it.
    """
    now_ns = node.clock_ns()
    while node.emptied and node.emptied[0].due_ns <= now_ns:
        _, card, eni_id, cidr = node.emptied.popleft()
        store = node.stores[card]
        if eni_id not in store or not store.eni(eni_id).excluded:
            continue
        try:
            if shrink.is_prefix(cidr):
                store.remove_prefix(eni_id, cidr)
                node.n_dropped_prefixes[card] += 1
            else:
                store.remove_address(eni_id, cidr)
        except IpamError:
            continue  # a pod has it again, or it is gone


def give_back_emptied(node: NodeState) -> Step[None]:
    """Give back to EC2 what pods left empty, at once (rule `give_back_excluded`)."""
    while node.emptied:
        _, card, eni_id, cidr = node.emptied.popleft()
        if eni_id in (store := node.stores[card]):
            yield from shrink.give_back_cidr(node, store, eni_id, cidr)
