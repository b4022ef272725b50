"""The parts of a fleet: what divides it, and the same bytes whoever plays which part."""

import json
import pickle
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import simulate
from ipam_core.cli._app import run
from ipam_core.cloud.latency import Latency
from ipam_core.cloud.throttling import Bucket
from ipam_core.errors import InputError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.executing import Shares, completed
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet, simulate_many
from ipam_core.simulation.fleet.independent import parts_of, why_one_part
from ipam_core.simulation.fleet.spec import GroupSpec, RolloutSpec, SubnetSpec
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.simulation.scenario.spec import EC2_APIS
from support.fleets import WORKLOADS, S, as_bytes, fleet, fleets
from support.soak import examples

NAMES = ("nodes", "more", "most")


def in_regions(spec, *regions):
    """Return the fleet with a group in each of these regions, each in a subnet of its own."""
    (group,), (subnet,) = spec.groups, spec.subnets
    return replace(
        spec,
        subnets=tuple(
            replace(subnet, subnet_id=f"subnet-{name}", region=region)
            for name, region in zip(NAMES, regions, strict=False)
        ),
        groups=tuple(
            replace(group, name=name, subnets=(f"subnet-{name}",))
            for name, _ in zip(NAMES, regions, strict=False)
        ),
    )


@st.composite
def fleets_in_regions(draw):
    """Return any small fleet with two or three groups in one to three regions."""
    regions = draw(st.lists(st.sampled_from(["", "eu", "us"]), min_size=2, max_size=3))
    spec = in_regions(draw(fleets()), *regions)
    names = [None, *NAMES[: len(regions)]]
    workloads = draw(st.lists(WORKLOADS, min_size=1, max_size=4))
    return replace(
        spec,
        workloads=tuple(
            replace(each, group=draw(st.sampled_from(names[isinstance(each, Arrivals) :])))
            for each in workloads
        ),
        rollouts=tuple(replace(each, group=draw(st.sampled_from(names))) for each in spec.rollouts),
    )


class LastFirst(Executor):
    """An executor that makes all calls only when it is asked for the last one, the last first."""

    def __init__(self, n_calls):
        self._n_calls = n_calls
        self._given = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self._given.append((future, pickle.dumps((fn, args, kwargs))))
        if len(self._given) == self._n_calls:
            for each, call in reversed(self._given):
                fn, args, kwargs = pickle.loads(call)
                each.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        return future


@pytest.fixture(scope="module")
def two_processes():
    with ProcessPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def three_processes():
    with ProcessPoolExecutor(3) as executor:
        yield executor


@settings(max_examples=examples(10), deadline=None)
@given(
    spec=fleets_in_regions(),
    policy=st.sampled_from([VPC_CNI, IPAM_CORE]),
    seed=st.integers(0, 2**70),
)
def test_the_result_is_the_same_to_the_byte_however_it_is_shared(
    two_processes, three_processes, spec, policy, seed
):
    def played(executor):
        return as_bytes(
            simulate_fleet(spec, policy=policy, seed=seed, keep_calls=True, executor=executor)
        )

    alone = played(None)
    for executor in (two_processes, three_processes, LastFirst(len(parts_of(spec, seed)))):
        assert played(executor) == alone


@settings(max_examples=examples(8), deadline=None)
@given(spec=fleets_in_regions(), seed=st.integers(0, 2**70))
def test_a_part_is_a_fleet_of_its_own_and_all_is_in_one_of_them(spec, seed):
    parts = parts_of(spec, seed)
    found = simulate_fleet(spec, seed=seed, keep_calls=True)
    worlds = [Fleet(each.spec, policy=VPC_CNI, seed=each.seed, part=each.number) for each in parts]
    alone = [world.run() for world in worlds]
    assert sorted(group for each in alone for group in each.groups) == sorted(found.groups)
    for each in alone:
        assert each.groups.items() <= found.groups.items()
        assert each.subnets.items() <= found.subnets.items()
    assert found.n_pods == sum(each.n_pods for each in alone)
    assert sorted(found.waits_s) == sorted(wait for each in alone for wait in each.waits_s)
    assert found.n_calls == len(found.calls) or spec.measure_from_ns
    assert [call.time_ns for call in found.calls] == sorted(call.time_ns for call in found.calls)
    for name in ("calls", "idle", "waiting", "refusals"):
        sums = [sum(each.series[name][n] for each in alone) for n in range(len(found.times_s))]
        assert list(found.series[name]) == sums
    machines = [node.agent.instance for world in worlds for node in world.nodes]
    enis = [each for world in worlds for each in world.machines.regions.values()]
    assert len({each.instance_id for each in machines}) == len(machines)
    assert len({name for each in enis for name in each.enis}) == sum(len(r.enis) for r in enis)


