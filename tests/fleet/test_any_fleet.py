"""What holds for every fleet: idle looks may be skipped, and the world is whole at the end."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.workload_specs import Trace
from support.fleets import S, as_bytes, fleet, fleets
from support.soak import examples

GROWING = replace(VPC_CNI, name="growing", grow_when_exhausted=True)
"""Its nodes rest while pods wait, until they wait no more."""
POLICIES = st.sampled_from([VPC_CNI, IPAM_CORE, GROWING])
SEEDS = st.integers(0, 2**32)


def events_left(engine):
    return [*engine._queue, *(event for events in engine._later.values() for event in events)]


@settings(max_examples=examples(settings.default.max_examples // 3), deadline=None)
@given(spec=fleets(), policy=POLICIES, seed=SEEDS)
def test_skipping_idle_looks_changes_no_byte(spec, policy, seed):
    skipping, looking = (
        Fleet(spec, policy=policy, seed=seed, skip_idle=skip, keep_calls=True).run()
        for skip in (True, False)
    )
    assert as_bytes(skipping) == as_bytes(looking)


@pytest.mark.parametrize("targets", [{"WARM_IP_TARGET": "1"}, {"MINIMUM_IP_TARGET": "2"}], ids=str)
def test_an_idle_node_wakes_when_pods_that_were_deleted_wait_no_more(targets):
    """A full node keeps addresses for three pods that wait; a minute after they went, none."""
    comes = [PodEvent(time_ns=60 * S, pod=f"p{n}", add=True) for n in range(12)]
    goes = [PodEvent(time_ns=200 * S, pod=f"p{n}", add=False) for n in range(12)]
    spec = fleet(
        Trace(events=(*comes, *goes)),
        minutes=12,
        count=1,
        instance_type="t3.small",
        max_pods=30,
        env=targets,
    )
    for seed in range(3):
        skipping, looking = (
            Fleet(spec, policy=GROWING, seed=seed, skip_idle=skip, keep_calls=True).run()
            for skip in (True, False)
        )
        assert as_bytes(skipping) == as_bytes(looking)


@settings(max_examples=examples(settings.default.max_examples // 2), deadline=None)
@given(spec=fleets(), policy=POLICIES, seed=SEEDS)
def test_no_address_is_held_twice_and_none_is_lost(spec, policy, seed):
    fleet = Fleet(spec, policy=policy, seed=seed, in_c=False)
    result = fleet.run()
    held = []
    unreleased = {
        given.sandbox
        for _, _, _, _, act, given in events_left(fleet.engine)
        if act == fleet._release  # the agent was restarting when the pod went
    }
    for node in fleet.nodes:
        for store in node.agent.node.stores:
            store._check()
        if node.agent.node.ready:
            pods = {pod.sandbox for pod in node.pods if pod.served}
            assigned = {a.sandbox: a.address for a in node.agent.node.store.assignments()}
            assert pods == set(assigned) - unreleased, node.name
            held += assigned.values()
    assert len(held) == len(set(held)), "an address is held by two pods"
    # EC2's subnets have taken just what its ENIs hold, and what was taken from the start.
    subnet = fleet.machines.subnets["a"].subnet
    subnet._check()
    enis = list(fleet.machines.regions[""].enis.values())
    n_held = sum(1 + len(eni.addresses) + 16 * len(eni.prefixes) for eni in enis)
    n_all = 16 * subnet.n_blocks - 5
    assert subnet.n_free == n_all - n_held - spec.subnets[0].used
    assert len(result.waits_s) + len(result.still_waiting_s) == result.n_pods


@settings(max_examples=examples(10, soak=200), deadline=None)
@given(spec=fleets(), policy=POLICIES, seed=SEEDS)
def test_one_seed_gives_one_result(spec, policy, seed):
    first, second = (Fleet(spec, policy=policy, seed=seed, keep_calls=True).run() for _ in range(2))
    assert as_bytes(first) == as_bytes(second)
