"""Start a node: take over what is attached, restore assignments, grow once.

Source: pool-rules section 5, "At start"; pkg/ipamd/ipamd.go (nodeInit,
handlePreScaling, isConfigValid, tryUnassignIPsFromENIs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._store import Sandbox
from ipam_core.effects import ReadAttachedEnis, ReadCheckpoint
from ipam_core.errors import CloudError, IpamError, UnknownAddressError
from ipam_core.messages import START_CANNOT_GROW, START_NO_ENI
from ipam_core.node import growing, shrinking, taking
from ipam_core.settings import problems

if TYPE_CHECKING:
    from ipam_core.effects import AttachedEni, CheckpointEntry, Step
    from ipam_core.node.node import Node


class StartError(IpamError):
    """The node does not become ready; the message is the agent's own."""

    def __init__(self, message: str, cause: CloudError | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


def start(node: Node) -> Step[None]:
    """Start a node whose stores are empty. Raises `StartError`."""
    if refused := problems(node.settings, nitro=node.nitro):
        raise StartError("; ".join(refused))
    try:
        attached: tuple[AttachedEni, ...] = yield ReadAttachedEnis()
        described = yield from taking.describe(attached)
        excluded = yield from taking.excluded_subnets(node)
        there = [eni for eni in attached if eni.eni_id in described]
        for eni in taking.managed_enis(node, there, described):
            yield from taking.tag_eni(node, eni, described[eni.eni_id])
            yield from taking.take_eni(node, eni, described[eni.eni_id], excluded)
    except CloudError as error:
        raise StartError(f"ipamd init: {error}", error) from error
    yield from _restore(node)
    yield from _drain_other_mode(node)
    if not node.settings.disable_network_resource_provisioning and node.mode != "ipv6":
        yield from _grow_once(node)


def _restore(node: Node) -> Step[None]:
    """Take assignments over from the checkpoint; entries not attached are dropped.

    Two entries for one address fail the start. Under `keep_cooldown` what was released
    goes on cooling.
    """
    entries: tuple[CheckpointEntry, ...] = yield ReadCheckpoint()
    now_ns = node.clock_ns()
    for entry in entries:
        for store in node.stores:
            try:
                if entry.released_ago_s is None:
                    sandbox = Sandbox(entry.container_id, entry.ifname, entry.network)
                    assigned_ns = now_ns - round(entry.assigned_ago_s * 1e9)
                    store.adopt(sandbox, entry.address, entry.pod, assigned_ns)
                elif node.policy.keep_cooldown:
                    store.cool(entry.address, now_ns - round(entry.released_ago_s * 1e9))
            except UnknownAddressError:
                continue
            except IpamError as error:
                raise StartError(f"checkpoint: {error}") from error
            break


def _drain_other_mode(node: Node) -> Step[None]:
    """Give back the unused addresses of the mode that the node is not in."""
    for store in node.stores:
        for eni in node.in_map_order(store.enis()):
            if node.prefix_mode and not node.falls_back:
                yield from shrinking.give_back_addresses(node, store, eni.eni_id)
            elif node.mode == "secondary-ip":
                yield from shrinking.give_back_prefixes(node, store, eni.eni_id)


def _grow_once(node: Node) -> Step[None]:
    low = [card for card in range(len(node.stores)) if node.decide(card).low]
    for card in low:
        try:
            yield from growing.grow(node, card)
        except CloudError as error:
            raise StartError(START_CANNOT_GROW, error) from error
        if node.settings.custom_networking and node.decide(card).view.total == 0:
            raise StartError(START_NO_ENI, node.last_error)
