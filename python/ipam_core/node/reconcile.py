"""Make the stores agree with metadata and EC2.

Source: pool-rules section 5, "Reconcile"; pkg/ipamd/ipamd.go (nodeIPPoolReconcile,
eniIPPoolReconcile, verifyAndAddIPsToDatastore).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import DescribeEnis, ForgetAssignments
from ipam_core.errors import CloudError, IpamError, NotFoundError
from ipam_core.node import attach, host

if TYPE_CHECKING:
    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, EniDescription, Step
    from ipam_core.node.state import NodeState


def reconcile(node: NodeState) -> Step[None]:
    """Compare every card with what is attached; add what is new, drop what is gone.

    A read that fails ends it, and it is due again. The unmanaged ENIs are counted again. EC2
    is asked for tags and types only where metadata shows an ENI that no store has. Assignments
    of pods whose address is gone are lost, and noted for `forget_pending`. Under
    `ask_before_forgetting` EC2 is asked before an ENI is removed that metadata does not show.
    """
    try:
        attached = yield from attach.read_attached(node)
        if not attached:
            return
        in_metadata = {eni.eni_id for eni in attached}
        described: dict[str, EniDescription] | None = None
        managed = attach.managed(node, attached)
        for card in node.cards:
            store = node.stores[card]
            here = [eni for eni in managed if eni.network_card == card]
            if any(eni.eni_id not in store for eni in here):
                if described is None:
                    described = yield from attach.describe(node, attached)
                    yield from attach.note_unmanaged(node, attached, described)
                there = [eni for eni in attached if not described or eni.eni_id in described]
                here = [eni for eni in attach.managed(node, there) if eni.network_card == card]
            for eni in here:
                if eni.eni_id in store:
                    yield from _reconcile_eni(node, store, eni)
                else:
                    yield from _take_over(node, eni, described or {})
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
    except CloudError as error:
        node.note_failure(error)
        return
    yield from host.tear_down_gone(node)
    node.note_change()


def find_trunk(node: NodeState) -> Step[None]:
    """Take the trunk ENI over when it is attached: a reconcile in IPv6 mode does only this."""
    try:
        attached = yield from attach.read_attached(node)
        described = yield from attach.describe(node, attached)
        for eni in attached:
            if eni.eni_id in described and described[eni.eni_id].interface_type == "trunk":
                yield from attach.set_up(node, eni, "trunk")
    except CloudError as error:
        node.note_failure(error)


def _may_be_attached(node: NodeState, eni_id: str) -> Step[bool]:
    """Ask EC2 about an ENI that metadata lacks: False only where it is not attached here.

    The instance is that of the node's primary ENI, which cannot be detached.
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


def forget_pending(node: NodeState) -> Step[None]:
    """Have the checkpoint forget what it must.

    Entries that could not be removed, or were not because the step ended early, are tried
    again.
    """
    shall = list(node.to_forget)
    held = {
        (found.address, sandbox)
        for _, sandbox in shall
        for store in node.stores
        if (found := store.find(sandbox)) is not None
    }
    gone = tuple(pair for pair in shall if pair not in held)  # not assigned again meanwhile
    if gone:
        try:
            yield ForgetAssignments(gone)
        except IpamError as error:
            node.note_failure(error)
            return
    del node.to_forget[: len(shall)]  # entries added meanwhile are at the end


def _take_over(
    node: NodeState, eni: AttachedEni, described: dict[str, EniDescription]
) -> Step[None]:
    """Tag a new ENI and set it up; one whose set-up fails may be in the store without addresses."""
    shown = described.get(eni.eni_id)
    try:
        yield from attach.tag_eni(node, eni, described)
        yield from attach.set_up(node, eni, shown.interface_type if shown else "interface")
    except CloudError as error:
        node.note_failure(error)


def _reconcile_eni(node: NodeState, store: DataStore, shown: AttachedEni) -> Step[None]:
    """Reconcile one ENI's secondary IPs, then its prefixes; EC2 is asked once for each.

    Metadata that agrees with the store is trusted, except for what this node once gave back:
    metadata may be stale. There, and where it differs, EC2 is asked, and its answer counts.
    What this node gave back a short time ago counts as gone: it is not taken over, and if the
    store has it again its pods lose it.
    """
    eni_id = shown.eni_id
    for held, seen, field in (
        (store.addresses(eni_id), shown.addresses, "addresses"),
        (store.prefixes(eni_id), shown.prefixes, "prefixes"),
    ):
        there = set(seen)
        differs = set(held) != there
        again = node.timers.given_back_long_ago(there, node.clock_ns())
        if differs or again:
            truth = yield from _ask_ec2(node, eni_id, field)
            if differs and truth is None:
                continue
            if truth is None:
                again = set()  # kept, and asked for again
            elif differs:
                there = truth
                again = node.timers.given_back_long_ago(there, node.clock_ns())
            else:
                there -= again - truth
                again &= truth
        node.timers.forget_given_back(again)
        if eni_id not in store:
            return
        now_ns = node.clock_ns()
        there = {cidr for cidr in there if not node.timers.given_back_lately(cidr, now_ns)}
        new = sorted(there - set(held))
        if new and field == "addresses":
            attach.add_cidrs(node, store, eni_id, addresses=new)
        elif new:
            attach.add_cidrs(node, store, eni_id, prefixes=new)
        for cidr in held:
            if cidr in there:
                continue
            if field == "addresses":
                if cidr in store.addresses(eni_id):
                    node.note_lost(store.remove_address(eni_id, cidr, force=True))
            elif cidr in store.prefixes(eni_id):
                node.note_lost(store.remove_prefix(eni_id, cidr, force=True))


def _ask_ec2(node: NodeState, eni_id: str, field: str) -> Step[set[str] | None]:
    try:
        (description,) = yield DescribeEnis((eni_id,))
    except CloudError as error:
        node.note_failure(error)
        return None
    return set(getattr(description, field))
