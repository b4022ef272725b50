"""A simulated node in C by itself: when it stops, what it counts, and its pool's invariants."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import DataStore, Settings
from ipam_core._kernel import (
    NEXT_CHECK,
    NEXT_RECONCILE,
    Chance,
    NodeKernel,
    Samples,
    advance_all,
    refusals_of,
)
from ipam_core.policy import IPAM_CORE, VPC_CNI

S = 10**9


def test_a_stream_of_chance_is_fair_and_each_node_has_its_own():
    draws = [Chance(7, 3).random(), Chance(7, 4).random(), Chance(8, 3).random()]
    assert len(set(draws)) == 3
    assert Chance(7 + 2**64, 3).random() == draws[0]
    stream = Chance(1, 1)
    shares = [stream.random() for _ in range(20_000)]
    assert all(0 <= share < 1 for share in shares)
    assert abs(sum(shares) / len(shares) - 0.5) < 0.01
    lives = [stream.expovariate(1 / 60) for _ in range(20_000)]
    assert abs(sum(lives) / len(lives) - 60) < 2
    assert abs(sum(life > 60 for life in lives) / len(lives) - math.exp(-1)) < 0.02


def kernel_of(n_addresses, *, samples=(), from_ns=0, policy=VPC_CNI, **targets):
    """Return a kernel over a store with one ENI, its first check at 5 s."""
    store = DataStore("secondary-ip", given_time=True, placement="first")
    store.add_eni("eni-0", device_number=0, primary=True, created_ns=0)
    for number in range(n_addresses):
        store.add_address("eni-0", f"10.0.0.{number + 4}")
    kernel = NodeKernel(1, 0, Samples(list(samples)), from_ns=from_ns, now_ns=0)
    kernel.start(
        store, Settings(**targets), policy, slots=n_addresses, max_pods=100, prefix_mode=False,
        falls_back=False, changes_pool=True,
    )  # fmt: skip
    kernel.tell(
        None, None, None, is_clean=True, lacks_trunk=False, most_enis=1, running=0, failure=0
    )
    kernel.set_next(NEXT_CHECK, 5 * S)
    return kernel


def test_a_kernel_stops_before_a_check_that_would_grow_and_before_a_reconcile():
    kernel = kernel_of(3, minimum_ip_target=3, warm_ip_target=1)
    kernel.add_pods(7 * S, 3, 0.0)
    assert advance_all([kernel], 20 * S) == [0]
    assert kernel.next == (NEXT_CHECK, 10 * S)
    assert (kernel.n_pods, kernel.n_waiting, kernel.n_at_once) == (3, 0, 3)
    assert kernel.changed_ns == 7_500_000_000, "the reconcile of the check before is noted"
    kernel = kernel_of(3, minimum_ip_target=3)
    kernel.tell(
        None, None, None, is_clean=False, lacks_trunk=False, most_enis=1, running=0, failure=0
    )
    assert advance_all([kernel], 20 * S) == [0]
    assert kernel.next == (NEXT_RECONCILE, 7_500_000_000)


def test_a_kernel_counts_waits_refusals_and_samples():
    kernel = kernel_of(2, minimum_ip_target=2, samples=(0, 10 * S, 60 * S), from_ns=S)
    kernel.add_pods(2 * S, 3, 0.0)
    assert advance_all([kernel], 61 * S) == []
    (asked_ns,) = kernel.asked_ns()
    assert asked_ns == 2 * S
    assert (kernel.n_pods, kernel.n_waiting, kernel.n_at_once) == (3, 1, 2)
    assert kernel.waits_s() == []
    refusals = refusals_of([kernel, kernel])
    assert refusals[6] == sum(refusals) >= 2 * 4  # the targets ask for no more
    samples = Samples([0, 10 * S, 60 * S])
    assert samples.sums(2) == (0,) * 7
    with pytest.raises(IndexError):
        samples.sums(3)


def test_samples_add_up_what_nodes_hold():
    samples = Samples([0, 10 * S])
    stores = []
    for number in range(2):
        store = DataStore("secondary-ip", given_time=True)
        store.add_eni("eni-0", device_number=0, primary=True)
        store.add_address("eni-0", "10.0.0.4")
        kernel = NodeKernel(1, number, samples, from_ns=0, now_ns=1)
        kernel.start(
            store, Settings(), VPC_CNI, slots=1, max_pods=9, prefix_mode=False, falls_back=False,
            changes_pool=False,
        )  # fmt: skip
        kernel.add_pods(2 * S, 1, 0.0)
        stores.append(kernel)
    assert advance_all(stores, 10 * S) == []
    assert samples.sums(1) == (0,) * 7, "a sample is taken after what happens at its moment"
    assert advance_all(stores, 10 * S + 1) == []
    assert samples.sums(0) == (0,) * 7, "it was before the nodes were there"
    assert samples.sums(1) == (2, 2, 2, 0, 2, 0, 0)


def test_a_kernel_or_samples_cannot_be_made_or_started_twice():
    kernel, samples = kernel_of(1), Samples([1])
    with pytest.raises(TypeError):
        samples.__init__([1, 2])
    with pytest.raises(TypeError):
        kernel.__init__(1, 0, samples, from_ns=0, now_ns=0)
    with pytest.raises(TypeError):
        kernel.start(
            kernel.store, Settings(), VPC_CNI, slots=1, max_pods=1, prefix_mode=False,
            falls_back=False, changes_pool=True,
        )  # fmt: skip


def test_pods_ask_in_vain_until_the_agent_is_ready():
    kernel = NodeKernel(1, 0, Samples([5 * S]), from_ns=0, now_ns=0)
    kernel.add_pods(S, 2, 0.0)
    assert advance_all([kernel], 20 * S) == []
    assert (kernel.is_ready, kernel.n_pods, kernel.n_waiting) == (False, 2, 2)
    assert kernel.n_counted == 0, "the agent has not heard of them"
    assert refusals_of([kernel])[0] == sum(refusals_of([kernel])) >= 2 * 2
    store = DataStore("secondary-ip", given_time=True)
    store.add_eni("eni-0", device_number=0, primary=True)
    store.add_address("eni-0", "10.0.0.4")
    kernel.start(
        store, Settings(), VPC_CNI, slots=1, max_pods=9, prefix_mode=False, falls_back=False,
        changes_pool=False,
    )  # fmt: skip
    assert advance_all([kernel], 40 * S) == []
    assert (kernel.is_ready, kernel.n_waiting, kernel.n_counted) == (True, 1, 1)
    (wait_s,) = kernel.waits_s()
    assert wait_s > 19


@settings(deadline=None)
@given(
    n_addresses=st.integers(1, 40),
    loads=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 25), st.sampled_from([0, 3, 20, 300])),
        min_size=1,
        max_size=4,
    ),
    policy=st.sampled_from([VPC_CNI, IPAM_CORE, replace(VPC_CNI, name="d", release_delay_s=9.0)]),
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=12),
)
def test_a_node_that_lives_keeps_every_invariant(n_addresses, loads, policy, steps):
    """In slices of any length: pods come, wait, cool and go; nothing is lost or held twice."""
    store = DataStore("secondary-ip", given_time=True, placement="pack")
    store.add_eni("eni-0", device_number=0, primary=True, created_ns=0)
    for number in range(n_addresses):
        store.add_address("eni-0", f"10.0.0.{number + 4}")
    until = sum(steps)
    kernel = NodeKernel(5, 3, Samples([n * until * S // 7 for n in range(8)]), from_ns=0, now_ns=0)
    kernel.start(
        store, Settings(), policy, slots=n_addresses, max_pods=1, prefix_mode=False,
        falls_back=False, changes_pool=True,
    )  # fmt: skip
    kernel.tell(
        None, None, None, is_clean=True, lacks_trunk=False, most_enis=1, running=0, failure=0
    )
    kernel.set_next(NEXT_CHECK, 5 * S)
    for at_s, n_pods, life_s in loads:
        kernel.add_pods(at_s * S, n_pods, 1 / (life_s * S) if life_s else 0.0)
    now = 0
    for step in steps:
        now += step
        while advance_all([kernel], now * S + 1):
            kernel.set_next(NEXT_CHECK, kernel.next[1] + 5 * S)  # what it stopped at did nothing
        store._check()
        stats = store.stats(now * S)
        there = sum(n_pods for at_s, n_pods, _ in loads if at_s <= now)
        assert kernel.n_pods == there
        assert stats.assigned == there - kernel.n_waiting == there - len(kernel.asked_ns())
        assert kernel.n_pod_events >= there
    assert kernel.n_at_once + len(kernel.waits_s()) >= stats.assigned
