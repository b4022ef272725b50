"""The state of one subnet: its blocks, its addresses, and their owners."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core._subnet import BLOCK_STATES, Subnet
from ipam_core.errors import InputError, IpamError, UnknownAddressError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.interfaces import Interface, SkippedInterface, interface_of, take
from ipam_core.subnet.orphans import orphan_of
from ipam_core.subnet.owners import ORPHAN
from ipam_core.units import counted

with extra("batch", "the report of a subnet"):
    import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipam_core.fragmentation import Fragmentation
    from ipam_core.subnet.inventory import Inventory
    from ipam_core.subnet.orphans import Orphan

MOST_BAD_SHARE = 0.01
MOST_BAD = 2
"""If more interfaces are not valid than these two allow, the input is refused.

One or two occur in any account: an address moved while the pages were read.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerCount:
    """The addresses of one kind of owner: single ones, and /28s."""

    owner: str
    enis: int
    addresses: int
    prefixes: int


@dataclass(frozen=True, kw_only=True)
class SubnetReport:
    """The state of one subnet.

    Attributes:
        subnet: its addresses; make a `copy()` to try changes.
        available: AvailableIpAddressCount as AWS gave it, None where it did not.
        interfaces: those that hold an address here, in the input's order.
        offsets: of their addresses in the subnet, one after the other: int64, shape (n,).
        skipped: those that are not valid.
        orphans: those that are not attached, and that AWS does not manage.
        pods: addresses of the pods that a drain evicts, None where they are not known.
        probable_nodes: those of `nodes` that are probably nodes.
        listed_nodes: those that the list of pods covers.
        missing: why the files may not show every interface, in words.
    """

    subnet_id: str
    subnet: Subnet
    available: int | None
    interfaces: list[Interface]
    offsets: NDArray[np.int64]
    skipped: list[SkippedInterface]
    orphans: list[Orphan] = field(default_factory=list)
    pods: list[str] | None
    probable_nodes: frozenset[str] = frozenset()
    listed_nodes: frozenset[str] = frozenset()
    missing: list[str] = field(default_factory=list)

    @cached_property
    def fragmentation(self) -> Fragmentation:
        """The number of blocks in each state, and the score."""
        return self.subnet.fragmentation()

    @property
    def n_used(self) -> int:
        """Addresses in use, those of /28s included."""
        return self.subnet.n_blocks * ADDRESSES_PER_PREFIX - 5 - self.subnet.n_free

    @property
    def agreement(self) -> str:
        """How AvailableIpAddressCount compares with what the interfaces leave free.

        AWS does not document whether it counts free addresses inside CIDR reservations, so
        both counts agree.
        """
        if self.available is None:
            return "AWS gave no AvailableIpAddressCount"
        if self.available == self.subnet.n_free:
            return "agrees with AvailableIpAddressCount"
        if self.available == self.subnet.n_free_unreserved:
            return "agrees with AvailableIpAddressCount, reservations left out"
        if n_unseen := self.n_unseen:
            return (
                f"AvailableIpAddressCount is {self.available}: {n_unseen} more are in use than the "
                "files show"
            )
        return f"AvailableIpAddressCount is {self.available}: the files are of different times"

    @property
    def agrees(self) -> bool:
        """Whether the count that AWS gives fits the files."""
        return self.available in (None, self.subnet.n_free, self.subnet.n_free_unreserved)

    @property
    def n_unseen(self) -> int:
        """Addresses that AWS counts as in use and that the files do not show."""
        if self.available is None:
            return 0
        return max(min(self.subnet.n_free, self.subnet.n_free_unreserved) - self.available, 0)

    @property
    def partial(self) -> bool:
        """Whether the files do not show all addresses in use: free counts are upper bounds.

        If AWS counts exactly what the files leave free, nothing is missing.
        """
        confirmed = self.agrees and self.available is not None
        return self.n_unseen > 0 or (bool(self.missing) and not confirmed)

    @property
    def unseen(self) -> bool:
        """Whether the files show no interface, although there are some."""
        return self.partial and not self.interfaces

    @property
    def has_no_single_address(self) -> bool:
        """Whether all free addresses are in reservations: no ENI finds an address of its own."""
        return self.subnet.n_free > 0 and self.subnet.n_free_unreserved == 0

    @cached_property
    def owners(self) -> list[OwnerCount]:
        """The addresses of each kind of owner, most addresses first."""
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
        """Return the nodes that hold an address here, sorted."""
        return sorted({each.node for each in self.interfaces if each.node})

    @cached_property
    def pods_of(self) -> dict[str, int]:
        """Return, by node, the pods that a drain evicts.

        Counted if the list of pods covers the node; else an upper bound: every secondary
        address, every address of a /28, and that of every branch ENI (any other ENI's first
        address goes to no pod).
        """
        found = dict.fromkeys(self.nodes, 0)
        for each in self.interfaces:
            if each.node and each.node not in self.listed_nodes:
                found[each.node] += max(each.n_addresses - (not each.is_branch), 0)
                found[each.node] += ADDRESSES_PER_PREFIX * len(each.prefixes)
        if not self.listed_nodes:
            return found
        holder_at = np.full(self.subnet.n_blocks * ADDRESSES_PER_PREFIX, -1)
        offsets, holders = self.singles
        holder_at[offsets] = holders
        blocks, holders = self.delegated
        holder_at.reshape(-1, ADDRESSES_PER_PREFIX)[blocks] = holders[:, None]
        for pod in self.pods or ():
            with suppress(TypeError, ValueError, UnknownAddressError):  # IPv6, another subnet
                holder = holder_at[self.subnet.offsets([pod])[0]]
                if holder >= 0 and self.nodes[holder] in self.listed_nodes:
                    found[self.nodes[holder]] += 1
        return found

    @property
    def doubts(self) -> list[str]:
        """Return why a choice of drains cannot be proven to be the best, in words."""
        found = []
        if self.partial:
            found.append("the files do not show all that is in use")
        if probable := self.probable_nodes & set(self.nodes):
            found.append(f"{counted(len(probable), 'instance')} may be no node")
        if unknown := set(self.nodes) - self.listed_nodes:
            found.append(f"the pods of {counted(len(unknown), 'node')} are not listed")
        if loose := sum(each.is_branch and not each.node for each in self.interfaces):
            found.append(f"{counted(loose, 'branch ENI')} name no trunk of a node here")
        return found

    @cached_property
    def holders(self) -> NDArray[np.int64]:
        """The holder of each interface: an index of `nodes`, or -1: not a node; int64, (n,)."""
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
                "in_use_and_not_shown": self.n_unseen,
            },
            "partial": self.partial,
            "missing": self.missing,
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
            "orphans": [each.to_json() for each in self.orphans],
            "probable_nodes": sorted(self.probable_nodes & set(self.nodes)),
            "no_single_address": self.has_no_single_address,
        }


