"""A test of a controller of one's own against a served VPC.

    pytest examples/test_my_controller.py

pytest finds the fixture `vpc` by itself: a VPC with a boto3 client. Needs the extra `vpc`.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ipam_core.testing import TestVpc

SUBNET = "subnet-0aaaaaaaaaaaaaaaa"


@pytest.fixture
def vpc_spec() -> dict[str, Any]:
    """A subnet so small that addresses run out."""
    return {
        "subnets": [{"id": SUBNET, "cidr": "10.0.0.0/27"}],
        "nodes": [{"name": "n", "instance_type": "m5.large", "count": 1}],
    }


def add_addresses(ec2: Any, eni_id: str, count: int) -> int:
    """Ask for addresses, one by one if the subnet has too few: what is to be tested."""
    try:
        ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni_id, SecondaryPrivateIpAddressCount=count
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "InsufficientFreeAddressesInSubnet":
            raise
        return 0
    return count


def test_a_full_subnet_is_no_crash(vpc: TestVpc) -> None:
    eni_id = vpc.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    given = [add_addresses(vpc.ec2, eni_id, 3) for _ in range(3)]
    assert given == [3, 3, 3]
    other = vpc.ec2.create_network_interface(SubnetId=SUBNET, SecondaryPrivateIpAddressCount=9)
    eni_id = other["NetworkInterface"]["NetworkInterfaceId"]
    assert [add_addresses(vpc.ec2, eni_id, 3) for _ in range(3)] == [3, 3, 0]
