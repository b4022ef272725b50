"""Where a `prefix` CIDR reservation costs least."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.instances import ADDRESSES_PER_PREFIX

with extra("batch", "the report of a subnet"):
    import numpy as np

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.subnet.report import SubnetReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationPlan:
    """A range to reserve for /28s, and its effects.

    Attributes:
        cidr: the range.
        n_blocks: /28s in it.
        whole_now: of these, free ones, kept for /28s from the moment it is made.
        prefixes_now: of these, already held as /28s.
        held: single addresses in it that are in use; their blocks become free only after them.
        held_by_nodes: of these, those released when their node is drained.
        withdrawn: free addresses that are no longer picked one by one.
    """

    subnet_id: str
    cidr: str
    n_blocks: int
    whole_now: int
    prefixes_now: int
    held: int
    held_by_nodes: int
    withdrawn: int

    @property
    def command(self) -> list[str]:
        """The words of the command that makes the reservation."""
        return [
            *("aws", "ec2", "create-subnet-cidr-reservation"),
            *("--subnet-id", self.subnet_id),
            *("--reservation-type", "prefix"),
            *("--cidr", self.cidr),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON's types."""
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "subnet_id"}
        return {**facts, "command": " ".join(self.command)}


def default_size(subnet: Subnet) -> int:
    """Return the prefix length of an eighth of a subnet, at least a /28."""
    return min(IPv4Network(subnet.cidr).prefixlen + 3, 28)


def plan_reservation(report: SubnetReport, size: int | None = None) -> ReservationPlan | None:
    """Return the range of prefix length `size` that costs least, None if there is no room.

    Least means: the fewest single addresses in use; then the most free /28s; then the lowest.
    Ranges that hold one of AWS's addresses, or overlap a reservation, are not considered;
    where the size allows no other (half the subnet or more), ranges with AWS's addresses are.
    One vector pass over blocks.

    Raises `InputError`: `size` is larger than the subnet, or smaller than a /28.
    """
    subnet = report.subnet
    network = IPv4Network(subnet.cidr)
    size = default_size(subnet) if size is None else size
    if not network.prefixlen <= size <= 28:
        raise InputError(f"a reservation of /{size} in {network}: /{network.prefixlen} to /28")
    n_blocks = 1 << (28 - size)
    n_ranges = subnet.n_blocks // n_blocks

    offsets, holders = report.singles
    ranges = offsets // (n_blocks * ADDRESSES_PER_PREFIX)
    held = np.bincount(ranges, minlength=n_ranges)
    by_nodes = np.bincount(ranges[holders >= 0], minlength=n_ranges)
    prefixes = np.bincount(report.delegated[0] // n_blocks, minlength=n_ranges)
    free = subnet.free_counts().reshape(n_ranges, n_blocks)
    whole = (free == ADDRESSES_PER_PREFIX).sum(axis=1)

    possible = np.ones(n_ranges, np.bool_)
    for reserved, _ in subnet.reservations:
        taken = IPv4Network(reserved)
        offset = int(taken.network_address) - int(network.network_address)
        step = n_blocks * ADDRESSES_PER_PREFIX
        possible[offset // step : (offset + taken.num_addresses - 1) // step + 1] = False
    inner = possible.copy()
    inner[[0, -1]] = False
    choice = np.flatnonzero(inner if inner.any() else possible)
    if not len(choice):
        return None
    best = int(choice[np.lexsort((choice, -whole[choice], held[choice]))[0]])
    start = network.network_address + best * n_blocks * ADDRESSES_PER_PREFIX
    return ReservationPlan(
        subnet_id=report.subnet_id,
        cidr=f"{start}/{size}",
        n_blocks=n_blocks,
        whole_now=int(whole[best]),
        prefixes_now=int(prefixes[best]),
        held=int(held[best]),
        held_by_nodes=int(by_nodes[best]),
        withdrawn=int(free[best].sum()),
    )


def reserve(subnet: Subnet, plan: ReservationPlan) -> Subnet:
    """Return a copy of a subnet with the plan's reservation."""
    after = subnet.copy()
    after.add_reservation(plan.cidr, "prefix")
    return after
