"""Put what EC2 has attached into a node's stores.

Source: pkg/ipamd/ipamd.go (setUnmanagedENIs, markUnmanagedNetworkCards, filterUnmanagedENIs,
setupENI, assignIPv6Prefix) and pkg/awsutils/awsutils.go (DescribeAllENIs, getENIMetadata,
TagENI); pool-rules sections 1 and 9.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.effects import (
    AssignIpv6Prefix,
    DescribeEnis,
    ReadAttachedEnis,
    ReadNodeTags,
    TagEni,
)
from ipam_core.errors import CapacityError, CloudError, DuplicateError, NotFoundError
from ipam_core.node import host, subnets
from ipam_core.node.tries import DESCRIBE_ALL, TAG, persist
from ipam_core.tags import NO_MANAGE_TAG, NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, EniDescription, Step
    from ipam_core.node.state import NodeState

_QUOTED = re.compile(r"'([A-Za-z0-9-]+)'")


# --- what is attached -----------------------------------------------------------------


def read_attached(node: NodeState) -> Step[tuple[AttachedEni, ...]]:
    """Return what metadata shows, as the agent reads it. Raises the read's `CloudError`.

    Under custom networking the primary ENI's prefixes are not read.
    """
    attached: tuple[AttachedEni, ...] = yield ReadAttachedEnis()
    if not node.settings.custom_networking:
        return attached
    return tuple(replace(eni, prefixes=()) if eni.is_primary else eni for eni in attached)


def describe(node: NodeState, attached: Iterable[AttachedEni]) -> Step[dict[str, EniDescription]]:
    """Ask EC2 about ENIs; return the descriptions by id.

    Metadata lags: an ENI that EC2 does not find is left out, and the others are asked for
    again. Other failures are tried again too. Raises the `CloudError` of the last try. In
    IMDS-only mode EC2 is not asked: each ENI is a plain one without tags.
    """
    attached = tuple(attached)
    if node.settings.imds_only:
        return {}
    wanted = [eni.eni_id for eni in attached]
    for n_failed in range(1, DESCRIBE_ALL.most + 1):
        if not wanted:
            break
        try:
            found: tuple[EniDescription, ...] = yield DescribeEnis(tuple(wanted))
        except CloudError as error:
            if n_failed == DESCRIBE_ALL.most:
                raise
            wanted = [eni_id for eni_id in wanted if not names(error, eni_id)]
        else:
            return {description.eni_id: description for description in found}
    return {}


def names(error: CloudError, eni_id: str) -> bool:
    """Return whether an error says that there is no such ENI: EC2 quotes its id."""
    gone = _QUOTED.search(error.message) if isinstance(error, NotFoundError) else None
    return gone is not None and gone[1] == eni_id


def note_unmanaged(
    node: NodeState, attached: Iterable[AttachedEni], described: dict[str, EniDescription]
) -> Step[None]:
    """Note which ENIs the agent does not manage, by their tags and types.

    Unmanaged are ENIs tagged no_manage=true and, where MANAGE_UNTAGGED_ENI is false, those
    without both a no_manage tag and this instance's id; the primary ENI never is. EFA-only
    ENIs are never managed.
    """
    if not described:
        return
    own: dict[str, str] = {}
    if not node.settings.manage_untagged_eni:
        own = yield ReadNodeTags()
    node.unmanaged = set()
    for eni in attached:
        description = described.get(eni.eni_id)
        if description is None or eni.is_primary:
            continue
        tags = description.tags
        if NO_MANAGE_TAG in tags:
            foreign = tags[NO_MANAGE_TAG] == "true"
        else:
            foreign = bool(own) and tags.get(NODE_TAG) != own[NODE_TAG]
        if foreign or description.interface_type == "efa-only":
            node.unmanaged.add(eni.eni_id)


def managed(node: NodeState, attached: Iterable[AttachedEni]) -> list[AttachedEni]:
    """Return the ENIs that the agent manages; count the others again, by card.

    ENIs on cards without a store are not managed.
    """
    node.n_unmanaged = [0] * len(node.stores)
    found = []
    for eni in attached:
        if eni.network_card not in node.cards:
            continue
        if eni.eni_id in node.unmanaged:
            node.n_unmanaged[eni.network_card] += 1
        else:
            found.append(eni)
    return found


def cards_with_a_store(
    node: NodeState, attached: Iterable[AttachedEni], described: dict[str, EniDescription]
) -> list[int]:
    """Return the network cards that the agent manages: not those with an EFA-only ENI alone."""
    by_card: list[set[str]] = [set() for _ in node.stores]
    for eni in attached:
        if eni.network_card < len(by_card):
            by_card[eni.network_card].add(eni.eni_id)
    efa_only = {eni_id for eni_id, shown in described.items() if shown.interface_type == "efa-only"}
    return [
        card
        for card, enis in enumerate(by_card)
        if not enis & efa_only or enis - efa_only - node.unmanaged
    ]


# --- into the store -------------------------------------------------------------------


def tag_eni(
    node: NodeState, attached: AttachedEni, described: dict[str, EniDescription]
) -> Step[None]:
    """Add the node's missing tags to an ENI that the agent takes over; none to a trunk.

    Raises the `CloudError` of the fifth try.
    """
    if node.settings.disable_network_resource_provisioning:
        return
    shown = described.get(attached.eni_id)
    if shown is None or shown.interface_type == "trunk":
        return
    own: dict[str, str] = yield ReadNodeTags()
    if any(shown.tags.get(key) != value for key, value in own.items()):
        yield from persist(node, TagEni(attached.eni_id), TAG)


def set_up(node: NodeState, attached: AttachedEni, kind: str = "interface") -> Step[None]:
    """Enter an attached ENI into its card's store, with all that it holds.

    `kind` is its interface type; an ENI that this node created is a plain one. Raises
    `CloudError` where EC2 does not say whether its subnet is excluded, or gives no IPv6
    prefix: the ENI is in the store then, and has no address. `HostNetworkError`: it is not.
    """
    store = node.stores[attached.network_card]
    table = route_table(attached)
    yield from host.set_up_eni(node, attached, table, trunk=kind == "trunk")
    if attached.eni_id not in store:
        now_ns = node.clock_ns()
        node.timers.young_ns.append(now_ns)
        store.add_eni(
            attached.eni_id,
            device_number=attached.device_number,
            network_card=attached.network_card,
            primary=attached.is_primary,
            trunk=kind == "trunk",
            efa=kind == "efa",
            created_ns=now_ns,
            subnet_id=attached.subnet_id,
            route_table=table,
        )
    node.unfinished[attached.eni_id] = kind
    if (
        node.settings.enable_subnet_discovery
        and (yield from subnets.is_excluded(node, attached.subnet_id))
        and node.mode != "ipv6"
        and attached.eni_id in store  # it may have gone while EC2 was asked
    ):
        store.exclude_eni(attached.eni_id)
        node.has_excluded = True
    if node.mode == "ipv6" and kind != "trunk":
        yield from _take_ipv6_prefix(node, store, attached.eni_id)
    elif node.mode != "ipv6" and attached.eni_id in store:
        add_cidrs(node, store, attached.eni_id, attached.addresses, attached.prefixes)
    del node.unfinished[attached.eni_id]


def finish_set_up(node: NodeState) -> Step[None]:
    """Set up the ENIs again whose set-up failed (rule `finish_set_up`)."""
    shown = {eni.eni_id: eni for eni in (yield from read_attached(node))}
    for eni_id, kind in list(node.unfinished.items()):
        del node.unfinished[eni_id]
        if eni_id in shown:
            try:
                yield from set_up(node, shown[eni_id], kind)
            except CloudError as error:
                node.note_failure(error)


def add_cidrs(
    node: NodeState,
    store: DataStore,
    eni_id: str,
    addresses: Iterable[str] = (),
    prefixes: Iterable[str] = (),
) -> None:
    """Add addresses and prefixes to an ENI; skip those that it has already.

    Unattached addresses that are kept for sandboxes are assigned to them again at once.
    """
    for add, values in ((store.add_address, addresses), (store.add_prefix, prefixes)):
        for value in values:
            try:
                add(eni_id, value)
            except DuplicateError:
                continue
            except CapacityError as error:
                node.note_failure(error)  # when others have gone, a reconcile finds it
                break
    if node.unattached:
        node.unattached.give_back(store)


def _take_ipv6_prefix(node: NodeState, store: DataStore, eni_id: str) -> Step[None]:
    """Add an ENI's first /80, asking for one where it has none (pool-rules section 1)."""
    (description,) = yield DescribeEnis((eni_id,))
    prefixes = description.ipv6_prefixes or (yield AssignIpv6Prefix(eni_id))
    add_cidrs(node, store, eni_id, prefixes=prefixes[:1])


def route_table(attached: AttachedEni) -> int:
    """Return the host's route table: main for the primary ENI, else by card and device.

    Source: pkg/networkutils/helper.go (CalculateRouteTableId, v1.23): on card 0 the device
    number and 1; on others 10000, 100 a card and the device number, as amazon-ec2-net-utils
    has it. A table that the image set up for such an ENI is not looked for.
    """
    if attached.is_primary:
        return 254
    if attached.network_card == 0:
        return attached.device_number + 1
    return 10_000 + attached.network_card * 100 + attached.device_number
