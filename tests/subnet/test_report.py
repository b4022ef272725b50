"""Reading, classing and counting: against the slow model, and bad input."""

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core._subnet import BLOCK_STATES, Subnet
from ipam_core.errors import InputError
from ipam_core.subnet.inventory import Inventory, read_inventory
from ipam_core.subnet.owners import owner_of
from ipam_core.subnet.report import report_on
from support.subnet_model import ModelSubnet


def interface(number, addresses, prefixes=(), subnet_id="subnet-1", **fields):
    return {
        "NetworkInterfaceId": f"eni-{number}",
        "SubnetId": subnet_id,
        "Status": "in-use",
        "PrivateIpAddresses": [{"PrivateIpAddress": str(each)} for each in addresses],
        "Ipv4Prefixes": [{"Ipv4Prefix": str(each)} for each in prefixes],
    } | fields


def inventory_of(cidr, interfaces, **known):
    inventory = Inventory()
    subnet = {"SubnetId": "subnet-1", "CidrBlock": cidr} | known
    inventory.add({"Subnets": [subnet], "NetworkInterfaces": interfaces}, "test")
    return inventory


def good_enis(n):
    return [interface(at, [f"10.0.{at // 200}.{at % 200 + 10}"]) for at in range(n)]


@settings(max_examples=60)
@given(st.data())
def test_states_score_and_counts_are_the_models(data):
    bits = data.draw(st.integers(23, 28))
    model = ModelSubnet(f"10.0.0.0/{bits}")
    inventory = Inventory()
    n_blocks = len(model.blocks())
    for block in data.draw(st.sets(st.integers(0, n_blocks - 1), max_size=3)):
        kind = data.draw(st.sampled_from(["prefix", "explicit"]))
        network = ipaddress.IPv4Network((min(model.blocks()[block]), 28))
        model.reservations[network] = kind
        inventory.add(
            {
                "SubnetIpv4CidrReservations": [
                    {"SubnetId": "subnet-1", "Cidr": str(network), "ReservationType": kind}
                ]
            },
            "test",
        )
    interfaces = []
    for at, block in enumerate(data.draw(st.sets(st.integers(0, n_blocks - 1)))):
        addresses = sorted(model.blocks()[block] & model.free)
        if len(addresses) == 16 and data.draw(st.booleans()):
            model.prefixes.add(addresses[0])
            model.free -= set(addresses)
            prefix = f"{ipaddress.IPv4Address(addresses[0])}/28"
            interfaces.append(interface(at, [], [prefix]))
        else:
            held = data.draw(st.sets(st.sampled_from(addresses)))
            model.free -= held
            interfaces.append(interface(at, map(ipaddress.IPv4Address, held)))
    subnet = {"SubnetId": "subnet-1", "CidrBlock": str(model.network)}
    inventory.add({"Subnets": [subnet], "NetworkInterfaces": interfaces}, "test")

    told = report_on(inventory, "subnet-1").to_json()
    states = model.states()
    assert told["blocks"] == {name: states.count(name) for name in BLOCK_STATES}
    assert told["score"] == model.score()
    assert told["longest_free_run"] == model.longest_free_run()
    assert told["used_per_block"] == model.histogram()
    assert told["addresses"]["free"] == len(model.free)
    assert told["addresses"]["free_unreserved"] == len(model.open())
    assert told["addresses"]["used"] == 2 ** (32 - bits) - 5 - len(model.free)
    assert told["free_prefixes"] == sum(map(len, model.whole()))


NODES = {"i-node"}


