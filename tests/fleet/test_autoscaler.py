"""Autoscaling: enough nodes and no more, of the right types, and none that is not needed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.fleet import Fleet, simulate_fleet
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.simulation.fleet.spec import Autoscale, GroupSpec, SubnetSpec
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from support.fleets import S, fleet

SCALE = Autoscale(most=40, boot_ns=60 * S, empty_ns=300 * S)
CONSOLIDATING = replace(SCALE, consolidate_ns=120 * S)


def played(spec):
    world = Fleet(spec, policy=VPC_CNI, seed=1)
    return world, world.run()


def alive(world, kind=None):
    return [n for n in world.nodes if not n.gone and kind in (None, n.kind.limits.instance_type)]


def pool(*types, count=0, **more):
    """Return a fleet of one group that may have nodes of several types."""
    workloads = more.pop("workloads")
    spec = fleet(*workloads, count=count, instance_type=types[0], minutes=more.pop("minutes", 30),
                 cidr="10.0.0.0/16", autoscale=more.pop("autoscale", SCALE))  # fmt: skip
    return replace(spec, groups=(replace(spec.groups[0], more_types=types[1:]),), **more)


@pytest.mark.parametrize("n_daemon_sets", [0, 2, 3])
def test_daemon_sets_take_their_part_of_every_node(n_daemon_sets):
    """Prevents pods that wait for ever for a node that was thought to have room for them."""
    room = 27 - n_daemon_sets
    spec = fleet(
        *(DaemonSet() for _ in range(n_daemon_sets)),
        Arrivals(pods=15 * room, at_ns=120 * S),
        count=1,
        minutes=20,
        autoscale=SCALE,
    )
    world, result = played(spec)
    assert len(world.nodes) == 15
    assert not result.has_failed
    assert max(result.waits_s) < 100  # all of them were booted at once
    for node in world.nodes:
        assert len(node.pods) == 27
        assert node.n_daemons == n_daemon_sets


def test_two_groups_do_not_boot_for_the_same_pods():
    """Prevents 18 nodes where 10 are enough."""
    spec = fleet(Arrivals(pods=270, at_ns=600 * S), count=1, autoscale=SCALE, minutes=30,
                 cidr="10.0.0.0/18")  # fmt: skip
    (group,) = spec.groups
    spec = replace(spec, groups=(group, replace(group, name="others")))
    world, result = played(spec)
    assert len(world.nodes) == 10
    assert not result.has_failed


def test_pods_of_one_group_get_its_nodes_and_the_others_what_is_left():
    spec = fleet(
        Arrivals(pods=60, at_ns=60 * S, group="others"),
        Arrivals(pods=48, at_ns=60 * S),
        count=0,
        autoscale=SCALE,
        minutes=20,
    )
    (group,) = spec.groups
    spec = replace(spec, groups=(group, replace(group, name="others")))
    world, result = played(spec)
    assert not result.has_failed
    by_group = [n.group.name for n in world.nodes]
    assert by_group.count("others") == 3
    assert by_group.count("nodes") == 2  # 21 of the 48 fit the others' third node


def test_it_asks_again_when_a_node_joined_and_pods_are_left():
    """A DaemonSet that came while the node booted takes a place that a pod was to have."""
    spec = fleet(
        Arrivals(pods=27, at_ns=60 * S),
        DaemonSet(at_ns=90 * S),
        count=0,
        autoscale=SCALE,
        minutes=20,
    )
    world, result = played(spec)
    assert len(world.nodes) == 2
    assert not result.has_failed


def test_pods_that_come_one_by_one_share_a_node():
    spec = fleet(
        Arrivals(pods=27, at_ns=60 * S, over_ns=30 * S), count=0, autoscale=SCALE, minutes=10
    )
    world, result = played(spec)
    assert len(world.nodes) == 1
    assert not result.has_failed


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(0, 2),
    st.integers(1, 12),
    st.sampled_from([("m5.large",), ("m5.large", "m5.4xlarge"), ("t3.small", "m5.xlarge")]),
)
def test_never_more_nodes_than_allowed_and_none_left_out_that_is_needed(
    n_pods, n_daemons, most, types
):
    scale = replace(SCALE, most=most, empty_ns=3600 * S)
    spec = pool(
        *types,
        workloads=(*(DaemonSet() for _ in range(n_daemons)), Arrivals(pods=n_pods, at_ns=30 * S)),
        autoscale=scale,
        minutes=15,
    )
    world, result = played(spec)
    assert len(alive(world)) <= most
    rooms = [node.room - n_daemons for node in alive(world)]
    largest = max(kind.room for kind in spec.groups[0].pool) - n_daemons
    if result.not_placed:
        assert len(rooms) == most
        assert sum(rooms) == n_pods - result.not_placed
    else:
        assert sum(rooms) >= n_pods
        assert sum(rooms) - min(rooms) < n_pods  # the last one was needed
    assert len(rooms) <= -(-n_pods // largest) if len(types) == 1 else len(rooms) <= most


@pytest.mark.parametrize(
    ("n_pods", "chosen"),
    [
        (20, ["m5.large"]),
        (50, ["m5.xlarge"]),
        (200, ["m5.4xlarge"]),
        (250, ["m5.4xlarge", "m5.large"]),
        (290, ["m5.4xlarge", "m5.4xlarge"]),
    ],
)
def test_each_node_is_as_large_as_there_are_pods_and_no_larger(n_pods, chosen):
    """Karpenter's packing: the most pods on a node, then the cheapest type with the room."""
    types = ("m5.4xlarge", "m5.large", "m5.xlarge")
    world, result = played(pool(*types, workloads=(Arrivals(pods=n_pods, at_ns=60 * S),)))
    assert [node.kind.limits.instance_type for node in world.nodes] == chosen
    assert not result.has_failed


