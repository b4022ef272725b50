"""Simulated pod events, next to the least that a simulation of them can cost.

An event is a pod that comes or goes. The floor takes the same number of events off a
heap and moves an address between a list and a dict: no agent looks, nothing cools,
nobody waits.
"""

from __future__ import annotations

import heapq
import os
import random
import time

import pytest

from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.spec import FleetSpec, GroupSpec, SubnetSpec
from ipam_core.simulation.fleet.workload_specs import Churn

S = 10**9
SHORT = bool(os.environ.get("BENCH_SHORT"))
PODS = 100
FLEETS = {
    "steady churn, 1 node": (1, 60, 1 if SHORT else 10),
    "pods of an hour, 100 nodes": (100, 3600, 1 if SHORT else 24),
}
"""Nodes, a pod's mean life in seconds, and the hours that are simulated."""


def fleet(n_nodes, life_s, hours):
    subnets = tuple(
        SubnetSpec(subnet_id=f"s{n}", cidr=f"10.{n}.0.0/16") for n in range(1 + n_nodes // 300)
    )
    return FleetSpec(
        name="bench",
        duration_ns=hours * 3600 * S,
        subnets=subnets,
        groups=(
            GroupSpec(
                name="nodes",
                instance_type="m5.4xlarge",
                count=n_nodes,
                subnets=tuple(subnet.subnet_id for subnet in subnets),
                join_ns=600 * S,
            ),
        ),
        workloads=(Churn(pods_per_node=PODS, lifetime_ns=life_s * S),),
    )


def plain(n_events, free, held, queue, chance, rate):
    """Move addresses between a list and a dict, at times out of a heap."""
    new = len(held)
    for _ in range(n_events // 2):
        now_ns, pod = heapq.heappop(queue)
        free.append(held.pop(pod))
        held[new] = free.pop()
        heapq.heappush(queue, (now_ns + round(chance.expovariate(rate)), new))
        new += 1


def prepared(n_pods, life_s):
    """Return the floor's state: every pod has an address, and a time to go."""
    chance = random.Random(1)
    rate = 1 / (life_s * S)
    free = [f"10.0.{n >> 8}.{n & 255}" for n in range(2 * n_pods)]
    held = {pod: free.pop() for pod in range(n_pods)}
    queue = [(round(chance.expovariate(rate)), pod) for pod in range(n_pods)]
    heapq.heapify(queue)
    return free, held, queue, chance, rate


class Settled(Fleet):
    """A fleet that is played up to a sample, and counts the pod events after it."""

    FROM = 60

    def __init__(self, spec, **more):
        super().__init__(spec, policy=VPC_CNI, seed=1, **more)
        self.play(range(self.FROM))
        self.before = self.n_events()

    def play(self, numbers):
        for number in numbers:
            if self._residents is not None:
                self._residents.run_ahead(number)
            self.engine.run(self._times_ns[number])

    def rest(self):
        self.play(range(self.FROM, len(self._times_ns)))

    def n_events(self):
        if self._residents is None:
            return 2 * self._n_pods - self._n_alive
        return sum(kernel.n_pod_events for kernel in self._residents.kernels())


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("subject", ["floor", "in_python", "ipam_core"])
@pytest.mark.parametrize("name", FLEETS)
def test_pod_events(benchmark, name, subject):
    n_nodes, life_s, hours = FLEETS[name]
    spec = fleet(n_nodes, life_s, hours)
    world = Settled(spec)
    world.rest()
    n_events = world.n_events() - world.before
    benchmark.group = f"a pod event, {name}"
    if subject == "floor":
        benchmark.pedantic(
            lambda *state: plain(n_events, *state),
            setup=lambda: (prepared(n_nodes * PODS, life_s), {}),
            rounds=3,
        )
    else:
        benchmark.pedantic(
            lambda world: world.rest(),
            setup=lambda: ((Settled(spec, in_c=subject == "ipam_core"),), {}),
            rounds=3 if subject == "ipam_core" else 1,
        )
    benchmark.extra_info.update(subject=subject, per_call=n_events)
