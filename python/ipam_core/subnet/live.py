"""The same input as the files, read from AWS: read-only calls, page by page.

Permissions: ec2:DescribeSubnets, ec2:DescribeNetworkInterfaces, ec2:GetSubnetCidrReservations
and ec2:DescribeInstances; for a cluster eks:DescribeCluster too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.owners import instance_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import boto3

    from ipam_core.cloud.ec2 import Ec2


def read_live(
    subnet_ids: Iterable[str] = (),
    *,
    cluster: str | None = None,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
) -> tuple[Inventory, list[str]]:
    """Read subnets by id, and those of an EKS cluster; return all, and the ids to report on.

    A cluster's subnets are those of its control plane and those of its instances. `session`
    left out is boto3's default one: environment, profile, instance role. `endpoint_url` is
    another address of EC2.

    Raises:
        MissingExtraError: boto3 is not installed.
        InputError: no region; the cluster has no subnet.
        DeniedError, NotFoundError, UnreachableError, CloudError: AWS refused, or was not reached.
    """
    from ipam_core.cloud.ec2 import Ec2, open_session  # noqa: PLC0415  (needs the extra `aws`)

    session = session or open_session()
    ec2 = Ec2(session, endpoint_url=endpoint_url)
    wanted = list(subnet_ids)
    if cluster is not None:
        wanted += _subnets_of(cluster, session, ec2)
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise InputError(f"no subnet to read: cluster {cluster!r} has none")
    inventory = Inventory()
    # By id, not by filter: one that does not exist is an error.
    inventory.add(ec2.call("DescribeSubnets", SubnetIds=wanted), "DescribeSubnets")
    _add(inventory, ec2, "NetworkInterfaces", "subnet-id", wanted)
    # Under custom networking a node's instance is in another subnet than its pods' ENIs.
    instances = {
        instance
        for interfaces in inventory.interfaces.values()
        for interface in interfaces
        if (instance := instance_of(interface))
    }
    _add(inventory, ec2, "Reservations", "instance-id", sorted(instances))
    for subnet_id in wanted:
        for page in _reservations(ec2, subnet_id):
            inventory.add(page, "GetSubnetCidrReservations")
    return inventory, wanted


_APIS = {"NetworkInterfaces": "DescribeNetworkInterfaces", "Reservations": "DescribeInstances"}


def _add(inventory: Inventory, ec2: Ec2, key: str, name: str, values: list[str]) -> None:
    """Add all whose `name` is one of `values`."""
    if not values:
        return
    api = _APIS[key]
    inventory.add({key: list(ec2.pages_by(api, key, name, values))}, api)


def _subnets_of(cluster: str, session: boto3.Session, ec2: Ec2) -> list[str]:
    from ipam_core.cloud.ec2 import typed  # noqa: PLC0415

    with typed("DescribeCluster"):
        described = session.client("eks").describe_cluster(name=cluster)["cluster"]
    tagged = [{"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{cluster}"]}]
    return [
        *described["resourcesVpcConfig"]["subnetIds"],
        *(
            interface["SubnetId"]
            for reservation in ec2.pages("DescribeInstances", "Reservations", Filters=tagged)
            for instance in reservation["Instances"]
            for interface in instance.get("NetworkInterfaces", ())
        ),
    ]


def _reservations(ec2: Ec2, subnet_id: str) -> Iterator[dict[str, Any]]:
    """Yield the pages of GetSubnetCidrReservations, for which botocore has no paginator."""
    token: dict[str, str] = {}
    while True:
        page = ec2.call("GetSubnetCidrReservations", SubnetId=subnet_id, **token)
        more = page.pop("NextToken", "")
        yield page
        if not more:
            return
        token = {"NextToken": more}