@pytest.mark.parametrize(
    ("fields", "owner"),
    [
        ({"Attachment": {"InstanceId": "i-node", "DeviceIndex": 0}}, "nodes' primary ENIs"),
        ({"Attachment": {"InstanceId": "i-node", "DeviceIndex": 2}}, "pods' ENIs"),
        (
            {
                "Attachment": {"InstanceId": "i-node", "DeviceIndex": 1},
                "Description": "aws-K8S-i-node",
            },
            "pods' ENIs",
        ),
        ({"Attachment": {"InstanceId": "i-bastion", "DeviceIndex": 0}}, "other instances"),
        ({"InterfaceType": "branch", "Description": "aws-k8s-branch-eni"}, "pods' branch ENIs"),
        ({"InterfaceType": "trunk", "Description": "aws-k8s-trunk-eni"}, "pods' ENIs"),
        ({"Description": "aws-K8S-i-gone", "Status": "available"}, "orphaned"),
        ({"Description": "", "Status": "available"}, "orphaned"),
        ({"Description": "ELB app/a/1", "RequesterManaged": True}, "load balancers"),
        ({"Description": "ELB classic"}, "load balancers"),
        ({"InterfaceType": "network_load_balancer"}, "load balancers"),
        ({"InterfaceType": "nat_gateway"}, "NAT gateways"),
        ({"InterfaceType": "natGateway"}, "NAT gateways"),
        ({"InterfaceType": "vpc_endpoint"}, "VPC endpoints"),
        ({"InterfaceType": "lambda", "Status": "available", "RequesterManaged": True}, "Lambda"),
        ({"Description": "AWS Lambda VPC ENI-f-1"}, "Lambda"),
        ({"Description": "RDSNetworkInterface", "RequesterManaged": True}, "databases"),
        ({"Description": "ElastiCache sessions-001"}, "databases"),
        ({"Description": "EFS mount target for fs-1 (fsmt-1)"}, "file systems"),
        ({"Description": "Amazon EKS prod"}, "EKS control plane"),
        ({"Description": "something else"}, "other"),
    ],
)
def test_owners(fields, owner):
    assert owner_of(interface(1, [], **fields), NODES) == owner


def test_nodes_are_known_by_tag_and_by_what_they_hold():
    attached = {"Attachment": {"InstanceId": "i-held", "DeviceIndex": 0}}
    inventory = inventory_of(
        "10.0.0.0/24",
        [
            interface(1, ["10.0.0.5", "10.0.0.6"], **attached),
            interface(2, ["10.0.0.7"], Attachment={"InstanceId": "i-plain", "DeviceIndex": 0}),
            interface(3, ["10.0.0.8"], Attachment={"InstanceId": "i-tagged", "DeviceIndex": 0}),
        ],
    )
    tags = [{"Key": "kubernetes.io/cluster/x", "Value": "owned"}]
    inventory.add(
        {
            "Reservations": [
                {
                    "Instances": [
                        {"InstanceId": "i-tagged", "InstanceType": "m5.large", "Tags": tags},
                        {"InstanceId": "i-plain", "InstanceType": "t3.micro"},
                    ]
                }
            ]
        },
        "test",
    )
    assert inventory.nodes == {"i-held", "i-tagged"}
    assert report_on(inventory, "subnet-1").nodes == ["i-held", "i-tagged"]


def test_free_is_held_against_what_aws_says():
    for count, agrees in ((250, True), (249, False), (None, True)):
        inventory = inventory_of("10.0.0.0/24", good_enis(1), AvailableIpAddressCount=count)
        assert report_on(inventory, "subnet-1").agrees is agrees


def test_one_bad_eni_among_many_is_skipped_and_told():
    for bad, why in (
        (interface("bad", ["10.0.0.250", "10.9.0.1"]), "10.9.0.1"),
        (interface("bad", ["10.0.0.10"]), "in use"),
        (interface("bad", ["10.0.0.250"], ["10.0.0.0/28"]), "in use"),
        (interface("bad", ["10.0.0.250"], ["10.0.0.240/28", "10.0.3.0/28"]), "in use"),
        (interface("bad", ["10.0.3.5"], ["10.0.2.0/28", "10.0.0.0/28"]), "in use"),
        (interface("bad", ["10.0.0"]), "10.0.0"),
        (interface("bad", []) | {"PrivateIpAddresses": None}, "not as AWS"),
        (interface("bad", []) | {"Attachment": "none"}, "not as AWS"),
    ):
        inventory = inventory_of("10.0.0.0/22", [*good_enis(150), bad])
        report = report_on(inventory, "subnet-1")
        assert [each.eni_id for each in report.skipped] == ["eni-bad"]
        assert why in report.skipped[0].why
        assert report.subnet.n_free == 1024 - 5 - 150
        assert len(report.interfaces) == 150
        report.subnet._check()


def test_many_bad_enis_are_refused():
    bad = [interface(f"bad{n}", [f"10.9.0.{n}"]) for n in range(1, 4)]
    inventory = inventory_of("10.0.0.0/22", [*good_enis(150), *bad])
    with pytest.raises(InputError, match=r"eni-bad1: 10\.9\.0\.1 is not on subnet 10\.0\.0\.0/22"):
        report_on(inventory, "subnet-1")


