"""What the tests of the checkpoint share: a small store, sandboxes, two clocks as one, strace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

from ipam_core import DataStore, Sandbox
from ipam_core.checkpoint import Checkpoint

SECOND = 1_000_000_000
EPOCH_NS = 1_764_000_000 * SECOND


class Clocks:
    """A monotonic clock, and a wall clock that may be set."""

    def __init__(self):
        self.now_ns = 1000 * SECOND
        self.wall_offset_ns = EPOCH_NS

    def wall_ns(self):
        return self.now_ns + self.wall_offset_ns

    def advance(self, seconds):
        self.now_ns += round(seconds * SECOND)


def sandbox(number, ifname="eth0"):
    return Sandbox(f"{number:064x}", ifname)


def small_store(n_prefixes=2, n_addresses=3, mode="prefix"):
    store = DataStore(mode, cooldown_s=30, given_time=True)
    for device in range(2):
        eni_id = f"eni-{device}"
        store.add_eni(eni_id, device_number=device, primary=device == 0, created_ns=SECOND)
        for number in range(n_prefixes):
            store.add_prefix(eni_id, f"10.0.{device}.{number * 16}/28")
        for number in range(n_addresses):
            store.add_address(eni_id, f"10.1.{device}.{number}")
    return store


def store_of(n_addresses):
    """A store with one ENI of so many secondary IPs, without a cooldown."""
    store = DataStore("secondary-ip", cooldown_s=0)
    store.add_eni("eni-0", device_number=0)
    for number in range(n_addresses):
        store.add_address("eni-0", f"10.0.0.{number + 1}")
    return store


def big_store(n_prefixes=736):
    """A store with room for 11,000 pods."""
    store = DataStore("prefix", cooldown_s=30, given_time=True)
    for number in range(n_prefixes):
        device, slot = divmod(number, 49)
        if slot == 0:
            store.add_eni(f"eni-{device}", device_number=device)
        store.add_prefix(f"eni-{device}", f"10.{device}.{slot // 16}.{slot % 16 * 16}/28")
    return store


def state(store, now_ns):
    """Return all that a restart must bring back: layout, holders, what still cools."""
    store.stats(now_ns)  # lets cooldowns that are over end
    store._check()
    cooling = {
        (used.address, used.released_ns)
        for eni in store.enis()
        for used in store.used_addresses(eni.eni_id)
        if used.sandbox is None and now_ns - used.released_ns <= store.cooldown_ns
    }
    held = {(a.sandbox, a.address, a.pod, a.eni_id, a.assigned_ns) for a in store.assignments()}
    attached = {
        eni: (tuple(store.addresses(eni.eni_id)), tuple(store.prefixes(eni.eni_id)))
        for eni in store.enis()
    }
    return store.mode, store.cooldown_ns, store.placement, attached, held, cooling


def open_checkpoint(path, clocks=None, **options):
    options.setdefault("durability", "off")
    if clocks is not None:
        options["wall_clock_ns"] = clocks.wall_ns
    return Checkpoint(path, **options)


class Traced(NamedTuple):
    """What a program printed, and its system calls, line by line."""

    told: list[str]
    log: list[str]


def strace(tmp_path, expressions, arguments):
    """Run Python under strace, which watches system calls and can make them fail."""
    import pytest  # by those alone that watch: processes that are started load this module

    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed: CI must install it")
        pytest.skip("strace is not installed")
    log = tmp_path / "strace.log"
    command = ["strace", "-f", "-y", "-s", "64", "-o", str(log)]
    for expression in expressions:
        command += ["-e", expression]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [*command, sys.executable, *map(str, arguments)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "ptrace" in ended.stderr and not os.environ.get("CI"):
        pytest.skip(f"tracing is not allowed here: {ended.stderr.splitlines()[0]}")
    assert ended.returncode == 0, ended.stderr
    return Traced(ended.stdout.splitlines(), log.read_text().splitlines())