def test_a_nodes_own_type_decides_its_max_pods_and_enis():
    world, _ = played(pool("m5.large", "m5.4xlarge", workloads=(Arrivals(pods=200, at_ns=60 * S),)))
    (node,) = world.nodes
    assert node.agent.max_pods == 234
    assert node.room == 232


def lives(*waves):
    """Return recorded pods: (how many, from, until) in seconds each."""
    events = []
    for n, (count, start_s, end_s) in enumerate(waves):
        for k in range(count):
            events.append(PodEvent(time_ns=start_s * S, pod=f"{n}-{k}", add=True))
            if end_s is not None:
                events.append(PodEvent(time_ns=end_s * S, pod=f"{n}-{k}", add=False))
    return Trace(events=tuple(sorted(events, key=lambda event: event.time_ns)))


def test_a_node_whose_pods_fit_elsewhere_is_given_up():
    workloads = (lives((20, 60, 600), (7, 60, None), (20, 60, 600), (7, 60, None)),)
    kept, _ = played(pool("m5.large", workloads=workloads))
    assert len(alive(kept)) == 2
    world, result = played(pool("m5.large", workloads=workloads, autoscale=CONSOLIDATING))
    assert len(alive(world)) == 1
    (node,) = alive(world)
    assert len(node.pods) == 14
    assert all(pod.served for pod in node.pods)
    assert not result.has_failed
    assert result.n_pods > 54  # those that were evicted asked again


def test_a_node_is_replaced_by_a_cheaper_one_that_is_enough():
    workloads = (lives((180, 60, 600), (20, 60, None)),)
    spec = pool("m5.large", "m5.4xlarge", workloads=workloads, autoscale=CONSOLIDATING)
    world, result = played(spec)
    assert [node.kind.limits.instance_type for node in world.nodes] == ["m5.4xlarge", "m5.large"]
    assert [node.kind.limits.instance_type for node in alive(world)] == ["m5.large"]
    assert not result.has_failed
    (node,) = alive(world)
    assert len(node.pods) == 20


def test_consolidation_waits_for_quiet_and_keeps_what_cannot_move():
    busy = pool("m5.large", workloads=(Churn(pods_per_node=3, lifetime_ns=600 * S),), count=3,
                autoscale=CONSOLIDATING)  # fmt: skip
    world, _ = played(replace(busy, groups=(replace(busy.groups[0], count=3),)))
    assert len(alive(world)) == 3  # a churn's pods belong to their nodes


