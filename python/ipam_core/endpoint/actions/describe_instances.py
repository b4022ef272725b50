"""DescribeInstances and DescribeInstanceTypes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.arguments import instance_of
from ipam_core.endpoint.indices import INSTANCE_INDICES
from ipam_core.endpoint.pages import listed
from ipam_core.endpoint.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Instance
    from ipam_core.instances import InstanceLimits


def describe_instances(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List instances by id or by filters, those of a launch together."""
    rows, more = listed(
        account.secret,
        "DescribeInstances",
        params,
        account.instances,
        FILTERS | _asking(account),
        ids=("InstanceIds", "instancesSet", lambda key: instance_of(account, key)),
    )
    launches: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        launches.setdefault(row.reservation_id, []).append(described.instance(account, row))
    reservations = [
        {
            "ReservationId": reservation_id,
            "OwnerId": account.account_id,
            "Groups": [],
            "Instances": found,
        }
        for reservation_id, found in launches.items()
    ]
    return {"Reservations": reservations} | more


def _asking(account: Account) -> dict[str, Callable[[Instance], Iterable[str]]]:
    """Return the filters that ask the account too."""

    def groups(row: Instance) -> list[str]:
        return [account.groups.by_key[each].name for each in row.groups]

    def enis(row: Instance) -> list[str]:
        return [eni.eni_id for eni in account.attached_to(row.instance_id)]

    def addresses(row: Instance) -> list[str]:
        held = account.attached_to(row.instance_id)
        return [each for eni in held for each in (eni.primary_address, *eni.addresses)]

    return {
        "owner-id": lambda _: (account.account_id,),
        "group-name": groups,
        "instance.group-name": groups,
        "metadata-options.http-tokens": lambda row: (account.http_tokens_of(row),),
        "network-interface.network-interface-id": enis,
        "network-interface.addresses.private-ip-address": addresses,
        "network-interface.subnet-id": lambda row: [
            eni.subnet_id for eni in account.attached_to(row.instance_id)
        ],
        "network-interface.vpc-id": lambda row: (row.vpc_id,),
        "private-dns-name": lambda row: (
            (described.dns_name(account, row.private_address),) * bool(row.private_address)
        ),
        "availability-zone-id": lambda row: (described.zone_id(account, row.zone),),
    }


FILTERS: dict[str, Callable[[Instance], Iterable[str]]] = {
    **INSTANCE_INDICES,
    "architecture": lambda row: (described.architecture(row.limits.instance_type),),
    "client-token": lambda row: (row.client_token,) * bool(row.client_token),
    "hypervisor": lambda _: ("xen",),
    "image-id": lambda row: (row.image_id,),
    "instance-id": lambda row: (row.instance_id,),
    "instance-lifecycle": lambda _: (),
    "instance-state-code": lambda row: (str(described.STATE_CODES[row.state]),),
    "instance.group-id": lambda row: row.groups,
    "group-id": lambda row: row.groups,
    "key-name": lambda row: (row.key_name,) * bool(row.key_name),
    "launch-index": lambda row: (str(row.launch_index),),
    "launch-time": lambda row: (
        described.time_of(row.launched_ns).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    ),
    "private-ip-address": lambda row: (row.private_address,) * bool(row.private_address),
    "platform": lambda _: (),
    "root-device-type": lambda _: ("ebs",),
    "tenancy": lambda _: ("default",),
    "virtualization-type": lambda _: ("hvm",),
}
"""Source: Filter.N of DescribeInstances in the EC2 API reference; what the model has of it."""


# --- types ------------------------------------------------------------------------------------


class _TypeRow:
    """A type of the table as a row."""

    def __init__(self, number: int, limits: InstanceLimits) -> None:
        self.number = number
        self.limits = limits
        self.tags: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Its name."""
        return self.limits.instance_type


@cache
def _types() -> Table[_TypeRow]:
    """Return the table of all types: it is the same for every account."""
    table: Table[_TypeRow] = Table("instance-type", {})
    for number, name in enumerate(instances.names(), 1):
        table.add(_TypeRow(number, instances.limits(name)))
    return table


def _type_of(name: str) -> _TypeRow:
    row = _types().by_key.get(name)
    if row is None:
        raise refusals.TYPE_UNKNOWN(name[:200])
    return row


def describe_instance_types(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List instance types with what the table knows of them: no memory, disks or prices."""
    rows, more = listed(
        account.secret,
        "DescribeInstanceTypes",
        params,
        _types(),
        TYPE_FILTERS,
        ids=("InstanceTypes", "instanceTypeSet", _type_of),
        most=100,
    )
    return {"InstanceTypes": [_type(row.limits) for row in rows]} | more


def _type(limits: InstanceLimits) -> dict[str, Any]:
    found: dict[str, Any] = {
        "InstanceType": limits.instance_type,
        "BareMetal": limits.bare_metal,
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedVirtualizationTypes": ["hvm"],
        "ProcessorInfo": {"SupportedArchitectures": [described.architecture(limits.instance_type)]},
        "NetworkInfo": {
            "MaximumNetworkInterfaces": limits.max_enis,
            "MaximumNetworkCards": len(limits.enis_per_network_card),
            "DefaultNetworkCardIndex": limits.default_network_card,
            "NetworkCards": [
                {"NetworkCardIndex": card, "MaximumNetworkInterfaces": most}
                for card, most in enumerate(limits.enis_per_network_card)
            ],
            "Ipv4AddressesPerInterface": limits.ipv4_per_eni,
            "Ipv6AddressesPerInterface": limits.ipv4_per_eni,
            "Ipv6Supported": True,
        },
    }
    if limits.hypervisor in ("nitro", "xen"):
        found["Hypervisor"] = limits.hypervisor
    if limits.vcpus is not None:
        found["VCpuInfo"] = {"DefaultVCpus": limits.vcpus}
    return found


TYPE_FILTERS: dict[str, Callable[[_TypeRow], Iterable[str]]] = {
    "bare-metal": lambda row: (str(row.limits.bare_metal).lower(),),
    "hypervisor": lambda row: (row.limits.hypervisor,),
    "instance-type": lambda row: (row.key,),
    "network-info.ipv4-addresses-per-interface": lambda row: (str(row.limits.ipv4_per_eni),),
    "network-info.maximum-network-cards": lambda row: (str(len(row.limits.enis_per_network_card)),),
    "network-info.maximum-network-interfaces": lambda row: (str(row.limits.max_enis),),
    "processor-info.supported-architecture": lambda row: (described.architecture(row.key),),
    "vcpu-info.default-vcpus": lambda row: (
        (str(row.limits.vcpus),) * (row.limits.vcpus is not None)
    ),
}
"""Source: Filter.N of DescribeInstanceTypes; what the table has of it."""
