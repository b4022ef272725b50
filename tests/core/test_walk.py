"""Placement `arbitrary` takes what the agent's walks over Go's maps would (pool-rules section 9).

Averages are compared within four standard errors of the runs made: a right one fails once in
16,000. Where the agent was measured, its published average has an error too: see `published`.
"""

from __future__ import annotations

import contextlib
import random
import statistics
from collections import Counter
from math import comb, sqrt

import pytest

from ipam_core import DataStore, Sandbox
from ipam_core._snapshot import seal, unseal
from ipam_core.errors import PoolExhaustedError, SnapshotError
from support.soak import examples

N_RUNS = examples(2000, 20_000)
N_MEASURED = 1000
"""How often the agent was run, at least, for each of its averages."""


def store_with(n_prefixes, *, n_enis=1, mode="prefix", seed=0):
    store = DataStore(mode, placement="arbitrary", seed=seed)
    for eni in range(n_enis):
        store.add_eni(f"eni-{eni}", device_number=n_enis - eni)
        for number in range(n_prefixes):
            store.add_prefix(f"eni-{eni}", f"10.{eni}.{number}.0/28")
    return store


def fill(store, n_pods, name="p"):
    return [store.assign(Sandbox(f"{name}{n}"), None, 0) for n in range(n_pods)]


def n_idle(n_prefixes, n_pods, seed):
    store = store_with(n_prefixes, seed=seed)
    fill(store, n_pods)
    return store.stats(0).free_prefixes


def expected_idle(n, n_pods):
    """Return how many of n prefixes no pod takes, on average, from the shape of Go's maps."""
    if n <= 8:
        shapes = [(1.0, [(9 - n) / 8] + [1 / 8] * (n - 1))]
    else:  # two groups of eight; a ninth entry of one goes to the other
        shapes = []
        for k in range(n + 1):
            a, b = sorted((max(min(k, 8), n - 8), n - max(min(k, 8), n - 8)))
            firsts = [(9 - b) / 16] * (a > 0) + [(9 - a) / 16] * (b > 0)
            shapes.append((comb(n, k) / 2**n, firsts + [1 / 16] * (n - len(firsts))))
    return sum(share * sum((1 - p) ** n_pods for p in chances) for share, chances in shapes)


@pytest.mark.parametrize(
    ("n_prefixes", "n_pods", "published", "even_shuffle"),
    [(9, 20, 1.99, 0.80), (9, 9, 4.03, 3.09), (5, 10, 1.02, 0.52), (3, 4, 1.17, 0.62)],
)
def test_as_many_prefixes_stay_free_as_in_the_agent(n_prefixes, n_pods, published, even_shuffle):
    found = [n_idle(n_prefixes, n_pods, seed) for seed in range(N_RUNS)]
    deviation = statistics.stdev(found)
    ours = deviation / sqrt(N_RUNS)
    theirs = deviation / sqrt(N_MEASURED)
    mean = statistics.mean(found)
    assert abs(mean - published) < 4 * sqrt(ours**2 + theirs**2)
    assert mean - even_shuffle > 4 * sqrt(ours**2 + theirs**2)
    if n_pods < 16:  # no prefix can be full: then the average has a closed form
        assert abs(mean - expected_idle(n_prefixes, n_pods)) < 4 * ours


@pytest.mark.parametrize("n", range(1, 9))
def test_of_n_that_came_in_order_the_first_is_met_first_with_chance_9_minus_n_of_8(n):
    firsts = Counter(
        store_with(1, n_enis=n, seed=seed).assign(Sandbox("p"), None, 0).eni_id
        for seed in range(N_RUNS)
    )
    for eni in range(n):
        chance = (9 - n) / 8 if eni == 0 else 1 / 8
        error = sqrt(chance * (1 - chance) / N_RUNS)
        assert abs(firsts[f"eni-{eni}"] / N_RUNS - chance) <= 4 * error


def test_what_comes_takes_the_seat_of_what_went():
    """Of three, the second goes and a fourth comes: between the first and the third."""
    firsts = Counter()
    for seed in range(N_RUNS):
        store = store_with(3, seed=seed)
        store.remove_prefix("eni-0", "10.0.1.0/28")
        store.add_prefix("eni-0", "10.0.3.0/28")
        firsts[store.assign(Sandbox("p"), None, 0).prefix] += 1
    error = sqrt(6 / 8 * 2 / 8 / N_RUNS)
    assert abs(firsts["10.0.0.0/28"] / N_RUNS - 6 / 8) < 4 * error
    assert set(firsts) == {"10.0.0.0/28", "10.0.2.0/28", "10.0.3.0/28"}


def test_a_walk_goes_on_from_what_has_nothing():
    """The first two of three are full: a walk from any seat ends at the last."""
    for seed in range(50):
        store = store_with(3, seed=seed)
        names = iter(range(1000))
        while store.free_counts(0)[:2].any():
            store.assign(Sandbox(f"p{next(names)}"), None, 0)
        assert store.assign(Sandbox("next"), None, 0).prefix == "10.0.2.0/28"


def test_every_order_of_turns_is_a_walk():
    """One walk of 3 ENIs is a rotation; a walk of a copy may be any rotation of it."""
    walks, copies = Counter(), Counter()
    for seed in range(N_RUNS):
        store = store_with(0, n_enis=3, seed=seed)
        walks[tuple(store.turns())] += 1
        copies[tuple(store.turns(copied=True))] += 1
    rotations = {("eni-0", "eni-1", "eni-2"), ("eni-1", "eni-2", "eni-0"),
                 ("eni-2", "eni-0", "eni-1")}  # fmt: skip
    assert set(walks) == set(copies) == rotations
    for counts, chance in ((walks, 6 / 8), (copies, 6 / 8 * 6 / 8 + 2 * (1 / 8) ** 2)):
        error = sqrt(chance * (1 - chance) / N_RUNS)
        assert abs(counts[("eni-0", "eni-1", "eni-2")] / N_RUNS - chance) < 4 * error


