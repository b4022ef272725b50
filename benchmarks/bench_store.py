"""Assign and release, side by side with a floor and peers; `make bench` prints ratios.

Every group is one table row; the subject "floor" is what the others are measured by.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from goals import LARGEST, MODES
from ipam_core._store import DataStore
from ipam_core.errors import PoolExhaustedError
from side_by_side import side_by_side
from subjects import (
    Attributes,
    Bitarray,
    Floor,
    IpaddressSet,
    Roaring,
    ScanAndRewrite,
    SecondaryIps,
    Store,
    build,
    cidrs,
    new_store,
    sandboxes,
)

N_STEPS = 1000
SECOND = 1_000_000_000
PODS = [29, 110, 232, 737, 1000, 3712, 11000]


SHORT = bool(os.environ.get("BENCH_SHORT"))


def later():
    """Return a clock of millisecond ticks, long after whatever made the subject."""
    return iter(range(SECOND * 10**6, 10**18, 10**6))


def measure_pairs(benchmark, group, name, subject, n_steps=N_STEPS):
    """Measure rounds of pairs; time goes on from round to round, as it does."""
    benchmark.group = group
    benchmark.extra_info.update(subject=name, per_call=n_steps)
    pods, clock = sandboxes(n_steps, "step"), later()
    benchmark.pedantic(
        subject.run,
        setup=lambda: (([(pod, next(clock)) for pod in pods],), {}),
        rounds=20 if SHORT else 200,
        warmup_rounds=2,
    )


def measure(benchmark, group, name, per_call, function, *arguments):
    benchmark.group = group
    benchmark.extra_info.update(subject=name, per_call=per_call)
    benchmark(function, *arguments)


SUBJECTS = {
    "floor": Floor,
    "ipam_core": Store,
    "store.assign()": Attributes,
    "ipaddress": IpaddressSet,
    "bitarray": Bitarray,
    "pyroaring": Roaring,
}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("pods", PODS)
def test_pair(benchmark, pods, name):
    """One assign and release with so many pods held, out of 10 % more addresses."""
    subject = SUBJECTS[name](pods * 11 // 10 + 16, sandboxes(pods))
    measure_pairs(benchmark, f"pair, {pods} pods", name, subject)


@pytest.mark.parametrize("pods", [pods for pods in PODS if pods <= 3712])
def test_pair_secondary_ips(benchmark, pods):
    """The same out of 5 % more secondary IPs: 64 ENIs hold no more."""
    subject = SecondaryIps(pods * 21 // 20 + 16, sandboxes(pods))
    measure_pairs(benchmark, f"pair, {pods} pods", "secondary IPs", subject)


def against_floor(pods, mode):
    """Return a store and a floor with the same pods, as sides of a comparison."""
    if mode == "prefixes":
        return Store(pods * 11 // 10 + 16, sandboxes(pods)), Floor(
            pods * 11 // 10 + 16, sandboxes(pods)
        )
    room = pods * 21 // 20 + 16
    return SecondaryIps(room, sandboxes(pods)), Floor(room, sandboxes(pods))


def nothing(steps):
    """Do the loop of the subjects."""
    for _sandbox, _now_ns in steps:
        pass


@pytest.mark.parametrize(
    ("mode", "pods"), [(mode, pods) for mode, numbers in MODES.items() for pods in numbers]
)
def test_pair_against_the_floor(benchmark, mode, pods):
    """The figures of the goals: both in turn, and once more without what the loop takes."""
    subject, floor = against_floor(pods, mode)
    stepping, clock = sandboxes(N_STEPS, "step"), later()
    side_by_side(
        benchmark,
        f"pair, {mode}, {pods} pods",
        subject.run,
        floor.run,
        lambda: [(pod, next(clock)) for pod in stepping],
        loop=nothing,
        per_call=N_STEPS,
        rounds=20 if SHORT else 300,
    )


@pytest.mark.parametrize("mode", MODES)
def test_many_pods_against_few(benchmark, mode):
    """The largest node and one with 29 pods, in turn."""
    many, few = (against_floor(pods, mode)[0] for pods in (LARGEST[mode], 29))
    stepping, clock = sandboxes(N_STEPS, "step"), later()
    side_by_side(
        benchmark,
        f"pair, {mode}, {LARGEST[mode]} pods against 29",
        many.run,
        few.run,
        lambda: [(pod, next(clock)) for pod in stepping],
        per_call=N_STEPS,
        rounds=20 if SHORT else 300,
    )


@pytest.mark.parametrize("name", ["floor", "ipam_core"])
def test_pair_by_the_clock(benchmark, name):
    """The plain call, without a time: the store reads the clock."""
    pods = sandboxes(N_STEPS, "step")
    if name == "floor":
        floor = Floor(1116, sandboxes(1000))

        def run():
            floor.run(zip(pods, pods, strict=True))
    else:
        store = DataStore("prefix", cooldown_s=0)
        for number in range(70):
            if number % 35 == 0:
                store.add_eni(f"eni-{number}", device_number=number // 35)
            store.add_prefix(
                f"eni-{number // 35 * 35}", f"10.0.{number // 16}.{number % 16 * 16}/28"
            )
        for pod in sandboxes(1000):
            store.assign(pod)

        def run():
            for pod in pods:
                store.assign(pod)
                store.release(pod)

    measure(benchmark, "pair without now_ns, 1000 pods", name, N_STEPS, run)


@pytest.mark.parametrize("name", ["floor", "assign", "try_assign"])
def test_refusal(benchmark, name):
    """A pod that finds no address: an exception, or None; the floor catches the list's."""
    pods = sandboxes(N_STEPS, "step")
    if name == "floor":
        empty = []

        def run():
            for _pod in pods:
                try:
                    empty.pop()
                except IndexError:
                    continue
    else:
        store = Store(1008, sandboxes(1008)).store
        assign = getattr(store, name)

        def run():
            for pod in pods:
                try:
                    assign(pod, None, 1)
                except PoolExhaustedError:
                    continue

    measure(benchmark, "a refusal", name, N_STEPS, run)


