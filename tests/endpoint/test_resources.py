"""Tags, subnets, CIDR reservations, places, identity, and the table of refusals."""

import ast
import json
import re
from pathlib import Path

import pytest

import ipam_core
from ipam_core.cloud import refusals
from ipam_core.endpoint.vpc import Vpc
from support.loopback import loopback as client
from support.vpcs import Clock, launch, refusal_of


@pytest.fixture
def vpc():
    vpc = Vpc(seed=1, cluster="demo", clock_ns=Clock())
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a", zone="a", tags={"Name": "first"})
    vpc.account.add_subnet("100.64.0.0/17", subnet_id="subnet-b", zone="b", used=7)
    return vpc


def create(vpc, **params):
    made = vpc.call("ec2", "CreateNetworkInterface", {"SubnetId": "subnet-a"} | params)
    return made["NetworkInterface"]["NetworkInterfaceId"]


# --- tags -------------------------------------------------------------------------------------


def tags_of(vpc, *filters):
    asked = {"Filters": [{"Name": name, "Values": list(values)} for name, *values in filters]}
    reply = vpc.call("ec2", "DescribeTags", asked)["Tags"]
    return [(each["ResourceId"], each["Key"], each["Value"]) for each in reply]


def test_tags_come_change_and_go_on_every_kind_of_resource(vpc):
    clock = vpc.account.simulated.clock_ns
    node = launch(vpc, clock)
    reserved = vpc.call(
        "ec2",
        "CreateSubnetCidrReservation",
        {"SubnetId": "subnet-a", "Cidr": "10.0.0.64/28", "ReservationType": "prefix"},
    )["SubnetCidrReservation"]["SubnetCidrReservationId"]
    (network,) = vpc.account.vpcs.by_key
    (group,) = vpc.account.groups.by_key
    resources = [create(vpc), node, "subnet-b", network, group, reserved]
    tag = {"Resources": resources, "Tags": [{"Key": "k", "Value": "1"}, {"Key": "l"}]}
    assert vpc.call("ec2", "CreateTags", tag) == {}
    kinds = {each["ResourceType"] for each in vpc.call("ec2", "DescribeTags", {})["Tags"]}
    assert kinds == {
        "network-interface", "instance", "subnet", "vpc", "security-group",
        "subnet-cidr-reservation",
    }  # fmt: skip
    assert len(tags_of(vpc, ("key", "k"))) == 6
    vpc.call("ec2", "CreateTags", {"Resources": [node], "Tags": [{"Key": "k", "Value": "2"}]})
    assert tags_of(vpc, ("resource-id", node)) == [(node, "k", "2"), (node, "l", "")]
    vpc.call("ec2", "DeleteTags", {"Resources": [node], "Tags": [{"Key": "k", "Value": "1"}]})
    assert len(tags_of(vpc, ("resource-id", node))) == 2  # another value: it stays
    vpc.call("ec2", "DeleteTags", {"Resources": [node], "Tags": [{"Key": "k"}, {"Key": "none"}]})
    assert tags_of(vpc, ("resource-id", node)) == [(node, "l", "")]
    vpc.call("ec2", "DeleteTags", {"Resources": resources})
    assert tags_of(vpc) == [("subnet-a", "Name", "first")]


def test_tags_by_filters(vpc):
    eni = create(vpc)
    tags = [{"Key": "team", "Value": "red"}, {"Key": "Name", "Value": "eni"}]
    vpc.call("ec2", "CreateTags", {"Resources": [eni], "Tags": tags})
    assert tags_of(vpc, ("key", "Name")) == [("subnet-a", "Name", "first"), (eni, "Name", "eni")]
    assert tags_of(vpc, ("key", "N*"), ("value", "e?i")) == [(eni, "Name", "eni")]
    assert tags_of(vpc, ("resource-type", "subnet")) == [("subnet-a", "Name", "first")]
    assert tags_of(vpc, ("resource-id", "eni-0*"), ("key", "team")) == [(eni, "team", "red")]
    assert tags_of(vpc, ("resource-id", "eni-00000000", eni), ("value", "red")) == [
        (eni, "team", "red")
    ]
    assert tags_of(vpc, ("value", "blue")) == []
    odd = {"Filters": [{"Name": "colour", "Values": ["x"]}]}
    assert refusal_of(Vpc(), "DescribeTags", odd)[1] == "The filter 'colour' is invalid"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Resources": ["eni-00000000"]}, "InvalidNetworkInterfaceID.NotFound"),
        ({"Resources": ["i-00000000"]}, "InvalidInstanceID.NotFound"),
        ({"Resources": ["vol-00000000"]}, "InvalidID"),
        ({"Resources": []}, "MissingParameter"),
        ({"Resources": [f"subnet-{n:08x}" for n in range(1001)]}, "InvalidParameterValue"),
        ({"Tags": []}, "MissingParameter"),
        ({"Tags": [{"Key": ""}]}, "InvalidParameterValue"),
        ({"Tags": [{"Key": "k" * 129}]}, "InvalidParameterValue"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "InvalidParameterValue"),
        ({"Tags": [{"Key": "aws:k"}]}, "InvalidParameterValue"),
        ({"Tags": [{"Key": f"k{n}"} for n in range(50)]}, "TagLimitExceeded"),
    ],
)
def test_tags_that_cannot_be_change_nothing(vpc, params, code):
    asked = {"Resources": ["subnet-b", "subnet-a"], "Tags": [{"Key": "k"}]} | params
    assert refusal_of(vpc, "CreateTags", asked)[0] == code
    assert tags_of(vpc) == [("subnet-a", "Name", "first")]


