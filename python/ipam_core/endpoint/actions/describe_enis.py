"""DescribeNetworkInterfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.endpoint import described
from ipam_core.endpoint.account import USER_ID
from ipam_core.endpoint.arguments import eni_of
from ipam_core.endpoint.indices import ENI_INDICES
from ipam_core.endpoint.pages import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Interface


def describe_network_interfaces(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List interfaces, by id or by filters."""
    rows, more = listed(
        account.secret,
        "DescribeNetworkInterfaces",
        params,
        account.enis,
        FILTERS | _named(account),
        ids=("NetworkInterfaceIds", "networkInterfaceIdSet", lambda key: eni_of(account, key)),
    )
    return {"NetworkInterfaces": [described.interface(account, row) for row in rows]} | more


def _true(value: bool) -> tuple[str]:
    return ("true" if value else "false",)


def _named(account: Account) -> dict[str, Callable[[Interface], Iterable[str]]]:
    """Return the filters that ask the account too."""
    return {
        "owner-id": lambda _: (account.account_id,),
        "attachment.instance-owner-id": lambda eni: (account.account_id,) * bool(eni.attachment),
        "availability-zone-id": lambda eni: (described.zone_id(account, eni.zone),),
        "group-name": lambda eni: [account.groups.by_key[each].name for each in eni.groups],
        "private-dns-name": lambda eni: (described.dns_name(account, eni.primary_address),),
    }


FILTERS: dict[str, Callable[[Interface], Iterable[str]]] = {
    **ENI_INDICES,
    "addresses.association.owner-id": lambda _: (),
    "addresses.association.public-ip": lambda _: (),
    "addresses.primary": lambda eni: ("true", *(["false"] if eni.addresses else [])),
    "addresses.private-ip-address": lambda eni: (eni.primary_address, *eni.addresses),
    "association.allocation-id": lambda _: (),
    "association.association-id": lambda _: (),
    "association.ip-owner-id": lambda _: (),
    "association.public-dns-name": lambda _: (),
    "association.public-ip": lambda _: (),
    "attachment.attach-time": lambda eni: ()
    if eni.attachment is None
    else (described.time_of(eni.attachment.since_ns).strftime("%Y-%m-%dT%H:%M:%S.000Z"),),
    "attachment.delete-on-termination": lambda eni: _true(eni.goes_with_instance)
    if eni.attachment else (),
    "attachment.device-index": lambda eni: (str(eni.device_number),) * bool(eni.attachment),
    "attachment.network-card-index": lambda e: (str(e.network_card),) * bool(e.attachment),
    "interface-type": lambda eni: (eni.interface_type,),
    "ipv6-addresses.ipv6-address": lambda eni: eni.ipv6_addresses,
    "network-interface-id": lambda eni: (eni.eni_id,),
    "operator.managed": lambda _: ("false",),
    "operator.principal": lambda _: (),
    "requester-id": lambda _: (USER_ID,),
    "requester-managed": lambda _: ("false",),
    "source-dest-check": lambda eni: _true(eni.source_dest_check),
}  # fmt: skip
"""Source: Filter.N of DescribeNetworkInterfaces in the EC2 API reference."""
