"""Fleet files: what they mean, and one line for each way in which one can be wrong."""

import re
from pathlib import Path

import pytest
import yaml

from ipam_core.cli._app import run
from ipam_core.cloud.latency import Latency
from ipam_core.cloud.throttling import Bucket
from ipam_core.errors import InputError
from ipam_core.simulation.files import read_simulation
from ipam_core.simulation.fleet.file import fleet_of
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.spec import (
    Autoscale,
    FaultSpec,
    FleetSpec,
    GroupSpec,
    RolloutSpec,
    SubnetSpec,
)
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.simulation.scenario.spec import EC2_APIS
from ipam_core.simulation.validation import Share
from support.fleets import S

EXAMPLES = Path(__file__).parents[2] / "examples"
WHOLE = """
name: whole
duration: 1h
measure_from: 90
seed: 7
subnets:
  - id: a
    cidr: 10.0.0.0/22
    zone: z
    tag: "1"
    used: 10
    reservations: [{cidr: 10.0.1.0/24, type: prefix}]
  - {id: b, cidr: 10.1.0.0/24}
nodes:
  - {name: web, instance_type: m5.large, count: 3, subnets: [a], env: {WARM_IP_TARGET: "2"},
     max_pods: 20, join_over: 1.5m, pod_subnet: b, autoscale: {max: 9, boot: 30s, empty_for: 5m}}
  - {instance_type: c5.large, count: 0}
ec2:
  latency: {CreateTags: {median: 250ms, p99: 2s}, AttachNetworkInterface: {median: 3}}
  throttling: {CreateTags: {burst: 10, per_second: 0.5}}
  faults: [{api: CreateTags, code: InternalError, message: denied, times: 3, probability: 0.25,
            from: 1m, until: 2m}]
  metadata_lag: 2500ms
workloads:
  - {kind: burst, pods: 5, at: 10}
  - {kind: ramp, pods: 5, at: 10, over: 1m, lifetime: 2m, nodes: web}
  - {kind: cron_jobs, pods: 2, every: 5m, lifetime: 30}
  - {kind: churn, pods_per_node: 3, lifetime: 1h, at: 5}
  - {kind: daemon_set, nodes: c5.large}
  - {kind: rolling_update, pods: 8, at: 5m, max_surge: 2, max_unavailable: 10%, ready_after: 3s,
     times: 2, every: 10m}
  - {kind: csv, file: pods.csv}
rollouts:
  - {at: 20m, env: {WARM_IP_TARGET: null, WARM_ENI_TARGET: "2"}, nodes: web, max_unavailable: 2,
     down: 8s}
"""
CSV = "time,node,pod,action\n0,web-0,a,add\n1.5m,,b,add\n2m,web-0,a,remove\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pods.csv").write_text(CSV)
    return tmp_path


def test_a_whole_file_means_what_it_says(folder):
    assert fleet_of(yaml.safe_load(WHOLE), folder) == FleetSpec(
        name="whole",
        duration_ns=3600 * S,
        measure_from_ns=90 * S,
        seed=7,
        subnets=(
            SubnetSpec(
                subnet_id="a",
                cidr="10.0.0.0/22",
                zone="z",
                tag="1",
                used=10,
                reservations=(("10.0.1.0/24", "prefix"),),
            ),
            SubnetSpec(subnet_id="b", cidr="10.1.0.0/24"),
        ),
        groups=(
            GroupSpec(
                name="web",
                instance_type="m5.large",
                count=3,
                subnets=("a",),
                env={"WARM_IP_TARGET": "2"},
                max_pods=20,
                join_ns=90 * S,
                pod_subnet="b",
                autoscale=Autoscale(most=9, boot_ns=30 * S, empty_ns=300 * S),
            ),
            GroupSpec(name="c5.large", instance_type="c5.large", count=0, subnets=("a", "b")),
        ),
        workloads=(
            Arrivals(pods=5, at_ns=10 * S),
            Arrivals(pods=5, at_ns=10 * S, over_ns=60 * S, lifetime_ns=120 * S, group="web"),
            Arrivals(pods=2, every_ns=300 * S, lifetime_ns=30 * S),
            Churn(pods_per_node=3, lifetime_ns=3600 * S, at_ns=5 * S),
            DaemonSet(group="c5.large"),
            RollingUpdate(
                pods=8,
                at_ns=300 * S,
                max_surge=Share(2),
                max_unavailable=Share(10, percent=True),
                ready_after_ns=3 * S,
                times=2,
                every_ns=600 * S,
            ),
            Trace(
                events=(
                    PodEvent(time_ns=0, pod="a", node="web-0", add=True),
                    PodEvent(time_ns=90 * S, pod="b", add=True),
                    PodEvent(time_ns=120 * S, pod="a", node="web-0", add=False),
                )
            ),
        ),
        rollouts=(
            RolloutSpec(
                at_ns=1200 * S,
                env={"WARM_IP_TARGET": None, "WARM_ENI_TARGET": "2"},
                group="web",
                max_unavailable=Share(2),
                down_ns=8 * S,
            ),
        ),
        latencies={
            "CreateTags": Latency(0.25, 2),
            "AttachNetworkInterface": Latency(3, 3),
        },
        throttling={"CreateTags": Bucket(10, 0.5)},
        faults=(
            FaultSpec(
                api="CreateTags",
                code="InternalError",
                message="denied",
                times=3,
                probability=0.25,
                from_ns=60 * S,
                until_ns=120 * S,
            ),
        ),
        metadata_lag_s=2.5,
    )


