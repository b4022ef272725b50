"""Interfaces and their attachments: what each call does, refuses, and leaves as it was."""

import pytest

from ipam_core.endpoint.vpc import Vpc
from support.vpcs import Clock, refusal_of

NODE = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vpc(clock):
    vpc = Vpc(seed=1, clock_ns=clock)
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a")
    return vpc


@pytest.fixture
def node(vpc, clock):
    (node,) = vpc.call("ec2", "RunInstances", NODE)["Instances"]
    clock.move(60)
    return node["InstanceId"]


def create(vpc, **params):
    params = {"SubnetId": "subnet-a"} | params
    return vpc.call("ec2", "CreateNetworkInterface", params)["NetworkInterface"]


def described(vpc, eni):
    params = {"NetworkInterfaceIds": [eni["NetworkInterfaceId"]]}
    (found,) = vpc.call("ec2", "DescribeNetworkInterfaces", params)["NetworkInterfaces"]
    return found


def attach(vpc, eni, node, device=1):
    params = {
        "NetworkInterfaceId": eni["NetworkInterfaceId"],
        "InstanceId": node,
        "DeviceIndex": device,
    }
    return vpc.call("ec2", "AttachNetworkInterface", params)["AttachmentId"]


def test_an_interface_is_pending_then_available(vpc):
    eni = create(vpc, Description="pods")
    assert eni["Status"] == "pending"
    assert described(vpc, eni) == eni | {"Status": "available"}


def test_an_attachment_takes_its_time_and_so_does_its_end(vpc, node, clock):
    eni = create(vpc)
    attachment_id = attach(vpc, eni, node)
    found = described(vpc, eni)
    assert found["Status"] == "in-use"
    assert found["Attachment"]["Status"] == "attaching"
    clock.move(vpc.account.delays.attached_s)
    assert described(vpc, eni)["Attachment"]["Status"] == "attached"
    vpc.call("ec2", "DetachNetworkInterface", {"AttachmentId": attachment_id})
    assert described(vpc, eni)["Attachment"]["Status"] == "detaching"
    assert refusal_of(vpc, "DeleteNetworkInterface", eni) == (
        "InvalidParameterValue",
        f"Network interface '{eni['NetworkInterfaceId']}' is currently in use.",
    )
    clock.move(vpc.account.delays.detached_s)
    assert "Attachment" not in described(vpc, eni)
    assert described(vpc, eni)["Status"] == "available"


def test_force_detaches_at_once(vpc, node, clock):
    eni = create(vpc)
    attachment_id = attach(vpc, eni, node)
    clock.move(9)
    vpc.call("ec2", "DetachNetworkInterface", {"AttachmentId": attachment_id, "Force": True})
    assert described(vpc, eni)["Status"] == "available"


def test_what_a_deleted_interface_held_is_free_again(vpc):
    subnet = vpc.account.subnets.by_key["subnet-a"]
    eni = create(vpc, Ipv4PrefixCount=2)
    assert subnet.available_addresses == 251 - 1 - 32
    vpc.call("ec2", "DeleteNetworkInterface", eni_id(eni))
    assert subnet.available_addresses == 251
    assert subnet.holders == {}
    assert refusal_of(vpc, "DeleteNetworkInterface", eni)[0] == "InvalidNetworkInterfaceID.NotFound"


def eni_id(eni):
    return {"NetworkInterfaceId": eni["NetworkInterfaceId"]}


def test_a_fragmented_subnet_has_no_free_28(vpc):
    for block in range(16):
        create(vpc, PrivateIpAddress=f"10.0.0.{block * 16 + 8}")
    assert refusal_of(
        vpc, "CreateNetworkInterface", {"SubnetId": "subnet-a", "Ipv4PrefixCount": 1}
    ) == (
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
    )
    assert vpc.account.subnets.by_key["subnet-a"].available_addresses == 251 - 16
