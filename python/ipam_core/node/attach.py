"""Put what EC2 has attached into a node's stores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipam_core.effects import AssignIpv6Prefix, DescribeEnis, DescribeSubnets, TagEni
from ipam_core.errors import CapacityError, CloudError, DuplicateError, NotFoundError
from ipam_core.tags import NO_MANAGE_TAG, NODE_TAG, ROLE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import DataStore
    from ipam_core.effects import AttachedEni, EniDescription, Step
    from ipam_core.node.node import Node

DESCRIBE_TRIES = 12
"""How often ENIs are described at most, for one answer."""
_QUOTED = re.compile(r"'([A-Za-z0-9-]+)'")


def take_eni(
    node: Node,
    attached: AttachedEni,
    described: EniDescription | None = None,
    excluded: Iterable[str] = (),
) -> Step[None]:
    """Add an attached ENI with all that it holds to its card's store.

    `described` tells trunk and EFA ENIs apart; without it the ENI is one that this
    node made, which is neither. `excluded` are the subnets whose ENIs give no address.
    """
    kind = described.interface_type if described else "interface"
    store = node.stores[attached.network_card]
    primary = attached.device_number == 0 and attached.network_card == 0
    if attached.eni_id not in store:
        now_ns = node.clock_ns()
        node.timers.young_ns.append(now_ns)
        store.add_eni(
            attached.eni_id,
            device_number=attached.device_number,
            network_card=attached.network_card,
            primary=primary,
            trunk=kind == "trunk",
            efa=kind == "efa",
            excluded=attached.subnet_id in excluded,
            created_ns=now_ns,
            subnet_id=attached.subnet_id,
            route_table=_route_table(attached),
        )
    if node.mode != "ipv6":
        add_cidrs(node, store, attached.eni_id, attached.addresses, attached.prefixes)
    elif kind != "trunk":
        yield from _take_ipv6_prefix(node, store, attached.eni_id)


def add_cidrs(
    node: Node,
    store: DataStore,
    eni_id: str,
    addresses: Iterable[str] = (),
    prefixes: Iterable[str] = (),
) -> None:
    """Add addresses and prefixes to an ENI; those that are there already are left alone.

    Addresses that were kept aside go back to their sandboxes at once.
    """
    for address in addresses:
        try:
            store.add_address(eni_id, address)
        except DuplicateError:
            continue
        except CapacityError as error:
            node.note_failure(error)  # once others have gone, a reconcile finds it
            break
    for prefix in prefixes:
        try:
            store.add_prefix(eni_id, prefix)
        except DuplicateError:
            continue
        except CapacityError as error:
            node.note_failure(error)
            break
    if node.aside:
        node.aside.give_back(store)


def managed_enis(
    node: Node, attached: Iterable[AttachedEni], described: dict[str, EniDescription]
) -> list[AttachedEni]:
    """Return the ENIs that are the agent's to manage, and note those that are not.

    Left alone are ENIs tagged no_manage and, where MANAGE_UNTAGGED_ENI is false, those
    without the node's tag (pool-rules section 1). In IPv6 mode the primary is managed
    whatever its tags. ENIs on cards without a store are nobody's.
    """
    managed = []
    node.unmanaged = set()
    node.n_unmanaged = [0] * len(node.stores)
    for eni in attached:
        if eni.network_card >= len(node.stores):
            continue
        tags = described[eni.eni_id].tags if eni.eni_id in described else {}
        primary = eni.device_number == 0 and eni.network_card == 0
        foreign = not node.settings.manage_untagged_eni and NODE_TAG not in tags and not primary
        if (tags.get(NO_MANAGE_TAG) == "true" and not (primary and node.mode == "ipv6")) or foreign:
            node.unmanaged.add(eni.eni_id)
            node.n_unmanaged[eni.network_card] += 1
        else:
            managed.append(eni)
    return managed


def tag_eni(node: Node, attached: AttachedEni, described: EniDescription) -> Step[None]:
    """Give an ENI that the agent takes over the node's tag, unless it has it or is a trunk."""
    if (
        described.interface_type != "trunk"
        and NODE_TAG not in described.tags
        and not node.settings.disable_network_resource_provisioning
    ):
        yield TagEni(attached.eni_id)


def describe(attached: Iterable[AttachedEni]) -> Step[dict[str, EniDescription]]:
    """Ask EC2 about ENIs; return the descriptions by id.

    Metadata lags: an ENI that EC2 says is gone is left out and the others asked for again;
    other failures are tried again too. Raises the `CloudError` of the last try. Source:
    DescribeAllENIs of pkg/awsutils/awsutils.go.
    """
    wanted = [eni.eni_id for eni in attached]
    tries = DESCRIBE_TRIES
    while wanted:
        tries -= 1
        try:
            found: tuple[EniDescription, ...] = yield DescribeEnis(tuple(wanted))
        except CloudError as error:
            if not tries:
                raise
            wanted = [eni_id for eni_id in wanted if not names(error, eni_id)]
        else:
            return {description.eni_id: description for description in found}
    return {}


def names(error: CloudError, eni_id: str) -> bool:
    """Return whether an error says that there is no such ENI: EC2 quotes its id."""
    gone = _QUOTED.search(error.message) if isinstance(error, NotFoundError) else None
    return gone is not None and gone[1] == eni_id


def excluded_subnets(node: Node) -> Step[frozenset[str]]:
    """Return the subnets tagged 0, whose ENIs give pods no address; none if EC2 does not say."""
    if not node.settings.enable_subnet_discovery or node.mode == "ipv6":
        return frozenset()
    try:
        subnets = yield DescribeSubnets()
    except CloudError as error:
        node.note_failure(error)
        return frozenset()
    return frozenset(s.subnet_id for s in subnets if s.tags.get(ROLE_TAG) == "0")


def _take_ipv6_prefix(node: Node, store: DataStore, eni_id: str) -> Step[None]:
    """Add an ENI's first /80, asking for one where it has none (pool-rules section 1)."""
    (description,) = yield DescribeEnis((eni_id,))
    prefixes = description.ipv6_prefixes or (yield AssignIpv6Prefix(eni_id))
    add_cidrs(node, store, eni_id, prefixes=prefixes[:1])


def _route_table(attached: AttachedEni) -> int:
    """Return the host's route table: main for the primary ENI, else by card and device.

    Source: pkg/networkutils (CalculateRouteTableId): a card adds 100, a device 1.
    """
    if attached.device_number == 0 and attached.network_card == 0:
        return 254
    return attached.network_card * 100 + attached.device_number + 1