def test_little_is_needed(tmp_path):
    spec = fleet_of(
        {"duration": 60, "nodes": [{"instance_type": "m5.large", "count": 1}]}, tmp_path
    )
    assert spec.subnets == (SubnetSpec(subnet_id="subnet", cidr="10.0.0.0/16"),)
    assert spec.groups[0].name == "m5.large"
    assert spec.throttling == {}  # EC2's documented buckets
    nodes = [{"instance_type": "m5.large", "count": 1}]
    off = {"duration": 60, "nodes": nodes, "ec2": {"throttling": False}}
    assert fleet_of(off, tmp_path).throttling is None


def test_a_pool_of_types_is_for_an_autoscaler(tmp_path):
    group = {"instance_types": ["m5.xlarge", "m5.large"], "count": 1}
    with pytest.raises(InputError, match="for an autoscaler"):
        fleet_of({"duration": 60, "nodes": [group]}, tmp_path)
    wrong_type = group | {"instance_types": ["m5.large", "m5.huge"]}
    with pytest.raises(InputError, match=r"unknown instance type 'm5\.huge'"):
        fleet_of({"duration": 60, "nodes": [wrong_type]}, tmp_path)
    scale = {"max": 4, "consolidate_after": "2m"}
    spec = fleet_of({"duration": 60, "nodes": [group | {"autoscale": scale}]}, tmp_path)
    (made,) = spec.groups
    assert (made.instance_type, made.more_types, made.name) == (
        "m5.xlarge", ("m5.large",), "m5.xlarge"
    )  # fmt: skip
    assert [kind.instance_type for kind in made.pool] == ["m5.large", "m5.xlarge"]
    assert made.autoscale == Autoscale(most=4, consolidate_ns=120 * S)


@pytest.mark.parametrize(
    "name", ["rolling-update", "subnet-exhaustion", "api-throttling", "ten-thousand-nodes"]
)
def test_the_examples_are_fleets(name):
    assert read_simulation(EXAMPLES / f"{name}.yaml").name == name


def wrong(path, value):
    """Return the whole file with one value changed; None takes it away."""
    raw = yaml.safe_load(WHOLE)
    *way, last = path
    place = raw
    for key in way:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return raw


