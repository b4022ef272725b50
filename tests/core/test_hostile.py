"""Arguments that nobody should give: refused with the right error, nothing changed."""

from __future__ import annotations

import contextlib
import gc
import random

import numpy as np
import pytest

from ipam_core import errors
from ipam_core._store import DataStore, Sandbox


@pytest.fixture
def store():
    store = DataStore("prefix")
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "10.0.0.16/28")
    store.assign(Sandbox("held"), "default/held", 1)
    return store


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: s.add_address("eni-1", "10.0.0.256"), ValueError),
        (lambda s: s.add_address("eni-1", "10.0.0.01"), ValueError),
        (lambda s: s.add_address("eni-1", "10.0.0.1 "), ValueError),
        (lambda s: s.add_address("eni-1", ""), ValueError),
        (lambda s: s.add_address("eni-1", "10.0.0.16"), errors.DuplicateError),
        (lambda s: s.add_address("eni-1", "2001:db8::1"), ValueError),
        (lambda s: s.add_prefix("eni-1", "10.0.0.17/28"), ValueError),
        (lambda s: s.add_prefix("eni-1", "10.0.0.32/27"), ValueError),
        (lambda s: s.add_prefix("eni-1", "10.0.0.32"), ValueError),
        (lambda s: s.add_prefix("eni-1", "2001:db8::/64"), ValueError),
        (lambda s: s.add_prefix("eni-2", "10.0.0.32/28"), errors.UnknownEniError),
        (lambda s: s.add_eni("eni-2", device_number=-1), ValueError),
        (lambda s: s.add_eni("eni-2", device_number=2**40), ValueError),
        (lambda s: s.add_eni(None, device_number=1), TypeError),
        (lambda s: s.add_eni(b"eni-2", device_number=1), TypeError),
        (lambda s: s.assign("sandbox"), TypeError),
        (lambda s: s.assign(None), TypeError),
        (lambda s: s.assign(Sandbox("a"), 7), TypeError),
        (lambda s: s.assign(Sandbox("a"), None, 2**63), ValueError),
        (lambda s: s.assign(Sandbox("a"), None, "now"), TypeError),
        (lambda s: s.release(Sandbox("a")), errors.UnknownSandboxError),
        (lambda s: s.remove_eni("eni-1"), errors.AddressInUseError),
        (lambda s: s.remove_prefix("eni-1", "10.0.0.16/28"), errors.AddressInUseError),
        (lambda s: s.adopt(Sandbox("a"), "10.0.0.16"), errors.AddressInUseError),
        (lambda s: s.adopt(Sandbox("a"), "10.9.9.9"), errors.UnknownAddressError),
        (lambda s: setattr(s, "mode", "dual"), ValueError),
        (lambda s: s.assign_many(np.zeros(4, dtype=np.uint64)), ValueError),
        (lambda s: s.assign_many(np.zeros((4, 2), dtype=np.int64)), TypeError),
        (lambda s: s.assign_many(np.arange(40, dtype=np.uint64).reshape(20, 2)),
         errors.PoolExhaustedError),
        (lambda s: s.release_many(np.zeros((1, 2), dtype=np.uint64)), errors.UnknownSandboxError),
    ],
)  # fmt: skip
def test_refused_and_unchanged(store, call, error):
    before = store.snapshot()
    with pytest.raises(error):
        call(store)
    assert store.snapshot() == before
    store._check()


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "ipv5"},
        {"placement": "best"},
        {"cooldown_s": -1},
        {"cooldown_s": float("nan")},
        {"cooldown_s": 1e30},
    ],
)
def test_bad_constructors(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments)))):
        DataStore(**arguments)


def test_errors_carry_their_facts(store):
    for number in range(15):
        store.assign(Sandbox(f"c{number}"), None, 1)
    store.release(Sandbox("c3"), 2)
    with pytest.raises(errors.PoolExhaustedError) as caught:
        store.assign(Sandbox("more"), None, 3)
    assert (caught.value.total, caught.value.assigned, caught.value.cooling) == (16, 15, 1)


