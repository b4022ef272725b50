"""How the cost of a simulation grows with its work: 1, 10 and 100 times as much of each kind.

Of each workload kind, of a rollout, of an autoscaler, of pods that are refused or wait, and of a
long time, under both policies. The report prints the exponent of the last step: 1 is as much
again for as much more work, 2 is the square. Nothing here is throttled: EC2 admits an account so
many calls a second, so that a larger fleet is refused more.
"""

from __future__ import annotations

import os
import time

import pytest

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.spec import (
    Autoscale,
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

S = 10**9
NODES, PODS = 4, 60
"""At 1 time."""
SCALES = (1, 10) if os.environ.get("BENCH_SHORT") else (1, 10, 100)


def fleet(*workloads, nodes=NODES, minutes=15, rollouts=(), **group):
    subnets = tuple(SubnetSpec(subnet_id=f"s{n}", cidr=f"10.{n}.0.0/16") for n in range(4))
    return FleetSpec(
        name="growth",
        duration_ns=round(minutes * 60 * S),
        subnets=subnets,
        groups=(
            GroupSpec(
                name="nodes",
                instance_type="m5.xlarge",
                count=nodes,
                subnets=tuple(subnet.subnet_id for subnet in subnets),
                join_ns=60 * S,
                **group,
            ),
        ),
        workloads=workloads,
        rollouts=rollouts,
        throttling=None,
    )


def burst(scale):
    return fleet(Arrivals(pods=PODS * scale, at_ns=120 * S), nodes=NODES * scale)


def ramp(scale):
    return fleet(Arrivals(pods=PODS * scale, at_ns=120 * S, over_ns=600 * S), nodes=NODES * scale)


def cron_jobs(scale):
    return fleet(
        Arrivals(pods=PODS * scale // 2, every_ns=120 * S, lifetime_ns=60 * S),
        nodes=NODES * scale,
    )


def churn(scale):
    return fleet(Churn(pods_per_node=10, lifetime_ns=300 * S), nodes=NODES * scale)


def daemon_set(scale):
    return fleet(DaemonSet(), DaemonSet(at_ns=300 * S), nodes=NODES * scale)


def rolling_update(scale):
    return fleet(
        RollingUpdate(pods=PODS * scale, at_ns=300 * S, ready_after_ns=5 * S),
        nodes=NODES * scale,
    )


def csv(scale):
    n_pods = PODS * scale
    comes = [
        PodEvent(time_ns=120 * S + 300 * S * n // n_pods, pod=f"p{n}", add=True)
        for n in range(n_pods)
    ]
    goes = [
        PodEvent(time_ns=500 * S + 300 * S * n // n_pods, pod=f"p{n}", add=False)
        for n in range(n_pods)
    ]
    return fleet(Trace(events=(*comes, *goes)), nodes=NODES * scale)


def rollout(scale):
    """Every agent restarts with other settings, a tenth of them at a time, while pods churn."""
    spec = RolloutSpec(at_ns=300 * S, env={"WARM_IP_TARGET": "5"})
    return fleet(
        Churn(pods_per_node=10, lifetime_ns=300 * S), nodes=NODES * scale, rollouts=(spec,)
    )


def autoscaled_burst(scale):
    scaling = Autoscale(most=NODES * scale, empty_ns=120 * S, consolidate_ns=60 * S)
    return fleet(
        Arrivals(pods=PODS * scale, at_ns=120 * S, lifetime_ns=400 * S), nodes=0, autoscale=scaling
    )


def refused(scale):
    """A pool that does not grow: most pods ask again every 10 to 15 s."""
    return fleet(
        Arrivals(pods=PODS * scale, at_ns=120 * S),
        nodes=NODES * scale // 4,
        env={"MINIMUM_IP_TARGET": "5"},
    )


def waiting(scale):
    """More pods than nodes have room for: the others wait until one goes."""
    return fleet(
        Arrivals(pods=PODS * scale, at_ns=120 * S, lifetime_ns=30 * S),
        nodes=NODES * scale // 4,
        max_pods=12,
    )


def days(scale):
    """One node for a day, and for a hundred."""
    return fleet(Churn(pods_per_node=10, lifetime_ns=3600 * S), nodes=1, minutes=1440 * scale)


KINDS = (burst, ramp, cron_jobs, churn, daemon_set, rolling_update, csv, rollout,
         autoscaled_burst, refused, waiting, days)  # fmt: skip


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_growth(benchmark, kind, policy, scale):
    spec = kind(scale)
    result = benchmark.pedantic(
        lambda world: world.run(),
        setup=lambda: ((Fleet(spec, policy=policy, seed=1),), {}),
        rounds=3 if scale == 1 else 1,
    )
    assert result.n_pods > 0
    benchmark.group = f"growth, {kind.__name__}, {policy.name}"
    benchmark.extra_info.update(growth=f"{kind.__name__}, {policy.name}", scale=scale)
