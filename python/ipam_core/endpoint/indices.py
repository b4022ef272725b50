"""By what instances, interfaces and subnets are found without a look at each.

Each is a filter of its Describe call too, by the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.resources import Instance, Interface, VpcSubnet

ENI_INDICES: dict[str, Callable[[Interface], Iterable[str]]] = {
    "vpc-id": lambda eni: (eni.vpc_id,),
    "subnet-id": lambda eni: (eni.subnet_id,),
    "availability-zone": lambda eni: (eni.zone,),
    "status": lambda eni: (eni.status,),
    "description": lambda eni: (eni.description,),
    "group-id": lambda eni: eni.groups,
    "mac-address": lambda eni: (eni.mac,),
    "private-ip-address": lambda eni: (eni.primary_address,),
    "attachment.instance-id": lambda e: () if e.instance_id is None else (e.instance_id,),
    "attachment.attachment-id": lambda e: (e.attachment.attachment_id,) if e.attachment else (),
    "attachment.status": lambda eni: (eni.attachment.status,) if eni.attachment else (),
}
INSTANCE_INDICES: dict[str, Callable[[Instance], Iterable[str]]] = {
    "vpc-id": lambda row: (row.vpc_id,) * (row.state != "terminated"),
    "subnet-id": lambda row: (row.subnet_id,) * (row.state != "terminated"),
    "availability-zone": lambda instance: (instance.zone,),
    "instance-type": lambda instance: (instance.limits.instance_type,),
    "instance-state-name": lambda instance: (instance.state,),
    "reservation-id": lambda instance: (instance.reservation_id,),
}
SUBNET_INDICES: dict[str, Callable[[VpcSubnet], Iterable[str]]] = {
    "vpc-id": lambda subnet: (subnet.vpc_id,),
    "availability-zone": lambda subnet: (subnet.zone,),
}
