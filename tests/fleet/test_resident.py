"""Nodes that are played in C against the engine, byte by byte, and what C counts."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.cloud.latency import Latency
from ipam_core.errors import InputError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.fleet import placing, resident
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.resident import pods_stay
from ipam_core.simulation.fleet.spec import Autoscale, FaultSpec, RolloutSpec
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.simulation.scenario.spec import EC2_APIS
from ipam_core.simulation.validation import Share
from support.fleets import SETTINGS, S, as_bytes, fleet, fleets, times
from support.soak import examples

POLICIES = (
    VPC_CNI,
    IPAM_CORE,
    replace(VPC_CNI, name="growing", grow_when_exhausted=True),
    replace(VPC_CNI, name="late", release_delay_s=60.0),
    replace(IPAM_CORE, name="anywhere", pack=False),
)


@st.composite
def traces(draw):
    """Return recorded pods: on a node, also one that is not ready yet, or where there is room."""
    n_pods = draw(st.integers(1, 40))
    nodes = draw(st.sampled_from([("",), ("", "nodes-0"), ("nodes-0", "more-0", "", "")]))
    events = []
    for n in range(n_pods):
        comes = draw(times(300)) + draw(st.sampled_from([0, 0, 1, 123_456_789]))
        node = draw(st.sampled_from(nodes))
        events.append(PodEvent(time_ns=comes, pod=f"p{n}", add=True, node=node))
        if draw(st.booleans()):
            goes = comes + draw(st.sampled_from([0, 1, 5 * S, 60 * S, 300 * S]))
            events.append(PodEvent(time_ns=goes, pod=f"p{n}", add=False, node=node))
    return Trace(events=tuple(sorted(events, key=lambda event: event.time_ns)))


STAYING = st.one_of(
    st.builds(
        Arrivals,
        pods=st.integers(1, 80),
        at_ns=times(300),
        over_ns=st.sampled_from([0, 1, 60 * S, 400 * S]),
        lifetime_ns=st.sampled_from([None, S, 7 * S, 60 * S, 100 * S, 300 * S]),
        every_ns=st.sampled_from([None, 60 * S, 100 * S]),
    ),
    st.builds(
        RollingUpdate,
        pods=st.integers(1, 40),
        at_ns=times(300),
        ready_after_ns=st.sampled_from([S, 5 * S, 30 * S]),
        max_surge=st.sampled_from([Share(0), Share(3), Share(25, percent=True)]),
        max_unavailable=st.sampled_from([Share(0), Share(25, percent=True)]),
        times=st.integers(1, 3),
        every_ns=st.sampled_from([0, 7 * S, 60 * S]),
    ),
    traces(),
    st.builds(
        Churn,
        pods_per_node=st.sampled_from([1, 3, 8, 15, 30]),
        lifetime_ns=st.sampled_from([15, 60, 200, 900]).map(lambda s: s * S),
        at_ns=times(200),
    ),
    st.builds(DaemonSet, at_ns=st.sampled_from([0, 100 * S])),
)


IPV6 = {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"}
TRUNK = {"ENABLE_POD_ENI": "true"}
ROLLOUTS = st.builds(
    RolloutSpec,
    at_ns=times(400),
    env=st.sampled_from(
        [
            {},
            {"WARM_IP_TARGET": "3"},
            {"WARM_IP_TARGET": None, "IP_COOLDOWN_PERIOD": "5"},
            {"ENABLE_PREFIX_DELEGATION": "true"},
            {"ENABLE_PREFIX_DELEGATION": None},
            TRUNK,
            IPV6,
        ]
    ),
    group=st.sampled_from([None, "nodes", "more"]),
    max_unavailable=st.sampled_from([Share(1), Share(2), Share(50, percent=True)]),
    down_ns=st.sampled_from([0, 1, 5 * S, 7 * S, 40 * S]),
)
NO_LATENCY = dict.fromkeys(EC2_APIS, Latency(0, 0))


@st.composite
def staying_fleets(draw):
    """Return any fleet whose pods stay: two groups, their subnets full, throttled, failing."""
    spec = draw(fleets())
    group = spec.groups[0]
    more_settings = draw(st.sampled_from([{}, {}, {}, TRUNK, IPV6]))
    group = replace(group, autoscale=None, env={**group.env, **more_settings})
    more = replace(
        group,
        name="more",
        count=draw(st.integers(1, 3)),
        env=draw(st.sampled_from([*SETTINGS, {"IP_COOLDOWN_PERIOD": "0"}])),
        pod_subnet=draw(st.sampled_from([None, "a"])),
        max_pods=draw(st.sampled_from([None, 2, 6, 11])),
    )
    workloads = [
        each if isinstance(each, Trace)
        else replace(each, group=draw(st.sampled_from([None, "nodes", "more"])))
        for each in draw(st.lists(STAYING, min_size=1, max_size=3))
    ]  # fmt: skip
    return replace(
        spec,
        groups=(group, more),
        workloads=tuple(workloads),
        rollouts=tuple(draw(st.lists(ROLLOUTS, max_size=3))),
        latencies=draw(st.sampled_from([spec.latencies, spec.latencies, NO_LATENCY])),
        measure_from_ns=draw(st.sampled_from([0, 100 * S])),
    )


def played(spec, policy, seed, *, in_c):
    """Return a fleet that was played, and its result, or why there is none."""
    world = Fleet(spec, policy=policy, seed=seed, in_c=in_c, keep_calls=True)
    assert (world._residents is not None) == in_c
    try:
        return world, world.run()
    except InputError as error:
        return world, error


@settings(max_examples=examples(40), deadline=None)
@given(
    spec=staying_fleets(),
    policy=st.sampled_from(POLICIES),
    seed=st.integers(0, 2**70),
    ahead=st.sampled_from([1, 10, 241]),
    threads=st.sampled_from([1, 2, 3]),
    piece=st.sampled_from([1, 7, 10_000]),
)
def test_c_plays_what_the_engine_plays_to_the_byte(spec, policy, seed, ahead, threads, piece):
    """Results and every EC2 call, however far nodes run ahead and on however many threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "SAMPLES_AHEAD", ahead)
        patch.setattr(resident, "WORTH_THREADS", 2)
        patch.setattr(resident, "WORTH_THREADS_NS", S)
        patch.setattr(placing, "PIECE", piece)
        patch.setattr(resident, "n_processors", lambda: threads)
        world, in_c = played(spec, policy, seed, in_c=True)
    _, slow = played(spec, policy, seed, in_c=False)
    assert as_bytes(in_c) == as_bytes(slow)
    n_pods = world._residents.n_unplaced
    for node in world.nodes:
        node.agent.node.store._check()
        kernel = node.agent.kernel
        n_pods += kernel.n_pods
        if kernel.is_ready:
            # A reconcile may have taken an address from a pod that runs on.
            n_held = sum(1 for _ in node.agent.node.store.assignments())
            assert n_held <= kernel.n_pods - kernel.n_waiting
    if not isinstance(in_c, InputError):
        assert list(in_c.series["pods"])[-1] == n_pods


