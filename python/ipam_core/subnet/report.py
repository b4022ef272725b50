"""One subnet as it is: its blocks, its addresses, and whose they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import numpy as np

from ipam_core._subnet import BLOCK_STATES, Subnet
from ipam_core.errors import InputError, IpamError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.owners import instance_of, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ipam_core._subnet import Fragmentation
    from ipam_core.subnet.inventory import Inventory

MOST_BAD_SHARE = 0.01
"""Above this share of interfaces that cannot be right, the input is refused as a whole."""


BLOCKS_PER_ROW = 64
"""Blocks in a row of a map: 1,024 addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface of the subnet."""

    eni_id: str
    owner: str
    node: str | None  # the instance, where that is a node of a cluster
    addresses: list[str]
    prefixes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedInterface:
    """A network interface that cannot be right, and why."""

    eni_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerCount:
    """What one kind of owner holds: single addresses, and /28s beside them."""

    owner: str
    enis: int
    addresses: int
    prefixes: int


@dataclass(frozen=True, kw_only=True)
class SubnetReport:
    """One subnet as it is.

    Attributes:
        subnet: its addresses; `copy()` it to try something.
        available: AvailableIpAddressCount as AWS gave it, None where it did not.
        interfaces: those that hold something here, in the input's order.
        skipped: those that cannot be right.
        pods: addresses of the pods that a drain evicts, None where they are not known.
    """

    subnet_id: str
    subnet: Subnet
    available: int | None
    interfaces: list[Interface]
    skipped: list[SkippedInterface]
    pods: list[str] | None

    @cached_property
    def fragmentation(self) -> Fragmentation:
        """The number of blocks in each state, and the score."""
        return self.subnet.fragmentation()

    @property
    def n_used(self) -> int:
        """Addresses that somebody holds, those of /28s included."""
        return self.subnet.n_blocks * ADDRESSES_PER_PREFIX - 5 - self.subnet.n_free

    @property
    def agreement(self) -> str:
        """How AvailableIpAddressCount compares with what the interfaces leave free.

        AWS does not document whether it counts free addresses inside CIDR reservations,
        so either is agreement.
        """
        if self.available is None:
            return "AWS gave no AvailableIpAddressCount"
        if self.available == self.subnet.n_free:
            return "agrees with AvailableIpAddressCount"
        if self.available == self.subnet.n_free_unreserved:
            return "agrees with AvailableIpAddressCount, reservations left out"
        return f"AvailableIpAddressCount is {self.available}: the files are of different times"

    @property
    def agrees(self) -> bool:
        """Whether the count that AWS gives can be right."""
        return self.available in (None, self.subnet.n_free, self.subnet.n_free_unreserved)

    def rows(self) -> Iterator[tuple[str, slice]]:
        """Yield each row of a map: its first address, and its blocks."""
        start = IPv4Network(self.subnet.cidr).network_address
        for first in range(0, self.subnet.n_blocks, BLOCKS_PER_ROW):
            yield (
                str(start + first * ADDRESSES_PER_PREFIX),
                slice(first, min(first + BLOCKS_PER_ROW, self.subnet.n_blocks)),
            )

    @cached_property
    def owners(self) -> list[OwnerCount]:
        """What each kind of owner holds, most addresses first."""
        counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for interface in self.interfaces:
            count = counts[interface.owner]
            count[0] += 1
            count[1] += len(interface.addresses)
            count[2] += len(interface.prefixes)
        found = [
            OwnerCount(owner=owner, enis=enis, addresses=addresses, prefixes=prefixes)
            for owner, (enis, addresses, prefixes) in counts.items()
        ]
        return sorted(found, key=lambda each: (-each.addresses - 16 * each.prefixes, each.owner))

    @cached_property
    def nodes(self) -> list[str]:
        """Return the nodes that hold something here, sorted."""
        return sorted({each.node for each in self.interfaces if each.node})

    @cached_property
    def pods_of(self) -> dict[str, int]:
        """Return, by node, the pods that a drain evicts.

        Counted where the pods are known; else at most: every secondary address and every
        address of a /28 (an ENI's first address goes to no pod).
        """
        found = dict.fromkeys(self.nodes, 0)
        if self.pods is None:
            for each in self.interfaces:
                if each.node:
                    found[each.node] += max(len(each.addresses) - 1, 0)
                    found[each.node] += ADDRESSES_PER_PREFIX * len(each.prefixes)
            return found
        holder: dict[str, str] = {}
        for each in self.interfaces:
            if each.node:
                holder.update(dict.fromkeys(each.addresses, each.node))
                holder.update((_block_of(prefix), each.node) for prefix in each.prefixes)
        for pod in self.pods:
            node = holder.get(pod) or holder.get(_block_of(pod))
            if node:
                found[node] += 1
        return found

    @cached_property
    def holdings(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (blocks, holders) of every address and /28 held: int64, shape (n,) each.

        A holder is a place in `nodes`, or -1: not of a node.
        """
        place = {node: at for at, node in enumerate(self.nodes)}
        holders = np.array([place.get(each.node or "", -1) for each in self.interfaces], np.int64)
        counts = np.array([len(each.addresses) for each in self.interfaces], np.int64)
        n_prefixes = np.array([len(each.prefixes) for each in self.interfaces], np.int64)
        held = self.subnet.offsets([a for each in self.interfaces for a in each.addresses])
        prefixes = self.subnet.offsets(
            [p.removesuffix("/28") for each in self.interfaces for p in each.prefixes]
        )
        return (
            np.concatenate([held, prefixes]) >> 4,
            np.concatenate([np.repeat(holders, counts), np.repeat(holders, n_prefixes)]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON's types."""
        states = self.fragmentation
        return {
            "subnet_id": self.subnet_id,
            "cidr": self.subnet.cidr,
            "addresses": {
                "used": self.n_used,
                "free": self.subnet.n_free,
                "free_unreserved": self.subnet.n_free_unreserved,
                "available_ip_address_count": self.available,
                "agrees": self.agrees,
            },
            "blocks": {name: getattr(states, name.replace("-", "_")) for name in BLOCK_STATES},
            "free_prefixes": self.subnet.n_free_prefixes,
            "longest_free_run": states.longest_free_run,
            "used_per_block": self.subnet.histogram().tolist(),
            "score": states.score,
            "band": states.band,
            "reservations": [
                {"cidr": cidr, "type": kind} for cidr, kind in self.subnet.reservations
            ],
            "owners": [
                {
                    "owner": each.owner,
                    "enis": each.enis,
                    "addresses": each.addresses,
                    "prefixes": each.prefixes,
                }
                for each in self.owners
            ],
            "skipped": [{"eni_id": each.eni_id, "why": each.why} for each in self.skipped],
        }


def report_on(inventory: Inventory, subnet_id: str, nodes: set[str] | None = None) -> SubnetReport:
    """Report on one subnet of an inventory.

    An interface that cannot be right (an address outside the subnet or held twice, no
    list of addresses) is left out and named in `skipped`, where others are right.
    `nodes` spares working them out again: `inventory.nodes()`. Cost: a few microseconds
    an interface, and 0.1 an address.

    Raises `InputError`: not a subnet of AWS's sizes, reservations that AWS would refuse,
    or too many interfaces that cannot be right.
    """
    known = inventory.subnets[subnet_id]
    try:
        subnet = Subnet(known["CidrBlock"], reservations=inventory.reservations.get(subnet_id, ()))
    except (ValueError, IpamError) as error:
        raise InputError(f"subnet {subnet_id}: {error}") from None
    nodes = inventory.nodes() if nodes is None else nodes
    interfaces, skipped = [], []
    entries = inventory.interfaces.get(subnet_id, [])
    for entry in entries:
        try:
            interfaces.append(_interface(entry, nodes))
        except (KeyError, TypeError, AttributeError) as error:
            skipped.append(_skipped(entry, f"not as AWS writes it: {error!r}"))
    skipped += _take(subnet, interfaces)
    if len(skipped) > MOST_BAD_SHARE * len(entries):
        more = f" ({len(skipped)} of {len(entries)} such ENIs)" if len(skipped) > 1 else ""
        raise InputError(f"subnet {subnet_id}: {skipped[0].eni_id}: {skipped[0].why}{more}")
    left_out = {each.eni_id for each in skipped}
    return SubnetReport(
        subnet_id=subnet_id,
        subnet=subnet,
        available=known.get("AvailableIpAddressCount"),
        interfaces=[each for each in interfaces if each.eni_id not in left_out],
        skipped=skipped,
        pods=inventory.pods,
    )


def _interface(entry: dict[str, Any], nodes: set[str]) -> Interface:
    instance = instance_of(entry)
    return Interface(
        eni_id=entry["NetworkInterfaceId"],
        owner=owner_of(entry, nodes),
        node=instance if instance in nodes else None,
        addresses=[each["PrivateIpAddress"] for each in entry["PrivateIpAddresses"]],
        prefixes=[each["Ipv4Prefix"] for each in entry.get("Ipv4Prefixes") or ()],
    )


def _take(subnet: Subnet, interfaces: list[Interface]) -> list[SkippedInterface]:
    """Take what the interfaces hold: at once, or one by one where one of them is wrong."""
    skipped = []
    try:
        subnet.take_given_addresses([a for each in interfaces for a in each.addresses])
        rest = [each for each in interfaces if each.prefixes]
    except (ValueError, TypeError, IpamError):
        rest = interfaces
    singly = rest is interfaces
    for each in rest:
        try:
            _take_one(subnet, each, singly)
        except (ValueError, TypeError, IpamError) as error:
            skipped.append(SkippedInterface(eni_id=each.eni_id, why=str(error)))
    return skipped


def _take_one(subnet: Subnet, interface: Interface, singly: bool) -> None:
    """Take all that an interface holds, or give back what was taken and raise."""
    taken: list[str] = []
    if singly:
        subnet.take_given_addresses(interface.addresses)
    try:
        for prefix in interface.prefixes:
            subnet.take_given_prefix(prefix)
            taken.append(prefix)
    except (ValueError, TypeError, IpamError):
        for prefix in taken:
            subnet.release_prefix(prefix)
        subnet.release_addresses(interface.addresses)
        raise


def _skipped(entry: Any, why: str) -> SkippedInterface:
    return SkippedInterface(eni_id=str(entry.get("NetworkInterfaceId")), why=why)


def _block_of(address: str) -> str:
    """Return where the /28 of an address starts; of a /28, its own start."""
    head, _, last = address.removesuffix("/28").rpartition(".")
    return f"{head}.{int(last) & ~15}/28"
