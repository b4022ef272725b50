"""A batch does what as many single calls would do, whatever is in between."""

import array

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
pods = st.integers(0, 60)
batches = st.one_of(
    st.lists(pods, max_size=90),
    st.tuples(pods, st.integers(1, 60)).map(lambda pair: [*range(pair[0], pair[0] + pair[1])]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), batches, st.sampled_from([0, 0, 1, 31])),
        st.tuples(st.just("release"), batches, st.sampled_from([0, 0, 1, -1, 31])),
        st.tuples(st.just("name"), pods, st.just(0)),
        st.tuples(st.just("beside"), st.tuples(pods, st.integers(0, 90)), st.just(0)),
        st.tuples(st.just("exclude"), st.integers(0, 2), st.just(0)),
    ),
    min_size=4,
    max_size=14,
)


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


@settings(max_examples=examples(30, 1500))
@given(
    mode=st.sampled_from(MODES),
    placement=st.sampled_from(["pack", "pack", "first", "spread", "arbitrary"]),
    cooldown_s=st.sampled_from([0, 30, 30]),
    played=steps,
)
def test_a_batch_is_as_many_single_calls(mode, placement, cooldown_s, played):
    many, single = (store_of(mode, placement, cooldown_s) for _ in range(2))
    now_ns = 1000 * SECOND
    for what, argument, seconds in played:
        now_ns += seconds * SECOND
        if what == "assign":
            batch = b"".join(map(digest, argument))
            got = many.assign_many(batch, now_ns, partial=True)
            wanted = [
                single.try_assign(Sandbox.from_digest(digest(p)), None, now_ns) for p in argument
            ]
            assert texts_of(got) == [one and one.address for one in wanted]
        elif what == "release":
            batch = array.array("Q", b"".join(map(digest, argument)))
            got = many.release_many(batch, now_ns, partial=True)
            wanted = [single.try_release(Sandbox.from_digest(digest(p)), now_ns) for p in argument]
            assert texts_of(got) == [one and one.address for one in wanted]
        elif what == "name":
            for store in (many, single):
                store.try_assign(Sandbox(f"pod-{argument}"), "ns/pod", now_ns)
        elif what == "beside":
            pod, number = argument
            every = addresses_of(many)
            for store in (many, single):
                if store.find_address(every[number % len(every)]) is None:
                    store.adopt(
                        Sandbox.from_digest(digest(pod)), every[number % len(every)], None,
                        now_ns, beside=True,
                    )  # fmt: skip
        else:
            for store in (many, single):
                excluded = store.eni(f"eni-{argument}").excluded
                (store.include_eni if excluded else store.exclude_eni)(f"eni-{argument}")
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
    """Where the table doubled, or its end was in between, the later one once came first."""
    for _ in range(150):
        store = store_of("mixed", "pack", 0)
        every = addresses_of(store)
        twice = Sandbox.from_digest(digest(0))
        store.adopt(twice, every[3], None, 1)
        store.adopt(twice, every[70], None, 1, beside=True)
        others = b"".join(map(digest, range(1, 60)))
        store.assign_many(others, 1)
        store.release_many(others[: 16 * 40], 2)
        store.assign_many(others, 3)
        store._check()
        assert store.release(twice, 4).address == every[3]
        assert store.release(twice, 4).address == every[70]