RARE = {
    "a rollout begins when pods come": fleet(
        Arrivals(pods=30, at_ns=200 * S, lifetime_ns=60 * S),
        rollouts=(RolloutSpec(at_ns=200 * S, env={}, max_unavailable=Share(2)),),
    ),
    "an agent is restarted while its call fails late": fleet(
        Churn(pods_per_node=9, lifetime_ns=30 * S, at_ns=100 * S),
        env={"WARM_IP_TARGET": "2"},
        rollouts=(RolloutSpec(at_ns=110 * S, env={"WARM_IP_TARGET": "1"}, down_ns=0),),
        latencies={"AssignPrivateIpAddresses": Latency(20, 20)},
        faults=(FaultSpec(api="AssignPrivateIpAddresses", code="InternalError", from_ns=100 * S),),
    ),
    "addresses of pods are not attached at a restart": fleet(
        Arrivals(pods=8, at_ns=100 * S, lifetime_ns=20 * S),
        count=1,
        env={"WARM_IP_TARGET": "2"},
        rollouts=(RolloutSpec(at_ns=116 * S, env={}, down_ns=S),),
        metadata_lag_s=40.0,
    ),
    "IPv6 does not set up an ENI": fleet(
        DaemonSet(),
        env=IPV6,
        faults=(FaultSpec(api="AssignIpv6Addresses", code="InternalError"),),
    ),
}


@pytest.mark.parametrize("spec", RARE.values(), ids=RARE)
@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
def test_c_plays_what_chance_rarely_brings(spec, policy):
    (_, in_c), (_, slow) = (played(spec, policy, 1, in_c=in_c) for in_c in (True, False))
    assert as_bytes(in_c) == as_bytes(slow)


def test_fleets_that_others_change_are_left_to_the_engine():
    churn = Churn(pods_per_node=3, lifetime_ns=60 * S)
    assert pods_stay(fleet(churn, DaemonSet()))
    assert pods_stay(fleet(churn, Arrivals(pods=1, lifetime_ns=S), Trace(events=())))
    assert not pods_stay(fleet(churn, Arrivals(pods=1, lifetime_ns=S - 1)))
    rolling = RollingUpdate(pods=1, at_ns=S, ready_after_ns=S)
    assert pods_stay(fleet(churn, rolling))
    assert not pods_stay(fleet(churn, replace(rolling, ready_after_ns=S - 1)))
    assert not pods_stay(fleet(churn, autoscale=Autoscale(most=3)))
    assert pods_stay(fleet(churn, rollouts=(RolloutSpec(at_ns=S, env={}),)))
    assert not pods_stay(fleet(churn, tag="0"))
    for variable in ("ENABLE_IPv6", "ENABLE_POD_ENI"):
        assert pods_stay(fleet(churn, env={variable: "true"})), variable
    cards = {"ENABLE_MULTI_NIC": "true"}
    assert not pods_stay(fleet(churn, env=cards))
    assert not pods_stay(fleet(churn, rollouts=(RolloutSpec(at_ns=S, env=cards),)))


def test_waits_are_sorted_and_the_fleet_serves_as_in_c_when_it_is_full():
    spec = fleet(Churn(pods_per_node=12, lifetime_ns=40 * S), env={"MINIMUM_IP_TARGET": "8"})
    results = [played(spec, VPC_CNI, 3, in_c=in_c)[1] for in_c in (True, False)]
    assert as_bytes(results[0]) == as_bytes(results[1])
    waits = list(results[0].waits_s)
    assert waits == sorted(waits)
    assert waits[0] == 0 < waits[-1]
    assert results[0].refusals
    assert results[0].n_waited == sum(wait > 0 for wait in waits) + len(results[0].still_waiting_s)
