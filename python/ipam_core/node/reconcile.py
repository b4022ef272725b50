"""Make the stores agree with metadata and EC2.

Source: pool-rules section 5, "Reconcile"; pkg/ipamd/ipamd.go (nodeIPPoolReconcile,
eniIPPoolReconcile, verifyAndAddIPsToDatastore).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipam_core.effects import DescribeEnis, ForgetAssignments, ReadAttachedEnis
from ipam_core.errors import CheckpointError, CloudError
from ipam_core.node import attach

if TYPE_CHECKING:
    from ipam_core._store import Assignment, DataStore
    from ipam_core.effects import AttachedEni, EniDescription, Step
    from ipam_core.node.node import Node

logger = logging.getLogger(__name__)


def reconcile(node: Node) -> Step[None]:
    """Compare every card with what is attached; add what is new, drop what is gone.

    A read that fails leaves the stores as they are. Assignments of pods whose address
    is gone are lost, and noted for `strike`.
    """
    try:
        attached: tuple[AttachedEni, ...] = yield ReadAttachedEnis()
        if not attached:
            return
        known = {eni.eni_id for store in node.stores for eni in store.enis()} | node.unmanaged
        described: dict[str, EniDescription] = {}
        excluded: frozenset[str] = frozenset()
        if any(eni.eni_id not in known for eni in attached):
            described = yield from attach.describe(attached)
            there = [eni for eni in attached if eni.eni_id in described]
            attached = tuple(attach.managed_enis(node, there, described))
            excluded = yield from attach.excluded_subnets(node)
    except CloudError as error:
        node.last_error = error
        return

    lost: list[Assignment] = []
    for card, store in enumerate(node.stores):
        here = [eni for eni in attached if eni.network_card == card]
        for eni in here:
            if eni.eni_id in store:
                yield from _reconcile_eni(node, store, eni, lost)
            elif eni.eni_id in described:
                yield from _take_over(node, eni, described[eni.eni_id], excluded)
        shown = {eni.eni_id for eni in here}
        for gone in [eni.eni_id for eni in store.enis() if eni.eni_id not in shown]:
            lost += store.remove_eni(gone, force=True)
    node.to_forget += [(assignment.address, assignment.sandbox) for assignment in lost]
    node.note_change()


def strike(node: Node) -> Step[None]:
    """Have the checkpoint forget what it shall; what cannot be written now is tried again."""
    held = {
        (found.address, sandbox)
        for _, sandbox in node.to_forget
        for store in node.stores
        if (found := store.find(sandbox)) is not None
    }
    gone = tuple(pair for pair in node.to_forget if pair not in held)  # not got anew meanwhile
    node.to_forget.clear()
    if gone:
        try:
            yield ForgetAssignments(gone)
        except CheckpointError as error:
            logger.warning("%s", error)
            node.to_forget += gone


def _take_over(
    node: Node, eni: AttachedEni, described: EniDescription, excluded: frozenset[str]
) -> Step[None]:
    try:
        yield from attach.tag_eni(node, eni, described)
        yield from attach.take_eni(node, eni, described, excluded)
    except CloudError as error:
        node.last_error = error


def _reconcile_eni(
    node: Node, store: DataStore, shown: AttachedEni, lost: list[Assignment]
) -> Step[None]:
    """Reconcile one ENI's secondary IPs, then its prefixes; EC2 is asked once for each.

    Metadata that agrees with the store is believed. Where it differs, EC2 is asked and
    believed instead. In IPv6 mode an ENI keeps the one prefix that it started with.
    """
    if node.mode == "ipv6":
        return
    eni_id = shown.eni_id
    for held, seen, field in (
        (store.addresses(eni_id), shown.addresses, "addresses"),
        (store.prefixes(eni_id), shown.prefixes, "prefixes"),
    ):
        truth: set[str] | None = None
        if set(held) != set(seen):
            truth = yield from _ask_ec2(node, eni_id, field)
            if truth is None:
                continue
        there = set(held) if truth is None else truth
        if eni_id not in store:
            return
        for cidr in sorted(there - set(held)):
            if not node.timers.given_back_lately(cidr, node.clock_ns()):
                if field == "addresses":
                    attach.add_cidrs(node, store, eni_id, addresses=[cidr])
                else:
                    attach.add_cidrs(node, store, eni_id, prefixes=[cidr])
        for cidr in held:
            if cidr in there:
                continue
            if field == "addresses":
                if cidr in store.addresses(eni_id):
                    lost += store.remove_address(eni_id, cidr, force=True)
            elif cidr in store.prefixes(eni_id):
                lost += store.remove_prefix(eni_id, cidr, force=True)


def _ask_ec2(node: Node, eni_id: str, field: str) -> Step[set[str] | None]:
    try:
        (description,) = yield DescribeEnis((eni_id,))
    except CloudError as error:
        node.last_error = error
        return None
    return set(getattr(description, field))