def test_a_tag_at_birth_is_checked_too(vpc):
    for tags, code in (
        ([{"Key": "k"}, {"Key": "k"}], "InvalidParameterValue"),
        ([{"Key": "aws:k"}], "InvalidParameterValue"),
        ([{"Key": f"k{n}"} for n in range(51)], "TagLimitExceeded"),
    ):
        specification = {"ResourceType": "network-interface", "Tags": tags}
        asked = {"SubnetId": "subnet-a", "TagSpecifications": [specification]}
        assert refusal_of(vpc, "CreateNetworkInterface", asked)[0] == code


# --- subnets ------------------------------------------------------------------------------------


def test_a_subnet_of_another_range_gives_its_vpc_another_block(vpc):
    (network,) = vpc.call("ec2", "DescribeVpcs", {})["Vpcs"]
    blocks = [each["CidrBlock"] for each in network["CidrBlockAssociationSet"]]
    assert blocks == ["10.0.0.0/16", "100.64.0.0/16"]
    assert network["CidrBlock"] == "10.0.0.0/16"
    subnets = vpc.call("ec2", "DescribeSubnets", {})["Subnets"]
    assert {each["VpcId"] for each in subnets} == {network["VpcId"]}
    assert [each["AvailableIpAddressCount"] for each in subnets] == [251, 2**15 - 5 - 7]
    with pytest.raises(ValueError, match="overlaps"):
        vpc.account.add_subnet("10.0.0.128/25")


def test_a_subnet_is_made_in_a_block_of_its_vpc(vpc):
    (network,) = vpc.account.vpcs.by_key
    asked = {"VpcId": network, "CidrBlock": "10.0.1.77/24", "AvailabilityZoneId": "use1-az3"}
    made = vpc.call("ec2", "CreateSubnet", asked)["Subnet"]
    assert (made["CidrBlock"], made["AvailabilityZone"]) == ("10.0.1.0/24", "us-east-1c")
    assert made["SubnetArn"].endswith(f":subnet/{made['SubnetId']}")
    assert create(vpc, SubnetId=made["SubnetId"]) in vpc.account.enis.by_key
    for params, code in (
        ({}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.0.0/15"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.9.0/29"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.9.0.0/24"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.9.0"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "ten"}, "InvalidParameterValue"),
        ({"CidrBlock": ""}, "MissingParameter"),
        ({"CidrBlock": "10.0.9.0/24", "AvailabilityZoneId": "x"}, "InvalidParameterValue"),
        (
            {"CidrBlock": "10.0.9.0/24", "AvailabilityZoneId": "use1-az1",
             "AvailabilityZone": "us-east-1z"},
            "InvalidParameterValue",
        ),
        ({"VpcId": "vpc-00000000"}, "InvalidVpcID.NotFound"),
    ):  # fmt: skip
        assert refusal_of(vpc, "CreateSubnet", asked | params)[0] == code, params
    long = {"CidrBlock": f"10.9.0.0/{'0' * 100_000}24"}  # a length with zeros in front is one
    for block in (long, {"CidrBlock": long["CidrBlock"].replace("10.9", "10.0")}):
        assert len(refusal_of(vpc, "CreateSubnet", asked | block)[1]) < 300


