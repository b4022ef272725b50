"""CreateSubnet and DescribeSubnets."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.arguments import check_specifications, subnet_of, tags_for, vpc_of
from ipam_core.endpoint.indices import SUBNET_INDICES
from ipam_core.endpoint.pages import listed
from ipam_core.endpoint.resources import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import VpcSubnet

_BITS = range(16, 29)


def create_subnet(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Make a subnet in a block of its VPC."""
    network = vpc_of(account, params["VpcId"])
    text = params.get("CidrBlock", "")
    if not text:
        raise refusals.MISSING_PARAMETER("cidrBlock")
    try:
        cidr = IPv4Network(text, strict=False)
    except ValueError:
        raise refusals.BAD_CIDR(text[:200]) from None
    if cidr.prefixlen not in _BITS:
        raise refusals.SUBNET_RANGE(text[:200])
    if not any(cidr.subnet_of(IPv4Network(block)) for block, _ in network.blocks):
        raise refusals.SUBNET_RANGE(text[:200])
    others = account.subnets.all_of("vpc-id", network.vpc_id)
    if any(cidr.overlaps(IPv4Network(other.subnet.cidr)) for other in others):
        raise refusals.SUBNET_CONFLICT(text[:200])
    zone = _zone(account, params)
    check_specifications(params, KINDS["subnets"].name)
    tags = tags_for(params, KINDS["subnets"].name)
    made = account.add_subnet(
        str(cidr), zone=zone, vpc_id=network.vpc_id, ipv6="Ipv6CidrBlock" in params, tags=tags
    )
    return {"Subnet": described.subnet(account, made)}


def _zone(account: Account, params: dict[str, Any]) -> str:
    by_id = {described.zone_id(account, zone): zone for zone in account.zones}
    zone_id = params.get("AvailabilityZoneId")
    if zone_id is not None and zone_id not in by_id:
        raise refusals.ZONE_NOT_FOUND(zone_id[:200])
    zone: str = params.get("AvailabilityZone") or by_id.get(zone_id or "", account.zones[0])
    if zone not in account.zones:
        raise refusals.ZONE_NOT_FOUND(zone[:200])
    return zone


def describe_subnets(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List subnets, by id or by filters."""
    rows, more = listed(
        account.secret,
        "DescribeSubnets",
        params,
        account.subnets,
        FILTERS | _asking(account),
        ids=("SubnetIds", "subnetIdSet", lambda key: subnet_of(account, key)),
        paged_with_ids=True,
    )
    return {"Subnets": [described.subnet(account, row) for row in rows]} | more


def _asking(account: Account) -> dict[str, Callable[[VpcSubnet], Iterable[str]]]:
    """Return the filters that ask the account too."""

    def zone_id(row: VpcSubnet) -> tuple[str]:
        return (described.zone_id(account, row.zone),)

    return {
        "availability-zone-id": zone_id,
        "availabilityZoneId": zone_id,
        "owner-id": lambda _: (account.account_id,),
        "subnet-arn": lambda row: (described.arn(account, "subnet", row.subnet_id),),
    }


FILTERS: dict[str, Callable[[VpcSubnet], Iterable[str]]] = {
    **SUBNET_INDICES,
    "availabilityZone": lambda row: (row.zone,),
    "available-ip-address-count": lambda row: (str(row.available_addresses),),
    "cidr": lambda row: (row.subnet.cidr,),
    "cidr-block": lambda row: (row.subnet.cidr,),
    "cidrBlock": lambda row: (row.subnet.cidr,),
    "default-for-az": lambda _: ("false",),
    "defaultForAz": lambda _: ("false",),
    "enable-dns64": lambda _: ("false",),
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda row: (row.ipv6.cidr,) if row.ipv6 else (),
    "ipv6-native": lambda _: ("false",),
    "map-public-ip-on-launch": lambda _: ("false",),
    "outpost-arn": lambda _: (),
    "state": lambda _: ("available",),
    "subnet-id": lambda row: (row.subnet_id,),
}
"""Source: Filter.N of DescribeSubnets in the EC2 API reference."""
