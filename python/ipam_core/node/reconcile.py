"""Make the stores agree with metadata and EC2.

Source: pool-rules section 5, "Reconcile"; pkg/ipamd/ipamd.go (nodeIPPoolReconcile,
eniIPPoolReconcile, verifyAndAddIPsToDatastore).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import DescribeEnis, ForgetAssignments, ReadAttachedEnis
from ipam_core.errors import CloudError, IpamError, NotFoundError
from ipam_core.node import attach

if TYPE_CHECKING:
    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, EniDescription, Step
    from ipam_core.node.node import Node


def reconcile(node: Node) -> Step[None]:
    """Compare every card with what is attached; add what is new, drop what is gone.

    A read that fails leaves the stores as they are. Assignments of pods whose address
    is gone are lost, and noted for `strike`. Under `ask_before_forgetting` EC2 is asked
    before an ENI goes that metadata does not show.
    """
    try:
        attached: tuple[AttachedEni, ...] = yield ReadAttachedEnis()
        if not attached:
            return
        in_metadata = {eni.eni_id for eni in attached}
        known = {eni.eni_id for store in node.stores for eni in store.enis()} | node.unmanaged
        described: dict[str, EniDescription] = {}
        excluded: frozenset[str] = frozenset()
        if any(eni.eni_id not in known for eni in attached):
            described = yield from attach.describe(attached)
            there = [eni for eni in attached if eni.eni_id in described]
            attached = tuple(attach.managed_enis(node, there, described))
            excluded = yield from attach.excluded_subnets(node)
    except CloudError as error:
        node.note_failure(error)
        return

    for card, store in enumerate(node.stores):
        here = [eni for eni in attached if eni.network_card == card]
        for eni in here:
            if eni.eni_id in store:
                yield from _reconcile_eni(node, store, eni)
            elif eni.eni_id in described:
                yield from _take_over(node, eni, described[eni.eni_id], excluded)
        shown = {eni.eni_id for eni in here}
        for missing in [eni.eni_id for eni in store.enis() if eni.eni_id not in shown]:
            if (
                node.policy.ask_before_forgetting
                and missing not in in_metadata
                and (yield from _may_be_attached(node, missing))
            ):
                continue
            if missing in store:
                node.note_lost(store.remove_eni(missing, force=True))
    node.note_change()


def _may_be_attached(node: Node, eni_id: str) -> Step[bool]:
    """Ask EC2 about an ENI that metadata lacks: False only where it is not attached here.

    The node's primary ENI, which cannot be detached, tells which instance this is.
    """
    primary = [eni.eni_id for eni in node.store.enis() if eni.primary and eni.eni_id != eni_id]
    try:
        described: tuple[EniDescription, ...] = yield DescribeEnis((eni_id, *primary))
    except NotFoundError as error:
        return any(attach.names(error, other) for other in primary)
    except CloudError as error:
        node.note_failure(error)
        return True
    eni, *others = described
    return eni.attachment_id is not None and all(o.instance_id == eni.instance_id for o in others)


def strike(node: Node) -> Step[None]:
    """Have the checkpoint forget what it shall.

    What could not be struck, or was not when the step ended early, is tried again.
    """
    shall = list(node.to_forget)
    held = {
        (found.address, sandbox)
        for _, sandbox in shall
        for store in node.stores
        if (found := store.find(sandbox)) is not None
    }
    gone = tuple(pair for pair in shall if pair not in held)  # not got anew meanwhile
    if gone:
        try:
            yield ForgetAssignments(gone)
        except IpamError as error:
            node.note_failure(error)
            return
    del node.to_forget[: len(shall)]  # what was added meanwhile is behind


def _take_over(
    node: Node, eni: AttachedEni, described: EniDescription, excluded: frozenset[str]
) -> Step[None]:
    try:
        yield from attach.tag_eni(node, eni, described)
        yield from attach.take_eni(node, eni, described, excluded)
    except CloudError as error:
        node.note_failure(error)


def _reconcile_eni(node: Node, store: DataStore, shown: AttachedEni) -> Step[None]:
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
                    node.note_lost(store.remove_address(eni_id, cidr, force=True))
            elif cidr in store.prefixes(eni_id):
                node.note_lost(store.remove_prefix(eni_id, cidr, force=True))


def _ask_ec2(node: Node, eni_id: str, field: str) -> Step[set[str] | None]:
    try:
        (description,) = yield DescribeEnis((eni_id,))
    except CloudError as error:
        node.note_failure(error)
        return None
    return set(getattr(description, field))
