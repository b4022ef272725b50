"""A fleet made of a cluster: what is taken over, and that simulate and tune take it."""

import json
from pathlib import Path

import pytest
import yaml

from ipam_core.errors import InputError
from ipam_core.k8s.client import DAEMONSETS, NODES
from ipam_core.k8s.objects import node_of
from ipam_core.recording.from_cluster import ClusterNode, draft_fleet
from ipam_core.recording.output import write_whole
from ipam_core.recording.places import Place, PlacedSubnet, Places, place_of
from ipam_core.recording.pods import Names
from ipam_core.simulation.files import read_simulation
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.testing import TestVpc as Vpc
from ipam_core.testing.kubernetes import KubernetesServer, daemonset_document, node_document
from ipam_core.units import NS
from support.commands import called

T0 = 1_780_000_000.0
ENV = {"WARM_IP_TARGET": "2", "AWS_VPC_K8S_CNI_LOGLEVEL": "DEBUG"}


def node(name, *, type_="m5.large", max_pods=29, zone="a", group="web", env=ENV, **options):
    document = node_document(
        name, instance_type=type_, max_pods=max_pods, zone=zone, group=group, **options
    )
    return ClusterNode(node=node_of(document), variables=env)


def event(time_s, pod, add=True, node="n1"):
    return PodEvent(time_ns=round(time_s * NS), pod=pod, node=node, add=add)


def draft(nodes, events, *, places=None, names=Names(), **options):  # noqa: B008
    given = {"name": "mine", "events_file": "mine.csv"} | options
    return draft_fleet(nodes, events, names, places=places, **given)


# --- what is taken over -------------------------------------------------------------------


def test_equal_nodes_are_a_group_and_pods_stay_on_theirs():
    nodes = [node("n2"), node("n1"), node("n3", zone="b"), node("n4", type_="c5.large")]
    found = draft(nodes, [event(0, "a"), event(60, "b", node="n3"), event(90, "a", False)])
    groups = {each["name"]: each for each in found.document["nodes"]}
    assert set(groups) == {"web-m5.large-a", "web-m5.large-b", "web-c5.large-a"}
    assert groups["web-m5.large-a"] == {
        "name": "web-m5.large-a",
        "instance_type": "m5.large",
        "count": 2,
        "subnets": ["subnet-a"],
        "max_pods": 29,
        "env": {"WARM_IP_TARGET": "2"},  # what decides about addresses, and no more
    }
    assert [(each.time_ns / NS, each.node, each.add) for each in found.events] == [
        (0, "web-m5.large-a-0", True),
        (660, "web-m5.large-b-0", True),
        (690, "web-m5.large-a-0", False),
    ]
    assert (found.document["measure_from"], found.document["duration"]) == (600, 720)


def test_names_are_as_short_as_they_can_be_and_all_different():
    def names(*nodes):
        return [each["name"] for each in draft(nodes, [event(0, "a")]).document["nodes"]]

    assert names(node("n1"), node("n2")) == ["web"]
    assert names(node("n1", group=""), node("n2", group="", zone="b")) == [
        "m5.large-a",
        "m5.large-b",
    ]
    assert names(node("n1"), node("n2", type_="c5.large")) == ["web-m5.large", "web-c5.large"]
    assert names(node("n1"), node("n2", max_pods=110)) == ["web-m5.large-a.1", "web-m5.large-a.2"]
    assert names(node("n1"), node("n2", env={})) == ["web-m5.large-a.1", "web-m5.large-a.2"]


def test_pods_of_nodes_that_have_gone_are_placed_by_the_scheduler():
    found = draft([node("n1")], [event(0, "a"), event(1, "b", node="old"), event(2, "c", node="")])
    assert [each.node for each in found.events] == ["web-0", "", ""]
    said = "the scheduler places 1 pod: recorded on 1 node that is no longer there"
    assert said in " ".join(found.notes)


def test_hashed_names_find_their_nodes():
    names = Names(b"salt")
    events = [event(0, names.of("default/a"), node=names.of("n1"))]
    assert draft([node("n1")], events, names=names).events[0].node == "web-0"
    assert draft([node("n1")], events).events[0].node == ""