def test_a_fleet_without_chance_is_that_of_its_parts():
    """Regions that a workload joins have their own buckets, too: played as one, all is the same.

    With one bucket for both, calls would be throttled.
    """
    spec = replace(
        in_regions(fleet(count=2, env={"WARM_IP_TARGET": "12"}, minutes=20), "eu", "us", "eu"),
        latencies=dict.fromkeys(EC2_APIS, Latency(1, 1)),
        throttling={"AttachNetworkInterface": Bucket(4, 0)},
        workloads=(
            DaemonSet(),
            Arrivals(pods=8, at_ns=300 * S, lifetime_ns=200 * S, group="nodes"),
            Arrivals(pods=6, at_ns=400 * S, lifetime_ns=100 * S, group="more"),
        ),
    )
    assert len(parts_of(spec, 0)) == 2
    whole = Fleet(spec, policy=VPC_CNI, seed=0).run().to_dict()
    apart = simulate_fleet(spec).to_dict()
    assert sorted(whole.pop("waits_s")) == apart.pop("waits_s")
    assert not whole["refusals"], "a pod that asks again draws when it does"
    for each in (whole, apart):
        for series in each["subnets"].values():
            del series["free_prefixes"]  # EC2 takes addresses at random
    assert whole == apart
    assert apart["calls"]["AttachNetworkInterface"] == 6
    assert not apart["throttled"]
    one_region = replace(spec, subnets=tuple(replace(s, region="eu") for s in spec.subnets))
    assert simulate_fleet(one_region).throttled_by_api


def test_the_parts_have_streams_of_their_own():
    """Two equal regions do not play the same; another region changes nothing of the first."""
    spec = in_regions(fleet(Churn(pods_per_node=6, lifetime_ns=60 * S)), "eu", "us")
    result = simulate_fleet(spec)
    assert result.groups["nodes"] != result.groups["more"]
    first = replace(spec, subnets=spec.subnets[:1], groups=spec.groups[:1])
    assert simulate_fleet(first).groups["nodes"] == result.groups["nodes"]


CHURN = Churn(pods_per_node=3, lifetime_ns=60 * S)
BURST = Arrivals(pods=3, at_ns=S)


@pytest.mark.parametrize(
    ("regions", "more", "numbers", "why"),
    [
        (("eu", "us", "eu"), {}, [[0, 2], [1]], ""),
        (("eu", "us", "cn"), {"workloads": (CHURN, DaemonSet())}, [[0], [1], [2]], ""),
        (("eu", "us", "cn"), {"workloads": (replace(BURST, group="more"),)}, [[0], [1], [2]], ""),
        (("eu", "us"), {"workloads": (CHURN, BURST)}, [[0, 1]], "workloads 2 is for nodes"),
        (("eu", "us"), {"workloads": (RollingUpdate(pods=2, at_ns=S),)}, [[0, 1]], "workloads 1 "),
        (("eu", "us"), {"workloads": (Trace(events=()),)}, [[0, 1]], "workloads 1 is for nodes"),
        (("eu", "us"), {"rollouts": (RolloutSpec(at_ns=S, env={}),)}, [[0, 1]], "rollouts 1 "),
        (("eu", "us"), {"rollouts": (RolloutSpec(at_ns=S, env={}, group="more"),)}, [[0], [1]], ""),
        (("eu", "eu"), {}, [[0, 1]], "all nodes are in one region"),
        (("", ""), {"throttling": None}, [[0, 1]], "all nodes are in one region"),
    ],
)  # fmt: skip
def test_what_divides_a_fleet_and_what_does_not(regions, more, numbers, why):
    spec = replace(in_regions(fleet(), *regions), **more)
    parts = parts_of(spec, 5)
    names = [[group.name for group in part.spec.groups] for part in parts]
    assert names == [[NAMES[n] for n in each] for each in numbers]
    assert why in why_one_part(spec)
    assert bool(why) == (len(parts) == 1)
    assert parts[0].seed == 5
    assert len({part.seed for part in parts}) == len(parts)
    if len(parts) == 1:
        assert parts[0].spec is spec


def test_subnets_that_nobody_uses_are_in_the_result():
    spec = in_regions(fleet(CHURN), "eu", "us")
    idle = SubnetSpec(subnet_id="idle", cidr="10.9.0.0/28", region="cn")
    result = simulate_fleet(replace(spec, subnets=(idle, *spec.subnets)))
    assert list(result.subnets) == ["idle", "subnet-nodes", "subnet-more"]
    assert set(result.subnets["idle"]["free"]) == {11}


def test_a_group_in_two_regions_is_refused():
    spec = in_regions(fleet(CHURN), "eu", "us")
    group = GroupSpec(name="x", instance_type="m5.large", count=1,
                      subnets=("subnet-nodes",), pod_subnet="subnet-more")  # fmt: skip
    with pytest.raises(InputError, match="nodes x: subnets in one region, not in 'eu', 'us'"):
        simulate_fleet(replace(spec, groups=(group,)))


