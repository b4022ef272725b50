"""Facts about an instance, as a protocol: from its metadata service, or from EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ipam_core._dataclass import dataclass
from ipam_core.cloud.replies import attached_eni_of

if TYPE_CHECKING:
    from ipam_core.cloud.ec2 import Ec2
    from ipam_core.effects import AttachedEni


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Facts that do not change while an instance runs. `subnet_id` is its primary ENI's."""

    instance_id: str
    instance_type: str
    zone: str
    vpc_id: str
    subnet_id: str


class Metadata(Protocol):
    """Describes one instance. Every method raises `CloudError`."""

    def instance(self) -> Instance:
        """Return what does not change."""

    def security_groups(self) -> tuple[str, ...]:
        """Return the security groups of the primary ENI as they are now."""

    def attached_enis(self) -> tuple[AttachedEni, ...]:
        """Return the ENIs that are attached, by network card and device number."""


class Ec2Metadata:
    """An instance as EC2 describes it: used where its own metadata cannot be reached.

    Each method is one call: DescribeInstances, or DescribeNetworkInterfaces by instance.
    """

    def __init__(self, ec2: Ec2, instance_id: str) -> None:
        self._ec2 = ec2
        self._instance_id = instance_id

    def instance(self) -> Instance:
        """Return what does not change."""
        found = self._ec2.describe_instance(self._instance_id)
        return Instance(
            instance_id=self._instance_id,
            instance_type=found["InstanceType"],
            zone=found["Placement"]["AvailabilityZone"],
            vpc_id=found["VpcId"],
            subnet_id=found["SubnetId"],
        )

    def security_groups(self) -> tuple[str, ...]:
        """Return the security groups of the primary ENI as they are now."""
        found = self._ec2.describe_instance(self._instance_id)
        return tuple(group["GroupId"] for group in found["SecurityGroups"])

    def attached_enis(self) -> tuple[AttachedEni, ...]:
        """Return the ENIs that are attached: neither still attaching nor detaching."""
        enis = self._ec2.pages(
            "DescribeNetworkInterfaces",
            "NetworkInterfaces",
            Filters=[{"Name": "attachment.instance-id", "Values": [self._instance_id]}],
        )
        attached = [eni for eni in enis if eni["Attachment"]["Status"] == "attached"]
        return tuple(
            sorted(map(attached_eni_of, attached), key=lambda e: (e.network_card, e.device_number))
        )
