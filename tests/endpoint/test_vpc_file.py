"""The file of a served VPC: subnets, nodes and EC2 as in a fleet's file."""

from pathlib import Path

import pytest

from ipam_core.cloud.latency import Latency
from ipam_core.endpoint.file import VpcSpec, read_vpc, vpc_of
from ipam_core.endpoint.served import APIS, open_vpc
from ipam_core.errors import InputError
from ipam_core.units import NS

EXAMPLES = Path(__file__).parents[2] / "examples"
ID = "subnet-0123456789abcdef0"


def test_subnets_nodes_and_ec2_become_what_they_say():
    spec = vpc_of(
        {
            "name": "prod",
            "seed": 3,
            "vpc": {"id": "vpc-0123456789abcdef0", "region": "eu-west-1"},
            "subnets": [
                {"id": ID, "cidr": "10.0.0.0/24", "zone": "b", "tag": "1", "used": 100,
                 "reservations": [{"cidr": "10.0.0.64/26", "type": "prefix"}]},
                {"id": "second", "cidr": "100.64.0.0/20"},
            ],
            "nodes": [{"instance_type": "m5.large", "count": 3},
                      {"name": "big", "instance_type": "c5.4xlarge", "count": 1,
                       "subnets": ["second"]}],
            "ec2": {"latency": {"RunInstances": {"median": "1s"}},
                    "faults": [{"api": "CreateSubnet", "code": "SubnetLimitExceeded"}],
                    "metadata_lag": "3s"},
        },
        APIS,
    )  # fmt: skip
    served = open_vpc(spec, held=True)
    account = served.account
    first, second = account.subnets
    assert (first.subnet_id, first.zone, first.vpc_id) == (ID, "eu-west-1b", spec.vpc_id)
    assert first.tags == {"kubernetes.io/role/cni": "1"}
    assert first.available_addresses == 251 - 100 - 2
    assert first.subnet.reservations == (("10.0.0.64/26", "prefix"),)
    assert second.tags == {"Name": "second"}
    assert second.subnet_id.startswith("subnet-0")
    [network] = account.vpcs
    assert [block for block, _ in network.blocks] == ["10.0.0.0/16", "100.64.0.0/16"]
    places = [(row.tags["eks:nodegroup-name"], row.subnet_id, row.state)
              for row in account.instances]  # fmt: skip
    assert sorted(places) == [
        ("big", second.subnet_id, "running"),
        ("m5.large", ID, "running"),
        ("m5.large", ID, "running"),
        ("m5.large", second.subnet_id, "running"),
    ]
    assert account.node_groups == ("m5.large", "big")
    assert account.cluster == "prod"
    assert served.gate.latencies == {"RunInstances": Latency(1, 1)}
    assert served.metadata.lag_ns == 3 * NS


def test_without_a_file_there_is_a_subnet_with_a_node():
    account = open_vpc(VpcSpec(), held=True).account
    assert [subnet.subnet.cidr for subnet in account.subnets] == ["10.0.0.0/16"]
    assert [row.limits.instance_type for row in account.instances] == ["m5.large"]


def test_latency_false_is_none_for_every_call():
    spec = vpc_of({"ec2": {"latency": False}}, APIS)
    assert set(spec.latencies) == set(APIS)
    assert set(spec.latencies.values()) == {Latency(0, 0)}


@pytest.mark.parametrize(
    "name", ["rolling-update.yaml", "subnet-exhaustion.yaml", "api-throttling.yaml"]
)
def test_a_fleets_file_is_served_as_it_is_and_what_is_played_only_is_named(name):
    spec = read_vpc(EXAMPLES / name, APIS)
    assert "duration" in spec.not_played
    served = open_vpc(spec, held=True)
    assert len(served.instance_ids()) == sum(group.count for group in spec.groups)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "a VPC is a mapping"),
        ({"subnet": []}, "unknown key 'subnet'; known: name, seed, vpc, subnets"),
        ({"vpc": {"id": "vpc-1"}}, "vpc- and 8 or 17 hexadecimal digits, not 'vpc-1'"),
        ({"vpc": {"region": "Frankfurt"}}, "a region such as us-east-1, not 'Frankfurt'"),
        ({"vpc": {"blocks": ["10.0.0.0/8"]}}, "a block is a /16 to a /28, not '10.0.0.0/8'"),
        ({"vpc": {"blocks": ["10.0.0.1/16"]}}, "host bits set"),
        ({"vpc": {"blocks": [167772160]}}, "is a text"),
        ({"subnets": []}, "a list with at least one subnet"),
        ({"subnets": [{"id": "a", "cidr": "10.0.0.0/24"}] * 2}, "'a' is there twice"),
        ({"subnets": [{"id": "a", "cidr": "10.0.0.0/30"}]}, "subnets 1: "),
        ({"nodes": [{"instance_type": "m5.huge", "count": 1}]}, "m5.huge"),
        ({"nodes": [{"instance_type": "m5.large", "count": 99999}]}, "at most 50,000"),
        ({"nodes": [{"instance_type": "m5.large", "count": 1, "subnets": ["x"]}]}, "no 'x'"),
        ({"ec2": {"latency": {"DescribeCars": {"median": 1}}}}, "one of AssignIpv6Addresses"),
        ({"ec2": {"latency": True}}, "is a mapping, not True"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(raw, words):
    with pytest.raises(InputError) as told:
        vpc_of(raw, APIS)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("subnets", "words"),
    [
        ([{"id": "a", "cidr": "10.0.0.0/24"}, {"id": "b", "cidr": "10.0.0.128/25"}], "overlaps"),
        ([{"id": "a", "cidr": "10.0.0.0/28", "used": 11}], "2 in subnet a: "),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(subnets, words):
    nodes = [{"instance_type": "m5.large", "count": 2}]
    spec = vpc_of({"subnets": subnets, "nodes": nodes}, APIS)
    with pytest.raises(InputError, match=words):
        open_vpc(spec, held=True)


def test_a_file_is_named_in_front(tmp_path):
    file = tmp_path / "vpc.yaml"
    file.write_text("nodes: 3\n")
    with pytest.raises(InputError, match=r"vpc\.yaml: "):
        read_vpc(file, APIS)
    file.write_text("seed: 1\n---\nseed: 2\n")
    with pytest.raises(InputError, match="one document is needed, not 2"):
        read_vpc(file, APIS)
    file.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(InputError, match="twice"):
        read_vpc(file, APIS)