def test_what_can_be_given_back_is_listed_as_walked():
    firsts = Counter()
    for seed in range(N_RUNS):
        store = DataStore("prefix", placement="arbitrary", seed=seed)
        store.add_eni("eni-0", device_number=0)
        store.add_address("eni-0", "10.0.0.1")
        store.add_prefix("eni-0", "10.0.1.0/28")
        store.add_address("eni-0", "10.0.0.2")
        found = store.freeable_cidrs("eni-0")
        assert sorted(found) == ["10.0.0.1", "10.0.0.2", "10.0.1.0/28"]
        firsts[found[0]] += 1
    assert abs(firsts["10.0.0.1"] / N_RUNS - 6 / 8) < 4 * sqrt(6 / 8 * 2 / 8 / N_RUNS)


def test_without_a_map_turns_are_by_device_and_prefixes_go_first():
    store = DataStore("mixed", placement="pack")
    for eni in (2, 1):
        store.add_eni(f"eni-{eni}", device_number=eni)
    store.add_address("eni-1", "10.0.0.1")
    store.add_prefix("eni-1", "10.0.1.0/28")
    assert store.turns() == store.turns(copied=True) == ["eni-1", "eni-2"]
    assert store.freeable_cidrs("eni-1") == ["10.0.1.0/28", "10.0.0.1"]


@pytest.mark.parametrize("mode", ["secondary-ip", "prefix"])
def test_a_map_that_grows_loses_nothing(mode):
    """Entries move when a map grows past 8, 14, 28, 56; their pods and counts stay."""
    rng = random.Random(7)
    store = DataStore(mode, placement="arbitrary", seed=3)
    store.add_eni("eni-0", device_number=0)
    held, cidrs = {}, []
    for number in range(63):
        cidr = f"10.0.{number}.0/28" if mode == "prefix" or number % 9 == 8 else f"10.1.0.{number}"
        (store.add_prefix if "/" in cidr else store.add_address)("eni-0", cidr)
        cidrs.append(cidr)
        for pod in range(rng.randrange(1, 3)):
            sandbox = Sandbox(f"{number}-{pod}")
            with contextlib.suppress(PoolExhaustedError):
                held[sandbox] = store.assign(sandbox, None, number).address
        if held and rng.random() < 0.3:
            gone = rng.choice(list(held))
            assert store.release(gone, number).address == held.pop(gone)
        store._check()
        assert {a.sandbox: a.address for a in store.assignments()} == held
    assert sorted(store.addresses("eni-0") + store.prefixes("eni-0")) == sorted(cidrs)


def test_as_many_ipv6_prefixes_as_there_may_be_come_and_go():
    store = DataStore("ipv6", placement="arbitrary", given_time=True)
    store.add_eni("eni-0", device_number=0)
    prefixes = [f"2001:db8:0:0:{number:x}::/80" for number in range(1, 64)]
    for prefix in prefixes:
        store.add_prefix("eni-0", prefix)
    assert store.prefixes("eni-0") == prefixes
    store.remove_prefix("eni-0", prefixes[40])
    store.add_prefix("eni-0", prefixes[40])
    store._check()
    assert store.prefixes("eni-0") == prefixes


def test_as_many_enis_as_there_may_be_are_each_reached():
    for n in (8, 9, 14, 15, 29, 57, 64):
        store = store_with(1, n_enis=n, seed=n)
        store._check()
        assert sorted(store.turns()) == sorted(f"eni-{eni}" for eni in range(n))
        assert sorted(store.turns(copied=True)) == sorted(store.turns())
        assert len(fill(store, 16 * n)) == 16 * n
        for eni in range(0, n, 2):
            store.remove_eni(f"eni-{eni}", force=True)
            store._check()


def test_a_restored_store_goes_on_with_the_same_chance():
    store = store_with(11, n_enis=10, seed=5)
    fill(store, 100)
    for number in range(5):
        store.remove_prefix("eni-3", f"10.3.{number}.0/28", force=True)
    other = DataStore.restore(store.snapshot())
    assert other.turns() == store.turns()
    assert [a.address for a in fill(other, 50, "q")] == [a.address for a in fill(store, 50, "q")]
    assert other.freeable_cidrs("eni-3") == store.freeable_cidrs("eni-3")


@pytest.mark.parametrize(
    "maps",
    [
        [12, [[0, 8], [1, 8]]],  # no map has 12 seats
        [8, [[0, 8]]],  # one seat of two ENIs
        [8, [[0, 8], [0, 8]]],  # two ENIs on a seat
        [8, [[0, 8], [8, 8]]],  # beyond the last seat
        [8, [[0, 8], [1, 9]]],
        [8, [[0, 8], 1]],
        3,
    ],
)
def test_a_snapshot_with_impossible_seats_is_refused(maps):
    snapshot = seal({**unseal(store_with(1, n_enis=2).snapshot()), "maps": maps})
    with pytest.raises(SnapshotError):
        DataStore.restore(snapshot)


def test_a_snapshot_of_an_older_version_says_no_seats():
    store = store_with(20, n_enis=9, seed=2)
    state = unseal(store.snapshot())
    del state["maps"]
    other = DataStore.restore(seal(state))
    other._check()
    assert sorted(other.turns()) == sorted(store.turns())
    fill(other, 9 * 20 * 16)
