"""DescribeVpcs, DescribeSecurityGroups and DescribeAvailabilityZones."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.arguments import group_of, vpc_of
from ipam_core.endpoint.filters import literal, test_of
from ipam_core.endpoint.pages import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import SecurityGroup, VirtualNetwork


def describe_vpcs(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List VPCs, by id or by filters."""
    rows, more = listed(
        account.secret,
        "DescribeVpcs",
        params,
        account.vpcs,
        VPC_FILTERS | {"owner-id": lambda _: (account.account_id,)},
        ids=("VpcIds", "vpcIdSet", lambda key: vpc_of(account, key)),
        paged_with_ids=True,
    )
    return {"Vpcs": [described.vpc(account, row) for row in rows]} | more


VPC_FILTERS: dict[str, Callable[[VirtualNetwork], Iterable[str]]] = {
    "cidr": lambda row: [block for block, _ in row.blocks[:1]],
    "cidr-block-association.association-id": lambda row: [each for _, each in row.blocks],
    "cidr-block-association.cidr-block": lambda row: [block for block, _ in row.blocks],
    "cidr-block-association.state": lambda row: ("associated",) * bool(row.blocks),
    "dhcp-options-id": lambda _: ("default",),
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda row: (row.ipv6_block[0],),
    "is-default": lambda row: (str(row.is_default).lower(),),
    "isDefault": lambda row: (str(row.is_default).lower(),),
    "state": lambda _: ("available",),
    "vpc-id": lambda row: (row.vpc_id,),
}
"""Source: Filter.N of DescribeVpcs in the EC2 API reference."""


def describe_security_groups(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List security groups, by id, by name or by filters."""
    if names := params.get("GroupNames"):
        there = {group.name for group in account.groups}
        for name in names:
            if name not in there:
                raise refusals.GROUP_NOT_FOUND(name[:200])
        chosen = {"Name": "group-name", "Values": list(map(literal, names))}
        params = params | {"Filters": [*params.get("Filters", []), chosen]}
    rows, more = listed(
        account.secret,
        "DescribeSecurityGroups",
        params,
        account.groups,
        GROUP_FILTERS | {"owner-id": lambda _: (account.account_id,)},
        ids=("GroupIds", "groupIdSet", lambda key: group_of(account, key)),
        paged_with_ids=True,
    )
    return {"SecurityGroups": [described.group(account, row) for row in rows]} | more


GROUP_FILTERS: dict[str, Callable[[SecurityGroup], Iterable[str]]] = {
    "description": lambda row: (row.description,),
    "egress.ip-permission.cidr": lambda _: ("0.0.0.0/0",),
    "egress.ip-permission.protocol": lambda _: ("-1",),
    "group-id": lambda row: (row.group_id,),
    "group-name": lambda row: (row.name,),
    "ip-permission.cidr": lambda _: (),
    "vpc-id": lambda row: (row.vpc_id,),
}
"""Source: Filter.N of DescribeSecurityGroups in the EC2 API reference."""


@dataclass(frozen=True, slots=True)
class _Zone:
    """An availability zone as a row."""

    number: int
    key: str
    zone_id: str
    region: str
    tags: dict[str, str] = field(default_factory=dict)


def describe_availability_zones(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List the zones of the region, by name, by id or by filters."""
    zones = [
        _Zone(number, zone, described.zone_id(account, zone), account.region_name)
        for number, zone in enumerate(account.zones, 1)
    ]
    for name, field_name in (("ZoneNames", "key"), ("ZoneIds", "zone_id")):
        there = {getattr(zone, field_name): zone for zone in zones}
        for each in params.get(name, ()):
            if each not in there:
                raise refusals.ZONE_NOT_FOUND(each[:200])
        if params.get(name):
            zones = [there[each] for each in dict.fromkeys(params[name])]
    meets = test_of(params.get("Filters", []), ZONE_FILTERS)
    return {
        "AvailabilityZones": [
            {
                "OptInStatus": "opt-in-not-required",
                "Messages": [],
                "RegionName": zone.region,
                "ZoneName": zone.key,
                "ZoneId": zone.zone_id,
                "GroupName": f"{zone.region}-zg-1",
                "NetworkBorderGroup": zone.region,
                "ZoneType": "availability-zone",
                "State": "available",
            }
            for zone in zones
            if meets(zone)
        ]
    }


ZONE_FILTERS: dict[str, Callable[[_Zone], Iterable[str]]] = {
    "group-name": lambda zone: (f"{zone.region}-zg-1",),
    "message": lambda _: (),
    "opt-in-status": lambda _: ("opt-in-not-required",),
    "region-name": lambda zone: (zone.region,),
    "state": lambda _: ("available",),
    "zone-id": lambda zone: (zone.zone_id,),
    "zone-name": lambda zone: (zone.key,),
    "zone-type": lambda _: ("availability-zone",),
}
"""Source: Filter.N of DescribeAvailabilityZones in the EC2 API reference."""
