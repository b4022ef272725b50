"""Give addresses back, and free ENIs.

Source: pool-rules section 5.2 and 5.3; pkg/ipamd/ipamd.go (tryUnassignCidrsFromAll,
tryFreeENI, tryUnassignPrefixFromENI) and pkg/awsutils/awsutils.go (FreeENI).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import (
    DeleteEni,
    DescribeEnis,
    DetachEni,
    Effect,
    ReadUnschedulable,
    Sleep,
    UnassignPrefixes,
    UnassignPrivateIps,
)
from ipam_core.errors import (
    AddressInUseError,
    CloudError,
    IpamError,
    NotFoundError,
    UnknownAddressError,
)
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.node import host
from ipam_core.node.timers import YOUNGEST_FREED_S
from ipam_core.node.tries import DELETE, DETACH, persist
from ipam_core.pool import decide

if TYPE_CHECKING:
    from ipam_core._store import DataStore
    from ipam_core.effects import Step
    from ipam_core.node.state import NodeState
    from ipam_core.pool import Decision

_BEYOND_ANY_POOL = 1 << 32
"""More than any pool holds: a target above it, up to the agent's 64 bits, has the same effect."""
AFTER_DETACH_S = 2.0
"""EC2 needs some time to detach; deleting waits for it."""


def may_change_enis(node: NodeState) -> Step[bool]:
    """Return whether the node may grow or free an ENI: neither terminating nor cordoned.

    A node whose taints cannot be read counts as schedulable (isNodeNonSchedulable).
    """
    if node.terminating:
        return False
    if node.settings.manage_enis_non_schedulable:
        return True
    try:
        return not (yield ReadUnschedulable())
    except IpamError as error:
        node.note_failure(error)
        return True


def give_back(node: NodeState, card: int) -> Step[None]:
    """Give back what is over the targets, ENI by ENI, with one budget for the card.

    Addresses are removed from the store first; if EC2 then refuses, a reconcile finds them later.
    """
    store = node.stores[card]
    budget = node.decide(card).give_back
    if budget <= 0:  # a check that changes nothing draws no random number: it may be left out
        return
    for eni_id in store.turns(copied=True):
        if budget <= 0:
            return
        if eni_id not in store:  # it was removed during the call to EC2
            continue
        freeable = store.freeable_cidrs(
            eni_id, cooling=node.policy.cooling_is_available, now_ns=node.clock_ns()
        )
        if node.falls_back:  # `give_back_secondary_ips` gives the others back
            freeable = [cidr for cidr in freeable if is_prefix(cidr)]
        budget -= yield from _hand_over(
            node,
            store,
            eni_id,
            prefixes=[cidr for cidr in freeable[:budget] if is_prefix(cidr)],
            addresses=[cidr for cidr in freeable[:budget] if not is_prefix(cidr)],
            noted=True,
        )


def is_prefix(cidr: str) -> bool:
    """Return whether a CIDR as the store writes it is a /28, not a secondary IP."""
    return "/" in cidr


def secondary_ips_to_spare(node: NodeState, card: int) -> list[tuple[str, list[str]]]:
    """Return the secondary IPs that the pool does not need, by ENI, on a node that falls back.

    They were taken because there was no free /28 (rule `fallback_to_addresses`). When prefixes
    hold enough addresses they are given back, so that their slots can hold prefixes again.
    """
    decision, store, now_ns = node.decide(card), node.stores[card], node.clock_ns()
    n_left = decision.to_spare
    if n_left == 0 or decision.view.total <= ADDRESSES_PER_PREFIX * decision.view.prefixes:
        return []
    found = []
    for eni in reversed(store.enis()):
        addresses = store.freeable_addresses(eni.eni_id, cooling=False, now_ns=now_ns)[:n_left]
        if addresses:
            found.append((eni.eni_id, addresses))
            n_left -= len(addresses)
    return found


def give_back_secondary_ips(node: NodeState, card: int) -> Step[bool]:
    """Give back secondary IPs that the pool does not need; return whether there were any."""
    spare = secondary_ips_to_spare(node, card)
    for eni_id, addresses in spare:
        yield from _hand_over(node, node.stores[card], eni_id, addresses=addresses, noted=True)
    return bool(spare)


def give_back_prefixes(node: NodeState, store: DataStore, eni_id: str) -> Step[None]:
    """Give back every prefix of an ENI that no pod uses."""
    yield from _hand_over(node, store, eni_id, prefixes=store.freeable_prefixes(eni_id))


def give_back_addresses(node: NodeState, store: DataStore, eni_id: str) -> Step[None]:
    """Give back every secondary IP of an ENI that no pod uses."""
    yield from _hand_over(node, store, eni_id, addresses=store.freeable_addresses(eni_id))