def test_at_most_a_tenth_of_the_nodes_goes_at_once():
    workloads = (lives((520, 60, 600), (20, 60, None)),)
    spec = pool(
        "m5.large", workloads=workloads, autoscale=replace(CONSOLIDATING, empty_ns=7200 * S)
    )
    world = Fleet(spec, policy=VPC_CNI, seed=1)
    ends = []
    real = world.drain

    def drain(node):
        ends.append((world.engine.now_ns, len(alive(world))))
        real(node)

    world.drain = drain
    world.run()
    assert ends
    for now_ns, _ in ends:
        before = max(n for at_ns, n in ends if at_ns == now_ns)
        assert sum(at_ns == now_ns for at_ns, _ in ends) <= max(-(-before // 10), 1)


def test_an_evicted_pod_of_a_deployment_is_still_updated():
    """A Deployment half of whose pods moved replaces all of them, and has no pod too many."""
    deployment = RollingUpdate(pods=7, at_ns=1200 * S, ready_after_ns=5 * S)
    spec = pool(
        "m5.large",
        workloads=(lives((20, 0, 500)), deployment, lives((20, 0, 500)), deployment),
        autoscale=CONSOLIDATING,
        minutes=40,
    )
    world, result = played(spec)
    assert len(world.nodes) == 2
    (node,) = alive(world)
    assert len(node.pods) == 14
    assert all(pod.asked_ns >= 1200 * S for pod in node.pods)
    assert not result.has_failed


def test_an_evicted_pod_of_a_record_ends_when_the_record_says():
    spec = pool(
        "m5.large",
        workloads=(lives((20, 0, 500), (7, 0, 1200), (20, 0, 500), (7, 0, 1200)),),
        autoscale=replace(CONSOLIDATING, empty_ns=7200 * S),
        minutes=40,
    )
    world, _ = played(spec)
    assert len(world.nodes) == 2
    assert not any(node.pods for node in alive(world))


def test_never_fewer_nodes_than_the_groups_count():
    spec = pool("m5.large", workloads=(lives((40, 60, 300)),), count=2, autoscale=CONSOLIDATING)
    world, _ = played(spec)
    assert len(alive(world)) == 2


def test_a_fleet_that_consolidates_conserves_its_subnet():
    workloads = (lives((180, 60, 600), (20, 60, None)), DaemonSet())
    spec = pool("m5.large", "m5.4xlarge", workloads=workloads, autoscale=CONSOLIDATING)
    world, _ = played(spec)
    held = sum(
        1 + len(eni.addresses) + 16 * len(eni.prefixes)
        for eni in world.machines.regions[""].enis.values()
    )
    subnet = world.machines.subnets["a"].subnet
    subnet._check()
    assert subnet.n_free == 2**16 - 5 - held


# --- what a result says --------------------------------------------------------------


def test_nodes_that_never_joined_are_counted():
    """Prevents 30 nodes in a subnet of 11 addresses that look well."""
    result = simulate_fleet(fleet(count=30, cidr="10.0.0.0/28", minutes=60))
    assert result.not_joined == 19
    assert result.has_failed
    assert result.to_dict()["nodes_not_joined"] == 19


def test_a_node_that_is_still_booting_at_the_end_did_not_fail():
    spec = fleet(Arrivals(pods=40, at_ns=590 * S), count=1, autoscale=SCALE)
    result = simulate_fleet(spec)
    assert result.not_joined == 0
    assert result.not_placed == 13
    assert result.has_failed


def test_pods_that_were_never_placed_count_even_before_what_is_measured():
    spec = replace(fleet(Arrivals(pods=60, at_ns=10 * S)), measure_from_ns=300 * S)
    result = simulate_fleet(spec)
    assert result.still_waiting_s.tolist() == []
    assert result.not_placed == 6
    assert result.has_failed


def test_a_full_subnet_sends_the_next_node_to_another():
    spec = fleet(count=6, cidr="10.0.0.0/28", env={"WARM_IP_TARGET": "1"})
    subnets = (*spec.subnets, SubnetSpec(subnet_id="b", cidr="10.0.1.0/24"))
    spec = replace(
        spec, subnets=subnets, groups=(replace(spec.groups[0], subnets=("a", "b"), count=30),)
    )
    result = simulate_fleet(spec)
    assert result.not_joined == 0
    assert result.series["nodes"][-1] == 30


def test_free_addresses_and_prefixes_of_each_subnet_over_time():
    prefixes = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
    spec = fleet(Arrivals(pods=20, at_ns=60 * S), count=2, env=prefixes, cidr="10.0.0.0/24")
    world, result = played(spec)
    series = result.subnets["a"]
    assert len(series["free"]) == len(series["free_prefixes"]) == len(result.times_s)
    assert series["free"][0] <= 251
    assert series["free"][-1] == world.machines.subnets["a"].subnet.n_free
    assert series["free_prefixes"][-1] == world.machines.subnets["a"].subnet.n_free_prefixes < 14


def test_each_group_is_counted_and_together_they_are_the_fleet():
    spec = fleet(DaemonSet(), Arrivals(pods=30, at_ns=60 * S, group="others"), count=2)
    other = GroupSpec(name="others", instance_type="m5.xlarge", count=1, subnets=("a",))
    result = simulate_fleet(replace(spec, groups=(*spec.groups, other)))
    assert set(result.groups) == {"nodes", "others"}
    for name in ("nodes", "enis", "total", "assigned", "idle"):
        sums = [sum(each) for each in zip(*(g[name] for g in result.groups.values()), strict=True)]
        assert sums == list(result.series[name])
    assert result.groups["others"]["pods"][-1] == 31
    assert result.peak("nodes") == 3
    assert result.to_dict()["peak"]["nodes"] == 3