def test_zones_of_the_same_name_in_two_regions_are_two():
    """Prevents a node that takes a subnet of another region for one of its own zone."""
    spec = in_regions(fleet(count=1), "eu", "us")
    spec = replace(spec, workloads=(Arrivals(pods=2, at_ns=S),))
    world = Fleet(spec, policy=VPC_CNI, seed=0)
    world.run()
    for node, subnet in zip(world.nodes, ("subnet-nodes", "subnet-more"), strict=True):
        assert node.agent.instance.zone_subnets == (subnet,)


def test_a_result_moves_as_arrays():
    """Not as objects: a pod is 8 bytes on the wire."""
    spec = fleet(Churn(pods_per_node=20, lifetime_ns=20 * S), count=4)
    spec = replace(spec, workloads=(*spec.workloads, replace(BURST, lifetime_ns=S)))
    result = simulate_fleet(spec)
    assert result.n_pods > 1000
    none = replace(result, waits_s=result.waits_s[:0])
    n_bytes = len(pickle.dumps(result)) - len(pickle.dumps(none))
    assert n_bytes <= 8 * len(result.waits_s) + 16


def test_progress_is_one_over_all_runs(two_processes):
    spec = in_regions(fleet(CHURN), "eu", "us")
    for executor in (None, two_processes):
        shares = []
        runs = [(spec, VPC_CNI, 0), (spec, IPAM_CORE, 0)]
        found = list(simulate_many(runs, executor, on_progress=shares.append))
        assert [each.policy for each in found] == ["vpc-cni", "ipam-core"]
        assert shares == sorted(shares)
        assert len(shares) >= 4
        assert (shares[0] < 0.5, shares[-1]) == (True, 1)


def test_progress_of_processes_is_theirs_while_they_play(two_processes):
    """Prevents a bar that stands still until the first of two large regions is done."""
    spec = in_regions(fleet(CHURN), "eu", "us")
    shares = []
    with Shares(2) as told:
        calls = [(told.reporter(number), number) for number in range(2)]
        for _ in completed(
            two_processes, reports_slowly, calls, lambda: shares.append(told.read())
        ):
            pass
        name = told._file.name
        assert list(told.read()) == [1.0, 1.0]
    assert any(min(each) > 0 and max(each) < 1 for each in shares)
    told.reporter(0)(0.5)  # of another machine, or too late: nobody hears it
    assert not Path(name).exists()
    assert simulate_fleet(spec, executor=two_processes) == simulate_fleet(spec)


def reports_slowly(report, _):
    for n in range(11):
        report(n / 10)
        time.sleep(0.08)


# --- the file and the command ----------------------------------------------------------------

TWO = """
name: two
duration: 5m
subnets:
  - {id: a, cidr: 10.0.0.0/24, region: eu-west-1}
  - {id: b, cidr: 10.0.0.0/24, region: us-east-1}
nodes:
  - {name: web, instance_type: m5.large, count: 2, subnets: [a]}
  - {name: app, instance_type: m5.large, count: 2, subnets: [b]}
workloads: [{kind: burst, pods: 8, at: 1m, nodes: web}, {kind: daemon_set}]
"""


@pytest.fixture
def two(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    return file


def test_processes_give_the_same_bytes(two, capsys):
    said = []
    for jobs in ("1", "2", "3"):
        assert run(["simulate", str(two), "--json", "--compare", "--jobs", jobs]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        said.append(out)
    assert said[0] == said[1] == said[2]
    assert json.loads(said[0])[0]["pods"] == 12


def test_the_python_call_takes_an_executor(two, two_processes):
    assert simulate(two, executor=two_processes) == simulate(two)


def test_a_fleet_of_one_part_says_why(two, capsys):
    two.write_text(TWO.replace(", nodes: web", ""))
    assert run(["simulate", str(two), "--jobs", "2"]) == 0
    assert capsys.readouterr().err == (
        "ipam-core: the fleet is played as one part: workloads 1 is for nodes of several regions\n"
    )
    assert run(["simulate", str(two), "--compare"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ((", subnets: [b]", ""), "nodes app: subnets in one region, not in 'eu-west-1', 'us-east"),
        (("region: us-east-1", "region: 5"), "subnets 2: region"),
    ],
)
def test_regions_that_cannot_be_are_one_line(two, capsys, change, line):
    two.write_text(TWO.replace(*change))
    assert run(["simulate", str(two)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_a_scenario_is_not_for_processes(capsys):
    assert run(["simulate", "examples/stall.yaml", "--jobs", "2"]) == 2
    assert "--jobs is for fleets; this is a scenario" in capsys.readouterr().err


def test_a_served_vpc_has_no_regions():
    from ipam_core.endpoint.file import vpc_of

    with pytest.raises(InputError, match="unknown key 'region'"):
        vpc_of({"subnets": [{"id": "a", "cidr": "10.0.0.0/24", "region": "eu"}]}, EC2_APIS)


def test_regions_are_read(two):
    import yaml

    spec = simulation_of([yaml.safe_load(TWO)], two.parent)
    assert [each.region for each in spec.subnets] == ["eu-west-1", "us-east-1"]
    assert spec.region_of(spec.groups[1]) == "us-east-1"
