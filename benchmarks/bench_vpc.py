"""A served VPC: calls over HTTP next to moto's server, and pages of many ENIs next to those of few.

Both servers run in a thread of this process, and the same client of boto3 asks them: its own
part, of about a millisecond a call, is in every figure. The pages are measured without a client.
"""

from __future__ import annotations

from functools import partial

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from bench_store import measure
from ipam_core.endpoint import query
from ipam_core.endpoint.vpc import Vpc
from ipam_core.testing.vpc import CREDENTIALS, TestVpc

REGION = "us-east-1"
FEW, MANY = 100, 10_000


@pytest.fixture(scope="module")
def session():
    return boto3.Session(region_name=REGION, **CREDENTIALS)


def client_of(session, url):
    return session.client("ec2", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture(scope="module")
def moto(session):
    """A client of moto's server, and a subnet in it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = client_of(session, f"http://{host}:{port}")
    vpc_id = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/18")["Subnet"]
    yield client, subnet["SubnetId"]
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def ours():
    with TestVpc() as vpc:
        yield vpc.ec2, vpc.ec2.describe_subnets()["Subnets"][0]["SubnetId"]


def one_life(client, subnet_id):
    """Make five calls: an ENI is created, gets two addresses, is described, loses them, goes."""
    eni = client.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]
    named = {"NetworkInterfaceId": eni["NetworkInterfaceId"]}
    client.assign_private_ip_addresses(**named, SecondaryPrivateIpAddressCount=2)
    (found,) = client.describe_network_interfaces(NetworkInterfaceIds=[eni["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    gone = [each["PrivateIpAddress"] for each in found["PrivateIpAddresses"] if not each["Primary"]]
    client.unassign_private_ip_addresses(**named, PrivateIpAddresses=gone)
    client.delete_network_interface(**named)


def describe(client, subnet_id):
    client.describe_subnets(SubnetIds=[subnet_id])


@pytest.mark.parametrize("subject", ["moto server", "ipam_core"])
@pytest.mark.parametrize(
    ("name", "per_call", "calls"),
    [("an ENI's life, five calls", 5, one_life), ("DescribeSubnets", 1, describe)],
    ids=["life", "subnets"],
)
def test_calls(benchmark, request, name, per_call, calls, subject):
    client, subnet_id = request.getfixturevalue("moto" if subject == "moto server" else "ours")
    shown = "floor" if subject == "moto server" else subject
    measure(benchmark, f"VPC over HTTP: {name} (floor: moto)", shown, per_call,
            calls, client, subnet_id)  # fmt: skip


# --- many ENIs -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[FEW, MANY], ids=["few", "many"])
def held(request):
    """A VPC with so many ENIs, a tenth of them with a tag, and how many there are."""
    vpc = Vpc(seed=1)
    subnets = [vpc.account.add_subnet(f"10.{n}.0.0/18").subnet_id for n in range(4)]
    for number in range(request.param):
        tags = [{"Key": "tenth", "Value": str(number)}] if number % 10 == 0 else []
        vpc.call(
            "ec2",
            "CreateNetworkInterface",
            {
                "SubnetId": subnets[number % 4],
                "TagSpecifications": [{"ResourceType": "network-interface", "Tags": tags}],
            },
        )
    vpc.account.settle()
    return vpc, request.param, subnets


def answer(vpc, params):
    """Do one call, and write its answer as the server does."""
    action = "DescribeNetworkInterfaces"
    reply = vpc.call("ec2", action, params)
    query.render("ec2", action, reply, "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE")
    return reply


@pytest.mark.parametrize("filtered", ["by subnet", "by tag", "by subnet and status", "by id"])
def test_page(benchmark, held, filtered):
    """A page from the middle of all; what the filters leave is as much for few as for many."""
    vpc, count, subnets = held
    enis = list(vpc.account.enis)
    filters = {
        "by subnet": [{"Name": "subnet-id", "Values": [subnets[0]]}],
        "by tag": [{"Name": "tag-key", "Values": ["tenth"]}],
        "by subnet and status": [
            {"Name": "subnet-id", "Values": [subnets[0]]},
            {"Name": "status", "Values": ["available"]},
        ],
        "by id": [{"Name": "network-interface-id", "Values": [each.eni_id for each in enis[-10:]]}],
    }[filtered]
    params = {"Filters": filters, "MaxResults": 5}
    middle = answer(vpc, params)
    found = middle["NetworkInterfaces"]
    assert len(found) == 5
    params["NextToken"] = middle["NextToken"]
    subject = "floor" if count == FEW else f"{count:,} ENIs"
    measure(benchmark, f"a page of 5 of DescribeNetworkInterfaces {filtered} (floor: {FEW} ENIs)",
            subject, 1, partial(answer, vpc, params))  # fmt: skip
