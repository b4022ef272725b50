"""Digests as somebody else chooses them, and what a batch does not know of them."""

import time

import numpy as np
import pytest

from ipam_core import DataStore, Sandbox

N = 8000


def store_of_prefixes():
    store = DataStore("prefix", cooldown_s=0)
    for eni in range(10):
        store.add_eni(f"eni-{eni}", device_number=eni, created_ns=1)
        for number in range(60):
            store.add_prefix(f"eni-{eni}", f"10.{eni}.{number // 16}.{number % 16 * 16}/28")
    return store


def cost_of(rows):
    """Return the seconds to assign to these digests and to release them, the least of 3."""
    best = float("inf")
    for _ in range(3):
        store = store_of_prefixes()
        start = time.process_time()
        store.assign_many(rows, 1)
        store.release_many(rows, 2)
        best = min(best, time.process_time() - start)
    return best


ONES, ZEROS, COUNT = np.ones(N, np.uint64), np.zeros(N, np.uint64), np.arange(N, dtype=np.uint64)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ZEROS, COUNT),
        (COUNT, ZEROS),
        (COUNT << np.uint64(32), COUNT),
        (COUNT << np.uint64(51), ZEROS),
        (COUNT * np.uint64(2**32 + 1), COUNT),
        (ONES, COUNT << np.uint64(40)),
        (COUNT, COUNT),
        (COUNT, ~COUNT),
    ],
    ids=["low word 0", "count", "high half", "top bits", "both halves", "high 2nd", "same", "not"],
)  # fmt: skip
def test_digests_that_somebody_chose_cost_what_others_do(first, second):
    """Equal in the low half of their first word, they once cost 130 us each, not 0.2."""
    chosen = np.stack([first, second], axis=1)
    random = np.random.default_rng(1).integers(0, 2**63, (N, 2)).astype(np.uint64)
    assert cost_of(chosen) < 20 * cost_of(random)


def test_a_store_hashes_by_a_key_of_its_own_and_shows_nothing_of_it():
    one, other = store_of_prefixes(), store_of_prefixes()
    rows = np.stack([COUNT, COUNT], axis=1)[:500]
    assert one.assign_many(rows, 1).tolist() == other.assign_many(rows, 1).tolist()
    assert one.snapshot() == other.snapshot()
    assert [a.address for a in one.assignments()] == [a.address for a in other.assignments()]


def test_sandboxes_of_chosen_digests_differ_in_their_hash():
    """As keys of a dict, those that share a word once had one hash."""
    rows = [np.array(row, np.uint64) for n in range(500) for row in ((0, n + 1), (n + 1, 0))]
    assert len({hash(Sandbox.from_digest(row.tobytes())) for row in rows}) == 1000


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 2, 1), (0,), (3, 3)])
def test_rows_of_another_shape_are_refused(shape):
    """One digest by itself, (2,), was once taken as a row."""
    store = store_of_prefixes()
    before = store.snapshot()
    for call in (store.assign_many, store.release_many):
        with pytest.raises(ValueError, match=r"digests have shape \(n, 2\), not "):
            call(np.zeros(shape, dtype=np.uint64))
    assert store.snapshot() == before


# --- names ----------------------------------------------------------------------------------


def row_of(sandbox):
    return np.frombuffer(sandbox.digest, dtype=np.uint64).reshape(1, 2)


@pytest.mark.parametrize("how", ["assign", "adopt"])
@pytest.mark.parametrize("before", ["batch", "digest"])
def test_what_only_a_digest_was_known_of_takes_the_names_of_a_later_call(how, before):
    store, named = store_of_prefixes(), Sandbox("0f3c", "eth1", "net")
    if before == "batch":
        store.assign_many(row_of(named), 1)
    else:
        store.assign(Sandbox.from_digest(named.digest), None, 1)
    address = store.find(named).address
    if how == "assign":
        given = store.assign(named, "default/web", 2)
    else:
        given = store.adopt(named, address, "default/web", 2)
    assert (given.address, given.pod, given.assigned_ns) == (address, "default/web", 1)
    for held in (given, store.find(named), *store.assignments(), store.release(named, 3)):
        assert (held.sandbox.container_id, held.sandbox.ifname) == ("0f3c", "eth1")
        assert held.pod == "default/web"
    store._check()


def test_what_is_named_keeps_its_names():
    store = store_of_prefixes()
    first = store.assign(Sandbox("a"), None, 1)
    assert store.assign(Sandbox("a"), "default/late", 2) is first
    assert store.assign(Sandbox.from_digest(Sandbox("a").digest), "default/x", 2) is first
    nameless = store.assign(Sandbox.from_digest(Sandbox("b").digest), "default/b", 1)
    assert store.assign(Sandbox("b"), None, 2).pod == "default/b"
    assert nameless.sandbox.container_id == ""


def test_what_a_batch_assigned_comes_back_under_the_name_it_is_asked_by():
    store = store_of_prefixes()
    store.assign_many(row_of(Sandbox("a")), 1)
    assert store.find(Sandbox("a")).sandbox.container_id == "a"
    assert next(store.assignments()).sandbox.container_id == ""
    assert store.release(Sandbox("a"), 2).sandbox.container_id == "a"