def test_subnets_by_the_filters_that_the_agent_uses(vpc):
    (network,) = vpc.account.vpcs.by_key
    filters = [
        {"Name": "vpc-id", "Values": [network]},
        {"Name": "availability-zone", "Values": ["us-east-1b"]},
    ]
    (found,) = vpc.call("ec2", "DescribeSubnets", {"Filters": filters})["Subnets"]
    assert found["SubnetId"] == "subnet-b"
    for name, value, n_found in (
        ("cidr-block", "10.0.0.0/24", 1),
        ("available-ip-address-count", "251", 1),
        ("tag:Name", "first", 1),
        ("subnet-id", "subnet-*", 2),
        ("ipv6-cidr-block-association.ipv6-cidr-block", "2600:*", 2),
        ("subnet-arn", "*:subnet/subnet-a", 1),
    ):
        asked = {"Filters": [{"Name": name, "Values": [value]}]}
        assert len(vpc.call("ec2", "DescribeSubnets", asked)["Subnets"]) == n_found, name


# --- CIDR reservations ----------------------------------------------------------------------------


def test_a_reservation_keeps_its_range_for_prefixes(vpc):
    """Single addresses fill the rest of the subnet; the /28s of the range stay whole."""
    subnet = vpc.account.subnets.by_key["subnet-a"]
    asked = {"SubnetId": "subnet-a", "Cidr": "10.0.0.128/26", "ReservationType": "prefix"}
    made = vpc.call("ec2", "CreateSubnetCidrReservation", asked)["SubnetCidrReservation"]
    assert made.items() >= asked.items()
    for _ in range(3):
        create(vpc, SecondaryPrivateIpAddressCount=60)
    create(vpc, SecondaryPrivateIpAddressCount=251 - 64 - 3 * 61 - 1 - 1)
    assert subnet.available_addresses == 64 + 1
    eni = create(vpc)
    prefix = {"NetworkInterfaceId": eni, "Ipv4PrefixCount": 4}
    vpc.call("ec2", "AssignPrivateIpAddresses", prefix)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", prefix)[0] == "InsufficientCidrBlocks"
    asked = {"SubnetCidrReservationId": made["SubnetCidrReservationId"]}
    gone = vpc.call("ec2", "DeleteSubnetCidrReservation", asked)
    assert gone == {"DeletedSubnetCidrReservation": made}
    assert refusal_of(vpc, "DeleteSubnetCidrReservation", asked)[0] == (
        "InvalidSubnetCidrReservationID.NotFound"
    )
    assert vpc.account.reservations.by_key == {}