def report_on(inventory: Inventory, subnet_id: str) -> SubnetReport:
    """Report on one subnet of an inventory.

    An interface that is not valid (an address outside the subnet or held twice, no list of
    addresses) is left out and named in `skipped`, if most others are valid. Cost: a few
    microseconds an interface, and 0.3 an address.

    Raises `InputError`: not a subnet of AWS's sizes, reservations that AWS would refuse,
    or too many interfaces that are not valid.
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
    nodes = inventory.nodes
    probable = inventory.probable_nodes
    orphans = []
    for entry in entries:
        try:
            # An EFA-only interface has no address, and may have no list of them.
            its_own = [each["PrivateIpAddress"] for each in entry.get("PrivateIpAddresses", ())]
            if not its_own and "PrivateIpAddress" in entry:
                raise KeyError("PrivateIpAddresses")
            interface = interface_of(inventory, entry, nodes, probable, len(its_own))
            if interface.owner == ORPHAN:
                orphans.append(orphan_of(entry))
            interfaces.append(interface)
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else str(error)
            why = f"not as AWS writes it: {problem}"
            skipped.append(SkippedInterface(eni_id=str(entry["NetworkInterfaceId"]), why=why))
        else:
            addresses += its_own
    subnet, offsets, refused = take(subnet, interfaces, addresses)
    skipped += refused
    if len(skipped) > max(MOST_BAD_SHARE * len(entries), MOST_BAD):
        more = f" ({len(skipped)} of {len(entries)} such ENIs)"
        raise InputError(f"subnet {subnet_id}: {skipped[0].eni_id}: {skipped[0].why}{more}")
    left_out = {each.eni_id for each in refused}
    return SubnetReport(
        subnet_id=subnet_id,
        subnet=subnet,
        available=known.get("AvailableIpAddressCount"),
        interfaces=[each for each in interfaces if each.eni_id not in left_out],
        offsets=offsets,
        skipped=skipped,
        orphans=[each for each in orphans if each.eni_id not in left_out],
        pods=None if inventory.pods is None else inventory.pods.evicted,
        probable_nodes=frozenset(probable),
        listed_nodes=frozenset(inventory.listed_nodes()),
        missing=inventory.missing(subnet_id),
    )
