"""moto as a second opinion: the same calls to both, the same members of replies, the same codes.

Where they differ, the tables below say who is right, and why.
"""

from __future__ import annotations

import ipaddress

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from ipam_core.testing.vpc import CREDENTIALS

REGION = "us-east-1"
NOTHING = "0123456789abcdef0"


@pytest.fixture(autouse=True)
def answers_are_validated():
    """moto's are its own."""


@pytest.fixture(scope="module")
def moto():
    from support import moto_ec2  # loads seconds of tables

    with moto_ec2.uncorrected():
        yield from moto_itself()


def moto_itself():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "ec2",
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}),
        **CREDENTIALS,
    )
    yield client
    client.close()
    server.stop()


class World:
    """One VPC with a subnet and a node, on a client of either."""

    def __init__(self, client, vpc_id):
        self.client = client
        self.vpc_id = vpc_id
        subnet = client.create_subnet(
            VpcId=vpc_id, CidrBlock="10.0.64.0/24", AvailabilityZone=f"{REGION}a"
        )
        self.subnet_id = subnet["Subnet"]["SubnetId"]
        self.group_id = self.groups()[0]["GroupId"]
        (self.node,) = client.run_instances(
            ImageId="ami-12c6146b",
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet_id,
        )["Instances"]
        self.eni_id = self.create()["NetworkInterfaceId"]

    def groups(self):
        filters = [{"Name": "vpc-id", "Values": [self.vpc_id]}]
        return self.client.describe_security_groups(Filters=filters)["SecurityGroups"]

    def create(self, **params):
        params.setdefault("SubnetId", self.subnet_id)
        return self.client.create_network_interface(**params)["NetworkInterface"]


