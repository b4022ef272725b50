"""What moto does not model, by botocore's Stubber: prefixes, IPv6, pages, error codes."""

from __future__ import annotations

import pytest
from botocore.stub import ANY, Stubber

from ipam_core import effects as fx
from ipam_core.cloud.aws import AwsCloud
from ipam_core.cloud.metadata import Ec2Metadata, Instance
from ipam_core.errors import (
    AddressLimitError,
    CloudError,
    DeniedError,
    NotFoundError,
    ReplyError,
    SubnetFullError,
    ThrottledError,
    UnreachableError,
)

ENI = "eni-0123456789abcdef0"


class Told:
    """Metadata that is told, and never asked twice."""

    def instance(self):
        return Instance(
            instance_id="i-1",
            instance_type="m5.xlarge",
            zone="eu-west-1a",
            vpc_id="vpc-1",
            subnet_id="subnet-1",
        )

    def security_groups(self):
        return ("sg-1", "sg-2")

    def attached_enis(self):
        raise AssertionError("not asked in these tests")


@pytest.fixture
def cloud(session):
    return AwsCloud(session, metadata=Told())


@pytest.fixture
def stub(cloud):
    with Stubber(cloud.ec2.client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_prefixes_are_assigned_and_given_back(cloud, stub):
    assigned = [{"Ipv4Prefix": "10.0.0.16/28"}, {"Ipv4Prefix": "10.0.0.64/28"}]
    stub.add_response(
        "assign_private_ip_addresses",
        {"NetworkInterfaceId": ENI, "AssignedIpv4Prefixes": assigned},
        {"NetworkInterfaceId": ENI, "Ipv4PrefixCount": 2},
    )
    stub.add_response(
        "unassign_private_ip_addresses",
        {},
        {"NetworkInterfaceId": ENI, "Ipv4Prefixes": ["10.0.0.16/28"]},
    )
    prefixes = cloud.perform(fx.AssignPrefixes(ENI, 2))
    assert prefixes == ("10.0.0.16/28", "10.0.0.64/28")
    assert cloud.perform(fx.UnassignPrefixes(ENI, prefixes[:1])) is None


def test_an_ipv6_prefix_is_assigned(cloud, stub):
    stub.add_response(
        "assign_ipv6_addresses",
        {"NetworkInterfaceId": ENI, "AssignedIpv6Prefixes": ["2001:db8:0:1:2::/80"]},
        {"NetworkInterfaceId": ENI, "Ipv6PrefixCount": 1},
    )
    assert cloud.perform(fx.AssignIpv6Prefix(ENI)) == ("2001:db8:0:1:2::/80",)


@pytest.mark.parametrize(
    ("effect", "count"),
    [
        (fx.CreateEni(n_prefixes=3), {"Ipv4PrefixCount": 3}),
        (fx.CreateEni(n_addresses=9), {"SecondaryPrivateIpAddressCount": 9}),
        (fx.CreateEni(ipv6=True), {"Ipv6AddressCount": 1}),
        (fx.CreateEni(), {}),
    ],
    ids=["prefixes", "addresses", "ipv6", "neither"],
)
def test_an_eni_is_created_with_what_was_asked_for_and_no_more(cloud, stub, effect, count):
    expected = {
        "ClientToken": ANY,
        "Description": "aws-K8S-i-1",
        "Groups": ["sg-1", "sg-2"],
        "SubnetId": "subnet-1",
        "TagSpecifications": ANY,
    }
    reply = {"NetworkInterface": {"NetworkInterfaceId": ENI}}
    stub.add_response("create_network_interface", reply, expected | count)
    assert cloud.perform(effect) == ENI


def described(number, **more):
    return {
        "NetworkInterfaceId": f"eni-{number}",
        "SubnetId": "subnet-1",
        "InterfaceType": "interface",
        "Status": "in-use",
        "PrivateIpAddress": "10.0.0.4",
        "PrivateIpAddresses": [
            {"PrivateIpAddress": "10.0.0.9", "Primary": False},
            {"PrivateIpAddress": "10.0.0.4", "Primary": True},
        ],
        **more,
    }


def test_a_description_keeps_all_that_ec2_says(cloud, stub):
    eni = described(
        1,
        InterfaceType="trunk",
        Description="of a test",
        Attachment={"AttachmentId": "eni-attach-1", "DeviceIndex": 2, "Status": "attached"},
        Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.16/28"}],
        Ipv6Prefixes=[{"Ipv6Prefix": "2001:db8::/80"}],
        TagSet=[{"Key": "a", "Value": "b"}],
    )
    stub.add_response(
        "describe_network_interfaces",
        {"NetworkInterfaces": [eni]},
        {"NetworkInterfaceIds": ["eni-1"]},
    )
    assert cloud.perform(fx.DescribeEnis(("eni-1",))) == (
        fx.EniDescription(
            eni_id="eni-1",
            addresses=("10.0.0.9",),
            prefixes=("10.0.0.16/28",),
            ipv6_prefixes=("2001:db8::/80",),
            attachment_id="eni-attach-1",
            interface_type="trunk",
            status="in-use",
            description="of a test",
            tags={"a": "b"},
        ),
    )


def test_an_efa_only_eni_has_no_address(cloud, stub):
    eni = {
        "NetworkInterfaceId": "eni-1",
        "InterfaceType": "efa-only",
        "Status": "in-use",
        "PrivateIpAddresses": [],
    }
    stub.add_response("describe_network_interfaces", {"NetworkInterfaces": [eni]})
    (found,) = cloud.perform(fx.DescribeEnis(("eni-1",)))
    assert (found.interface_type, found.addresses) == ("efa-only", ())


def test_an_eni_missing_from_the_reply_is_not_found(cloud, stub):
    """EC2 shows what it knows, a moment late: a new id may be missing without an error."""
    stub.add_response("describe_network_interfaces", {"NetworkInterfaces": [described(1)]})
    with pytest.raises(NotFoundError, match="'eni-2' is not in the reply"):
        cloud.perform(fx.DescribeEnis(("eni-1", "eni-2")))


@pytest.mark.parametrize(
    ("api", "effect"),
    [
        ("assign_private_ip_addresses", fx.AssignPrivateIps(ENI, 1)),
        ("assign_private_ip_addresses", fx.AssignPrefixes(ENI, 1)),
        ("assign_ipv6_addresses", fx.AssignIpv6Prefix(ENI)),
        ("create_network_interface", fx.CreateEni()),
        ("describe_network_interfaces", fx.DescribeEnis((ENI,))),
        ("describe_subnets", fx.DescribeSubnets()),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_an_answer_without_its_fields_is_a_typed_error(cloud, stub, api, effect):
    """It was a KeyError, which no step expects."""
    stub.add_response(api, {})
    with pytest.raises(ReplyError) as refused:
        cloud.perform(effect)
    assert refused.value.effect == type(effect).__name__
    assert isinstance(refused.value.__cause__, KeyError)


def test_metadata_of_ec2_reads_every_page_and_only_what_is_attached(cloud, stub):
    def attached(number, device, status="attached", card=0):
        attachment = {
            "AttachmentId": f"eni-attach-{number}",
            "DeviceIndex": device,
            "Status": status,
            "NetworkCardIndex": card,
        }
        return described(number, Attachment=attachment)

    filters = [{"Name": "attachment.instance-id", "Values": ["i-1"]}]
    asked = {"Filters": filters, "MaxResults": 1000}
    stub.add_response(
        "describe_network_interfaces",
        {
            "NetworkInterfaces": [attached(3, 1, card=1), attached(2, 1)],
            "NextToken": "more",
        },
        asked,
    )
    stub.add_response(
        "describe_network_interfaces",
        {
            "NetworkInterfaces": [
                attached(1, 0),
                attached(4, 2, "attaching"),
                attached(5, 3, "detaching"),
            ]
        },
        asked | {"NextToken": "more"},
    )
    found = Ec2Metadata(cloud.ec2, "i-1").attached_enis()
    assert [(eni.eni_id, eni.network_card, eni.device_number) for eni in found] == [
        ("eni-1", 0, 0),
        ("eni-2", 0, 1),
        ("eni-3", 1, 1),
    ]
    assert found[0].primary_address == "10.0.0.4"
    assert found[0].addresses == ("10.0.0.9",)


@pytest.mark.parametrize(
    ("effect", "operation", "key", "item"),
    [
        (fx.FindNodelessEnis(), "describe_network_interfaces", "NetworkInterfaces", described(1)),
        (
            fx.DescribeSubnets(),
            "describe_subnets",
            "Subnets",
            {"SubnetId": "subnet-1", "AvailableIpAddressCount": 7},
        ),
    ],
    ids=["enis", "subnets"],
)
def test_lists_are_read_page_by_page(cloud, stub, effect, operation, key, item):
    stub.add_response(operation, {key: [item], "NextToken": "1"})
    stub.add_response(operation, {key: [], "NextToken": "2"})
    stub.add_response(operation, {key: [item, item]})
    assert len(cloud.perform(effect)) == 3


def test_a_free_device_is_sought_on_its_own_network_card(cloud, stub):
    attachments = [
        {"DeviceIndex": device, "NetworkCardIndex": card}
        for card, device in ((0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2))
    ]
    enis = [{"Attachment": each} for each in attachments]
    instance = {"VpcId": "vpc-1", "NetworkInterfaces": enis}
    for _ in range(3):
        stub.add_response(
            "describe_instances",
            {"Reservations": [{"Instances": [instance]}]},
            {"InstanceIds": ["i-1"]},
        )
    assert [cloud.perform(fx.FindFreeDevice(card)) for card in (0, 1, 2)] == [2, 3, 0]


@pytest.mark.parametrize(
    "reservations",
    [[], [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "terminated"}}]}]],
)
def test_a_terminated_instance_is_not_found(cloud, stub, reservations):
    stub.add_response("describe_instances", {"Reservations": reservations})
    with pytest.raises(NotFoundError, match="i-1 is terminated"):
        Ec2Metadata(cloud.ec2, "i-1").instance()


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


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_a_typed_error_with_code_message_and_request_id(cloud, stub, caplog, code):
    stub.add_client_error(
        "assign_private_ip_addresses",
        code,
        "as EC2 words it",
        response_meta={"RequestId": "req-1"},
    )
    with pytest.raises(CloudError) as caught:
        cloud.perform(fx.AssignPrivateIps(ENI, 1))
    error = caught.value
    assert type(error) is CODES[code]
    assert (error.api, error.code) == ("AssignPrivateIpAddresses", code)
    assert (error.message, error.request_id) == ("as EC2 words it", "req-1")
    (record,) = [each for each in caplog.records if each.name.startswith("ipam_core")]
    assert record.getMessage() == str(error)
    assert (record.api, record.code, record.request_id) == (error.api, code, "req-1")
