"""Pods that a scheduler in C puts on nodes, and nodes that are played with them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core._fleet_pods import MOST_GROUPS, FleetPods
from ipam_core._kernel import NodeKernel, Samples, advance_all
from ipam_core._store import DataStore
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings

S = 10**9
NEVER = 2**63 - 1


def node_of(number, n_addresses, pods, *, group=0, room=None):
    """Return a node's kernel, ready, with so many addresses; it is added to a fleet's pods."""
    store = DataStore("secondary-ip", given_time=True, cooldown_s=30, placement="pack")
    store.add_eni("eni-0", device_number=0, primary=True, created_ns=0)
    for n in range(n_addresses):
        store.add_address("eni-0", f"10.0.{number}.{n + 4}")
    kernel = NodeKernel(1, number, Samples([]), from_ns=0, now_ns=0)
    kernel.start(
        store, Settings(), VPC_CNI, slots=max(n_addresses, 1), max_pods=1, prefix_mode=False,
        falls_back=False, changes_pool=False,
    )  # fmt: skip
    pods.add_node(kernel, group, n_addresses if room is None else room)
    pods.join(number, 0)
    return kernel


def wave(pods, workload=0, **more):
    given = {"at_ns": 0, "over_ns": 0, "n_pods": 1, "life_ns": None, "every_ns": None,
             "group": None}  # fmt: skip
    pods.add_wave(workload, **(given | more))


def play(pods, kernels, until_ns, step_ns):
    for now_ns in range(step_ns, until_ns + step_ns, step_ns):
        pods.collect()
        assert pods.place(now_ns) is None
        assert advance_all(kernels, now_ns) == []


def test_pods_go_where_the_smallest_share_is_taken_and_the_others_wait_in_order():
    pods = FleetPods(2, [(5 * S, 0)], [0, 2 * S], 0)
    kernels = [node_of(n, 4, pods, group=n // 2) for n in range(3)]
    wave(pods, n_pods=5, life_ns=10 * S)
    wave(pods, 1, n_pods=9, over_ns=9, at_ns=S, group=1)
    play(pods, kernels, S, S)
    assert [kernel.n_pods for kernel in kernels] == [2, 2, 1]
    play(pods, kernels, 4 * S, S)
    assert [kernel.n_pods for kernel in kernels] == [2, 2, 4]
    assert (pods.n_unplaced, pods.n_refused) == (6, 6)
    assert [pods.sample(n) for n in range(2)] == [(0, 0), (6, 6)]
    assert pods.asked_ns() == [S + n for n in range(3, 9)]
    play(pods, kernels, 20 * S, S)
    assert [kernel.n_pods for kernel in kernels] == [0, 0, 4], "one left, and another came"
    assert pods.n_unplaced == 5
    assert pods.next_ns == NEVER
    with pytest.raises(IndexError):
        pods.sample(2)


def test_daemon_sets_and_pods_of_a_nodes_own_take_room():
    pods = FleetPods(1, [(5 * S, None), (5 * S, 0)], [], 0)
    kernels = [node_of(n, 4, pods) for n in range(2)]
    pods.occupy(0, S, 0, 1)
    kernels[0].add_pods(S, 1, 0.0)
    wave(pods, 1, n_pods=6, at_ns=5 * S)
    play(pods, kernels, 10 * S, S)
    assert [kernel.n_pods for kernel in kernels] == [2, 2]
    assert pods.n_unplaced == 3


def test_a_recorded_pod_is_put_on_its_node_and_goes_with_or_without_an_address():
    pods = FleetPods(1, [], [], 0)
    kernels = [node_of(n, 1, pods, room=2) for n in range(2)]
    trace = pods.add_trace(0)
    there, later = pods.add_name(1), pods.add_name(None)
    pods.collect()
    assert pods.place(S) == trace
    events = [(n * S, n, there, True) for n in range(3)]
    pods.feed(trace, [*events, (5 * S, 2, None, False)], 3, is_whole=False)
    assert pods.place(4 * S) is None
    assert advance_all(kernels, 4 * S) == []
    assert (kernels[1].n_pods, kernels[1].n_waiting, kernels[1].n_counted) == (3, 2, 2)
    with pytest.raises(ValueError, match=str(trace)):
        pods.feed(trace, [], 3, is_whole=True)  # it has events yet
    pods.collect()
    assert pods.place(61 * S) == trace
    pods.feed(trace, [(60 * S, 0, None, False), (70 * S, 0, later, True)], 3, is_whole=True)
    assert pods.place(62 * S) is None
    assert advance_all(kernels, 62 * S - 1) == []
    assert (kernels[1].n_pods, kernels[1].n_waiting) == (1, 1)
    assert kernels[1].n_counted == 2, "it hears of no pod that is deleted"
    assert advance_all(kernels, 70 * S) == []
    assert kernels[1].n_counted == 1, "but takes one that is silent for a minute for deleted"
    with pytest.raises(LookupError) as missing:
        pods.place(80 * S)
    assert missing.value.args == (later, 70 * S)
    pods.name(later, 0)
    assert pods.place(80 * S) is None
    assert pods.next_ns == NEVER


def test_a_deployment_is_replaced_within_its_bounds_and_what_is_not_ready_first():
    pods = FleetPods(1, [], [], 0)
    kernels = [node_of(n, 24, pods, room=6) for n in range(2)]
    pods.add_deployment(0, n_pods=8, surge=2, unavailable=2, ready_ns=5 * S,
                        updates_ns=[2 * S, 20 * S], group=None)  # fmt: skip
    play(pods, kernels, 2 * S, S)
    assert sum(kernel.n_pods for kernel in kernels) == 8
    for now in range(3, 40):
        pods.collect()
        assert pods.place(now * S) is None
        assert advance_all(kernels, now * S) == []
        assert 6 <= sum(kernel.n_pods for kernel in kernels) <= 10
        if now == 3:
            came_and_went = sum(kernel.n_pod_events for kernel in kernels)
            assert came_and_went == 8 + 8 + 8, "none was ready: all are replaced at once"
    assert sum(kernel.n_pods for kernel in kernels) == 8
    assert sum(kernel.n_pod_events for kernel in kernels) == 8 + 2 * 16
    assert pods.next_ns == NEVER
    with pytest.raises(ValueError, match="negative"):
        pods.add_deployment(0, n_pods=1, surge=-1, unavailable=0, ready_ns=0, updates_ns=[],
                            group=None)  # fmt: skip


def test_what_is_out_of_range_is_refused():
    for n_groups in (0, MOST_GROUPS + 1):
        with pytest.raises(ValueError, match=str(n_groups)):
            FleetPods(n_groups, [], [], 0)
    pods = FleetPods(MOST_GROUPS, [], [], 0)
    kernel = node_of(0, 1, pods)
    with pytest.raises(TypeError):
        pods.__init__(1, [], [], 0)
    with pytest.raises(ValueError, match="of a fleet already"):
        pods.add_node(kernel, 0, 1)
    with pytest.raises(IndexError):
        pods.join(1, 0)
    with pytest.raises(IndexError):
        pods.occupy(1, 0, 0, 1)
    with pytest.raises(IndexError):
        wave(pods, group=MOST_GROUPS)
    for wrong in ({"n_pods": 0}, {"over_ns": -1}, {"every_ns": 0}, {"life_ns": -1}):
        with pytest.raises(ValueError, match="a wave has pods"):
            wave(pods, **wrong)
    trace = pods.add_trace(0)
    with pytest.raises(ValueError, match="1"):
        pods.feed(trace + 1, [], 0, is_whole=True)
    for event in ((0, 1, None, True), (0, -1, None, True), (0, 0, 0, True)):
        with pytest.raises(IndexError):
            pods.feed(trace, [event], 1, is_whole=True)
    with pytest.raises(IndexError):
        pods.name(0, 0)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    waves=st.lists(
        st.tuples(
            st.integers(0, 40),  # at
            st.integers(0, 90),  # over
            st.integers(1, 60),  # pods
            st.sampled_from([None, 10, 25, 100]),  # lives
            st.sampled_from([None, 20, 60]),  # every
            st.sampled_from([None, 0, 1]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_nodes_that_are_given_pods_keep_every_invariant(sizes, waves):
    """Pods come, wait for nodes and addresses, and go; no node has more than it has room for."""
    pods = FleetPods(2, [], [], 0)
    kernels = [node_of(n, size, pods, group=n % 2) for n, size in enumerate(sizes)]
    for number, (at, over, n_pods, life, every, group) in enumerate(waves):
        wave(pods, number, at_ns=at * S, over_ns=over * S, n_pods=n_pods, group=group,
             life_ns=life and life * S, every_ns=every and every * S)  # fmt: skip
    for now in range(10, 300, 10):
        pods.collect()
        assert pods.place(now * S) is None
        assert advance_all(kernels, now * S) == []
        for kernel, size in zip(kernels, sizes, strict=True):
            kernel.store._check()
            assert kernel.n_pods <= size
            assert kernel.store.stats(now * S).assigned == kernel.n_pods - kernel.n_waiting
            assert kernel.n_counted == kernel.n_waiting
        assert len(pods.asked_ns()) == pods.n_unplaced
        if pods.n_unplaced and all(group is None for *_, group in waves):
            assert sum(kernel.n_pods for kernel in kernels) == sum(sizes), "yet there is room"
