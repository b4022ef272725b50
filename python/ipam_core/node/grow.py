"""Grow a card's pool by one step: addresses on an attached ENI, or one new ENI.

Source: pool-rules section 5.1; pkg/ipamd/ipamd.go (increaseDatastorePool,
tryAssignIPs, tryAssignPrefixes, tryAllocateENI) and pkg/awsutils/awsutils.go
(AllocENI, createENI, WaitForENIAndIPsAttached).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import (
    AssignPrefixes,
    AssignPrivateIps,
    AttachEni,
    CreateEni,
    DeleteWithInstance,
    DescribeEnis,
    FindFreeDevice,
    ReadEniConfig,
)
from ipam_core.errors import AddressLimitError, CloudError, UnreachableError
from ipam_core.node import attach, subnets
from ipam_core.node.shrink import delete_eni, detach_and_delete, may_change_enis
from ipam_core.node.tries import SEE_IN_METADATA

if TYPE_CHECKING:
    from ipam_core.effects import AttachedEni, EniConfig, Step
    from ipam_core.node.state import NodeState


def grow(node: NodeState, card: int) -> Step[None]:
    """Grow a card's pool by one step.

    Raises the `CloudError` of AssignPrivateIpAddresses that ended the step, unless it means
    that the subnet is full: that starts the pause. An ENI that cannot be created or attached
    raises nothing.
    """
    if not (yield from may_change_enis(node)) or node.pausing():
        return
    try:
        grew = yield from _grow_attached(node, card)
    except CloudError as error:
        if not node.says_subnet_full(error):
            raise
        node.note_failure(error)
        node.note_full()
        return
    if not grew and node.has_room_for_eni(card):
        try:
            yield from add_eni(node, card)
        except CloudError as error:
            node.note_failure(error)
            return
        grew = True
    if grew:
        node.note_change()


def _grow_attached(node: NodeState, card: int) -> Step[bool]:
    """Ask for addresses on the first attached ENI that has room; return whether one grew."""
    store = node.stores[card]
    want = node.decide(card).want
    if want == 0:
        return False
    growable = {
        eni_id
        for eni_id in store.growable_enis(node.slots)
        if not (eni := store.eni(eni_id)).trunk
        and not (eni.primary and node.settings.custom_networking)
    }
    if not growable:  # a check that changes nothing draws no random number: it may be left out
        return False
    for eni_id in [eni_id for eni_id in store.turns() if eni_id in growable]:
        n_slots = node.slots - store.eni_stats(eni_id, node.clock_ns()).slots_used
        try:
            addresses, prefixes = yield from _assign(node, card, eni_id, n_slots)
        except AddressLimitError:
            # The store is out of step with EC2: take over what the ENI really holds.
            (truth,) = yield DescribeEnis((eni_id,))
            addresses = () if node.prefix_mode and not node.falls_back else truth.addresses
            prefixes = truth.prefixes if node.prefix_mode else ()
        except CloudError as error:
            if node.settings.enable_subnet_discovery and node.says_subnet_full(error):
                continue
            raise
        if eni_id in store:  # it may be gone since the call to EC2
            attach.add_cidrs(node, store, eni_id, addresses, prefixes)
        return True
    return False


def _assign(
    node: NodeState, card: int, eni_id: str, n_slots: int
) -> Step[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Ask for what the card wants on one ENI; return (addresses, prefixes).

    Under `fallback_to_addresses` secondary IPs are asked for where there is no /28.
    """
    want = min(n_slots, node.decide(card).want)
    if not node.prefix_mode:
        return (yield from _assign_or_one(AssignPrivateIps, eni_id, want)), ()
    if not node.lacks_prefixes():
        try:
            return (), (yield from _assign_or_one(AssignPrefixes, eni_id, want))
        except CloudError as error:
            if not node.notes_lack_of_prefixes(error):
                raise
    want = min(n_slots, node.decide(card).want_addresses)
    return (yield from _assign_or_one(AssignPrivateIps, eni_id, want)), ()


def _assign_or_one(
    ask: type[AssignPrivateIps | AssignPrefixes], eni_id: str, count: int
) -> Step[tuple[str, ...]]:
    """Ask for `count`; if that fails, ask once more for 1, even if it was 1."""
    cidrs: tuple[str, ...]
    try:
        cidrs = yield ask(eni_id, count)
    except AddressLimitError:
        raise
    except CloudError:
        cidrs = yield ask(eni_id, 1)
    return cidrs


