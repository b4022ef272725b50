"""Where the nodes of a cluster are in AWS: the subnet of each, and what those subnets hold.

Calls, all read-only: DescribeInstances, then those of `ipam_core.subnet.live`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.live import read_live
from ipam_core.subnet.owners import tags_of
from ipam_core.subnet.report import report_on
from ipam_core.tags import ROLE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    import boto3

    from ipam_core.subnet.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Place:
    """The subnet of a node's primary ENI, and of its other ENIs where that is another one."""

    subnet_id: str
    pod_subnet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSubnet:
    """A subnet; `used` of its addresses are not those of the nodes asked for."""

    subnet_id: str
    cidr: str
    zone: str
    tag: str | None
    used: int
    reservations: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Places:
    """The place of each instance by its id, and their subnets."""

    of: dict[str, Place] = field(default_factory=dict)
    subnets: list[PlacedSubnet] = field(default_factory=list)


def read_places(
    instance_ids: Iterable[str],
    *,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
) -> Places:
    """Read where instances are. Cost: one call for 200 instances, then those of `read_live`.

    Raises:
        MissingExtraError: boto3 is not installed.
        InputError: no region; AWS knows none of them.
        CloudError: AWS refused, or was not reached.
    """
    from ipam_core.cloud.ec2 import Ec2, open_session  # noqa: PLC0415  (needs the extra `aws`)

    session = session or open_session()
    ec2 = Ec2(session, endpoint_url=endpoint_url)
    wanted = sorted(set(instance_ids))
    of_nodes = "DescribeInstances", "Reservations", "instance-id"
    instances = [
        instance
        for reservation in ec2.pages_by(*of_nodes, wanted)
        for instance in reservation["Instances"]
    ]
    found = {each["InstanceId"]: place for each in instances if (place := place_of(each))}
    if not found:
        raise InputError(f"EC2 knows none of the {len(wanted)} instances: another account?")
    subnet_ids = dict.fromkeys(
        subnet for place in found.values() for subnet in (place.subnet_id, place.pod_subnet)
    )
    inventory, listed = read_live(
        filter(None, subnet_ids), session=session, endpoint_url=endpoint_url
    )
    return Places(found, [placed_subnet(inventory, each, found) for each in sorted(listed)])


def place_of(instance: Mapping[str, Any]) -> Place | None:
    """Return the place of an instance as DescribeInstances shows it, None: it is in no subnet."""
    subnet_id = instance.get("SubnetId")
    if not subnet_id:
        return None
    others = Counter(
        each["SubnetId"]
        for each in instance.get("NetworkInterfaces") or ()
        if (each.get("Attachment") or {}).get("DeviceIndex") != 0 and each.get("SubnetId")
    )
    most = others.most_common(1)[0][0] if others else subnet_id
    return Place(subnet_id, None if most == subnet_id else most)


def placed_subnet(inventory: Inventory, subnet_id: str, nodes: Iterable[str]) -> PlacedSubnet:
    """Return a subnet of an inventory; addresses that `nodes` do not hold are `used`.

    Raises `InputError`: it has no IPv4, or is not as AWS writes it.
    """
    if not inventory.subnets[subnet_id].get("CidrBlock"):
        raise InputError(f"subnet {subnet_id} is IPv6-only: a fleet has IPv4 subnets")
    report = report_on(inventory, subnet_id)
    known = inventory.subnets[subnet_id]
    own = set(nodes)
    held = sum(
        each.n_addresses + ADDRESSES_PER_PREFIX * len(each.prefixes)
        for each in report.interfaces
        if each.node in own
    )
    return PlacedSubnet(
        subnet_id=subnet_id,
        cidr=report.subnet.cidr,
        zone=str(known.get("AvailabilityZone", "")),
        tag=tags_of(known).get(ROLE_TAG),
        used=max(report.n_used + report.n_unseen - held, 0),
        reservations=tuple(report.subnet.reservations),
    )