def test_subnets_are_those_of_the_nodes_with_what_others_use():
    places = Places(
        of={"i-1": Place("subnet-1", "subnet-2"), "i-2": Place("subnet-1")},
        subnets=[
            PlacedSubnet(subnet_id="subnet-1", cidr="10.0.0.0/24", zone="a", tag=None, used=40,
                         reservations=(("10.0.0.128/25", "prefix"),)),
            PlacedSubnet(subnet_id="subnet-2", cidr="10.0.1.0/24", zone="a", tag="1", used=0),
        ],
    )  # fmt: skip
    nodes = [node("n1", instance_id="i-1"), node("n2", instance_id="i-2"),
             node("n3", instance_id="i-9")]  # fmt: skip
    found = draft(nodes, [event(0, "a")], places=places)
    assert found.document["subnets"] == [
        {"id": "subnet-1", "cidr": "10.0.0.0/24", "zone": "a", "used": 40,
         "reservations": [{"cidr": "10.0.0.128/25", "type": "prefix"}]},
        {"id": "subnet-2", "cidr": "10.0.1.0/24", "zone": "a", "tag": "1"},
    ]  # fmt: skip
    assert [each.get("pod_subnet") for each in found.document["nodes"]] == ["subnet-2", None]
    assert found.notes == ["1 node left out: EC2 does not know them"]


def test_the_place_of_an_instance_is_its_primary_enis_subnet():
    def enis(*subnets):
        return [
            {"SubnetId": subnet, "Attachment": {"DeviceIndex": n}}
            for n, subnet in enumerate(subnets)
        ]

    assert place_of({"SubnetId": "s1", "NetworkInterfaces": enis("s1", "s1")}) == Place("s1")
    assert place_of({"SubnetId": "s1", "NetworkInterfaces": enis("s1", "s2", "s2", "s1")}) == Place(
        "s1", "s2"
    )
    assert place_of({"SubnetId": "s1"}) == Place("s1")
    assert place_of({"State": {"Name": "terminated"}}) is None


def test_nodes_that_aws_node_does_not_serve_are_left_out():
    fargate = node("f", labels={"eks.amazonaws.com/compute-type": "fargate"})
    windows = node("w", labels={"kubernetes.io/os": "windows"})
    assert len(draft([fargate, windows, node("n1")], [event(0, "a")]).name_of) == 1
    with pytest.raises(InputError, match="no Linux node on EC2"):
        draft([fargate, windows], [event(0, "a")])
    with pytest.raises(InputError, match="the recording has no event"):
        draft([node("n1")], [])


def test_a_type_that_the_table_lacks_is_named():
    found = draft([node("n1", type_="z9.huge")], [event(0, "a")])
    assert "instance type 'z9.huge' is not in the table: give --instance-types FILE" in found.notes


# --- the command, on both servers ---------------------------------------------------------

