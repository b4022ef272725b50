"""The scheduler against a slow one that shares no code with it, and sums against walks."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.engine import Engine
from ipam_core.simulation.fleet import fleet as fleet_module
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.members import FleetNode, NodeGroup, Pod, PodOwner
from ipam_core.simulation.fleet.scheduler import Scheduler
from ipam_core.simulation.fleet.spec import Autoscale
from ipam_core.simulation.fleet.workload_specs import Arrivals, DaemonSet
from support.fleets import S, as_bytes, fleet, fleets
from support.slow_scheduler import SlowScheduler
from support.soak import examples

DAEMON = type("Daemon", (PodOwner,), {"is_daemon": True})()
OTHER = PodOwner()
DAEMON_SETS = [(0, "a"), (40, None), (70, "b")]


class Group:
    """Stands for the group, the kind and the agent of a node."""

    def __init__(self, name, room=0, number=0):
        self.name, self.room, self.number = name, room, number


class Sides:
    """Two schedulers over nodes of their own to which the same happens."""

    def __init__(self):
        self.now = 0
        self.sides = []
        for make in (Scheduler, SlowScheduler):
            groups = {name: NodeGroup() for name in "ab"}
            self.sides.append((make(groups, DAEMON_SETS, lambda: self.now), groups, [], []))
        self.n_pods = 0

    def join(self, group, room):
        for scheduler, groups, nodes, _ in self.sides:
            nodes.append(
                FleetNode(
                    f"{group}-{len(nodes)}",
                    Group(group),
                    Group(group, room),
                    Group(group, number=len(nodes)),
                    self.now,
                    members=groups[group],
                    changed=scheduler.changed,
                    launch=None,
                )
            )
            nodes[-1].join()
            scheduler.place_waiting(self.bind)
        self.compare()

    def bind(self, pod, node):
        pod.node = node
        node.put(pod, self.now)

    def create(self, group, *, daemon, node=None):
        self.n_pods += 1
        for scheduler, _, nodes, pods in self.sides:
            pod = Pod(self.n_pods, DAEMON if daemon else OTHER, None, group=group)
            pods.append(pod)
            found = scheduler.find(group) if node is None else nodes[node % len(nodes)]
            if found is None:
                scheduler.unplaced.add(pod)
            elif not found.gone:
                self.bind(pod, found)
        self.compare()

    def remove(self, number):
        for scheduler, _, _, pods in self.sides:
            pod = pods.pop(number % len(pods))
            if pod.node is not None:
                pod.node.drop(pod, self.now)
                scheduler.place_waiting(self.bind)
            elif pod in list(scheduler.unplaced):
                scheduler.unplaced.remove(pod)
        self.compare()

    def change(self, node, what):
        for _, _, nodes, _ in self.sides:
            if not nodes[node % len(nodes)].gone:
                getattr(nodes[node % len(nodes)], what)()
        self.compare()

    def compare(self):
        """Assert that every answer is the same, and every pod in the same place."""
        (fast, _, _, pods), (slow, _, _, same_pods) = self.sides
        for group in (None, "a", "b"):
            ours, theirs = fast.find(group), slow.find(group)
            assert (ours and ours.name) == (theirs and theirs.name)
            assert fast.unplaced.count(group) == slow.unplaced.count(group)
        for group in "ab":
            assert fast.n_daemons(group) == slow.n_daemons(group)
            assert fast.free_room(group) == slow.free_room(group)
        assert [pod.number for pod in fast.unplaced] == [pod.number for pod in slow.unplaced]
        assert len(fast.unplaced) == len(slow.unplaced)
        assert bool(fast.unplaced) == bool(slow.unplaced)
        places = [[pod.node and pod.node.name for pod in each] for each in (pods, same_pods)]
        assert places[0] == places[1]


OPERATIONS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from("ab"), st.integers(0, 4)),
    st.tuples(st.just("create"), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("create"), st.sampled_from([None, "a", "b"])),
    st.tuples(st.just("daemon"), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("change"), st.integers(0, 9), st.sampled_from(["cordon", "leave"])),
    st.tuples(st.just("wait"), st.integers(1, 50)),
)


@settings(deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=60))
def test_every_pod_goes_where_a_walk_over_all_nodes_would_put_it(operations):
    sides = Sides()
    sides.join("a", 3)
    for what, *given_values in operations:
        if what == "join":
            sides.join(*given_values)
        elif what == "create":
            sides.create(given_values[0], daemon=False)
        elif what == "daemon":
            sides.create(None, daemon=True, node=given_values[0])
        elif what == "remove" and sides.sides[0][3]:
            sides.remove(*given_values)
        elif what == "change":
            sides.change(*given_values)
        elif what == "wait":
            sides.now += given_values[0]
            sides.compare()


def test_entries_out_of_date_do_not_pile_up():
    """A node that fills and empties a thousand times has not a thousand entries."""
    sides = Sides()
    scheduler, _, _, pods = sides.sides[0]
    for _ in range(3):
        sides.join("a", 50)
    for _ in range(1000):
        sides.create("a", daemon=False)
        sides.remove(0)
    assert not pods
    assert len(scheduler._heaps["a"]) < 80


def two_groups(spec, most):
    """Return a fleet with a second group, which grows; half of its workloads are for it."""
    more = replace(
        spec.groups[0],
        name="more",
        count=1,
        max_pods=6,
        autoscale=Autoscale(most=most, boot_ns=20 * S, empty_ns=60 * S, consolidate_ns=30 * S),
    )
    workloads = [
        replace(each, group="more") if number % 2 else each
        for number, each in enumerate(spec.workloads)
    ]
    return replace(spec, groups=(*spec.groups, more), workloads=tuple(workloads))


@settings(max_examples=examples(30, soak=1000), deadline=None)
@given(
    spec=fleets(),
    most=st.integers(1, 6),
    policy=st.sampled_from([VPC_CNI, IPAM_CORE]),
    seed=st.integers(0, 2**32),
)
def test_a_fleet_is_the_same_to_the_byte_with_the_slow_scheduler(spec, most, policy, seed):
    spec = two_groups(spec, most)
    fast = Fleet(spec, policy=policy, seed=seed, keep_calls=True).run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_module, "Scheduler", SlowScheduler)
        slow = Fleet(spec, policy=policy, seed=seed, keep_calls=True).run()
    assert as_bytes(fast) == as_bytes(slow)


@settings(max_examples=examples(30, soak=1000), deadline=None)
@given(spec=fleets(), most=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_sums_that_are_kept_are_those_of_a_walk(spec, most, seed):
    world = Fleet(two_groups(spec, most), policy=IPAM_CORE, seed=seed)

    def compare(_):
        for name, members in world.groups.items():
            alive = [node for node in world.nodes if not node.gone and node.group.name == name]
            pools = [pool for node in alive for pool in node.agent.stats()]
            assert list(members.nodes.values()) == alive
            assert members.pods == sum(len(node.pods) for node in alive)
            assert members.waiting == sum(not pod.served for node in alive for pod in node.pods)
            for count in ("enis", "total", "assigned", "cooling"):
                assert getattr(members, count) == sum(getattr(pool, count) for pool in pools)
            for node in alive:
                own = [pod for pod in node.pods if not pod.owner.is_daemon]
                assert node.n_daemons == len(node.pods) - len(own)
                assert node.n_pinned == sum(pod.pinned for pod in own)
                assert node.n_waiting == sum(not pod.served for pod in node.pods)
                assert node.wants().total() == len(own)

    world.run(compare)


def test_pods_that_wait_cost_no_walk_when_others_go():
    """Of 2,000 pods on a full node each that goes lets one in: no look at all that wait."""
    spec = fleet(
        Arrivals(pods=2000, at_ns=60 * S, lifetime_ns=30 * S),
        DaemonSet(),
        count=1,
        minutes=5,
        max_pods=12,
    )
    world = Fleet(spec, policy=VPC_CNI, seed=1)
    find, n_questions = world.scheduler.find, 0

    def counted(group):
        nonlocal n_questions
        n_questions += 1
        return find(group)

    world.scheduler.find = counted
    result = world.run()
    n_served = len(result.waits_s)
    assert n_served < 200
    assert n_questions < 2000 + 5 * n_served


def test_an_engine_keeps_its_minutes_in_order_over_ninety_days():
    engine, seen = Engine(), []
    days = 90 * 24 * 3600 * S
    for n in range(5000):
        engine.at((n * 7919 % 5000) * days // 5000, 0, 0, seen.append, n * 7919 % 5000)
    engine.run(days)
    assert seen == list(range(5000))
    assert not engine._later
    assert not engine._minutes