CALLS = {
    "create": lambda w: w.client.create_network_interface(
        SubnetId=w.subnet_id,
        Groups=[w.group_id],
        Description="d",
        TagSpecifications=[
            {"ResourceType": "network-interface", "Tags": [{"Key": "k", "Value": "v"}]}
        ],
    ),
    "create with addresses": lambda w: w.client.create_network_interface(
        SubnetId=w.subnet_id, SecondaryPrivateIpAddressCount=3
    ),
    "assign": lambda w: w.client.assign_private_ip_addresses(
        NetworkInterfaceId=w.eni_id, SecondaryPrivateIpAddressCount=2
    ),
    "attach": lambda w: w.client.attach_network_interface(
        NetworkInterfaceId=w.eni_id, InstanceId=w.node["InstanceId"], DeviceIndex=1
    ),
    "describe enis": lambda w: w.client.describe_network_interfaces(NetworkInterfaceIds=[w.eni_id]),
    "describe instances": lambda w: w.client.describe_instances(InstanceIds=[w.node["InstanceId"]]),
    "describe subnets": lambda w: w.client.describe_subnets(SubnetIds=[w.subnet_id]),
    "describe vpcs": lambda w: w.client.describe_vpcs(VpcIds=[w.vpc_id]),
    "describe groups": lambda w: w.client.describe_security_groups(GroupIds=[w.group_id]),
    "describe zones": lambda w: w.client.describe_availability_zones(),
    "describe types": lambda w: w.client.describe_instance_types(InstanceTypes=["m5.large"]),
    "create tags": lambda w: w.client.create_tags(
        Resources=[w.eni_id], Tags=[{"Key": "team", "Value": "net"}]
    ),
    "describe tags": lambda w: w.client.describe_tags(
        Filters=[{"Name": "resource-id", "Values": [w.eni_id]}]
    ),
    "delete tags": lambda w: w.client.delete_tags(Resources=[w.eni_id], Tags=[{"Key": "team"}]),
    # --- refused ---
    "delete, attached": lambda w: w.client.delete_network_interface(NetworkInterfaceId=w.eni_id),
    "no such eni": lambda w: w.client.describe_network_interfaces(
        NetworkInterfaceIds=[f"eni-{NOTHING}"]
    ),
    "assign, no such eni": lambda w: w.client.assign_private_ip_addresses(
        NetworkInterfaceId=f"eni-{NOTHING}", SecondaryPrivateIpAddressCount=1
    ),
    "attach, no such eni": lambda w: w.client.attach_network_interface(
        NetworkInterfaceId=f"eni-{NOTHING}", InstanceId=w.node["InstanceId"], DeviceIndex=2
    ),
    "attach, no such instance": lambda w: w.client.attach_network_interface(
        NetworkInterfaceId=w.create()["NetworkInterfaceId"],
        InstanceId=f"i-{NOTHING}",
        DeviceIndex=2,
    ),
    "detach, no such attachment": lambda w: w.client.detach_network_interface(
        AttachmentId=f"eni-attach-{NOTHING}"
    ),
    "no such subnet": lambda w: w.client.describe_subnets(SubnetIds=[f"subnet-{NOTHING}"]),
    "create, no such subnet": lambda w: w.client.create_network_interface(
        SubnetId=f"subnet-{NOTHING}"
    ),
    "create, no such group": lambda w: w.client.create_network_interface(
        SubnetId=w.subnet_id, Groups=[f"sg-{NOTHING}"]
    ),
    "no such instance": lambda w: w.client.describe_instances(InstanceIds=[f"i-{NOTHING}"]),
    "terminate, no such instance": lambda w: w.client.terminate_instances(
        InstanceIds=[f"i-{NOTHING}"]
    ),
    "no such vpc": lambda w: w.client.describe_vpcs(VpcIds=[f"vpc-{NOTHING}"]),
    "no such type": lambda w: w.client.describe_instance_types(InstanceTypes=["m5.tiny"]),
    "subnet in the way": lambda w: w.client.create_subnet(VpcId=w.vpc_id, CidrBlock="10.0.64.0/25"),
    "subnet outside": lambda w: w.client.create_subnet(VpcId=w.vpc_id, CidrBlock="192.0.2.0/24"),
    "subnet too small": lambda w: w.client.create_subnet(VpcId=w.vpc_id, CidrBlock="10.0.65.0/29"),
    "tag, reserved": lambda w: w.client.create_tags(
        Resources=[w.eni_id], Tags=[{"Key": "aws:x", "Value": ""}]
    ),
    "dry run": lambda w: w.client.create_network_interface(SubnetId=w.subnet_id, DryRun=True),
    # --- ends ---
    "detach": lambda w: w.client.detach_network_interface(
        AttachmentId=w.client.describe_network_interfaces(NetworkInterfaceIds=[w.eni_id])[
            "NetworkInterfaces"
        ][0]["Attachment"]["AttachmentId"],
        Force=True,
    ),
    "delete": lambda w: w.client.delete_network_interface(NetworkInterfaceId=w.eni_id),
    "terminate": lambda w: w.client.terminate_instances(InstanceIds=[w.node["InstanceId"]]),
}


def outcome(call, world):
    """Return the code of a refusal, or the members of the reply."""
    try:
        reply = call(world)
    except ClientError as error:
        return error.response["Error"]["Code"], frozenset()
    del reply["ResponseMetadata"]
    return "", frozenset(members(reply))


