"""The simulated EC2: throttling, latency, faults, and its record of calls."""

import json
import random

import numpy as np
import pytest

from ipam_core.cloud.cloudtrail import trail
from ipam_core.cloud.latency import DEFAULTS, Latencies, Latency
from ipam_core.cloud.region import Fault
from ipam_core.cloud.throttling import DOCUMENTED, Bucket, Throttle
from ipam_core.diagnosis.inputs.case import Case
from ipam_core.diagnosis.inputs.cloudtrail import is_trail, read_trail
from ipam_core.errors import ThrottledError
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet
from ipam_core.simulation.fleet.spec import FaultSpec
from ipam_core.simulation.fleet.workload_specs import Arrivals, Churn
from ipam_core.simulation.scenario.spec import EC2_APIS
from support.fleets import S, fleet


def admitted(throttle, api, times_s):
    return sum(throttle.admits(api, round(time * S)) for time in times_s)


def test_a_bucket_lets_a_burst_in_and_then_so_many_a_second():
    # The developer guide's own example: 100 at once, then 20 each second.
    throttle = Throttle()
    assert admitted(throttle, "DescribeSubnets", [0.0] * 150) == 100
    assert admitted(throttle, "DescribeSubnets", [0.9] * 10) == 0
    assert admitted(throttle, "DescribeSubnets", [1.0] * 50) == 20
    assert admitted(throttle, "DescribeSubnets", [60.0] * 150) == 100  # never more than full


def test_buckets_know_nothing_of_each_other():
    throttle = Throttle({"CreateTags": Bucket(1, 0.5)})
    assert admitted(throttle, "CreateTags", [0, 0, 1, 2, 3, 4]) == 3
    assert admitted(throttle, "AttachNetworkInterface", [0] * 60) == 50


def test_every_call_of_a_node_has_its_documented_bucket():
    of_nodes_themselves = {"RunInstances", "TerminateInstances"}  # calls of a served VPC
    assert set(DOCUMENTED) == set(EC2_APIS) | of_nodes_themselves


def test_a_latency_has_the_median_and_the_99th_percentile_it_says():
    chance = random.Random(1)
    sampled = np.array([Latency(0.5, 2.0).sample_ns(chance) for _ in range(40_000)]) / S
    assert np.median(sampled) == pytest.approx(0.5, rel=0.03)
    assert np.quantile(sampled, 0.99) == pytest.approx(2.0, rel=0.06)
    assert Latency(0.3, 0.3).sample_ns(chance) == 300_000_000
    assert Latency(0, 0).sample_ns(chance) == 0
    assert set(DEFAULTS) <= set(EC2_APIS)


@pytest.mark.parametrize(("median_s", "p99_s"), [(2, 1), (-1, 1)])
def test_a_latency_that_cannot_be_is_refused(median_s, p99_s):
    with pytest.raises(ValueError, match=f"median {median_s} s, p99 {p99_s} s"):
        Latency(median_s, p99_s)


def test_a_named_latency_replaces_the_default():
    chance = random.Random(1)
    assert Latencies({"CreateTags": Latency(7, 7)}).sample_ns("CreateTags", chance) == 7 * S


def test_a_fault_strikes_by_time_count_and_chance():
    chance = random.Random(2)
    fault = Fault("CreateTags", "InternalError", from_ns=10, until_ns=20)
    assert [fault.strikes("CreateTags", now, chance) for now in (9, 10, 19, 20)] == [
        False,
        True,
        True,
        False,
    ]
    assert not fault.strikes("DeleteNetworkInterface", 15, chance)
    twice = Fault("CreateTags", "InternalError", times=2)
    assert [twice.strikes("CreateTags", 0, chance) for _ in range(3)] == [True, True, False]
    rare = Fault("CreateTags", "InternalError", probability=0.2)
    assert 150 < sum(rare.strikes("CreateTags", 0, chance) for _ in range(1000)) < 250


def test_the_sdk_tries_a_throttled_call_ten_times():
    """One token in all: the second call of the step uses up the SDK's tries."""
    spec = fleet(
        Arrivals(pods=8, at_ns=0),
        count=1,
        env={"WARM_IP_TARGET": "1"},
        throttling={"AssignPrivateIpAddresses": Bucket(1, 0)},
        minutes=5,
    )
    result = simulate_fleet(spec)
    calls = result.calls_by_api["AssignPrivateIpAddresses"]
    assert result.throttled_by_api["AssignPrivateIpAddresses"] == calls - 1
    assert calls - 1 >= 20  # ten for the step's first call, ten for its retry with 1
    assert result.refusals["EC2 throttles the agent"] > 0


def test_nodes_share_the_accounts_tokens():
    alone, many = (
        simulate_fleet(fleet(Churn(pods_per_node=8, lifetime_ns=30 * S), count=n, minutes=5,
                             env={"WARM_IP_TARGET": "1"},
                             throttling={"AssignPrivateIpAddresses": Bucket(5, 1)}))
        for n in (1, 20)
    )  # fmt: skip
    assert sum(many.throttled_by_api.values()) > 20 * sum(alone.throttled_by_api.values())


def test_a_throttled_start_is_tried_again_and_the_node_joins():
    spec = fleet(
        Arrivals(pods=2, at_ns=0),
        count=1,
        faults=(FaultSpec(api="DescribeNetworkInterfaces", code="InternalError", until_ns=60 * S),),
    )
    fleet_run = Fleet(spec, policy=VPC_CNI, seed=0)
    result = fleet_run.run()
    assert fleet_run.nodes[0].agent.node.ready
    assert not result.still_waiting_s
    assert result.errors["DescribeNetworkInterfaces", "InternalError"] > 1


def test_the_record_is_a_cloudtrail_file_that_doctor_reads():
    spec = fleet(
        Churn(pods_per_node=6, lifetime_ns=60 * S),
        throttling={"AssignPrivateIpAddresses": Bucket(1, 0.1)},
    )
    result = simulate_fleet(spec, keep_calls=True)
    document = json.loads(json.dumps(trail(result.calls)))
    assert is_trail(document)
    case = Case()
    read_trail(document, "trail.json", json.dumps(document), case)
    refused = [failure for failure in case.trail.seen.values() if failure.kind is ThrottledError]
    assert sum(failure.sighting.count for failure in refused) == sum(
        result.throttled_by_api.values()
    )
    assert sum(case.callers.values()) == result.n_calls
    assert set(case.callers) == {"i-00000000000000001", "i-00000000000000002"}
    created = next(r for r in document["Records"] if r["eventName"] == "CreateNetworkInterface")
    assert created["responseElements"]["networkInterface"]["networkInterfaceId"].startswith("eni-")
    assert created["requestParameters"]["secondaryPrivateIpAddressCount"] > 0
    assert created["eventTime"].startswith("2026-01-01T00:")
    times = [record["eventTime"] for record in document["Records"]]
    assert times == sorted(times)
