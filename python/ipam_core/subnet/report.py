"""One subnet as it is: its blocks, its addresses, and whose they are."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ipam_core._subnet import BLOCK_STATES, Subnet
from ipam_core.errors import InputError, IpamError, UnknownAddressError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.owners import instance_of, owner_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipam_core.fragmentation import Fragmentation
    from ipam_core.subnet.inventory import Inventory

MOST_BAD_SHARE = 0.01
"""Above this share of interfaces that cannot be right, the input is refused as a whole."""


class Interface(NamedTuple):
    """A network interface of the subnet; a tuple, because there are thousands to make."""

    eni_id: str
    owner: str
    node: str | None  # the instance, where that is a node of a cluster
    n_addresses: int
    prefixes: tuple[str, ...]


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
        offsets: of their addresses in the subnet, one after the other: int64, shape (n,).
        skipped: those that cannot be right.
        pods: addresses of the pods that a drain evicts, None where they are not known.
    """

    subnet_id: str
    subnet: Subnet
    available: int | None
    interfaces: list[Interface]
    offsets: NDArray[np.int64]
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

    @cached_property
    def owners(self) -> list[OwnerCount]:
        """What each kind of owner holds, most addresses first."""
        counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for interface in self.interfaces:
            count = counts[interface.owner]
            count[0] += 1
            count[1] += interface.n_addresses
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
                    found[each.node] += max(each.n_addresses - 1, 0)
                    found[each.node] += ADDRESSES_PER_PREFIX * len(each.prefixes)
            return found
        holder_at = np.full(self.subnet.n_blocks * ADDRESSES_PER_PREFIX, -1)
        offsets, holders = self.singles
        holder_at[offsets] = holders
        blocks, holders = self.delegated
        holder_at.reshape(-1, ADDRESSES_PER_PREFIX)[blocks] = holders[:, None]
        for pod in self.pods:
            with suppress(ValueError, UnknownAddressError):  # of IPv6, of another subnet
                holder = holder_at[self.subnet.offsets([pod])[0]]
                if holder >= 0:
                    found[self.nodes[holder]] += 1
        return found

    @cached_property
    def holders(self) -> NDArray[np.int64]:
        """The holder of each interface: a place in `nodes`, or -1: not a node; int64, (n,)."""
        place = {node: at for at, node in enumerate(self.nodes)}
        return np.array([place.get(each.node or "", -1) for each in self.interfaces], np.int64)

    @cached_property
    def singles(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, holder) of every address held singly: int64, shape (n,) each."""
        counts = np.array([each.n_addresses for each in self.interfaces], np.int64)
        return self.offsets, np.repeat(self.holders, counts)

    @cached_property
    def delegated(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(block, holder) of every /28 held: int64, shape (n,) each."""
        counts = np.array([len(each.prefixes) for each in self.interfaces], np.int64)
        starts = [each.removesuffix("/28") for one in self.interfaces for each in one.prefixes]
        return self.subnet.offsets(starts) >> 4, np.repeat(self.holders, counts)

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


def numbers(subnet: Subnet, offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the addresses at some offsets of a subnet, as it takes many of them."""
    base = int(IPv4Network(subnet.cidr).network_address)
    return (offsets + base).astype(np.uint32)


def report_on(inventory: Inventory, subnet_id: str) -> SubnetReport:
    """Report on one subnet of an inventory.

    An interface that cannot be right (an address outside the subnet or held twice, no
    list of addresses) is left out and named in `skipped`, where others are right.
    Cost: a few microseconds an interface, and 0.3 an address.

    Raises `InputError`: not a subnet of AWS's sizes, reservations that AWS would refuse,
    or too many interfaces that cannot be right.
    """
    known = inventory.subnets[subnet_id]
    try:
        subnet = Subnet(known["CidrBlock"], reservations=inventory.reservations.get(subnet_id, ()))
    except (ValueError, IpamError) as error:
        raise InputError(f"subnet {subnet_id}: {error}") from None
    interfaces: list[Interface] = []
    addresses: list[str] = []
    skipped: list[SkippedInterface] = []
    entries = inventory.interfaces.get(subnet_id, [])
    for entry in entries:
        try:
            its_own = [each["PrivateIpAddress"] for each in entry["PrivateIpAddresses"]]
            interfaces.append(_interface(entry, inventory.nodes, len(its_own)))
        except (KeyError, TypeError, AttributeError) as error:
            why = f"not as AWS writes it: {error!r}"
            skipped.append(SkippedInterface(eni_id=str(entry["NetworkInterfaceId"]), why=why))
        else:
            addresses += its_own
    subnet, offsets, refused = _take(subnet, interfaces, addresses)
    skipped += refused
    if len(skipped) > MOST_BAD_SHARE * len(entries):
        more = f" ({len(skipped)} of {len(entries)} such ENIs)" if len(skipped) > 1 else ""
        raise InputError(f"subnet {subnet_id}: {skipped[0].eni_id}: {skipped[0].why}{more}")
    left_out = {each.eni_id for each in refused}
    return SubnetReport(
        subnet_id=subnet_id,
        subnet=subnet,
        available=known.get("AvailableIpAddressCount"),
        interfaces=[each for each in interfaces if each.eni_id not in left_out],
        offsets=offsets,
        skipped=skipped,
        pods=inventory.pods,
    )


def _interface(entry: dict[str, Any], nodes: set[str], n_addresses: int) -> Interface:
    instance = instance_of(entry)
    prefixes = entry.get("Ipv4Prefixes")
    return Interface(
        entry["NetworkInterfaceId"],
        owner_of(entry, nodes),
        instance if instance in nodes else None,
        n_addresses,
        tuple(each["Ipv4Prefix"] for each in prefixes) if prefixes else (),
    )


def _take(
    empty: Subnet, interfaces: list[Interface], addresses: list[str]
) -> tuple[Subnet, NDArray[np.int64], list[SkippedInterface]]:
    """Return `empty` with what the interfaces hold, the addresses' offsets, and who was wrong.

    All addresses at once; one interface after the other only where one of them is wrong.
    """
    subnet = empty.copy()
    try:
        offsets = subnet.offsets(addresses)
        subnet.take_given_addresses(numbers(subnet, offsets))
        for prefix in (prefix for each in interfaces for prefix in each.prefixes):
            subnet.take_given_prefix(prefix)
    except (ValueError, TypeError, IpamError):
        return _take_each(empty.copy(), interfaces, addresses)
    return subnet, offsets, []


def _take_each(
    subnet: Subnet, interfaces: list[Interface], addresses: list[str]
) -> tuple[Subnet, NDArray[np.int64], list[SkippedInterface]]:
    """Do what `_take` does, one interface after the other."""
    kept: list[str] = []
    skipped = []
    at = 0
    for each in interfaces:
        its_own = addresses[at : at + each.n_addresses]
        at += each.n_addresses
        taken: list[str] = []
        try:
            subnet.take_given_addresses(its_own)
            try:
                for prefix in each.prefixes:
                    subnet.take_given_prefix(prefix)
                    taken.append(prefix)
            except (ValueError, TypeError, IpamError):
                for prefix in taken:
                    subnet.release_prefix(prefix)
                subnet.release_addresses(its_own)
                raise
        except (ValueError, TypeError, IpamError) as error:
            skipped.append(SkippedInterface(eni_id=each.eni_id, why=str(error)))
        else:
            kept += its_own
    return subnet, subnet.offsets(kept), skipped