A, B = "subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"
VPC = {
    "subnets": [
        {"id": A, "cidr": "10.0.0.0/24", "zone": "a", "used": 30},
        {"id": B, "cidr": "10.0.1.0/24", "zone": "b", "tag": "1",
         "reservations": [{"cidr": "10.0.1.128/25", "type": "prefix"}]},
    ],
    "nodes": [
        {"name": "web", "instance_type": "m5.large", "count": 2, "subnets": [A]},
        {"name": "job", "instance_type": "c5.large", "count": 1, "subnets": [B]},
    ],
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Give a folder with a recording and a kubeconfig; both servers are up."""
    with KubernetesServer() as server, Vpc(VPC) as vpc:
        types = ["m5.large", "m5.large", "c5.large"]
        zones = ["us-east-1a", "us-east-1a", "us-east-1b"]
        for n, instance in enumerate(vpc.instance_ids):
            server.state.put(
                NODES,
                node_document(
                    f"n{n}",
                    instance_type=types[n],
                    max_pods=29,
                    instance_id=instance,
                    zone=zones[n],
                ),
            )
        server.state.put(DAEMONSETS, daemonset_document({"WARM_IP_TARGET": "3"}, n_nodes=3))
        server.write_kubeconfig(tmp_path / "kubeconfig")
        for key, text in vpc.environ.items():
            monkeypatch.setenv(key, text)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.chdir(tmp_path)
        events = [event(0, f"default/a{n}", node=f"n{n % 3}") for n in range(9)]
        events += [event(30 + n, f"default/b{n}", node="n0") for n in range(5)]
        events += [event(120, "default/a0", False, node="n0"), event(130, "default/c", node="gone")]
        write_whole(Path("pods.csv"), events, start_s=T0, names=Names())
        yield server, vpc


def test_a_cluster_round_trips_into_a_fleet_that_simulate_and_tune_take(here, capsys):
    arguments = ("fleet", "from-cluster", "fleet.yaml", "--recording", "pods.csv")
    status, out, err = called(capsys, *arguments, "--warm-up", "5m")
    assert status == 0
    assert "3 nodes in 2 groups, 2 subnets, 15 pods" in out
    assert "places 1 pod: recorded on 1 node that is no longer there" in err
    spec = read_simulation(Path("fleet.yaml"))
    assert [(g.instance_type, g.count, g.max_pods, g.subnets) for g in spec.groups] == [
        ("m5.large", 2, 29, (A,)),
        ("c5.large", 1, 29, (B,)),
    ]
    assert all(group.env["WARM_IP_TARGET"] == "3" for group in spec.groups)
    first, second = spec.subnets
    assert (first.cidr, first.used, first.tag) == ("10.0.0.0/24", 30, None)
    assert (second.cidr, second.used, second.tag) == ("10.0.1.0/24", 0, "1")
    assert second.reservations == (("10.0.1.128/25", "prefix"),)
    (trace,) = spec.workloads
    assert len(trace.events) == 16
    assert spec.measure_from_ns == 300 * NS
    status, out, _ = called(capsys, "simulate", "fleet.yaml", "--json")
    assert status == 0
    assert json.loads(out)[0]["pods"] == 6  # those that came after the warm-up
    status, out, _ = called(
        capsys, "tune", "fleet.yaml", "--jobs", "1", "--seeds", "1", "--no-prefixes", "--json"
    )
    assert status in (0, 1)
    assert json.loads(out)["recommended"]


def test_without_a_region_it_is_that_of_the_nodes(here, capsys, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    status, _, _ = called(capsys, "fleet", "from-cluster", "f.yaml", "--recording", "pods.csv")
    assert status == 0
    assert len(read_simulation(Path("f.yaml")).subnets) == 2


def test_the_account_that_is_asked_is_the_one_that_is_named(here, tmp_path, capsys, monkeypatch):
    """Without the variables: another profile, endpoint and region than those of the process."""
    _, vpc = here
    for name in vpc.environ:
        monkeypatch.delenv(name, raising=False)
    keys = "aws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = of-the-profile\n"
    (tmp_path / "config").write_text(f"[profile dev]\nregion = eu-west-2\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    arguments = ["fleet", "from-cluster", "f.yaml", "--recording", "pods.csv"]
    named = ["--endpoint-url", vpc.endpoint_url, "--profile", "dev", "--region", vpc.region]
    status, out, _ = called(capsys, *arguments, *named)
    assert status == 0
    assert "3 nodes in 2 groups, 2 subnets" in out
    for option, value, said in (
        ("--endpoint-url", "nowhere", "--endpoint-url is http://HOST:PORT, not 'nowhere'"),
        ("--profile", "nobody", "nobody"),
    ):
        status, out, err = called(capsys, *arguments, option, value)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert said in err


def test_without_aws_zones_have_assumed_subnets(here, capsys):
    arguments = ("fleet", "from-cluster", "f.json", "--recording", "pods.csv", "--no-aws", "--json")
    status, out, err = called(capsys, *arguments)
    assert status == 0
    assert "one /16 for each zone is assumed" in err
    assert json.loads(out)["subnets"] == 2
    assert [each.cidr for each in read_simulation(Path("f.json")).subnets] == [
        "10.0.0.0/16",
        "10.1.0.0/16",
    ]


def test_what_is_wrong_is_one_line_and_writes_nothing(here, capsys, monkeypatch):
    server, vpc = here

    def refused(*arguments):
        status, out, err = called(capsys, "fleet", "from-cluster", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert not Path("fleet.yaml").exists()
        return err

    recording = ("--recording", "pods.csv")
    assert "ends in .yaml" in refused("fleet.txt", *recording)
    assert "is the recording itself" in refused("pods.yaml", *recording)
    assert "no.csv" in refused("fleet.yaml", "--recording", "no.csv")
    assert "no such file" in refused("fleet.yaml", *recording, "--kubeconfig", "none")
    vpc.fault("DescribeInstances", "UnauthorizedOperation", times=9)
    assert "DescribeInstances: UnauthorizedOperation" in refused("fleet.yaml", *recording)
    vpc.clear_faults()
    server.state.remove(DAEMONSETS, "aws-node", "kube-system")
    assert "daemonsets/aws-node: NotFound" in refused("fleet.yaml", *recording)
    server.token = "another"
    assert "Unauthorized" in refused("fleet.yaml", *recording)


def test_the_file_is_plain_yaml(here, capsys):
    called(capsys, "fleet", "from-cluster", "fleet.yaml", "--recording", "pods.csv")
    found = yaml.safe_load(Path("fleet.yaml").read_text())
    assert found["workloads"] == [{"kind": "csv", "file": "fleet.csv"}]
    assert found["name"] == "fleet"