def test_what_comes_in_twice_counts_once():
    inventory = inventory_of("10.0.0.0/24", good_enis(2))
    inventory.add({"NetworkInterfaces": good_enis(2)}, "again")
    assert report_on(inventory, "subnet-1").n_used == 2


def test_pods_are_counted_where_kubectl_lists_them():
    def pod(address, **spec):
        owner = spec.pop("owner", "ReplicaSet")
        return {
            "kind": "Pod",
            "metadata": {"ownerReferences": [{"kind": owner}]},
            "spec": spec,
            "status": {"phase": "Running", "podIP": address},
        }

    attached = {"Attachment": {"InstanceId": "i-1", "DeviceIndex": 0}}
    node = interface(1, ["10.0.0.5", "10.0.0.6", "10.0.0.7"], ["10.0.0.32/28"], **attached)
    inventory = inventory_of("10.0.0.0/24", [node])
    assert report_on(inventory, "subnet-1").pods_of == {"i-1": 2 + 16}
    inventory.add(
        {
            "items": [
                pod("10.0.0.6"),
                pod("10.0.0.40"),
                pod("10.0.0.41", owner="DaemonSet"),
                pod("10.0.0.5", hostNetwork=True),
                pod("10.7.0.5"),
                pod("fd00::7"),
                pod(None),
            ]
        },
        "pods",
    )
    assert report_on(inventory, "subnet-1").pods_of == {"i-1": 2}


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "input.json"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"input\.json"):
        read_inventory([path])


def test_every_cut_of_a_file_is_told(tmp_path):
    whole = json.dumps({"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24"}]})
    path = tmp_path / "cut.json"
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(InputError, match=r"cut\.json: incomplete JSON"):
            read_inventory([path])


def test_a_page_of_several_is_noticed():
    inventory = Inventory()
    subnets = [{"SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24"}]
    inventory.add({"Subnets": subnets, "NextToken": "more"}, "page.json")
    inventory.choose([])
    assert inventory.notices == [
        "page.json is a page that others follow: the rest of its Subnets is not in the input"
    ]


def test_subnets_to_choose():
    inventory = inventory_of("10.0.0.0/24", [])
    inventory.add({"Subnets": [{"SubnetId": "subnet-6", "Ipv6Native": True}]}, "test")
    assert inventory.choose([]) == ["subnet-1"]
    assert inventory.notices == ["subnet subnet-6 is IPv6-only and left out"]
    with pytest.raises(InputError, match="IPv6-only"):
        inventory.choose(["subnet-6"])
    with pytest.raises(InputError, match="'subnet-9' is not in the input"):
        inventory.choose(["subnet-9"])
    with pytest.raises(InputError, match="describe-subnets"):
        Inventory().choose([])


def test_reservations_that_aws_would_refuse():
    inventory = inventory_of("10.0.0.0/24", [])
    entry = {"SubnetId": "subnet-1", "Cidr": "10.1.0.0/28", "ReservationType": "prefix"}
    inventory.add({"SubnetIpv4CidrReservations": [entry]}, "test")
    with pytest.raises(InputError, match=r"10\.1\.0\.0/28: outside"):
        report_on(inventory, "subnet-1")


def test_the_example_is_what_its_generator_writes(generator, examples):
    made = generator.documents()
    assert {path.name for path in examples} == set(made)
    for path in examples:
        assert path.read_text() == generator.compact(made[path.name]), path


def test_the_example_agrees_with_itself(examples, generator):
    inventory = read_inventory(examples)
    large = report_on(inventory, generator.LARGE)
    assert (large.n_used, len(large.interfaces)) == (50_000, 2_000)
    small = report_on(inventory, generator.SMALL)
    for report in (large, small):
        assert report.agreement == "agrees with AvailableIpAddressCount"
        assert report.fragmentation.free > 0
    kinds = {each.owner for each in small.owners}
    assert {"orphaned", "databases", "load balancers", "NAT gateways", "Lambda"} <= kinds
    assert isinstance(small.subnet, Subnet)
    assert {name for name, count in small.to_json()["blocks"].items() if not count} == {"full"}
