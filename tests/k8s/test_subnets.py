"""The subnets below the nodes, from a served VPC."""

import json
from types import SimpleNamespace

import boto3
import pytest

from ipam_core.cli._cluster_text import _print_subnets
from ipam_core.endpoint.server import VpcServer
from ipam_core.k8s.objects import node_of
from ipam_core.k8s.subnets import session_near
from ipam_core.testing.kubernetes import MockCluster, MockNodes
from ipam_core.testing.kubernetes.documents import node_document
from support.commands import called

ROOMY, SMALL = "subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"
SUBNETS = [
    {"id": ROOMY, "cidr": "10.0.0.0/24", "zone": "a"},
    {"id": SMALL, "cidr": "10.0.1.0/28", "zone": "b"},
]


@pytest.fixture
def vpc(monkeypatch, tmp_path):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    nodes = [
        {"name": "web", "instance_type": "m5.large", "count": 3, "subnets": [ROOMY]},
        {"name": "full", "instance_type": "m5.large", "count": 1, "subnets": [SMALL]},
    ]
    spec = {
        "subnets": SUBNETS,
        "nodes": nodes,
        "ec2": {"latency": False, "throttling": False},
    }
    with VpcServer(spec) as served:
        yield served


@pytest.fixture
def cluster(server, kubeconfig, vpc, capsys):
    ids = list(vpc.imds_urls)
    groups = [
        MockNodes(name="web", instance_type="m5.large", count=3, pods=4, instance_ids=ids[:3]),
        MockNodes(name="full", instance_type="m5.large", count=1, pods=4, instance_ids=ids[3:]),
    ]
    MockCluster(groups=groups, env={"WARM_IP_TARGET": "2"}).fill(server)

    def run(*arguments, endpoint=vpc.endpoint_url):
        where = ("--kubeconfig", kubeconfig, "--endpoint-url", endpoint)
        return called(capsys, "cluster", *where, *arguments)

    return run


def test_each_subnet_says_what_is_free_and_who_fits(cluster):
    status, out, _ = cluster("-o", "json")
    found = json.loads(out)
    by_id = {each["subnet_id"]: each for each in found["subnets"]}
    assert found["unread"] == []
    roomy = by_id[ROOMY]
    # 256 - 5 of AWS - 3 primary addresses
    assert (roomy["nodes"], roomy["free"], roomy["zone"]) == (3, 248, "us-east-1a")
    # An idle m5.large keeps 2 addresses and its own; a full one 3 ENIs with 27 and 2 spare.
    assert roomy["fits"] == {"type": "m5.large", "idle": 248 // 3, "full": 248 // 30}
    assert by_id[SMALL]["free"] == 10
    assert by_id[SMALL]["fits"]["full"] == 0
    assert status == 0
    status, out, _ = cluster()
    rows = [line.split() for line in out.splitlines() if line.startswith("subnet-")]
    assert rows[0][:4] == [SMALL, "1", "10", "0"]
    assert rows[1] == [ROOMY, "3", "248", "11", "22", "healthy", "82/8", "m5.large"]
    _, out, _ = cluster("-o", "wide")
    assert f"{SMALL}  10.0.1.0/28  us-east-1b  1" in out


def test_a_subnet_without_an_address_is_a_problem(cluster, vpc):
    ec2 = boto3.client("ec2", endpoint_url=vpc.endpoint_url, region_name="us-east-1")
    ec2.create_network_interface(SubnetId=SMALL, SecondaryPrivateIpAddressCount=9)
    ec2.close()
    status, out, _ = cluster("-o", "json")
    found = json.loads(out)
    assert status == 1
    assert found["subnets"][0]["subnet_id"] == SMALL
    assert found["subnets"][0]["problem"] is True


def test_aws_that_cannot_be_read_is_one_line_and_nodes_are_shown(cluster, vpc, monkeypatch):
    vpc.add_fault("DescribeNetworkInterfaces", "UnauthorizedOperation", message="no such right")
    status, out, err = cluster()
    assert (status, err) == (0, "")
    assert out.startswith("4 nodes, 16 pods")
    shown = " ".join(out.split())
    assert "subnets: DescribeNetworkInterfaces: UnauthorizedOperation: no such right" in shown
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _, out, _ = cluster(endpoint="http://127.0.0.1:1")
    assert "subnets: DescribeInstances: EndpointConnectionError" in " ".join(out.split())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    status, out, _ = cluster()
    assert status == 0
    assert "NoCredentialsError: Unable to locate credentials (--no-aws" in " ".join(out.split())


def test_instances_of_another_account_are_one_line(server, kubeconfig, vpc, capsys):
    groups = [MockNodes(name="web", instance_type="m5.large", count=2, pods=4)]
    MockCluster(groups=groups, env={"WARM_IP_TARGET": "2"}).fill(server)
    where = ("--kubeconfig", kubeconfig, "--endpoint-url", vpc.endpoint_url)
    status, out, _ = called(capsys, "cluster", *where)
    assert status == 0
    assert "subnets: EC2 knows none of 2 instances: another account?" in out


def test_large_numbers_of_a_subnet_are_shown_whole(capsys):
    """Columns that must not be broken were cut to an ellipsis by one that could be."""
    of_subnet = {"n_free": 65531, "n_free_prefixes": 4095}
    report = SimpleNamespace(
        subnet_id=ROOMY,
        partial=True,
        subnet=SimpleNamespace(**of_subnet),
        fragmentation=SimpleNamespace(score=100, band="exhausted"),
    )
    fits = {"fits_idle": 65531, "fits_full": 65530, "fits_type": "u7inh-32tb.480xlarge"}
    _print_subnets([SimpleNamespace(report=report, nodes=99999, is_problem=True, **fits)])
    heading, row, *rest = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["Subnet", "Nodes", "Free", "/28s"]
    said = [ROOMY, "99999", "<=65531", "<=4095", "100", "exhausted", "<=65531/<=65530"]
    assert row.split() == said
    assert "".join("".join(rest).split()) == fits["fits_type"]
    assert max(map(len, [row, *rest])) <= 80


def test_the_region_of_the_nodes_is_taken_with_the_profile_that_was_named(tmp_path, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile other]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    node = node_of(node_document("n", instance_type="m5.large", max_pods=29, zone="eu-west-3b"))
    near = session_near([node], "other")
    assert (near.profile_name, near.region_name) == ("other", "eu-west-3")
    assert session_near([node], "other", "us-east-2").region_name == "us-east-2"
