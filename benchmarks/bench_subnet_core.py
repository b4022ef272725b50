"""The compiled Subnet next to a Python call that returns a constant, and next to peers.

The budgets: a free /28 in a /16 is found within 2x the floor, whatever the fragmentation;
a random address is taken within 2x of that, which is 4x the floor.
"""

from __future__ import annotations

import ipaddress
import random

import netaddr
import numpy as np
import pytest

from bench_store import measure
from ipam_core._subnet import Subnet

CIDR = "10.0.0.0/16"
BASE = int(ipaddress.IPv4Address("10.0.0.0"))
N_CALLS = 1000
USABLE = np.arange(4, 65535)


def held_addresses(fill):
    """Return the offsets that are held, for each kind of fragmentation."""
    chosen = np.random.default_rng(16)
    if fill == "empty":
        return USABLE[:0]
    if fill == "one in each block":
        return USABLE[(USABLE % 16 == 7)]
    if fill == "the last block but one is free":
        return USABLE[(USABLE // 16 != 4094)]
    if fill == "full":
        return USABLE
    return chosen.permutation(USABLE)[: int(fill.split()[0])]


FILLS = [
    "empty",
    "10000 at random",
    "one in each block",
    "the last block but one is free",
    "full",
]


class Floor:
    """A Python call that returns a constant."""

    def __init__(self, held):
        pass

    def find(self):
        return "10.0.0.16/28"


class Core:
    def __init__(self, held):
        addresses = (held + BASE).astype(np.uint32)
        self.subnet = Subnet.from_addresses(CIDR, addresses, seed=1)
        self.find = self.subnet.find_free_prefix


class NumPy:
    """One byte an address, one vector pass a question."""

    def __init__(self, held):
        self.free = np.zeros(65536, np.bool_)
        self.free[USABLE] = True
        self.free[held] = False

    def find(self):
        whole = self.free.reshape(-1, 16).all(axis=1)
        block = int(whole.argmax())
        return f"10.0.{block >> 4}.{(block & 15) << 4}/28" if whole[block] else None


class Ipaddress:
    """Numbers held in a set; every block asked for in turn, as a script does."""

    def __init__(self, held):
        self.held = {*(held + BASE).tolist(), *range(BASE, BASE + 4), BASE + 65535}

    def find(self):
        for block in ipaddress.IPv4Network(CIDR).subnets(new_prefix=28):
            start = int(block.network_address)
            if self.held.isdisjoint(range(start, start + 16)):
                return str(block)
        return None


class Netaddr:
    """What is free as a set of the largest networks."""

    def __init__(self, held):
        free = np.setdiff1d(USABLE, held)
        self.free = netaddr.IPSet()
        breaks = np.flatnonzero(np.diff(free) != 1) + 1
        for run in np.split(free, breaks):
            if len(run) >= 16:  # no shorter run has a /28 in it, and few are quick to add
                self.free.add(netaddr.IPRange(int(run[0]) + BASE, int(run[-1]) + BASE))

    def find(self):
        for network in self.free.iter_cidrs():
            if network.prefixlen <= 28:
                return str(next(network.subnet(28)))
        return None


SUBJECTS = {
    "floor": (Floor, N_CALLS),
    "ipam_core": (Core, N_CALLS),
    "NumPy": (NumPy, 10),
    "ipaddress": (Ipaddress, 1),
    "netaddr": (Netaddr, 1),
}


def call(function, n):
    for _ in range(n):
        function()


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("fill", FILLS)
def test_find_a_free_prefix(benchmark, fill, name):
    subject, n = SUBJECTS[name]
    made = subject(held_addresses(fill))
    assert made.find() == "10.0.0.16/28" or fill != "empty"
    measure(benchmark, f"find a free /28, {fill}", name, n, call, made.find, n)


def take_from_list(held):
    """Return a taker out of a list of free texts: swapped to the end, and popped."""
    free = [f"10.0.{at >> 8}.{at & 255}" for at in np.setdiff1d(USABLE, held).tolist()]
    below = random.Random(1).randrange

    def take():
        at = below(len(free))
        free[at], free[-1] = free[-1], free[at]
        return free.pop()

    return take


def take_with_numpy(held):
    free = NumPy(held).free
    chosen = np.random.default_rng(1)

    def take():
        at = int(chosen.choice(np.flatnonzero(free)))
        free[at] = False
        return f"10.0.{at >> 8}.{at & 255}"

    return take


TAKERS = {
    "floor": (lambda held: Floor(held).find, N_CALLS),
    "ipam_core": (lambda held: Core(held).subnet.take_address, N_CALLS),
    "list of texts": (take_from_list, N_CALLS),
    "NumPy": (take_with_numpy, 10),
}


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("fill", ["empty", "10000 at random", "60000 at random"])
def test_take_a_random_address(benchmark, fill, name):
    make, n = TAKERS[name]
    held = held_addresses(fill)
    benchmark.group = f"take a random address, {fill}"
    benchmark.extra_info.update(subject=name, per_call=n)
    benchmark.pedantic(call, setup=lambda: ((make(held), n), {}), rounds=20)


@pytest.mark.parametrize("name", ["floor", "ipam_core, numbers", "ipam_core, texts", "netaddr"])
def test_build(benchmark, name):
    """Build from 50,000 addresses; the floor is a Python set of the same texts."""
    held = np.random.default_rng(16).permutation(USABLE)[:50_000]
    numbers = (held + BASE).astype(np.uint32)
    texts = [str(ipaddress.IPv4Address(number)) for number in numbers.tolist()]
    made = {
        "floor": lambda: set(texts),
        "ipam_core, numbers": lambda: Subnet.from_addresses(CIDR, numbers),
        "ipam_core, texts": lambda: Subnet.from_addresses(CIDR, texts),
        "netaddr": lambda: [netaddr.IPAddress(text) for text in texts],
    }[name]
    measure(benchmark, "build from 50,000, an address", name, 50_000, made)


@pytest.mark.parametrize("name", ["floor", "fragmentation", "histogram", "block_states", "copy"])
def test_whole_subnet(benchmark, name):
    """Questions about all 4,096 blocks; the floor is one NumPy pass over as many bytes."""
    subnet = Core(held_addresses("10000 at random")).subnet
    counts = subnet.free_counts()
    made = counts.sum if name == "floor" else getattr(subnet, name)
    measure(benchmark, "a question about all blocks of a /16", name, 1, made)