BAD = [
    (["duration"], None, "fleet: duration is missing"),
    (["duration"], "soon", "fleet: duration is a duration such as 90 (seconds), 250ms"),
    (["duration"], True, "fleet: duration is a duration"),
    (["measure_from"], "2h", "measure_from is before the end"),
    (["nodez"], [], "fleet: unknown key 'nodez'; known: name, duration"),
    (["seed"], -1, "fleet: seed is an integer >= 0, not -1"),
    (["subnets"], [], "at least one subnet"),
    (["subnets", 1, "id"], "a", "subnets: id 'a' is there twice"),
    (["subnets", 0, "cidr"], "10.0.0.0/99", "subnets 1: '10.0.0.0/99' is not an IPv4 subnet"),
    (["subnets", 0, "used"], 5000, "subnets 1: subnet 10.0.0.0/22: 5000 addresses asked for"),
    (["subnets", 0, "reservations", 0, "type"], "big", "type is one of prefix, explicit"),
    (["subnets", 0, "reservations", 0, "cidr"], "10.9.0.0/24", "outside subnet 10.0.0.0/22"),
    (["nodes"], "web", "fleet: nodes is a list, not 'web'"),
    (["nodes", 0], "web", "nodes 1 is a mapping, not 'web'"),
    (["nodes", 0, "instance_type"], "m5.huge", "unknown instance type 'm5.huge'"),
    (["nodes", 0, "count"], None, "nodes 1: count is missing"),
    (["nodes", 0, "subnets"], ["c"], "nodes 1: subnet: no 'c'; there are a, b"),
    (["nodes", 0, "env", "WARM_IP_TARGET"], 2, "env.WARM_IP_TARGET is a text"),
    (["nodes", 0, "autoscale", "max"], None, "autoscale: max is missing"),
    (["nodes", 0, "instance_types"], ["m5.large"], "either instance_type or instance_types"),
    (["nodes", 1, "instance_type"], None, "nodes 2: either instance_type or instance_types"),
    (["nodes"], [], "nodes is a list with at least one group"),
    (["workloads", 0, "at"], "1h", "workloads 1: at 3600 s is not before the end, 3600 s"),
    (["rollouts", 0, "at"], "2h", "rollouts 1: at 7200 s is not before the end, 3600 s"),
    (["nodes", 1, "name"], "web", "nodes: name 'web' is there twice"),
    (["ec2", "latency", "RunInstances"], {"median": 1}, "ec2: latency is one of"),
    (["ec2", "latency", "CreateTags", "p99"], "10ms", "median 0.25 s, p99 0.01 s"),
    (["ec2", "throttling", "CreateTags", "burst"], None, "CreateTags: burst is missing"),
    (["ec2", "faults", 0, "probability"], 2, "probability is a number, from 0 to 1, not 2"),
    (["ec2", "faults", 0, "code"], None, "ec2: faults 1: code is missing"),
    (["ec2", "faults", 0, "until"], "1m", "faults 1: until must be later than from"),
    (["workloads", 0, "kind"], "flood", "workloads 1: kind is one of burst, ramp, cron_jobs"),
    (["workloads", 0, "kind"], None, "workloads 1: kind is one of burst"),
    (["workloads", 0, "over"], "1m", "workloads 1 (burst): unknown key 'over'"),
    (["workloads", 1, "over"], None, "workloads 2 (ramp): over is missing"),
    (["workloads", 1, "nodes"], "db", "workloads 2 (ramp): nodes: no 'db'; there are web"),
    (["workloads", 3, "pods_per_node"], 0, "pods_per_node is an integer >= 1, not 0"),
    (["workloads", 5, "max_surge"], "lots", "max_surge is a count or a share such as 25%"),
    (["rollouts", 0, "env", "WARM_IP_TARGET"], 3, "rollouts 1: env.WARM_IP_TARGET is a text"),
    (["rollouts", 0, "nodes"], "db", "rollouts 1: nodes: no 'db'"),
]


@pytest.mark.parametrize(("path", "value", "line"), BAD)
def test_a_wrong_value_gives_one_line_and_status_2(path, value, line, folder, capsys):
    with pytest.raises(InputError, match=re.escape(line)) as raised:
        fleet_of(wrong(path, value), folder)
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(wrong(path, value)))
    assert run(["simulate", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(raised.value) in said
    assert "fleet.yaml" in said


@pytest.mark.parametrize(
    ("csv", "line"),
    [
        ("pod,time\n", "line 1 is time,node,pod,action, not 'pod,time'"),
        ("", "line 1 is time,node,pod,action, not ''"),
        (CSV + "3m,web-0,a\n", "line 5: 4 values (time,node,pod,action), not 3"),
        (CSV + "3m,web-0,a,remove\n", "line 5: pod 'a' is not there"),
        (CSV + "3m,web-0,b,add\n", "line 5: pod 'b' is there already"),
        (CSV + "3m,web-0,c,move\n", "line 5: action is one of add, remove, not 'move'"),
        (CSV + "1m,web-0,c,add\n", "line 5: earlier than the line before"),
        (CSV + "noon,web-0,c,add\n", "line 5: time is a duration such as"),
        (CSV + "3m,web-0,,add\n", "line 5: pod is a text"),
    ],
)
def test_a_wrong_csv_gives_one_line(csv, line, tmp_path):
    (tmp_path / "pods.csv").write_text(csv)
    with pytest.raises(InputError, match=re.escape(line)):
        fleet_of(yaml.safe_load(WHOLE), tmp_path)


def test_a_csv_that_is_not_there_or_no_text_gives_one_line(tmp_path, capsys):
    (tmp_path / "fleet.yaml").write_text(WHOLE)
    assert run(["simulate", str(tmp_path / "fleet.yaml")]) == 2
    assert "pods.csv" in capsys.readouterr().err
    (tmp_path / "pods.csv").write_bytes(b"time,node,pod,action\n0,\xff,a,add\n")
    assert run(["simulate", str(tmp_path / "fleet.yaml")]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_latency_false_lets_every_call_take_no_time():
    spec = fleet_of(
        {
            "duration": "10m",
            "nodes": [{"instance_type": "m5.large", "count": 1}],
            "ec2": {"latency": False},
        },
        Path(),
    )
    assert set(spec.latencies) == set(EC2_APIS)
    assert set(spec.latencies.values()) == {Latency(0, 0)}
