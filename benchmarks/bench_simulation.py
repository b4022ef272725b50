"""Simulated pod events of each kind of workload, next to the least that one can cost.

An event is a pod that comes or goes, counted as it happened, after the nodes have started. The
floor takes as many events off a heap and moves an address between a list and a dict: no agent
looks, nothing cools, nobody waits. `in_python` is the simulation without C. A refusal is no
event; where pods are refused the time of an event has its refusals in it.
"""

from __future__ import annotations

import heapq
import os
import random
import time
from functools import partial

import pytest

from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.spec import (
    Autoscale,
    FleetSpec,
    GroupSpec,
    RolloutSpec,
    SubnetSpec,
)
from ipam_core.simulation.fleet.workload_specs import Arrivals, Churn, RollingUpdate, Trace

S = 10**9
SHORT = bool(os.environ.get("BENCH_SHORT"))
PODS = 100
NODES = (1, 10, 100) if SHORT else (1, 10, 100, 1000, 10_000)
EVENTS = 100_000 if SHORT else 200_000
"""The pod events of a steady workload, at least."""
FLOOR_EVENTS = 20_000 if SHORT else 200_000
STARTED = 60
"""The sample up to which a fleet is played before it is measured: its nodes have started."""


def fleet(*workloads, nodes, minutes, count=None, rollouts=(), **group):
    subnets = tuple(
        SubnetSpec(subnet_id=f"s{n}", cidr=f"10.{n}.0.0/16") for n in range(1 + nodes // 300)
    )
    return FleetSpec(
        name="bench",
        duration_ns=minutes * 60 * S,
        subnets=subnets,
        groups=(
            GroupSpec(
                name="nodes",
                instance_type="m5.4xlarge",
                count=nodes if count is None else count,
                subnets=tuple(subnet.subnet_id for subnet in subnets),
                join_ns=min(minutes * 10, 600) * S,
                **group,
            ),
        ),
        workloads=workloads,
        rollouts=rollouts,
        # The starts of 10,000 agents would wait beyond all that is measured for EC2's limits.
        throttling={} if nodes <= 1000 else None,
    )


def churn(nodes, life_s=3600):
    """Play so many pod events that the samples and the looks of idle nodes weigh little."""
    an_hour = 2 * PODS * nodes * 3600 / life_s
    minutes = max(60 if SHORT or nodes > 100 else 24 * 60, round(80 * EVENTS / an_hour))
    return fleet(Churn(pods_per_node=PODS, lifetime_ns=life_s * S), nodes=nodes, minutes=minutes)


def cron_jobs(nodes):
    return fleet(
        Arrivals(pods=PODS * nodes // 2, over_ns=55 * S, every_ns=60 * S, lifetime_ns=50 * S),
        nodes=nodes,
        minutes=120,
    )


def bursts(nodes):
    return fleet(
        Arrivals(pods=PODS * nodes // 2, every_ns=120 * S, lifetime_ns=70 * S),
        nodes=nodes,
        minutes=120,
    )


def csv(nodes):
    n_pods = 2000 * nodes
    times = [6000 * S * n // n_pods for n in range(n_pods)]
    comes = [PodEvent(time_ns=at_ns, pod=f"p{n}", add=True) for n, at_ns in enumerate(times)]
    goes = [
        PodEvent(time_ns=at_ns + 120 * S, pod=f"p{n}", add=False) for n, at_ns in enumerate(times)
    ]
    events = sorted([*comes, *goes], key=lambda event: event.time_ns)
    return fleet(Trace(events=tuple(events)), nodes=nodes, minutes=105)


def rolling_update(nodes):
    return fleet(
        RollingUpdate(
            pods=PODS * nodes // 2, at_ns=1800 * S, ready_after_ns=5 * S, times=10, every_ns=500 * S
        ),
        nodes=nodes,
        minutes=120,
    )


def refused(nodes):
    """Pools that do not grow: most pods ask every 10 to 15 s, and are refused."""
    return fleet(
        Churn(pods_per_node=PODS, lifetime_ns=300 * S),
        nodes=nodes,
        minutes=60,
        env={"MINIMUM_IP_TARGET": "60"},
    )


def no_room(nodes):
    """Twice as many pods as the nodes have room for: the others wait for a node."""
    return fleet(
        Arrivals(pods=2 * PODS * nodes, over_ns=300 * S, every_ns=600 * S, lifetime_ns=240 * S),
        nodes=nodes,
        minutes=120,
        max_pods=PODS + 2,
    )


def autoscaled(nodes):
    return fleet(
        Arrivals(pods=PODS * nodes, over_ns=300 * S, every_ns=1200 * S, lifetime_ns=400 * S),
        nodes=nodes,
        minutes=120,
        count=0,
        max_pods=PODS + 2,
        autoscale=Autoscale(most=nodes, empty_ns=120 * S, consolidate_ns=60 * S),
    )


def rollout(nodes):
    return fleet(
        Churn(pods_per_node=PODS, lifetime_ns=300 * S),
        nodes=nodes,
        minutes=60,
        rollouts=(RolloutSpec(at_ns=1800 * S, env={"WARM_IP_TARGET": "5"}),),
    )


STEADY = {
    "steady churn, 1 node": partial(churn, 1, 60),
    **{f"pods of an hour, nodes: {nodes}": partial(churn, nodes) for nodes in NODES},
}
IN_PYTHON = ("steady churn, 1 node", "pods of an hour, nodes: 10")
KINDS = {
    f"{kind.__name__}, nodes: {nodes}": partial(kind, nodes)
    for nodes in ((10,) if SHORT else (10, 100))
    for kind in (bursts, cron_jobs, csv, rolling_update, refused, no_room, autoscaled, rollout)
}


def plain(n_events, free, held, queue, chance, rate):
    """Move addresses between a list and a dict, at times out of a heap."""
    new = len(held)
    for _ in range(n_events // 2):
        now_ns, pod = heapq.heappop(queue)
        free.append(held.pop(pod))
        held[new] = free.pop()
        heapq.heappush(queue, (now_ns + round(chance.expovariate(rate)), new))
        new += 1


def prepared(n_pods):
    """Return the floor's state: every pod has an address, and a time to go."""
    chance = random.Random(1)
    rate = 1 / (3600 * S)
    free = [f"10.0.{n >> 8}.{n & 255}" for n in range(2 * n_pods)]
    held = {pod: free.pop() for pod in range(n_pods)}
    queue = [(round(chance.expovariate(rate)), pod) for pod in range(n_pods)]
    heapq.heapify(queue)
    return FLOOR_EVENTS, free, held, queue, chance, rate


class Started(Fleet):
    """A fleet that is played up to a sample, and counts the pod events after it."""

    def __init__(self, spec, **more):
        super().__init__(spec, policy=VPC_CNI, seed=1, **more)
        self._play(self._times_ns[:STARTED])
        self._before = self._counted()

    def _play(self, times_ns):
        play = self.engine.run if self._residents is None else self._residents.run
        for until_ns in times_ns:
            play(until_ns)

    def rest(self):
        self._play(self._times_ns[STARTED:])

    def _counted(self):
        if self._residents is None:
            return 2 * self._n_pods - self._n_alive
        n_bound = sum(kernel.n_pod_events for kernel in self._residents.kernels())
        return n_bound + self._residents.n_unplaced

    def n_events(self):
        """Return how many pods came and went since it had started."""
        return self._counted() - self._before


def measure(benchmark, make, subject):
    """Measure the rest of a fleet, an event; of a large one once, for its start takes long."""
    spec = make()
    nodes = spec.groups[0].count or spec.groups[0].autoscale.most
    if subject == "floor":
        benchmark.pedantic(plain, setup=lambda: (prepared(nodes * PODS), {}), rounds=3)
        benchmark.extra_info.update(subject=subject, per_call=FLOOR_EVENTS)
        return
    worlds = []

    def start():
        worlds[:] = [Started(spec, in_c=subject == "ipam_core")]
        return (), {}

    benchmark.pedantic(
        lambda: worlds[0].rest(),  # noqa: PLW0108  (there is none yet)
        setup=start,
        rounds=3 if subject == "ipam_core" and nodes <= 100 else 1,
    )
    n_events = worlds[0].n_events()
    assert n_events > 0
    benchmark.extra_info.update(subject=subject, per_call=n_events)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("subject", ["floor", "in_python", "ipam_core"])
@pytest.mark.parametrize("name", STEADY)
def test_pod_events(benchmark, name, subject):
    if subject == "in_python" and name not in (
        "steady churn, 1 node",
        "pods of an hour, nodes: 10",
    ):
        pytest.skip("takes minutes")
    benchmark.group = f"a pod event, {name}"
    measure(benchmark, STEADY[name], subject)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("subject", ["floor", "in_python", "ipam_core"])
@pytest.mark.parametrize("name", KINDS)
def test_other_pod_events(benchmark, name, subject):
    if subject == "in_python" and name.endswith("100"):
        pytest.skip("takes minutes")
    benchmark.group = f"pod events, {name}"
    measure(benchmark, KINDS[name], subject)