def test_reservations_of_a_subnet_are_listed_and_of_no_other(vpc):
    for subnet_id, cidr, kind in (
        ("subnet-a", "10.0.0.0/27", "explicit"),
        ("subnet-a", "10.0.0.35/28", "prefix"),
        ("subnet-b", "100.64.0.0/24", "prefix"),
    ):
        asked = {"SubnetId": subnet_id, "Cidr": cidr, "ReservationType": kind, "Description": "d"}
        vpc.call("ec2", "CreateSubnetCidrReservation", asked)
    found = vpc.call("ec2", "GetSubnetCidrReservations", {"SubnetId": "subnet-a"})
    assert found["SubnetIpv6CidrReservations"] == []
    listed = found["SubnetIpv4CidrReservations"]
    assert [each["Cidr"] for each in listed] == ["10.0.0.0/27", "10.0.0.32/28"]
    assert {each["Description"] for each in listed} == {"d"}
    filtered = {"Filters": [{"Name": "reservationType", "Values": ["prefix"]}]}
    found = vpc.call("ec2", "GetSubnetCidrReservations", {"SubnetId": "subnet-a"} | filtered)
    assert len(found["SubnetIpv4CidrReservations"]) == 1
    for params, code in (
        ({"Cidr": "10.0.0.16/28"}, "InvalidParameterValue"),  # overlaps
        ({"Cidr": "10.9.0.0/28"}, "InvalidParameterValue"),
        ({"Cidr": "x"}, "InvalidParameterValue"),
        ({"Cidr": "2001:db8::/80"}, "InvalidParameterValue"),
        ({"ReservationType": "both"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-00000000"}, "InvalidSubnetID.NotFound"),
    ):
        asked = {"SubnetId": "subnet-a", "Cidr": "10.0.0.64/28", "ReservationType": "prefix"}
        assert refusal_of(vpc, "CreateSubnetCidrReservation", asked | params)[0] == code, params


# --- places and identity ----------------------------------------------------------------


def test_zones_by_name_by_id_and_by_filter(vpc):
    zones = vpc.call("ec2", "DescribeAvailabilityZones", {})["AvailabilityZones"]
    assert [(each["ZoneName"], each["ZoneId"]) for each in zones] == [
        ("us-east-1a", "use1-az1"),
        ("us-east-1b", "use1-az2"),
        ("us-east-1c", "use1-az3"),
    ]
    for asked in (
        {"ZoneNames": ["us-east-1b"]},
        {"ZoneIds": ["use1-az2"]},
        {"Filters": [{"Name": "zone-name", "Values": ["*b"]}]},
    ):
        (found,) = vpc.call("ec2", "DescribeAvailabilityZones", asked)["AvailabilityZones"]
        assert found["ZoneId"] == "use1-az2"
    asked = {"ZoneNames": ["us-west-2a"]}
    assert refusal_of(vpc, "DescribeAvailabilityZones", asked) == (
        "InvalidParameterValue",
        "Invalid availability zone: [us-west-2a]",
    )


@pytest.mark.parametrize(
    ("region", "zone_id"),
    [
        ("us-east-1", "use1-az1"),
        ("ap-southeast-2", "apse2-az1"),
        ("eu-central-1", "euc1-az1"),
        ("ap-northeast-1", "apne1-az1"),
    ],
)
def test_ids_of_zones_are_as_aws_makes_them(region, zone_id):
    zones = Vpc(region=region).call("ec2", "DescribeAvailabilityZones", {})
    assert zones["AvailabilityZones"][0]["ZoneId"] == zone_id


def test_a_region_is_a_name_of_aws():
    with pytest.raises(ValueError, match="local"):
        Vpc(region="local")


def test_security_groups_by_id_by_name_and_by_filter(vpc):
    (network,) = vpc.account.vpcs.by_key
    made = vpc.account.add_group("no*de", "of nodes", vpc_id=network, tags={"a": "b"})
    for asked in (
        {"GroupIds": [made.group_id]},
        {"GroupNames": ["no*de"]},
        {"Filters": [{"Name": "description", "Values": ["of *"]}]},
        {"Filters": [{"Name": "tag:a", "Values": ["b"]}], "MaxResults": 5},
    ):
        (found,) = vpc.call("ec2", "DescribeSecurityGroups", asked)["SecurityGroups"]
        assert found["GroupName"] == "no*de"
    for asked in ({"GroupIds": ["sg-00000000"]}, {"GroupNames": ["nobody"]}):
        assert refusal_of(vpc, "DescribeSecurityGroups", asked)[0] == "InvalidGroup.NotFound"
    vpc.account.add_vpc(["10.2.0.0/16"], vpc_id="vpc-b")
    there = vpc.account.default_group("vpc-b").group_id
    asked = {"SubnetId": "subnet-a", "Groups": [there]}
    assert refusal_of(vpc, "CreateNetworkInterface", asked) == (
        "InvalidGroup.NotFound",
        "You have specified two resources that belong to different networks.",
    )


def test_who_calls_and_the_cluster(vpc):
    identity = client(vpc, "sts").get_caller_identity()
    assert identity["Account"] == "111122223333"
    vpc.account.node_groups = ("workers",)
    eks = client(vpc, "eks")
    cluster = eks.describe_cluster(name="demo")["cluster"]
    assert cluster["resourcesVpcConfig"]["subnetIds"] == ["subnet-a", "subnet-b"]
    vpc.account.cluster_subnets = ("subnet-b",)
    cluster = eks.describe_cluster(name="demo")["cluster"]
    assert cluster["resourcesVpcConfig"]["subnetIds"] == ["subnet-b"]
    assert eks.list_nodegroups(clusterName="demo")["nodegroups"] == ["workers"]
    json.dumps(cluster, default=str)


# --- the table of refusals --------------------------------------------------------------


def named_refusals():
    return {
        name: each for name, each in vars(refusals).items() if isinstance(each, refusals.Refusal)
    }


def test_every_refusal_has_its_source():
    sources = re.findall(r"^    ([A-Z])  ", refusals.__doc__, re.MULTILINE)
    for name, each in named_refusals().items():
        assert each.source, name
        assert set(each.source) <= set(sources), name
        assert each.status in (400, 404, 412, 500, 503), name


def test_every_refusal_is_one_that_can_happen():
    """A refusal that no code names would only look like one that is modelled."""
    used = set()
    for path in Path(ipam_core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used.add(node.attr)
    assert set(named_refusals()) - used == set()
