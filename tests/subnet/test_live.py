"""Reading from AWS: a served VPC for the whole way, stubs for refusals and lost answers."""

import sys

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws

from ipam_core.errors import (
    CloudError,
    DeniedError,
    InputError,
    MissingExtraError,
    NotFoundError,
    UnreachableError,
)
from ipam_core.subnet.live import read_live
from ipam_core.subnet.report import report_on
from support.commands import called


@pytest.fixture
def aws(monkeypatch):
    """An account in memory, and the variables that keep boto3 from any other."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("ec2")


SUBNETS = ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"]


@pytest.fixture
def vpc_spec():
    """Two subnets; a node of the cluster is in the second."""
    return {
        "vpc": {"cluster": "prod"},
        "subnets": [
            {
                "id": SUBNETS[0],
                "cidr": "10.0.0.0/24",
                "reservations": [
                    {"cidr": f"10.0.0.{start}/28", "type": "prefix"} for start in range(64, 176, 16)
                ],
            },
            {"id": SUBNETS[1], "cidr": "10.0.1.0/24"},
        ],
        "nodes": [{"name": "n", "instance_type": "m5.large", "count": 1, "subnets": [SUBNETS[1]]}],
    }


@pytest.fixture
def served(vpc, monkeypatch):
    """A served VPC, as whoever asks AWS finds it."""
    for name, value in vpc.environ.items():
        monkeypatch.setenv(name, value)
    return vpc


class Session:
    """A session whose clients are stubbed; reservations are missing from moto."""

    def __init__(self, **answers):
        self.answers = answers

    def client(self, service, **_):
        client = boto3.client(service, config=Config(retries={"max_attempts": 1}))
        stub = Stubber(client)
        for method, answer in self.answers.items():
            for each in answer if isinstance(answer, list) else [answer]:
                if isinstance(each, str):
                    stub.add_client_error(method, each, "told why", 400)
                else:
                    stub.add_response(method, each)
        stub.activate()
        return client


class ShortPages(boto3.Session):
    """A session whose pages of reservations are the shortest there are."""

    def client(self, service, **options):
        client = super().client(service, **options)
        client.meta.events.register(
            "provide-client-params.ec2.GetSubnetCidrReservations",
            lambda params, **_: {"MaxResults": 5, **params},
        )
        return client


def test_a_subnet_is_read_with_its_reservations_of_every_page(served):
    served.ec2.create_network_interface(
        SubnetId=SUBNETS[0],
        Description="aws-K8S-i-gone",
        PrivateIpAddresses=[
            {"Primary": at == 0, "PrivateIpAddress": f"10.0.0.{20 + at}"} for at in range(3)
        ],
    )
    inventory, wanted = read_live([SUBNETS[0]], session=ShortPages())
    assert wanted == [SUBNETS[0]]
    report = report_on(inventory, SUBNETS[0])
    assert report.n_used == 3
    assert report.fragmentation.prefix_reserved == 7
    assert [each.owner for each in report.owners] == ["orphaned"]


def test_a_clusters_subnets_are_its_own_and_its_nodes(served):
    def of_the_control_plane(vpc):
        vpc.account.cluster_subnets = (SUBNETS[0],)

    served.server.do(of_the_control_plane)
    inventory, wanted = read_live(cluster="prod")
    assert wanted == SUBNETS
    report = report_on(inventory, SUBNETS[1])
    assert [each.owner for each in report.owners] == ["nodes' primary ENIs"]


def test_the_account_that_is_asked_is_the_one_that_is_named(vpc, tmp_path, monkeypatch, capsys):
    """Without the variables: a profile, an endpoint and a region as options."""
    keys = "aws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = of-the-profile\n"
    (tmp_path / "config").write_text(f"[profile dev]\n{keys}")
    for name in vpc.environ:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    named = ["--endpoint-url", vpc.endpoint_url, "--profile", "dev", "--region", vpc.region]
    arguments = ["subnet", "report", "--subnet-id", SUBNETS[0]]
    assert called(capsys, *arguments, *named, "--json")[0] == 0
    for option, value in zip(named[::2], named[1::2], strict=True):
        status, out, err = called(capsys, *arguments, option, value, "file.json")
        assert (status, out) == (2, "")
        assert err == f"ipam-core: {option} {value!r} reads from AWS: leave the files out\n"
    status, _, err = called(capsys, *arguments, "--endpoint-url", "nowhere")
    assert (status, err.count("\n")) == (2, 1)
    assert "--endpoint-url is http://HOST:PORT, not 'nowhere'" in err


def test_no_region_is_the_callers_to_say(aws, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InputError, match="region"):
        read_live(["subnet-1"], session=boto3.Session())


def test_more_subnets_than_a_filter_takes(aws, monkeypatch):
    asked = []

    def answer(self, operation, arguments):
        asked.append((operation, arguments))
        wanted = arguments.get("SubnetIds") or arguments.get("Filters", [{}])[0].get("Values", [])
        return {
            "DescribeSubnets": {"Subnets": [{"SubnetId": each} for each in wanted]},
            "DescribeNetworkInterfaces": {"NetworkInterfaces": []},
            "GetSubnetCidrReservations": {"SubnetIpv4CidrReservations": []},
        }[operation]

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", answer)
    subnet_ids = [f"subnet-{at}" for at in range(250)]
    inventory, _ = read_live(subnet_ids, session=boto3.Session())
    filters = [
        len(arguments["Filters"][0]["Values"])
        for operation, arguments in asked
        if operation == "DescribeNetworkInterfaces"
    ]
    assert (len(inventory.subnets), filters) == (250, [200, 50])


def test_pages_are_put_together(aws):
    def page(number, **more):
        return {
            "NetworkInterfaces": [{"NetworkInterfaceId": f"eni-{number}", "SubnetId": "subnet-1"}]
        } | more

    session = Session(
        describe_subnets={"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24"}]},
        describe_network_interfaces=[page(1, NextToken="more"), page(2)],
        get_subnet_cidr_reservations={"SubnetIpv4CidrReservations": []},
    )
    inventory, _ = read_live(["subnet-1"], session=session)
    assert [each["NetworkInterfaceId"] for each in inventory.interfaces["subnet-1"]] == [
        "eni-1",
        "eni-2",
    ]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("UnauthorizedOperation", DeniedError),
        ("ExpiredToken", DeniedError),
        ("InvalidSubnetID.NotFound", NotFoundError),
        ("InternalError", UnreachableError),
        ("UnrecognizedClientException", DeniedError),
        ("SomethingNew", CloudError),
    ],
)
def test_refusals_are_told_in_one_line(aws, code, error):
    with pytest.raises(error) as caught:
        read_live(["subnet-1"], session=Session(describe_subnets=code))
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"DescribeSubnets: {code}")
    assert "told why" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (NoCredentialsError(), DeniedError),
        (EndpointConnectionError(endpoint_url="https://ec2.example"), UnreachableError),
    ],
)
def test_no_credentials_and_no_answer(aws, monkeypatch, raised, error):
    def fail(self, *_, **__):
        raise raised

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", fail)
    with pytest.raises(error, match="DescribeSubnets"):
        read_live(["subnet-1"], session=boto3.Session())


def test_a_cluster_that_there_is_not(served):
    with pytest.raises(NotFoundError, match="DescribeCluster"):
        read_live(cluster="none")


def test_a_cluster_without_subnets(aws):
    session = Session(
        describe_cluster={"cluster": {"resourcesVpcConfig": {"subnetIds": []}}},
    )
    original = session.client
    session.client = lambda service, **_: (
        original(service)
        if service == "eks"
        else Session(describe_instances={"Reservations": []}).client(service)
    )
    with pytest.raises(InputError, match="cluster 'bare' has none"):
        read_live(cluster="bare", session=session)


def test_without_boto3_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "ipam_core.cloud.ec2", raising=False)
    with pytest.raises(MissingExtraError, match=r"ipam-core\[aws\]"):
        read_live(["subnet-1"])
