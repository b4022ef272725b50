"""A batch does what its rows do one by one; what it changes of a cell it changes at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core import DataStore, Sandbox
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError

S = 10**9
MODES = ("secondary-ip", "prefix", "mixed", "ipv6")


def filled(mode, cooldown_s=10, placement="pack"):
    """Return a store with two ENIs that have the same slots filled."""
    store = DataStore(mode, cooldown_s=cooldown_s, placement=placement, given_time=True)
    for number in range(2):
        store.add_eni(eni := f"eni-{number}", device_number=number, primary=number == 0)
        if mode in ("secondary-ip", "mixed"):
            for host in range(4, 12):
                store.add_address(eni, f"10.0.{number}.{host}")
        if mode in ("prefix", "mixed"):
            for slot in range(2):
                store.add_prefix(eni, f"10.1.{number}.{16 * slot}/28")
        if mode == "ipv6":
            store.add_prefix(eni, f"2001:db8:{number}::/80")
    return store


def pod(number):
    return Sandbox(f"pod-{number}")


def rows(numbers):
    joined = b"".join(pod(number).digest for number in numbers)
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)


def held(store):
    return {each.sandbox: each.address for each in store.assignments()}


def one_by_one(store, operation, numbers, now_ns):
    """Do a partial batch with single calls; a batch frees what has cooled before its first row."""
    store.stats(now_ns)
    for number in numbers:
        try:
            if operation == "assign":
                store.assign(pod(number), None, now_ns)
            else:
                store.release(pod(number), now_ns)
        except (PoolExhaustedError, UnknownSandboxError):
            continue


operations = st.lists(
    st.tuples(
        st.sampled_from(["assign", "assign", "release"]),
        st.lists(st.integers(0, 60), max_size=50),
        st.sampled_from([0, 1, 9, 10, 11, 40]),
    ),
    max_size=12,
)


@pytest.mark.parametrize("mode", MODES)
@given(operations=operations, placement=st.sampled_from(["pack", "first"]))
def test_a_batch_does_what_its_rows_do_one_by_one(mode, operations, placement):
    batches, singles = filled(mode, placement=placement), filled(mode, placement=placement)
    now_ns = 1000 * S
    for operation, numbers, seconds in operations:
        now_ns += seconds * S
        if operation == "assign":
            batches.assign_many(rows(numbers), now_ns, partial=True)
        else:
            batches.release_many(rows(numbers), now_ns, partial=True)
        one_by_one(singles, operation, numbers, now_ns)
        batches._check()
        assert held(batches) == held(singles)
        assert batches.stats(now_ns) == singles.stats(now_ns)
        batches._check()


@pytest.mark.parametrize("mode", MODES)
def test_all_cool_and_are_free_again_batch_after_batch(mode):
    store, now_ns = filled(mode), 1000 * S
    n = store.stats(now_ns).assignable if mode != "ipv6" else 100
    for round_number in range(4):
        numbers = [1000 * round_number + number for number in range(n)]
        store.assign_many(rows(numbers), now_ns)
        assert len(held(store)) == n
        store._check()
        # From the two ends: the cells, and the ENIs, change from row to row.
        ends = [number for pair in zip(numbers, reversed(numbers), strict=True) for number in pair]
        store.release_many(rows(ends[:n]), now_ns)
        store._check()
        assert store.stats(now_ns).cooling == n
        now_ns += 11 * S


def test_what_has_cooled_is_freed_and_what_has_not_cools_on():
    store = filled("prefix")
    store.assign_many(rows(range(64)), 0)
    store.release_many(rows(range(32)), 100 * S)
    store.release_many(rows(range(32, 64)), 105 * S)
    given_now = store.assign_many(rows(range(100, 164)), 111 * S, partial=True)
    assert (given_now[:, 1] != np.uint64(2**64 - 1)).sum() == 32
    store._check()
    assert store.stats(111 * S).cooling == 32
    store.release(pod(100), 112 * S)  # it cools after those
    store._check()
    assert store.stats(116 * S).cooling == 1


def test_a_late_release_is_freed_in_its_turn():
    store = filled("prefix")
    store.assign_many(rows(range(63)), 0)
    (left,) = (a for a in (f"10.1.{n}.{h}" for n in range(2) for h in range(32))
               if store.find_address(a) is None)  # fmt: skip
    store.release_many(rows([0, 1, 2]), 100 * S)
    store.cool(left, 95 * S)  # a restart says so, later than those
    store.assign_many(rows([70]), 107 * S)  # no other address is free
    assert store.find(pod(70)).address == left
    store._check()
    store.assign_many(rows([71, 72, 73]), 111 * S)
    store._check()


def test_a_row_may_release_what_a_row_before_it_left():
    """A checkpoint may give one sandbox two addresses: two rows of it release both."""
    store = filled("prefix")
    store.adopt(pod(1), "10.1.0.3", None, 0)
    store.adopt(pod(1), "10.1.1.3", None, 0, beside=True)
    freed = store.release_many(rows([1, 1, 1]), S, partial=True)
    assert sorted(freed[:, 1].tolist()) == [0x0A010003, 0x0A010103, 2**64 - 1]
    assert held(store) == {}
    store._check()


def test_an_excluded_eni_gives_nothing_that_cools_on_it():
    store = filled("prefix")
    store.assign_many(rows(range(64)), 0)
    store.release_many(rows(range(64)), S)
    store.exclude_eni("eni-0")
    given_now = store.assign_many(rows(range(100, 164)), 20 * S, partial=True)
    assert (given_now[:, 1] != np.uint64(2**64 - 1)).sum() == 32
    assert {each.eni_id for each in store.assignments()} == {"eni-1"}
    store._check()


def test_a_refused_batch_changes_nothing():
    store = filled("prefix")
    store.assign_many(rows(range(5)), 0)
    before = store.snapshot()
    for numbers in ([0, 1, 9], [0, 1, 1], [9, 0]):
        with pytest.raises(UnknownSandboxError):
            store.release_many(rows(numbers), S)
        assert store.snapshot() == before
        store._check()


def test_without_a_cooldown_a_batch_frees_at_once():
    store = filled("prefix", cooldown_s=0)
    for _ in range(3):
        store.assign_many(rows(range(64)), S)
        store.release_many(rows(range(64)), S)
        store._check()
    assert store.stats(S).assignable == 64