def test_at_most_63_slots_and_64_enis():
    store = DataStore()
    for number in range(64):
        store.add_eni(f"eni-{number}", device_number=number)
    with pytest.raises(errors.CapacityError):
        store.add_eni("one-more", device_number=0)
    for number in range(63):
        store.add_address("eni-7", f"10.0.0.{number}")
    with pytest.raises(errors.CapacityError):
        store.add_address("eni-7", "10.0.0.63")
    store._check()


def test_a_cooldown_is_over_only_when_more_than_it_has_passed():
    store = DataStore(cooldown_s=30)
    store.add_eni("eni-1", device_number=0)
    store.add_address("eni-1", "10.0.0.7")
    store.assign(Sandbox("a"), None, 0)
    store.release(Sandbox("a"), 5)
    with pytest.raises(errors.PoolExhaustedError):
        store.assign(Sandbox("b"), None, 5 + 30 * 10**9)
    assert store.assign(Sandbox("b"), None, 5 + 30 * 10**9 + 1).address == "10.0.0.7"


def test_every_damaged_snapshot_is_refused(store):
    whole = store.snapshot()
    rng = random.Random(5)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        with pytest.raises(errors.SnapshotError):
            DataStore.restore(bytes(damaged))
    for length in range(len(whole)):
        with pytest.raises(errors.SnapshotError):
            DataStore.restore(whole[:length])


def test_arbitrary_reaches_every_address_and_is_seeded():
    def life(seed):
        store = DataStore("mixed", placement="arbitrary", seed=seed)
        for eni in range(3):
            store.add_eni(f"eni-{eni}", device_number=eni)
            store.add_prefix(f"eni-{eni}", f"10.0.{eni}.0/28")
            store.add_address(f"eni-{eni}", f"10.0.{eni}.99")
        return [store.assign(Sandbox(f"c{n}"), None, 1).address for n in range(51)]

    assert life(3) == life(3)
    assert len({tuple(life(seed)) for seed in range(20)}) == 20
    assert len(set(life(1))) == 51
    firsts = {life(seed)[0].rpartition(".")[0] for seed in range(40)}
    assert firsts == {"10.0.0", "10.0.1", "10.0.2"}


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.enis(),
        lambda s: s.prefixes("eni-1"),
        lambda s: s.used_addresses("eni-1"),
        lambda s: list(s.assignments()),
        lambda s: s.snapshot(),
        lambda s: s.eni_stats("eni-1"),
        lambda s: s.find_freeable_eni(warm_ip=1, minimum_ip=1, warm_prefix=1),
        lambda s: s.remove_prefix("eni-1", "2001:db8::/80", force=True),
        lambda s: s.remove_eni("eni-1", force=True),
        lambda s: s.find_address("2001:db8::"),
        lambda s: s.adopt(Sandbox("more"), "2001:db8::1:7"),
        lambda s: s.cool("2001:db8::3", 1),
        lambda s: s.assign(Sandbox("more")),
        lambda s: s.release(Sandbox("c3")),
        lambda s: s.free_counts(),
    ],
)
def test_a_finalizer_may_use_the_store_in_the_middle_of_a_call(call, quick_collections):
    """A collection inside a call once freed the ENI that the call was reading."""
    store = DataStore("ipv6")

    def attach():
        store.add_eni("eni-1", device_number=0)
        store.add_prefix("eni-1", "2001:db8::/80")
        store.add_prefix("eni-1", "10.0.0.0/28")
        for number in range(20):
            store.assign(Sandbox(f"c{number}"))

    class Trap:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            if "eni-1" in store:
                store.remove_eni("eni-1", force=True)

    thresholds = gc.get_threshold()
    for first in range(1, 12):  # the collection comes at another moment each time
        if "eni-1" not in store:
            attach()
        Trap()
        gc.set_threshold(first)
        try:
            with contextlib.suppress(errors.IpamError):
                call(store)
        finally:
            gc.set_threshold(*thresholds)
        gc.collect()
        store._check()
