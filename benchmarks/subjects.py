"""What is measured next to the DataStore: a floor, and free sets that others build on.

Each subject holds the same pods and runs the same steps. A step is (sandbox, now_ns):
assign to the sandbox, release it again; only the DataStore looks at the time. Each has
its loop written out, so that no subject pays for a call that another does not make.
"""

from __future__ import annotations

import ipaddress
import json
import random
from typing import TYPE_CHECKING

from bitarray import bitarray
from pyroaring import BitMap

from ipam_core._store import DataStore, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FIRST = int(ipaddress.IPv4Address("10.0.0.0"))


def sandboxes(n: int, name: str = "pod") -> list[Sandbox]:
    """Return n sandboxes with ids as long as a container runtime's."""
    rng = random.Random(f"{name}{n}")
    return [Sandbox(f"{rng.getrandbits(256):064x}") for _ in range(n)]


def addresses(n: int) -> list[str]:
    return [str(ipaddress.IPv4Address(FIRST + number)) for number in range(n)]


def cidrs(mode: str, n_addresses: int) -> list[tuple[str, list[str]]]:
    """Return what a node with so many addresses has attached: CIDRs by ENI, 29 and more each."""
    per_slot = 16 if mode == "prefix" else 1
    n_slots = -(-n_addresses // per_slot)
    per_eni = max(29, min(-(-n_slots // 64), 63))
    suffix = "/28" if mode == "prefix" else ""
    texts = [f"{ipaddress.IPv4Address(FIRST + per_slot * slot)}{suffix}" for slot in range(n_slots)]
    return [
        (f"eni-{number}", texts[start : start + per_eni])
        for number, start in enumerate(range(0, n_slots, per_eni))
    ]


SHORTEST_S = 1e-9
"""A cooldown that is over at the next tick: every release goes through the list of the cooling."""


def build(
    mode: str, attached: list[tuple[str, list[str]]], cooldown_s: float = SHORTEST_S
) -> DataStore:
    """Return a store that holds these CIDRs."""
    store = DataStore(mode, cooldown_s=cooldown_s, given_time=True)
    add = store.add_prefix if mode == "prefix" else store.add_address
    for number, (eni_id, texts) in enumerate(attached):
        store.add_eni(eni_id, device_number=number, primary=number == 0)
        for text in texts:
            add(eni_id, text)
    return store


def new_store(mode: str, n_addresses: int, cooldown_s: float = SHORTEST_S) -> DataStore:
    """Return a store with at least so many addresses."""
    return build(mode, cidrs(mode, n_addresses), cooldown_s)


class Store:
    """The DataStore itself."""

    def __init__(self, n_addresses: int, held: list[Sandbox], mode: str = "prefix") -> None:
        self.store = new_store(mode, n_addresses)
        for sandbox in held:
            self.store.assign(sandbox, None, 1)

    def run(self, steps) -> None:
        assign, release = self.store.assign, self.store.release
        for sandbox, now_ns in steps:
            assign(sandbox, None, now_ns)
            release(sandbox, now_ns)


class Attributes(Store):
    """The same with each method looked up at each call, as callers write it."""

    def run(self, steps) -> None:
        store = self.store
        for sandbox, now_ns in steps:
            store.assign(sandbox, None, now_ns)
            store.release(sandbox, now_ns)


class SecondaryIps(Store):
    """The DataStore in secondary-IP mode."""

    def __init__(self, n_addresses: int, held: list[Sandbox]) -> None:
        super().__init__(n_addresses, held, "secondary-ip")


class Floor:
    """A list of free strings and a dict: no cooldown, no prefixes, no ENIs, nothing shown."""

    def __init__(self, n_addresses: int, held: list[Sandbox]) -> None:
        self.free = addresses(n_addresses)
        self.held = {sandbox: self.free.pop() for sandbox in held}

    def run(self, steps) -> None:
        free, held = self.free, self.held
        for sandbox, _ in steps:
            held[sandbox] = free.pop()
            free.append(held.pop(sandbox))


class IpaddressSet:
    """A set of `ipaddress` objects."""

    def __init__(self, n_addresses: int, held: list[Sandbox]) -> None:
        self.free = {ipaddress.IPv4Address(FIRST + number) for number in range(n_addresses)}
        self.held = {sandbox: self.free.pop() for sandbox in held}

    def run(self, steps) -> None:
        free, held = self.free, self.held
        for sandbox, _ in steps:
            held[sandbox] = free.pop()
            free.add(held.pop(sandbox))


class Bitarray:
    """A `bitarray` of free addresses, the lowest found by its search."""

    def __init__(self, n_addresses: int, held: list[Sandbox]) -> None:
        self.free = bitarray(n_addresses)
        self.free.setall(True)
        self.held = {}
        for sandbox in held:
            self.held[sandbox] = number = self.free.find(1)
            self.free[number] = 0

    def run(self, steps) -> None:
        free, held = self.free, self.held
        for sandbox, _ in steps:
            number = free.find(1)
            free[number] = 0
            held[sandbox] = FIRST + number
            free[held.pop(sandbox) - FIRST] = 1


class Roaring:
    """A roaring bitmap of free addresses."""

    def __init__(self, n_addresses: int, held: list[Sandbox]) -> None:
        self.free = BitMap(range(FIRST, FIRST + n_addresses))
        self.held = {sandbox: self.free.pop() for sandbox in held}

    def run(self, steps) -> None:
        free, held = self.free, self.held
        for sandbox, _ in steps:
            address = free.min()
            free.remove(address)
            held[sandbox] = address
            free.add(held.pop(sandbox))


class ScanAndRewrite:
    """A scan over all addresses and a JSON file written again, as agents do today."""

    def __init__(self, n_addresses: int, held: list[Sandbox], file: Path) -> None:
        self.holder = dict.fromkeys(addresses(n_addresses))
        self.file = file
        for sandbox, address in zip(held, self.holder, strict=False):
            self.holder[address] = sandbox

    def _write(self) -> None:
        entries = [
            {"networkName": s.network, "containerID": s.container_id, "ifName": s.ifname, "ipv4": a}
            for a, s in self.holder.items()
            if s is not None
        ]
        self.file.write_text(json.dumps({"version": "vpc-cni-ipam/1", "allocations": entries}))

    def run(self, steps) -> None:
        for sandbox, _ in steps:
            address = next(a for a, s in self.holder.items() if s is None)
            self.holder[address] = sandbox
            self._write()
            found = next(a for a, s in self.holder.items() if s == sandbox)
            self.holder[found] = None
            self._write()
