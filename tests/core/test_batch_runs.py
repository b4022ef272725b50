"""A batch does what as many single calls would do, whatever is in between."""

import array
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import DataStore, Sandbox
from ipam_core.batches import texts_of
from ipam_core.errors import PoolExhaustedError
from support.soak import examples

SECOND = 1_000_000_000
NOBODY = 2**64 - 1
MODES = ["secondary-ip", "prefix", "mixed", "ipv6"]
N_PODS = 61
STEPS = ["assign", "assign", "assign", "release", "release", "release", "name", "beside", "exclude"]


def digest(pod):
    return Sandbox(f"pod-{pod}").digest


def store_of(mode, placement, cooldown_s):
    store = DataStore(mode, placement=placement, cooldown_s=cooldown_s, seed=7, given_time=True)
    for number in range(3):
        eni = f"eni-{number}"
        store.add_eni(eni, device_number=number, created_ns=1)
        for slot in range(2):
            if mode == "ipv6":
                store.add_prefix(eni, f"2001:db8:0:0:{number}{slot}::/80")
            elif mode != "secondary-ip":
                store.add_prefix(eni, f"10.0.{number}.{16 * slot}/28")
        for slot in range(0 if mode in ("prefix", "ipv6") else 12):
            store.add_address(eni, f"10.1.{number}.{slot}")
    return store


def addresses_of(store):
    return [address for eni in store.enis() for address in listed(store, eni.eni_id)]


def listed(store, eni):
    yield from store.addresses(eni)
    for prefix in store.prefixes(eni):
        first, _, size = prefix.partition("/")
        if size == "28":
            head, _, last = first.rpartition(".")
            yield from (f"{head}.{int(last) + offset}" for offset in range(16))
        else:
            yield from (f"{first}{offset:x}" for offset in range(1, 17))


def batch_of(rng):
    """Return some pods in any order, or next to each other; or also a pod twice."""
    first, size = rng.randrange(N_PODS), rng.randrange(1, N_PODS)
    return rng.choice([
        rng.sample(range(N_PODS), size),
        list(range(first, min(first + size, N_PODS))),
        rng.choices(range(N_PODS), k=size),
    ])  # fmt: skip


@settings(max_examples=examples(30, 1000))
@given(
    mode=st.sampled_from(MODES),
    placement=st.sampled_from(["pack", "pack", "first", "spread", "arbitrary"]),
    cooldown_s=st.sampled_from([0, 30, 30]),
    seed=st.integers(0, 2**32),
)
def test_a_batch_is_as_many_single_calls(mode, placement, cooldown_s, seed):
    many, single = (store_of(mode, placement, cooldown_s) for _ in range(2))
    rng, every, now_ns = random.Random(seed), addresses_of(many), 1000 * SECOND
    for _ in range(16):
        now_ns += rng.choice([0, 0, 1, -1, 31]) * SECOND
        what, batch = rng.choice(STEPS), batch_of(rng)
        joined = b"".join(map(digest, batch))
        if what == "assign":
            got = many.assign_many(joined, now_ns, partial=True)
            singly = [
                single.try_assign(Sandbox.from_digest(digest(p)), None, now_ns) for p in batch
            ]
            assert texts_of(got) == [one and one.address for one in singly]
        elif what == "release":
            got = many.release_many(array.array("Q", joined), now_ns, partial=True)
            singly = [single.try_release(Sandbox.from_digest(digest(p)), now_ns) for p in batch]
            assert texts_of(got) == [one and one.address for one in singly]
        elif what == "name":
            for store in (many, single):
                store.try_assign(Sandbox(f"pod-{batch[0]}"), "ns/pod", now_ns)
        elif what == "beside":
            address, twice = rng.choice(every), Sandbox.from_digest(digest(batch[0]))
            for store in (many, single):
                if store.find_address(address) is None:
                    store.adopt(twice, address, None, now_ns, beside=True)
        else:
            eni = f"eni-{batch[0] % 3}"
            for store in (many, single):
                (store.include_eni if store.eni(eni).excluded else store.exclude_eni)(eni)
        many._check()
        assert many.stats(now_ns) == single.stats(now_ns)
        assert many.snapshot() == single.snapshot()


@pytest.mark.parametrize("n", [1, 15, 16, 17, 63, 64, 65, 200])
@pytest.mark.parametrize("order", ["as assigned", "backwards", "every third"])
def test_a_strict_batch_is_as_many_single_calls(n, order):
    """With and without the GIL (more than 64 rows), in runs and without any."""
    many, single = (DataStore("prefix", cooldown_s=30, given_time=True) for _ in range(2))
    for store in (many, single):
        store.add_eni("eni-0", device_number=0, created_ns=1)
        for slot in range(13):
            store.add_prefix("eni-0", f"10.0.0.{16 * slot}/28")
    every = [Sandbox.from_digest(digest(pod)) for pod in range(n)]
    now_ns = 1000 * SECOND
    for _ in range(3):
        given = many.assign_many(b"".join(pod.digest for pod in every), now_ns)
        assert texts_of(given) == [single.assign(pod, None, now_ns).address for pod in every]
        released = {"as assigned": every, "backwards": every[::-1]}.get(order) or [
            every[3 * k % n] if n % 3 else every[k] for k in range(n)
        ]
        freed = many.release_many(b"".join(pod.digest for pod in released), now_ns)
        assert texts_of(freed) == [single.release(pod, now_ns).address for pod in released]
        many._check()
        assert many.snapshot() == single.snapshot()
        now_ns += 31 * SECOND


def test_a_batch_that_runs_out_in_the_middle_gives_what_there_is():
    store = store_of("prefix", "pack", 30)
    batch = b"".join(map(digest, range(100)))
    with pytest.raises(PoolExhaustedError):
        store.assign_many(batch, 1)
    given = texts_of(store.assign_many(batch, 1, partial=True))
    assert given[96:] == [None] * 4
    assert len(set(given[:96])) == 96
    store._check()


def test_what_a_digest_holds_is_released_in_the_order_in_which_it_came():
    """Whatever moved up behind a hole in the table: the later one must not pass the first."""
    rng, twice = random.Random(5), Sandbox.from_digest(digest(0))
    first, second = b"".join(map(digest, range(1, 30))), b"".join(map(digest, range(30, 62)))
    for _ in range(600):
        store = DataStore("prefix", placement="first", cooldown_s=0, given_time=True)
        store.add_eni("eni-0", device_number=0, created_ns=1)
        for slot in range(5):
            store.add_prefix("eni-0", f"10.0.0.{16 * slot}/28")
        store.assign_many(first, 1)
        store.adopt(twice, "10.0.0.79", None, 1)
        store.assign_many(second, 1)
        store.adopt(twice, "10.0.0.78", None, 1, beside=True)
        others = list(range(1, 62))
        rng.shuffle(others)
        store.release_many(b"".join(map(digest, others)), 2)
        assert store.release(twice, 3).address == "10.0.0.79"
        assert store.release(twice, 3).address == "10.0.0.78"