def _hand_over(
    node: NodeState,
    store: DataStore,
    eni_id: str,
    *,
    prefixes: list[str] | None = None,
    addresses: list[str] | None = None,
    noted: bool = False,
) -> Step[int]:
    """Take CIDRs out of the store, then ask EC2 to unassign them; return how many.

    `noted`: a reconcile must not take them over again for some time. Only a shrink sets it:
    anything else that EC2 refused to take back is taken over by the next reconcile.
    """
    now_ns = node.clock_ns()
    gone: tuple[list[str], list[str]] = ([], [])
    for kind, cidrs, remove in (
        (0, prefixes or [], store.remove_prefix),
        (1, addresses or [], store.remove_address),
    ):
        for cidr in cidrs:
            try:
                remove(eni_id, cidr)
            except (AddressInUseError, UnknownAddressError):
                continue  # a pod took it, or it was removed, since the list was made
            gone[kind].append(cidr)
            if noted:
                node.timers.note_given_back(cidr, now_ns)
    asks: list[Effect] = []
    if gone[0]:
        asks.append(UnassignPrefixes(eni_id, tuple(gone[0])))
    if gone[1]:
        asks.append(UnassignPrivateIps(eni_id, tuple(gone[1])))
    for ask in asks:
        try:
            yield ask
        except CloudError as error:
            node.note_failure(error)
    return len(gone[0]) + len(gone[1])


def give_back_cidr(node: NodeState, store: DataStore, eni_id: str, cidr: str) -> Step[None]:
    """Give one address or prefix back, if no pod uses it."""
    if is_prefix(cidr):
        yield from _hand_over(node, store, eni_id, prefixes=[cidr])
    else:
        yield from _hand_over(node, store, eni_id, addresses=[cidr])


def has_idle_eni(store: DataStore, now_ns: int) -> bool:
    """Return whether some ENI might be freed, as far as its pods allow."""
    return any(
        not (eni.primary or eni.trunk or eni.efa)
        and store.eni_stats(eni.eni_id, now_ns).assigned_any == 0
        for eni in store.enis()
    )


def may_spare_eni(node: NodeState, card: int, decision: Decision) -> bool:
    """Return whether a pool check tries to free an ENI of a card."""
    return decision.enis_to_spare or (
        node.prefix_mode and has_idle_eni(node.stores[card], node.clock_ns())
    )


def free_one_eni(node: NodeState, card: int) -> Step[None]:
    """Free at most one ENI that the targets do not need; never on a cordoned node."""
    if not (yield from may_change_enis(node)):
        return
    eni_id = _freeable(node, card)
    if eni_id is not None:
        yield from _free(node, card, eni_id)


def has_freeable_eni(node: NodeState, card: int) -> bool:
    """Return whether an ENI would be freed now, were the node not cordoned."""
    return _freeable(node, card) is not None


def _freeable(node: NodeState, card: int) -> str | None:
    """Return an ENI that the targets do not need, and whose loss would not make the pool low."""
    decision = node.decide(card)
    eni_id = _find_freeable(node, card, decision.warm_ip + decision.kept, decision.minimum_ip)
    if eni_id is not None and node.policy.release_delay_s and _is_missed(node, card, eni_id):
        return None
    return eni_id


def free_under(node: NodeState, card: int, warm_ip: int, minimum_ip: int) -> Step[str | None]:
    """Free one ENI under these targets; return its id, or None if none can go."""
    eni_id = _find_freeable(node, card, warm_ip, minimum_ip)
    if eni_id is not None:
        yield from _free(node, card, eni_id)
    return eni_id


def _find_freeable(node: NodeState, card: int, warm_ip: int, minimum_ip: int) -> str | None:
    answer = node.stores[card].find_freeable_eni(
        warm_ip=min(warm_ip, _BEYOND_ANY_POOL),
        minimum_ip=min(minimum_ip, _BEYOND_ANY_POOL),
        warm_prefix=min(node.settings.warm_prefix_target, _BEYOND_ANY_POOL)
        if node.prefix_mode
        else 0,
        min_age_s=YOUNGEST_FREED_S,
        now_ns=node.clock_ns(),
    )
    return answer.eni_id


def _free(node: NodeState, card: int, eni_id: str) -> Step[None]:
    """Take an ENI out of the store, then out of EC2."""
    node.stores[card].remove_eni(eni_id)
    try:
        yield from detach_and_delete(node, eni_id)
    except CloudError as error:
        node.note_failure(error)
        return
    yield from host.tear_down_gone(node)


def _is_missed(node: NodeState, card: int, eni_id: str) -> bool:
    """Return whether the pool would be low without an ENI, and get another at once."""
    held = node.stores[card].eni_stats(eni_id, node.clock_ns())
    total = 0 if held.eni.excluded else held.total
    view = node.decide(card).view.losing(total, held.prefixes, held.free_prefixes)
    return decide(view, node.policy).low


def detach_and_delete(node: NodeState, eni_id: str) -> Step[None]:
    """Detach and delete an ENI, each tried again with back-off; already gone is no error."""
    try:
        (description,) = yield DescribeEnis((eni_id,))
    except NotFoundError:
        return
    if description.attachment_id is not None:
        yield from persist(node, DetachEni(eni_id, description.attachment_id), DETACH)
        yield Sleep(AFTER_DETACH_S)
    yield from delete_eni(node, eni_id)


def delete_eni(node: NodeState, eni_id: str) -> Step[None]:
    """Delete a detached ENI, tried again with back-off; already gone is no error."""
    try:
        yield from persist(node, DeleteEni(eni_id), DELETE)
    except NotFoundError:
        return
    except CloudError as error:
        node.note_failure(error)  # it stays; the leak task deletes it
