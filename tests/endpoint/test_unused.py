"""The parameters that no action reads are those that docs/ec2-calls.md names."""

import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.models import operation
from ipam_core.endpoint.vpc import Vpc

PAGE = Path(__file__).parents[2] / "docs/ec2-calls.md"


class Read(dict):
    """Parameters of a request that note which of them are looked at."""

    def __init__(self, given, names):
        super().__init__(given)
        self.names = names

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name):
        self.names.add(name)
        return super().__contains__(name)

    def __or__(self, other):
        return Read({**self, **other}, self.names)


def calls(vpc):
    """Return calls that together go through all that actions read."""
    subnet = next(iter(vpc.account.subnets))
    launch = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"}
    node, *_ = vpc.call("ec2", "RunInstances", launch)["Instances"]
    eni = {"NetworkInterfaceId": node["NetworkInterfaces"][0]["NetworkInterfaceId"]}
    free = vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": subnet.subnet_id})
    free_id = free["NetworkInterface"]["NetworkInterfaceId"]
    network = {"VpcId": subnet.vpc_id}
    yield "CreateNetworkInterface", {"SubnetId": subnet.subnet_id}
    for name in ("Groups", "Description", "SourceDestCheck", "Attachment", "EnablePrimaryIpv6"):
        yield "ModifyNetworkInterfaceAttribute", eni | {name: {}}
    yield "AssignPrivateIpAddresses", eni | {"SecondaryPrivateIpAddressCount": 1}
    yield "UnassignPrivateIpAddresses", eni
    yield "AssignIpv6Addresses", eni | {"Ipv6AddressCount": 1}
    yield "UnassignIpv6Addresses", eni
    yield "RunInstances", launch
    yield "RunInstances", launch | {"ImageId": "", "LaunchTemplate": {}}
    yield "RunInstances", launch | {"NetworkInterfaces": [{"DeviceIndex": 0}]}
    yield "CreateSubnet", network | {"CidrBlock": "10.0.8.0/24"}
    yield (
        "CreateSubnetCidrReservation",
        {"SubnetId": subnet.subnet_id, "Cidr": "10.0.0.32/28", "ReservationType": "prefix"},
    )
    yield "GetSubnetCidrReservations", {"SubnetId": subnet.subnet_id}
    yield "DeleteSubnetCidrReservation", {"SubnetCidrReservationId": "scr-1"}
    for action in ("CreateTags", "DeleteTags"):
        yield action, {"Resources": [free_id], "Tags": [{"Key": "a", "Value": "b"}]}
    for service, action in ACTIONS:
        if service == "ec2" and action.startswith("Describe"):
            yield action, {}
            yield action, {"NetworkInterfaceIds": [free_id], "MaxResults": 5}
    attach = {"NetworkInterfaceId": free_id, "InstanceId": node["InstanceId"], "DeviceIndex": 1}
    yield "AttachNetworkInterface", attach
    attachment = vpc.account.enis.by_key[free_id].attachment_id
    yield "DetachNetworkInterface", {"AttachmentId": attachment}
    yield "DeleteNetworkInterface", {"NetworkInterfaceId": free_id}
    yield "TerminateInstances", {"InstanceIds": [node["InstanceId"]]}


@pytest.fixture(scope="module")
def unused():
    """Return the parameters that EC2 has and nothing read, by action."""
    vpc = Vpc(seed=1)
    vpc.account.add_subnet("10.0.0.0/24")
    read = defaultdict(set)
    for action, params in calls(vpc):
        with suppress(Ec2Error):
            vpc.call("ec2", action, Read(params, read[action]))
    return {
        action: set(operation("ec2", action).input_shape.members) - read[action]
        for service, action in ACTIONS
        if service == "ec2"
    }


def test_the_page_names_the_parameters_that_change_nothing(unused):
    text = PAGE.read_text().partition("## What is accepted and not used")[2].partition("\n## ")[0]
    named = {}
    for actions, params in re.findall(r"^\| ([A-Z].*) \| ([A-Z].*) \|$", text, re.M):
        for action in actions.split(", "):
            named[action] = set(params.split(", "))
    assert named == {action: names for action, names in unused.items() if names}


def test_an_instance_level_primary_ipv6_is_that_of_its_first_interface():
    vpc = Vpc(seed=1)
    vpc.account.add_subnet("10.0.0.0/24")
    launch = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"}
    for asked in (False, True):
        given = launch | {"Ipv6AddressCount": 1, "EnablePrimaryIpv6": asked}
        node, *_ = vpc.call("ec2", "RunInstances", given)["Instances"]
        (address,) = node["NetworkInterfaces"][0]["Ipv6Addresses"]
        assert address["IsPrimaryIpv6"] is asked
