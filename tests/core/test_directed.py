"""States that a random walk rarely meets: fullness of prefixes, and rows that come twice."""

import ipaddress
from itertools import product

import numpy as np
import pytest

from ipam_core import DataStore, Sandbox, errors

NOBODY = 2**64 - 1


def store_of(used, placement="pack"):
    """Return a store with a prefix for each number, so many of its addresses in use."""
    store = DataStore("prefix", placement=placement)
    store.add_eni("eni-0", device_number=0, created_ns=1)
    for slot, n_used in enumerate(used):
        store.add_prefix("eni-0", f"10.0.{slot}.0/28")
        for number in range(n_used):
            store.adopt(Sandbox(f"{slot}-{number}"), f"10.0.{slot}.{number}", None, 1)
    return store


@pytest.mark.parametrize("used", [*product([0, 1, 7, 8, 15, 16], repeat=3)])
def test_pack_fills_the_fullest_prefix_and_first_the_first(used):
    """Until all is full: so every level and every move between levels is met."""
    for placement in ("pack", "first"):
        store, left = store_of(used, placement), list(used)
        while min(left) < 16:
            room = [slot for slot in range(3) if left[slot] < 16]
            slot = max(room, key=lambda slot: left[slot]) if placement == "pack" else room[0]
            given = store.assign(Sandbox(f"new-{sum(left)}"), None, 2)
            assert given.address == f"10.0.{slot}.{left[slot]}", left
            left[slot] += 1
        store._check()
        with pytest.raises(errors.PoolExhaustedError):
            store.assign(Sandbox("one more"), None, 2)


@pytest.mark.parametrize("used", [*product([0, 3, 15], repeat=3)])
def test_a_batch_takes_what_single_calls_would(used):
    n_free = 48 - sum(used)
    digests = np.arange(1, 2 * n_free + 1, dtype=np.uint64).reshape(-1, 2)
    single = store_of(used)
    expected = [
        int(ipaddress.IPv4Address(single.assign(Sandbox(f"new-{n}"), None, 2).address))
        for n in range(n_free)
    ]
    store = store_of(used)
    assert store.assign_many(digests, 2)[:, 1].tolist() == expected
    store._check()


@pytest.fixture
def two_free():
    """A store with two free addresses, and a third that row (9, 9) holds."""
    store = DataStore("secondary-ip", cooldown_s=0)
    store.add_eni("eni-0", device_number=0)
    for number in range(3):
        store.add_address("eni-0", f"10.0.0.{number}")
    store.assign_many(rows(9), 1)
    return store


def rows(*digests):
    return np.array([[digest, digest] for digest in digests], dtype=np.uint64)


def test_a_row_that_comes_twice_needs_one_address(two_free):
    given = two_free.assign_many(rows(1, 9, 2, 1, 2, 9), 2)[:, 1].tolist()
    assert given[0] == given[3]
    assert given[1] == given[5]
    assert given[2] == given[4]
    assert len(set(given)) == 3
    two_free._check()


def test_one_row_too_many_gives_none_an_address(two_free):
    before = two_free.snapshot()
    with pytest.raises(errors.PoolExhaustedError):
        two_free.assign_many(rows(1, 2, 9, 1, 3), 2)
    assert two_free.snapshot() == before
    given = two_free.assign_many(rows(1, 2, 3), 2, partial=True)[:, 1].tolist()
    assert given[2] == NOBODY
    assert NOBODY not in given[:2]


@pytest.mark.parametrize("batch", [(9, 9), (9, 1), (1, 9), (9, 9, 1)])
def test_a_row_that_holds_nothing_or_comes_twice_releases_nothing(two_free, batch):
    before = two_free.snapshot()
    with pytest.raises(errors.UnknownSandboxError):
        two_free.release_many(rows(*batch), 2)
    assert two_free.snapshot() == before
    two_free._check()
    freed = two_free.release_many(rows(*batch), 2, partial=True)[:, 1].tolist()
    assert sum(address != NOBODY for address in freed) == 1
    two_free._check()


def test_asking_which_eni_can_go_draws_nothing():
    """A simulator that skips idle looks asks less often, and must draw the same."""
    store = DataStore("secondary-ip", placement="arbitrary", seed=5)
    for number in range(6):
        store.add_eni(f"eni-{number}", device_number=number, primary=number == 0, created_ns=0)
        store.add_address(f"eni-{number}", f"10.0.0.{number + 1}")
    minutes = 60_000_000_000
    before = store.snapshot()
    targets = {"warm_ip": 0, "minimum_ip": 0, "warm_prefix": 0, "now_ns": 2 * minutes}
    first = store.find_freeable_eni(**targets)
    assert len(first.candidates) == 5
    assert store.find_freeable_eni(**targets).eni_id == first.eni_id
    assert store.snapshot() == before


def test_each_eni_that_goes_is_drawn_anew():
    gone = set()
    for seed in range(40):
        store = DataStore("secondary-ip", placement="arbitrary", seed=seed)
        for number in range(8):
            store.add_eni(f"eni-{number}", device_number=number, primary=number == 0, created_ns=0)
            store.add_address(f"eni-{number}", f"10.0.0.{number + 1}")
        pair = []
        for _ in range(2):
            answer = store.find_freeable_eni(
                warm_ip=0, minimum_ip=0, warm_prefix=0, now_ns=120_000_000_000
            )
            pair.append(int(answer.eni_id[-1]))
            store.remove_eni(answer.eni_id)
        gone.add(pair[1] - pair[0])
    assert len(gone) > 4  # not always the next one round


def test_refusals_may_be_answers_and_change_as_little_as_the_errors():
    """`try_assign` and `try_release` do what `assign` and `release` do, None for their errors."""
    store, same = store_of([16, 15]), store_of([16, 15])
    one, more = Sandbox("one"), Sandbox("more")
    given = store.try_assign(one, "default/one", 2)
    assert (given.sandbox, given.pod, given.address) == (one, "default/one", "10.0.1.15")
    assert store.try_assign(one, None, 3) is given
    same.assign(one, "default/one", 2)
    before = same.snapshot()
    assert store.snapshot() == before
    assert store.try_assign(more, None, 4) is None
    assert store.try_release(more, 4) is None
    assert store.snapshot() == before
    assert store.try_release(one, 5) is given
    same.release(one, 5)
    assert store.snapshot() == same.snapshot()
    assert store.try_assign(more, None, 6) is None, "it cools"
    with pytest.raises(TypeError):
        store.try_assign(more, 7, 6)
    store._check()
