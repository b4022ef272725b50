"""What moto does not model, on a served VPC: prefixes, IPv6, pages, network cards, error codes."""

from __future__ import annotations

import pytest

from ipam_core import effects as fx
from ipam_core.cloud import ec2
from ipam_core.cloud.metadata import Ec2Metadata
from ipam_core.errors import (
    AddressLimitError,
    CloudError,
    DeniedError,
    NotFoundError,
    SubnetFullError,
    ThrottledError,
    UnreachableError,
)
from ipam_core.tags import DESCRIPTION_PREFIX

TYPE = "m5.xlarge"


@pytest.fixture
def vpc_spec():
    return {
        "subnets": [{"id": "subnet", "cidr": "10.0.0.0/22"}],
        "nodes": [{"name": "node", "instance_type": TYPE, "count": 1}],
        "ec2": {"latency": False, "throttling": False, "metadata_lag": "0s"},
    }


@pytest.fixture
def cloud(vpc):
    return vpc.cloud(instance_id=vpc.instance_ids[0])


@pytest.fixture
def eni_id(cloud):
    """The primary ENI's id."""
    (primary,) = cloud.perform(fx.ReadAttachedEnis())
    return primary.eni_id


def described(vpc, eni_id):
    (found,) = vpc.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])[
        "NetworkInterfaces"
    ]
    return found


def test_prefixes_are_assigned_and_given_back(vpc, cloud, eni_id):
    prefixes = cloud.perform(fx.AssignPrefixes(eni_id, 2))
    held = [each["Ipv4Prefix"] for each in described(vpc, eni_id)["Ipv4Prefixes"]]
    assert list(prefixes) == held
    assert cloud.perform(fx.UnassignPrefixes(eni_id, prefixes[:1])) is None
    (shown,) = cloud.perform(fx.ReadAttachedEnis())
    assert shown.prefixes == prefixes[1:]


def test_an_ipv6_prefix_is_assigned(vpc, cloud, eni_id):
    (prefix,) = cloud.perform(fx.AssignIpv6Prefix(eni_id))
    assert described(vpc, eni_id)["Ipv6Prefixes"] == [{"Ipv6Prefix": prefix}]
    (shown,) = cloud.perform(fx.ReadAttachedEnis())
    assert shown.ipv6_prefixes == (prefix,)


@pytest.mark.parametrize(
    ("effect", "held"),
    [
        (fx.CreateEni(n_prefixes=3), (1, 3, 0)),
        (fx.CreateEni(n_addresses=9), (10, 0, 0)),
        (fx.CreateEni(ipv6=True), (1, 0, 1)),
        (fx.CreateEni(), (1, 0, 0)),
    ],
    ids=["prefixes", "addresses", "ipv6", "neither"],
)
def test_an_eni_is_created_with_what_was_asked_for_and_no_more(vpc, cloud, eni_id, effect, held):
    found = described(vpc, cloud.perform(effect))
    assert (
        len(found["PrivateIpAddresses"]),
        len(found.get("Ipv4Prefixes", ())),
        len(found["Ipv6Addresses"]),
    ) == held
    assert "Ipv6Prefixes" not in found
    primary = described(vpc, eni_id)
    assert found["Description"] == DESCRIPTION_PREFIX + vpc.instance_ids[0]
    for name in ("Groups", "SubnetId"):
        assert found[name] == primary[name]


