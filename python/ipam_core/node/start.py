"""Start a node: take over what is attached, restore assignments, grow once.

Source: pool-rules section 5, "At start"; pkg/ipamd/ipamd.go (nodeInit,
handlePreScaling, isConfigValid, tryUnassignIPsFromENIs).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipam_core._store import Sandbox
from ipam_core.effects import ReadAttachedEnis, ReadCheckpoint
from ipam_core.errors import IpamError, UnknownAddressError
from ipam_core.ipamd.messages import START_CANNOT_GROW, START_NO_ENI
from ipam_core.node import attach, grow, reconcile, shrink
from ipam_core.node.unattached import Kept
from ipam_core.settings import problems

if TYPE_CHECKING:
    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, CheckpointEntry, Step
    from ipam_core.node.node import Node


logger = logging.getLogger(__name__)


class StartError(IpamError):
    """The node does not become ready; the message is the agent's own."""

    def __init__(self, message: str, cause: IpamError | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


def start(node: Node) -> Step[None]:
    """Start a node whose stores are empty. Raises `StartError`."""
    if refused := problems(node.settings, nitro=node.nitro):
        raise StartError("; ".join(refused))
    try:
        attached: tuple[AttachedEni, ...] = yield ReadAttachedEnis()
        described = yield from attach.describe(attached)
        excluded = yield from attach.excluded_subnets(node)
        there = [eni for eni in attached if eni.eni_id in described]
        for eni in attach.managed_enis(node, there, described):
            yield from attach.tag_eni(node, eni, described[eni.eni_id])
            yield from attach.take_eni(node, eni, described[eni.eni_id], excluded)
    except IpamError as error:
        raise StartError(f"ipamd init: {error}", error) from error
    yield from _restore(node)
    yield from _drain_other_mode(node)
    if not node.settings.disable_network_resource_provisioning and node.mode != "ipv6":
        yield from _grow_once(node)


def _restore(node: Node) -> Step[None]:
    """Take assignments over from the checkpoint.

    Those whose address is not attached are dropped, or under `keep_unattached` kept
    aside, with a warning. Two entries for one address fail the start. Under
    `keep_cooldown` what was released goes on cooling.
    """
    try:
        entries: tuple[CheckpointEntry, ...] = yield ReadCheckpoint()
    except IpamError as error:
        raise StartError(f"checkpoint: {error}", error) from error
    now_ns = node.clock_ns()
    for entry in entries:
        try:
            if not any(_take_up(node, store, entry, now_ns) for store in node.stores):
                _keep_or_drop(node, entry, now_ns)
        except IpamError as error:
            raise StartError(f"checkpoint: {error}") from error
    yield from reconcile.strike(node)


def _take_up(node: Node, store: DataStore, entry: CheckpointEntry, now_ns: int) -> bool:
    """Put an entry into a store; return whether its address is there."""
    try:
        if entry.released_ago_s is None:
            holder = _holder(entry, now_ns)
            store.adopt(holder.sandbox, entry.address, holder.pod, holder.assigned_ns)
        elif node.policy.keep_cooldown:
            store.cool(entry.address, now_ns - round(entry.released_ago_s * 1e9))
    except UnknownAddressError:
        return False
    return True


def _keep_or_drop(node: Node, entry: CheckpointEntry, now_ns: int) -> None:
    """Do what the policy says with an entry whose address is not attached."""
    if entry.released_ago_s is not None:
        return
    holder = _holder(entry, now_ns)
    if node.policy.keep_unattached:
        node.aside.keep(entry.address, holder)
        done = "kept aside"
    else:
        node.to_forget.append((entry.address, holder.sandbox))
        done = "dropped"
    logger.warning(
        "%s %s of %r, pod %s: not attached", done, entry.address, holder.sandbox, entry.pod
    )


def _holder(entry: CheckpointEntry, now_ns: int) -> Kept:
    sandbox = Sandbox(entry.container_id, entry.ifname, entry.network)
    return Kept(sandbox, entry.pod, now_ns - round(entry.assigned_ago_s * 1e9))


def _drain_other_mode(node: Node) -> Step[None]:
    """Give back the unused addresses of the mode that the node is not in."""
    for store in node.stores:
        for eni_id in store.turns(copied=True):
            if node.prefix_mode and not node.falls_back:
                yield from shrink.give_back_addresses(node, store, eni_id)
            elif node.mode == "secondary-ip":
                yield from shrink.give_back_prefixes(node, store, eni_id)


def _grow_once(node: Node) -> Step[None]:
    low = [card for card in range(len(node.stores)) if node.decide(card).low]
    for card in low:
        try:
            yield from grow.grow(node, card)
        except IpamError as error:
            raise StartError(START_CANNOT_GROW, error) from error
        if node.settings.custom_networking and node.decide(card).view.total == 0:
            raise StartError(START_NO_ENI, node.last_error)
