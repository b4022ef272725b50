"""Start a node: take over what is attached, restore assignments, grow once.

Source: pool-rules section 5, "At start"; pkg/ipamd/ipamd.go (nodeInit,
handlePreScaling, isConfigValid, tryUnassignIPsFromENIs).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipam_core._store import Sandbox
from ipam_core.effects import ReadCheckpoint
from ipam_core.errors import CloudError, IpamError, UnknownAddressError
from ipam_core.node import attach, excluded, groups, grow, host, reconcile, shrink, subnets
from ipam_core.node.tries import SET_UP_AT_START
from ipam_core.node.unattached import Holder
from ipam_core.settings import problems

if TYPE_CHECKING:
    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, CheckpointEntry, Step
    from ipam_core.node.state import NodeState

logger: logging.Logger = logging.getLogger(__name__)

START_ADDRESS_TWICE = "Error while reading datastore: datastore: IP already in data store"
"""Why a start fails where its checkpoint has an address twice (ReadBackingStore)."""

START_CANNOT_GROW = "error while trying to increase datastore pool"
"""Why a start fails when AssignPrivateIpAddresses fails (handlePreScaling)."""

START_NO_ENI = "Failed to attach any ENIs for custom networking"
"""Why a start fails under custom networking with an empty pool (handlePreScaling)."""


class StartError(IpamError):
    """The node does not become ready; `message` is the agent's own, `detail` its object."""

    def __init__(self, message: str, cause: IpamError | None = None, detail: str = "") -> None:
        super().__init__(f"{message}: {detail}" if detail else message)
        self.message = message
        self.cause = cause


def start(node: NodeState) -> Step[None]:
    """Start a node whose stores are empty. Raises `StartError`."""
    if refused := problems(node.settings, nitro=node.nitro):
        raise StartError("; ".join(refused))
    try:
        yield from _take_over(node)
    except IpamError as error:
        raise StartError(f"ipamd init: {error}", error) from error
    yield from _restore(node)
    yield from host.set_up_pods(node)
    yield from excluded.clean_up(node)
    yield from _drain_other_mode(node)
    if node.settings.disable_network_resource_provisioning:
        return
    if node.follow_groups:  # before an ENI is attached, as upstream
        try:
            yield from groups.follow(node)
        except CloudError as error:
            node.note_failure(error)
    if node.mode == "ipv6":
        yield from _one_eni_a_card(node)
    else:
        yield from _grow_once(node)


def _take_over(node: NodeState) -> Step[None]:
    """Enter what is attached into the stores. Raises the `CloudError` that ends the start.

    An ENI whose set-up fails after all tries stays as it is: in the store, without addresses.
    """
    attached = yield from attach.read_attached(node)
    yield from host.set_up(node, attached)
    described = yield from attach.describe(node, attached)
    if described:  # an ENI that EC2 does not know is gone
        attached = tuple(eni for eni in attached if eni.eni_id in described)
    yield from attach.note_unmanaged(node, attached, described)
    node.manage_cards(attach.cards_with_a_store(node, attached, described))
    enis = attach.managed(node, attached)
    if node.mode == "ipv6" and node.settings.enable_subnet_discovery:
        enis = yield from _without_excluded(node, enis)
        if not enis:
            yield from grow.add_eni(node, 0)
    for eni in enis:
        yield from attach.tag_eni(node, eni, described)
        shown = described.get(eni.eni_id)
        yield from _set_up(node, eni, shown.interface_type if shown else "interface")


def _without_excluded(node: NodeState, enis: list[AttachedEni]) -> Step[list[AttachedEni]]:
    """Leave out ENIs whose subnet is excluded: in IPv6 mode they are not used."""
    left = []
    for eni in enis:
        if not (yield from subnets.is_excluded(node, eni.subnet_id)):
            left += [eni]
    return left