def test_a_description_keeps_all_that_ec2_says(vpc, cloud, eni_id):
    made = vpc.ec2.create_network_interface(
        SubnetId=described(vpc, eni_id)["SubnetId"],
        InterfaceType="trunk",
        Description="of a test",
        Ipv4PrefixCount=1,
        Ipv6PrefixCount=1,
        TagSpecifications=[
            {"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}
        ],
    )["NetworkInterface"]
    trunk_id = made["NetworkInterfaceId"]
    attachment_id = vpc.ec2.attach_network_interface(
        NetworkInterfaceId=trunk_id, InstanceId=vpc.instance_ids[0], DeviceIndex=2
    )["AttachmentId"]
    assert cloud.perform(fx.DescribeEnis((trunk_id,))) == (
        fx.EniDescription(
            eni_id=trunk_id,
            prefixes=(made["Ipv4Prefixes"][0]["Ipv4Prefix"],),
            ipv6_prefixes=(made["Ipv6Prefixes"][0]["Ipv6Prefix"],),
            attachment_id=attachment_id,
            instance_id=vpc.instance_ids[0],
            interface_type="trunk",
            status="in-use",
            description="of a test",
            tags={"a": "b"},
        ),
    )


def test_metadata_of_ec2_reads_every_page_and_only_what_is_attached(vpc, monkeypatch, make_vpc):
    monkeypatch.setattr(ec2, "PAGE_SIZE", 5)
    vpc = make_vpc(
        {
            "nodes": [{"name": "node", "instance_type": "m5.4xlarge", "count": 1}],
            "ec2": {"latency": False, "throttling": False},
        }
    )
    cloud = vpc.cloud()
    made = [cloud.perform(fx.CreateEni(n_addresses=1)) for _ in range(7)]
    for device, eni_id in enumerate(made[:5], 1):
        cloud.perform(fx.AttachEni(eni_id, device))
    vpc.move(5)
    attached = cloud.perform(fx.AttachEni(made[5], 6))
    assert attached  # and is still attaching
    (detached,) = cloud.perform(fx.DescribeEnis(made[1:2]))
    cloud.perform(fx.DetachEni(made[1], detached.attachment_id))
    found = Ec2Metadata(cloud.ec2, vpc.instance_ids[0]).attached_enis()
    assert [eni.device_number for eni in found] == [0, 1, 3, 4, 5]
    assert [eni.eni_id for eni in found[1:]] == [made[0], *made[2:5]]
    assert len(found[1].addresses) == 1
    assert found[1].primary_address not in found[1].addresses


def test_lists_are_read_page_by_page(vpc, cloud, monkeypatch):
    monkeypatch.setattr(ec2, "PAGE_SIZE", 5)
    made = {cloud.perform(fx.CreateEni()) for _ in range(12)}
    network = vpc.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    for number in range(6):
        vpc.ec2.create_subnet(VpcId=network, CidrBlock=f"10.0.{number + 8}.0/24")
    vpc.move(5)
    assert {eni.eni_id for eni in cloud.perform(fx.FindNodelessEnis())} == made
    assert len(cloud.perform(fx.DescribeSubnets())) == 7


def test_a_free_device_is_sought_on_its_own_network_card(make_vpc):
    spec = {"nodes": [{"name": "node", "instance_type": "p4d.24xlarge", "count": 1}]}
    vpc = make_vpc({**spec, "ec2": {"latency": False, "throttling": False}})
    cloud = vpc.cloud()
    for card, device in ((0, 1), (0, 3), (1, 0), (1, 1), (1, 2)):
        cloud.perform(fx.AttachEni(cloud.perform(fx.CreateEni()), device, card))
    assert [cloud.perform(fx.FindFreeDevice(card)) for card in (0, 1, 2)] == [2, 3, 0]


def test_a_terminated_instance_is_not_found(vpc, cloud):
    instance_id = vpc.instance_ids[0]
    vpc.ec2.terminate_instances(InstanceIds=[instance_id])
    vpc.move(60)
    with pytest.raises(NotFoundError, match=f"{instance_id} is terminated"):
        Ec2Metadata(cloud.ec2, instance_id).instance()


# EC2 API reference, "Error codes for the Amazon EC2 API".
CODES = {
    "InsufficientFreeAddressesInSubnet": SubnetFullError,
    "InsufficientCidrBlocks": SubnetFullError,
    "PrivateIpAddressLimitExceeded": AddressLimitError,
    "InvalidNetworkInterfaceID.NotFound": NotFoundError,
    "RequestLimitExceeded": ThrottledError,
    "Throttling": ThrottledError,
    "UnauthorizedOperation": DeniedError,
    "AuthFailure": DeniedError,
    "RequestExpired": DeniedError,
    "ExpiredToken": DeniedError,
    "InternalError": UnreachableError,
    "Unavailable": UnreachableError,
    "SomethingOfNextYear": CloudError,
}


def test_each_code_is_a_typed_error_with_code_message_and_request_id(vpc, cloud, eni_id, caplog):
    for code, kind in CODES.items():
        caplog.clear()
        vpc.fault("AssignPrivateIpAddresses", code, message="as EC2 words it", times=1)
        with pytest.raises(CloudError) as caught:
            cloud.perform(fx.AssignPrivateIps(eni_id, 1))
        error = caught.value
        assert type(error) is kind
        assert (error.api, error.code) == ("AssignPrivateIpAddresses", code)
        assert error.message == "as EC2 words it"
        assert len(error.request_id) == 36
        (record,) = [each for each in caplog.records if each.name.startswith("ipam_core.cloud")]
        assert record.getMessage() == str(error)
        assert (record.api, record.code, record.request_id) == (error.api, code, error.request_id)
