"""What no EC2 answers, but may: replies that lack something, by botocore's Stubber."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from ipam_core import effects as fx
from ipam_core.cloud.aws import AwsCloud
from ipam_core.cloud.metadata import Instance
from ipam_core.errors import (
    NotFoundError,
    ReplyError,
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


@pytest.mark.parametrize(
    "reservations", [[], [{"Instances": []}], [{"Instances": [{"InstanceId": "i-1"}]}]], ids=str
)
def test_an_instance_that_is_terminated_or_in_no_vpc_is_said_to_be(cloud, stub, reservations):
    stub.add_response("describe_instances", {"Reservations": reservations})
    with pytest.raises(NotFoundError, match="i-1 is terminated, or in no VPC"):
        cloud.ec2.describe_instance("i-1")


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