def members(value, where=""):
    if isinstance(value, dict):
        for name, each in value.items():
            yield f"{where}.{name}" if where else name
            yield from members(each, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for each in value:
            yield from members(each, f"{where}[]")


CODES = {
    "delete, attached": ("", "moto deletes an interface that is in use; EC2 refuses it so"),
    "create, no such group": ("", "moto takes any group; EC2 knows its own"),
    "subnet too small": ("", 'moto takes a /29; "/16 to /28" (CreateSubnet, EC2 API reference)'),
    "tag, reserved": (
        "",
        'moto takes it; keys of "aws:" are reserved (EC2 user guide)',
    ),
    "detach": ("InvalidNetworkInterfaceID.NotFound", "moto deleted the interface above"),
    "delete": ("InvalidNetworkInterfaceID.NotFound", "the same"),
}
"""Calls that moto answers with another code, "" for done: it is this code, and EC2 is with us."""

MEMBERS = {
    "Association": "of a public address, empty in moto where there is none, and not there in EC2",
    "Platform": "moto says it of an instance that is not Windows; EC2 leaves it out",
    "SriovNetSupport": "of older networking; EC2 shows it where it was set",
    "StateReason": "EC2 shows it of an instance that has ended, or failed to start",
    "BlockDeviceMappings[].": "volumes are not modelled: the list is empty",
    "InstanceTypes[].": (
        "storage, memory, processors and bandwidth are not modelled: the table holds what a VPC "
        "limits by type"
    ),
}
"""Members that moto gives and we do not, by a part of their place; why we are right."""


def test_moto_says_the_same(moto, make_vpc):
    vpc = make_vpc(
        {
            "vpc": {"blocks": ["10.0.0.0/16"]},
            "subnets": [{"id": "subnet", "cidr": "10.0.0.0/24"}],
            "nodes": [],
            "ec2": {"latency": False, "throttling": False},
        }
    )
    theirs = World(moto, moto.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
    ours = World(vpc.ec2, vpc.ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
    codes, missing, used = {}, [], set()
    for name, call in CALLS.items():
        vpc.move(60)
        (moto_code, moto_members), (code, found) = outcome(call, theirs), outcome(call, ours)
        if moto_code != code:
            codes[name] = moto_code
            continue
        for member in sorted(moto_members - found):
            reasons = [part for part in MEMBERS if part in member]
            used.update(reasons)
            missing += [] if reasons else [f"{name}: {member}"]
    assert codes == {name: code for name, (code, _) in CODES.items()}
    assert not missing, missing
    assert used == MEMBERS.keys()


def test_what_the_page_says_of_moto_is_so(moto):
    """docs/coming-from.md compares with it; a newer moto may do better."""
    vpc_id = moto.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = moto.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/28")["Subnet"]["SubnetId"]
    wide = moto.create_subnet(VpcId=vpc_id, CidrBlock="10.9.64.0/18")["Subnet"]["SubnetId"]

    def create(subnet_id):
        made = moto.create_network_interface(SubnetId=subnet_id)
        return made["NetworkInterface"]["NetworkInterfaceId"]

    def assign(eni_id, **count):
        moto.assign_private_ip_addresses(NetworkInterfaceId=eni_id, **count)
        found = moto.describe_network_interfaces(NetworkInterfaceIds=[eni_id])
        (eni,) = found["NetworkInterfaces"]
        return [each["PrivateIpAddress"] for each in eni["PrivateIpAddresses"]], eni

    def n_free(subnet_id):
        found = moto.describe_subnets(SubnetIds=[subnet_id])
        return found["Subnets"][0]["AvailableIpAddressCount"]

    given = [assign(create(subnet), SecondaryPrivateIpAddressCount=8)[0] for _ in range(3)]
    assert len({each for some in given for each in some}) <= 16 < sum(map(len, given))
    assert n_free(subnet) < 0
    eni_id = create(wide)
    assert len(assign(eni_id, SecondaryPrivateIpAddressCount=200)[0]) > 200
    addresses, eni = assign(eni_id, Ipv4PrefixCount=1)
    assert len(addresses) > 200
    assert "Ipv4Prefixes" not in eni
    before = n_free(wide)
    moto.create_subnet_cidr_reservation(
        SubnetId=wide, Cidr="10.9.64.0/19", ReservationType="prefix"
    )
    assert n_free(wide) == before - 2**13
    addresses, _ = assign(create(wide), SecondaryPrivateIpAddressCount=60)
    reserved = ipaddress.ip_network("10.9.64.0/19")  # half of the subnet
    assert any(ipaddress.ip_address(each) in reserved for each in addresses)
    (node,) = moto.run_instances(
        ImageId="ami-12c6146b", InstanceType="t3.nano", MinCount=1, MaxCount=1, SubnetId=wide
    )["Instances"]
    for device in range(1, 5):  # a t3.nano has 2 ENIs
        moto.attach_network_interface(
            NetworkInterfaceId=create(wide), InstanceId=node["InstanceId"], DeviceIndex=device
        )
