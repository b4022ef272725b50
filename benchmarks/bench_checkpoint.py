"""Durable assign and release, against rewriting and syncing one JSON file as agents do.

Both in the same directory, both synced before they return: on the disk of pytest's
temporary directory and on tmpfs. A step is one change: a pod goes, or another comes.
The floor is the agent's way: a dict, and at each change the whole file anew (a
temporary file, synced, renamed). `append` is the least that a durable change can be: one page
written and synced. The changes are made in a thread of a pool, as those of a server are; and in the
main thread, for which another thread writes. `bytes` are what a change hands to write calls,
moving the log into the file included. Eight threads are measured in turn with one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipam_core import DataStore, Sandbox
from ipam_core.checkpoint import Checkpoint, DurableStore, Entry, restore
from ipam_core.ipamd import checkpoint_file
from side_by_side import side_by_side

SHORT = bool(os.environ.get("BENCH_SHORT"))
PODS = [110, 1000, 11_000]
NOW_S = 1_764_000_000
TMPFS = Path("/dev/shm")


def store_for(n_pods):
    """A store with room for these pods and those that the clock's tick lets cool."""
    store = DataStore("prefix", cooldown_s=0)
    for number in range(n_pods // 16 + 40):
        device, slot = divmod(number, 49)
        if slot == 0:
            store.add_eni(f"eni-{device:017x}", device_number=device)
        store.add_prefix(f"eni-{device:017x}", f"10.{device}.{slot // 16}.{slot % 16 * 16}/28")
    return store


def sandbox(number):
    return Sandbox(f"{number:064x}")


class Ours:
    """A checkpoint with pods; a step releases one at random or assigns a new one."""

    def __init__(self, directory, n_pods, durability="full"):
        self.path = directory / "ipam.db"
        store = store_for(n_pods)
        self.checkpoint = Checkpoint(self.path, durability=durability)
        self.durable = DurableStore(store, self.checkpoint)
        self.durable.save_layout()
        self.held = [sandbox(number) for number in range(n_pods)]
        self.next = n_pods
        self.checkpoint.put(
            *[
                Entry(
                    address=a.address,
                    sandbox=a.sandbox,
                    pod=a.pod,
                    eni_id=a.eni_id,
                    assigned_ns=NOW_S * 10**9,
                )
                for a in (store.assign(pod, f"default/{n}") for n, pod in enumerate(self.held))
            ]
        )
        self.chance = random.Random(1)

    def steps(self, n):
        for _ in range(n // 2):
            place = self.chance.randrange(len(self.held))
            self.durable.release(self.held[place])
            self.held[place] = sandbox(self.next)
            self.durable.assign(self.held[place], f"default/web-{self.next}")
            self.next += 1

    def close(self):
        self.checkpoint.close()


class JsonFile:
    """The floor: the same changes to a dict that is written whole at each of them."""

    def __init__(self, directory, n_pods):
        self.path = directory / "ipam.json"
        self.held = {}
        for number in range(n_pods):
            self.hold(number)
        self.next = n_pods

    def hold(self, number):
        self.held[f"{number:064x}"] = {
            "networkName": "aws-cni",
            "containerID": f"{number:064x}",
            "ifName": "eth0",
            "ipv4": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "allocationTimestamp": NOW_S * 10**9 + number,
            "metadata": {"k8sPodNamespace": "default", "k8sPodName": f"web-{number}"},
        }

    def write(self):
        descriptor, temporary = tempfile.mkstemp(dir=self.path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(
                json.dumps(
                    {"version": checkpoint_file.VERSION, "allocations": [*self.held.values()]}
                )
            )
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).rename(self.path)

    def steps(self, n):
        for _ in range(n // 2):
            del self.held[f"{self.next - len(self.held):064x}"]  # the oldest
            self.write()
            self.hold(self.next)
            self.next += 1
            self.write()

    def close(self):
        self.path.unlink(missing_ok=True)


class Append:
    """A page written at the end of a log that starts again after 250, and synced."""

    def __init__(self, directory, n_pods):
        self.path = directory / "log"
        self.file = os.open(self.path, os.O_CREAT | os.O_RDWR)
        self.n = 0

    def steps(self, n):
        for _ in range(n):
            self.n += 1
            os.pwrite(self.file, b"x" * 4120, self.n % 250 * 4120)
            os.fdatasync(self.file)

    def close(self):
        os.close(self.file)
        self.path.unlink()


SUBJECTS = {
    "floor": JsonFile,
    "append": Append,
    "ipam_core": Ours,
    "ipam_core, main thread": Ours,
}


@pytest.fixture(params=["disk", "tmpfs"])
def directory(request, tmp_path):
    if request.param == "disk":
        yield tmp_path, "disk"
        return
    if not TMPFS.is_dir():
        pytest.skip("no /dev/shm here")
    place = Path(tempfile.mkdtemp(dir=TMPFS))
    yield place, "tmpfs"
    shutil.rmtree(place)


def written_bytes():
    """Return how many bytes this process has handed to write calls."""
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


@pytest.mark.parametrize("n_pods", PODS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_change(benchmark, directory, n_pods, name):
    place, medium = directory
    n_steps = (2 if SHORT else 10) * (50 if medium == "tmpfs" and name != "floor" else 1)
    subject = SUBJECTS[name](place, n_pods)
    benchmark.group = f"durable change, {n_pods} pods, {medium}"
    benchmark.extra_info.update(subject=name, per_call=n_steps)
    with ThreadPoolExecutor(1) as pool:
        run = subject.steps if name.endswith("main thread") else in_pool(pool, subject.steps)
        benchmark.pedantic(run, (n_steps,), rounds=3 if SHORT else 12, warmup_rounds=1)
        if medium == "tmpfs":  # enough changes that the log is moved into the file a few times
            n_steps = 20 if name == "floor" else 4000
            before = written_bytes()
            run(n_steps)
            benchmark.extra_info["bytes"] = (written_bytes() - before) / n_steps
    subject.close()


def in_pool(pool, call):
    """Return a call that has a thread of the pool do it."""
    return lambda *arguments: pool.submit(call, *arguments).result()


@pytest.mark.parametrize(
    "timer",
    [
        pytest.param(timer, marks=pytest.mark.benchmark(timer=timer))
        for timer in (time.perf_counter, time.process_time)
    ],
)
def test_threads(benchmark, directory, timer):
    """The same number of changes, made by one thread and shared out among eight, in turn.

    In memory also by processor time, which others on the machine do not lengthen.
    """
    place, medium = directory
    if timer is time.process_time and medium == "disk":
        pytest.skip("it waits for the disk")
    n_changes = (48 if SHORT else 240) * (10 if medium == "tmpfs" else 1)
    durable = Ours(place, 1000).durable

    def work(thread, n_threads):
        for number in range(n_changes // n_threads // 2):
            pod = sandbox(thread << 32 | number)
            durable.assign(pod)
            durable.release(pod)

    def run(n_threads):
        threads = [threading.Thread(target=work, args=(n + 1, n_threads)) for n in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    side_by_side(
        benchmark,
        "durable change, 8 threads against 1, "
        + ("processor time on tmpfs" if timer is time.process_time else medium),
        lambda _: run(8),
        lambda _: run(1),
        lambda: None,
        per_call=n_changes,
        rounds=(9 if SHORT else 25) if medium == "tmpfs" else (3 if SHORT else 5),
        timer=timer,
    )
    durable.checkpoint.close()


@pytest.mark.parametrize("n_pods", PODS)
def test_restore(benchmark, tmp_path, n_pods):
    """Open, prove every page and row whole, and fill a store."""
    Ours(tmp_path, n_pods, "off").close()

    def run():
        with Checkpoint(tmp_path / "ipam.db", durability="off") as checkpoint:
            assert len(restore(checkpoint).adopted) == n_pods

    benchmark.group = f"restart, {n_pods} pods"
    benchmark.extra_info.update(subject="ipam_core", per_call=1)
    benchmark.pedantic(run, rounds=3 if SHORT else 10, warmup_rounds=1)