@pytest.fixture(scope="module")
def c_floor(tmp_path_factory):
    """The floor in C, compiled here; skipped without a compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("floor") / "floor.so"
    source = Path(__file__).with_name("floor.c")
    subprocess.run([compiler, "-O3", "-shared", "-fPIC", "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def test_batch_against_the_floor_in_c(benchmark, c_floor):
    """A thousand pairs in two calls, against a stack and a hash table in C."""
    held = sandboxes(1000)
    store = Store(2116, held).store
    assert c_floor.floor_begin(ctypes.c_long(2116)) == 0
    joined = b"".join(sandbox.digest for sandbox in (*held, *sandboxes(N_STEPS, "batch")))
    every = np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)
    digests, addresses = every[1000:].copy(), np.empty((N_STEPS, 2), np.uint64)
    rows = ctypes.c_void_p(digests.ctypes.data)
    found, n = ctypes.c_void_p(addresses.ctypes.data), ctypes.c_long(N_STEPS)
    c_floor.floor_assign(
        ctypes.c_void_p(every.ctypes.data), ctypes.c_long(1000), (ctypes.c_uint64 * 2000)()
    )
    clock = later()

    def ours(now_ns):
        store.assign_many(digests, now_ns)
        store.release_many(digests, now_ns)

    def floor(_):
        c_floor.floor_assign(rows, n, found)
        c_floor.floor_release(rows, n, found)

    side_by_side(
        benchmark, "batch, 1000 pods", ours, floor, lambda: next(clock),
        per_call=N_STEPS, rounds=50 if SHORT else 1000,
    )  # fmt: skip


@pytest.mark.parametrize("entry", ["bytes", "NumPy"])
def test_ten_pods_at_once(benchmark, entry):
    """Ten pairs in two calls, against ten pairs one by one: a batch pays from so few pods on."""
    store = Store(2116, sandboxes(1000)).store
    pods, clock = sandboxes(10, "ten"), later()
    batch = b"".join(pod.digest for pod in pods)
    if entry == "NumPy":
        batch = np.frombuffer(batch, np.uint64).reshape(-1, 2)

    def together(times):
        assign, release = store.assign_many, store.release_many
        for now_ns in times:
            assign(batch, now_ns)
            release(batch, now_ns)

    def one_by_one(times):
        assign, release = store.assign, store.release
        for now_ns in times:
            for pod in pods:
                assign(pod, None, now_ns)
            for pod in pods:
                release(pod, now_ns)

    side_by_side(
        benchmark, f"ten pods at once, {entry}", together, one_by_one,
        lambda: [next(clock) for _ in range(100)], per_call=1000, rounds=50 if SHORT else 500,
    )  # fmt: skip


@pytest.mark.parametrize("pods", [110, 1000])
def test_scan_and_rewrite(benchmark, pods, tmp_path):
    subject = ScanAndRewrite(pods * 11 // 10 + 16, sandboxes(pods), tmp_path / "ipam.json")
    measure_pairs(benchmark, f"pair, {pods} pods", "scan + JSON", subject, n_steps=1)


@pytest.mark.parametrize("name", ["floor", "ipam_core"])
@pytest.mark.parametrize("full", [50, 90, 99])
def test_churn(benchmark, full, name):
    """Pairs in a pool of 11,136 addresses that is so many per cent full."""
    subject = SUBJECTS[name](11136, sandboxes(11136 * full // 100))
    measure_pairs(benchmark, f"churn, {full} % full", name, subject)


@pytest.mark.parametrize("name", ["floor", "ipam_core"])
def test_fill(benchmark, name):
    """Fill 3,712 addresses from empty, as a burst does."""
    pods = sandboxes(3712)
    if name == "floor":

        def fill(subject):
            free, held = subject.free, subject.held
            for sandbox in pods:
                held[sandbox] = free.pop()
    else:

        def fill(subject):
            assign = subject.store.assign
            for sandbox in pods:
                assign(sandbox, None, 1)

    benchmark.group = "fill 3,712"
    benchmark.extra_info.update(subject=name, per_call=len(pods))
    benchmark.pedantic(fill, setup=lambda: ((SUBJECTS[name](3712, []),), {}), rounds=20)


@pytest.mark.parametrize("name", ["floor", "ipam_core"])
def test_release_in_random_order(benchmark, name):
    pods = sandboxes(3712)
    order = random.Random(7).sample(pods, len(pods))
    if name == "floor":

        def empty(subject):
            free, held = subject.free, subject.held
            for sandbox in order:
                free.append(held.pop(sandbox))
    else:

        def empty(subject):
            release = subject.store.release
            for sandbox in order:
                release(sandbox, 2)

    benchmark.group = "release 3,712 in random order"
    benchmark.extra_info.update(subject=name, per_call=len(pods))
    benchmark.pedantic(empty, setup=lambda: ((SUBJECTS[name](3712, pods),), {}), rounds=20)


def test_one_pod_in_every_prefix(benchmark):
    """The worst shape: 696 prefixes, each with one pod."""
    subject = Store(11136, pods := sandboxes(11136))
    for number, sandbox in enumerate(pods):
        if number % 16:
            subject.store.release(sandbox, 2)
    subject.store.stats(SECOND)
    measure_pairs(benchmark, "pair, 1000 pods", "pod per prefix", subject)


def test_full_cooldown_queue(benchmark):
    """Each pair expires one address of 9,900 that cool, and adds one."""
    store = new_store("prefix", 11136, cooldown_s=9.9)
    start = SECOND * 10**6
    for number, sandbox in enumerate(sandboxes(9900, "past")):
        store.assign(sandbox, None, start + number)
        store.release(sandbox, start + 10**6 * number)
    clock = iter(range(start + 10**6 * 9900, 10**18, 10**6))
    pods = sandboxes(N_STEPS, "step")

    def run():
        assign, release = store.assign, store.release
        for sandbox in pods:
            now_ns = next(clock)
            assign(sandbox, None, now_ns)
            release(sandbox, now_ns)

    measure(benchmark, "pair, 1000 pods", "full cooldown", N_STEPS, run)


@pytest.mark.parametrize("pods", [1000, 11000])
def test_batch(benchmark, pods):
    """assign_many and release_many of a thousand sandboxes, without the GIL."""
    store = Store(11136 if pods == 1000 else 12100, sandboxes(pods)).store
    joined = b"".join(sandbox.digest for sandbox in sandboxes(N_STEPS, "batch"))
    digests = np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)
    clock = later()

    def run():
        now_ns = next(clock)
        store.assign_many(digests, now_ns)
        store.release_many(digests, now_ns)

    measure(benchmark, f"pair, {pods} pods", "batch", N_STEPS, run)


def test_stats(benchmark):
    store = Store(12100, sandboxes(11000)).store
    measure(benchmark, "statistics, 11,000 pods", "ipam_core", 1, store.stats, SECOND)


def test_build(benchmark):
    """A node with 8 ENIs of 29 prefixes, from nothing."""
    group = "build 8 x 29 prefixes"
    attached = cidrs("prefix", 8 * 29 * 16)
    measure(benchmark, group, "ipam_core", 1, build, "prefix", attached)
