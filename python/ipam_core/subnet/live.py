"""The same input as the files, read from AWS: read-only calls, page by page.

Permissions: ec2:DescribeSubnets, ec2:DescribeNetworkInterfaces, ec2:GetSubnetCidrReservations
and ec2:DescribeInstances; for a cluster eks:DescribeCluster too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud.codes import error_for
from ipam_core.errors import DeniedError, InputError, MissingExtraError, UnreachableError
from ipam_core.subnet.inventory import Inventory
from ipam_core.subnet.owners import instance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_FILTER_VALUES = 200
"""EC2 takes no more values in one filter of a Describe call."""


def read_live(
    subnet_ids: Iterable[str] = (), *, cluster: str | None = None, session: Any = None
) -> tuple[Inventory, list[str]]:
    """Read subnets by id, and those of an EKS cluster; return all, and the ids to report on.

    A cluster's subnets are those its control plane was given, and those its instances are
    in. `session` is a `boto3.Session`; without one, the usual places decide about
    credentials and region.

    Raises:
        MissingExtraError: boto3 is not installed.
        DeniedError, NotFoundError, UnreachableError, CloudError: AWS refused, or was not reached.
    """
    reader = _Reader(session)
    wanted = list(subnet_ids)
    if cluster is not None:
        wanted += reader.subnets_of(cluster)
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        raise InputError(f"no subnet to read: cluster {cluster!r} has none")
    inventory = Inventory()
    # By id, not by filter: one that does not exist is an error.
    subnets = reader.pages("describe_subnets", "Subnets", SubnetIds=wanted)
    inventory.add({"Subnets": subnets}, "describe_subnets")
    reader.add(inventory, "describe_network_interfaces", "NetworkInterfaces", "subnet-id", wanted)
    # Under custom networking a node's instance is in another subnet than its pods' ENIs.
    instances = {
        instance
        for interfaces in inventory.interfaces.values()
        for interface in interfaces
        if (instance := instance_of(interface))
    }
    reader.add(inventory, "describe_instances", "Reservations", "instance-id", sorted(instances))
    for subnet_id in wanted:
        inventory.add(reader.reservations(subnet_id), "get_subnet_cidr_reservations")
    return inventory, wanted


class _Reader:
    def __init__(self, session: Any) -> None:
        try:
            import boto3  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("aws", "reading from AWS") from None
        self.session = session or boto3.Session()
        self.clients: dict[str, Any] = {}

    def add(
        self, inventory: Inventory, method: str, key: str, name: str, values: list[str]
    ) -> None:
        """Read all whose `name` is one of `values`, and add them."""
        for at in range(0, len(values), MOST_FILTER_VALUES):
            chosen = [{"Name": name, "Values": values[at : at + MOST_FILTER_VALUES]}]
            inventory.add({key: self.pages(method, key, Filters=chosen)}, method)

    def subnets_of(self, cluster: str) -> list[str]:
        described = self.call("eks", "describe_cluster", name=cluster)
        tagged = [{"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{cluster}"]}]
        reservations = self.pages("describe_instances", "Reservations", Filters=tagged)
        return [
            *described["cluster"]["resourcesVpcConfig"]["subnetIds"],
            *(
                interface["SubnetId"]
                for reservation in reservations
                for instance in reservation["Instances"]
                for interface in instance.get("NetworkInterfaces", ())
            ),
        ]

    def reservations(self, subnet_id: str) -> dict[str, Any]:
        """Return GetSubnetCidrReservations; it has pages and no paginator in botocore."""
        key = "SubnetIpv4CidrReservations"
        found: list[Any] = []
        token: dict[str, str] = {}
        while True:
            page = self.call("ec2", "get_subnet_cidr_reservations", SubnetId=subnet_id, **token)
            found += page.get(key, ())
            if not page.get("NextToken"):
                return {key: found}
            token = {"NextToken": page["NextToken"]}

    def pages(self, method: str, key: str, **arguments: Any) -> list[Any]:
        """Return the entries of all pages of an EC2 call."""

        def read() -> list[Any]:
            pages = self.client("ec2").get_paginator(method).paginate(**arguments)
            return [entry for page in pages for entry in page[key]]

        found: list[Any] = self.told(method, read)
        return found

    def call(self, service: str, method: str, **arguments: Any) -> Any:
        return self.told(method, lambda: getattr(self.client(service), method)(**arguments))

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = self.session.client(service)
        return self.clients[service]

    def told(self, method: str, read: Callable[[], Any]) -> Any:
        """Read, and turn botocore's errors into the package's own."""
        from botocore import exceptions  # noqa: PLC0415

        api = "".join(map(str.capitalize, method.split("_")))
        try:
            return read()
        except exceptions.ClientError as error:
            said = error.response["Error"]
            raise error_for(api, said.get("Code", ""), said.get("Message", "")) from None
        except exceptions.NoRegionError as error:
            raise InputError(f"{api}: {error}") from None
        except exceptions.BotoCoreError as error:
            kind = DeniedError if "Credential" in type(error).__name__ else UnreachableError
            raise kind(api, type(error).__name__, str(error)) from None