def add_eni(node: NodeState, card: int) -> Step[None]:
    """Create, attach and take over one ENI; undo what was done where a later call fails.

    Raises the `CloudError` of the call that failed. If the subnet was full for creating or
    attaching, the pause starts first.
    """
    config: EniConfig | None = None
    if node.settings.custom_networking:
        config = yield ReadEniConfig()
    if node.mode != "ipv6" and node.decide(card).want_new_eni == 0:
        return
    try:
        eni_id, n_addresses, n_prefixes = yield from _create_and_attach(node, card, config)
    except CloudError as error:
        if node.says_subnet_full(error):
            node.note_full()
        raise
    attached = yield from _wait_for_metadata(node, card, eni_id, n_addresses, n_prefixes)
    yield from attach.set_up(node, attached)


def _create_and_attach(
    node: NodeState, card: int, config: EniConfig | None
) -> Step[tuple[str, int, int]]:
    """Create and attach an ENI; return its id and the addresses and prefixes asked for."""
    eni_id, n_addresses, n_prefixes = yield from _create(node, card, config)
    try:
        device_number = yield FindFreeDevice(card)
        attachment_id = yield AttachEni(eni_id, device_number, card)
    except CloudError:
        yield from delete_eni(node, eni_id)
        raise
    try:
        yield DeleteWithInstance(eni_id, attachment_id)
    except CloudError:
        yield from detach_and_delete(node, eni_id)
        raise
    return eni_id, n_addresses, n_prefixes


def _create(node: NodeState, card: int, config: EniConfig | None) -> Step[tuple[str, int, int]]:
    """Create an ENI in the first subnet that takes it, with prefixes if there may be any."""
    subnet_ids = [config.subnet_id] if config else (yield from subnets.of_new_eni(node))
    groups = config.security_groups if config else ()
    decision = node.decide(card)
    asks = [(0, decision.want_new_eni)] if node.prefix_mode else [(decision.want_new_eni, 0)]
    if node.mode == "ipv6":
        asks = [(0, 0)]
    if node.falls_back:
        asks.append((min(decision.want_addresses, node.slots), 0))
        if node.lacks_prefixes():
            del asks[0]
    refusal: CloudError | None = None
    for n_addresses, n_prefixes in asks:
        for subnet_id in subnet_ids:
            try:
                eni_id: str = yield CreateEni(
                    subnet_id=subnet_id,
                    security_groups=groups,
                    n_addresses=n_addresses,
                    n_prefixes=n_prefixes,
                    ipv6=node.mode == "ipv6",
                )
            except CloudError as error:
                refusal = error
                continue
            return eni_id, n_addresses, n_prefixes
        if refusal is not None and not node.notes_lack_of_prefixes(refusal):
            break
    assert refusal is not None  # there is a subnet, and something to ask for
    raise refusal


def _wait_for_metadata(
    node: NodeState, card: int, eni_id: str, n_addresses: int, n_prefixes: int
) -> Step[AttachedEni]:
    """Wait until metadata shows the ENI on its card with its addresses; return what it shows.

    After the last try an ENI that shows some secondary IPs, or more than one prefix, is
    accepted as it is. Otherwise raises `UnreachableError`. The ENI stays attached, and a
    reconcile finds it.
    """
    seen: AttachedEni | None = None
    n_seen = 0
    for n_failed in range(SEE_IN_METADATA.most):
        if n_failed:
            yield from SEE_IN_METADATA.wait(node, n_failed)
        try:
            attached = yield from attach.read_attached(node)
        except CloudError:
            continue
        here = (eni for eni in attached if (eni.eni_id, eni.network_card) == (eni_id, card))
        seen = next(here, seen)
        if seen is not None:
            n_seen = len(seen.prefixes if n_prefixes else seen.addresses)
            if node.mode == "ipv6" or n_seen >= max(n_addresses, n_prefixes, 1):
                return seen
    if seen is not None and n_seen > (1 if n_prefixes else 0):
        return seen
    raise UnreachableError("instance metadata", "NotAttached", f"ENI {eni_id!r} does not appear")
