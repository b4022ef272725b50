"""Small fleets for tests, a Hypothesis strategy for any, and all of a result as bytes."""

import json

from hypothesis import strategies as st

from ipam_core.cloud.cloudtrail import trail
from ipam_core.cloud.throttling import Bucket
from ipam_core.simulation.fleet.spec import (
    Autoscale,
    FaultSpec,
    FleetSpec,
    GroupSpec,
    RolloutSpec,
    SubnetSpec,
)
from ipam_core.simulation.fleet.workload_specs import Arrivals, Churn, DaemonSet, RollingUpdate
from ipam_core.simulation.validation import Share

S = 10**9
SETTINGS = (
    {},
    {"WARM_IP_TARGET": "2"},
    {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "10"},
    {"MINIMUM_IP_TARGET": "8"},
    {"WARM_ENI_TARGET": "0"},
    {"ENABLE_PREFIX_DELEGATION": "true"},
    {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
    {"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "5"},
    {"ENABLE_SUBNET_DISCOVERY": "false", "WARM_IP_TARGET": "3"},
)


def as_bytes(result):
    """Return all that a result says, its calls too; of a refusal, an error, its text."""
    if isinstance(result, Exception):
        return str(result)
    return json.dumps([result.to_dict(), list(result.still_waiting_s), trail(result.calls)])


def fleet(*workloads, minutes=10, count=2, instance_type="m5.large", cidr="10.0.0.0/20", **more):
    """Return a fleet of one group, `nodes`, in one subnet; `more` is for its parts."""
    group = {
        key: more.pop(key)
        for key in ("env", "max_pods", "join_ns", "autoscale", "pod_subnet")
        if key in more
    }
    subnet = {key: more.pop(key) for key in ("used", "reservations", "tag") if key in more}
    return FleetSpec(
        name="test",
        duration_ns=minutes * 60 * S,
        subnets=(SubnetSpec(subnet_id="a", cidr=cidr, **subnet),),
        groups=(
            GroupSpec(
                name="nodes", instance_type=instance_type, count=count, subnets=("a",), **group
            ),
        ),
        workloads=workloads,
        **more,
    )


def times(most_s):
    return st.integers(0, most_s).map(lambda s: s * S)


WORKLOADS = st.one_of(
    st.builds(
        Arrivals,
        pods=st.integers(1, 50),
        at_ns=times(300),
        over_ns=st.sampled_from([0, 60 * S]),
        lifetime_ns=st.none() | st.integers(1, 300).map(lambda s: s * S),
        every_ns=st.none() | st.integers(60, 300).map(lambda s: s * S),
    ),
    st.builds(
        Churn,
        pods_per_node=st.integers(1, 10),
        lifetime_ns=st.integers(20, 400).map(lambda s: s * S),
        at_ns=times(200),
    ),
    st.builds(
        RollingUpdate,
        pods=st.integers(1, 40),
        at_ns=times(400),
        ready_after_ns=st.sampled_from([0, 5 * S]),
        max_surge=st.sampled_from([Share(0), Share(25, percent=True)]),
        times=st.integers(1, 2),
        every_ns=st.just(120 * S),
    ),
    st.builds(DaemonSet, at_ns=st.sampled_from([0, 100 * S])),
)


@st.composite
def fleets(draw):
    """Return any small fleet: settings, subnets that fill, faults, throttling, rollouts."""
    return fleet(
        *draw(st.lists(WORKLOADS, min_size=1, max_size=3)),
        minutes=draw(st.integers(5, 25)),
        count=draw(st.integers(1, 5)),
        instance_type=draw(st.sampled_from(["t3.small", "m5.large", "c5.large", "m5.xlarge"])),
        cidr=draw(st.sampled_from(["10.0.0.0/20", "10.0.0.0/24", "10.0.0.0/25"])),
        used=draw(st.sampled_from([0, 30])),
        env=draw(st.sampled_from(SETTINGS)),
        join_ns=draw(times(30)),
        autoscale=draw(
            st.none()
            | st.builds(
                Autoscale,
                most=st.just(8),
                boot_ns=st.just(20 * S),
                empty_ns=st.just(60 * S),
                consolidate_ns=st.sampled_from([None, 30 * S]),
            )
        ),
        rollouts=draw(
            st.sampled_from(
                [
                    (),
                    (RolloutSpec(at_ns=200 * S, env={"WARM_IP_TARGET": "3"}),),
                    (RolloutSpec(at_ns=150 * S, env={}, max_unavailable=Share(2), down_ns=40 * S),),
                ]
            )
        ),
        metadata_lag_s=draw(st.sampled_from([0, 1.0, 3.0])),
        throttling=draw(st.sampled_from([None, {}, {"AssignPrivateIpAddresses": Bucket(2, 0.2)}])),
        faults=draw(
            st.sampled_from(
                [
                    (),
                    (
                        FaultSpec(
                            api="AssignPrivateIpAddresses",
                            code="InternalError",
                            probability=0.3,
                            until_ns=500 * S,
                        ),
                    ),
                    (FaultSpec(api="AttachNetworkInterface", code="InternalError", times=25),),
                ]
            )
        ),
    )