def _set_up(node: NodeState, eni: AttachedEni, kind: str) -> Step[None]:
    for n_failed in range(1, SET_UP_AT_START.most + 1):
        try:
            yield from attach.set_up(node, eni, kind)
        except CloudError as error:
            node.note_failure(error)
        else:
            return
        if n_failed < SET_UP_AT_START.most:
            yield from SET_UP_AT_START.wait(node, n_failed)
    logger.warning("gave up on ENI %s: %s", eni.eni_id, node.last_error)


def _restore(node: NodeState) -> Step[None]:
    """Take assignments over from the checkpoint.

    Those whose address is not attached are dropped with a warning, or under `keep_unattached`
    kept as unattached. Two entries for one address fail the start, even if they are of one
    sandbox; one sandbox may hold two addresses. Under `keep_cooldown` released addresses
    continue to cool.
    """
    try:
        entries: tuple[CheckpointEntry, ...] = yield ReadCheckpoint()
    except IpamError as error:
        raise StartError(f"checkpoint: {error}", error) from error
    now_ns = node.clock_ns()
    restored: set[str] = set()
    for entry in entries:
        if entry.released_ago_s is None and entry.address in restored:
            raise StartError(START_ADDRESS_TWICE, detail=entry.address)
        try:
            if any(_take_up(node, store, entry, now_ns) for store in node.served):
                restored.add(entry.address)
            else:
                _keep_or_drop(node, entry, now_ns)
        except IpamError as error:
            raise StartError(f"checkpoint: {error}") from error
    yield from reconcile.forget_pending(node)


def _take_up(node: NodeState, store: DataStore, entry: CheckpointEntry, now_ns: int) -> bool:
    """Put an entry into a store; return whether the store has its address."""
    try:
        if entry.released_ago_s is None:
            holder = _holder(entry, now_ns)
            store.adopt(holder.sandbox, entry.address, holder.pod, holder.assigned_ns, beside=True)
        elif node.policy.keep_cooldown:
            store.cool(entry.address, now_ns - round(entry.released_ago_s * 1e9))
    except UnknownAddressError:
        return False
    return True


def _keep_or_drop(node: NodeState, entry: CheckpointEntry, now_ns: int) -> None:
    """Do what the policy says with an entry whose address is not attached."""
    if entry.released_ago_s is not None:
        return
    holder = _holder(entry, now_ns)
    if node.policy.keep_unattached:
        node.unattached.keep(entry.address, holder)
        done = "kept"
    else:
        node.to_forget.append((entry.address, holder.sandbox))
        done = "dropped"
    logger.warning(
        "%s %s of %r, pod %s: not attached", done, entry.address, holder.sandbox, entry.pod
    )


def _holder(entry: CheckpointEntry, now_ns: int) -> Holder:
    sandbox = Sandbox(entry.container_id, entry.ifname, entry.network)
    return Holder(sandbox, entry.pod, now_ns - round(entry.assigned_ago_s * 1e9))


def _drain_other_mode(node: NodeState) -> Step[None]:
    """Give back the unused addresses of the mode that the node is not in."""
    for card in node.cards:
        store = node.stores[card]
        for eni_id in store.turns(copied=True):
            if node.prefix_mode and not node.falls_back:
                yield from shrink.give_back_addresses(node, store, eni_id)
            elif node.mode == "secondary-ip":
                yield from shrink.give_back_prefixes(node, store, eni_id)


def _one_eni_a_card(node: NodeState) -> Step[None]:
    """Create an ENI on each card above 0 that has none; try it once (IPv6 mode)."""
    if not (yield from shrink.may_change_enis(node)):
        return
    for card in node.cards:
        if card > 0 and not node.stores[card].enis() and node.has_room_for_eni(card):
            try:
                yield from grow.add_eni(node, card)
            except CloudError as error:
                node.note_failure(error)


def _grow_once(node: NodeState) -> Step[None]:
    low = [card for card in node.cards if node.decide(card).low]
    for card in low:
        try:
            yield from grow.grow(node, card)
        except IpamError as error:
            raise StartError(START_CANNOT_GROW, error) from error
        if node.settings.custom_networking and node.decide(card).view.total == 0:
            raise StartError(START_NO_ENI, node.last_error)
