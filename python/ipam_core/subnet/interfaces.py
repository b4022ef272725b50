"""The network interfaces of a subnet; their addresses are entered into the subnet."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core.errors import IpamError
from ipam_core.subnet.owners import BRANCH, cluster_of, owner_of

with extra("batch", "the report of a subnet"):
    import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipam_core._subnet import Subnet
    from ipam_core.subnet.inventory import Inventory


class Interface(NamedTuple):
    """A network interface of the subnet; a tuple, because there are thousands to make."""

    eni_id: str
    owner: str
    node: str | None  # the instance, if it is a node of a cluster
    n_addresses: int
    is_branch: bool  # its own address belongs to a pod
    prefixes: tuple[str, ...]
    cluster: str = ""  # that its tags name


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedInterface:
    """A network interface that is not valid, and the reason."""

    eni_id: str
    why: str


def numbers(subnet: Subnet, offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the addresses at some offsets of a subnet, in the form of its batch methods."""
    base = int(IPv4Network(subnet.cidr).network_address)
    return (offsets + base).astype(np.uint32)


def interface_of(
    inventory: Inventory,
    entry: dict[str, Any],
    nodes: set[str],
    probable: set[str],
    n_addresses: int,
) -> Interface:
    """Return one as DescribeNetworkInterfaces shows it; `nodes` and `probable` are instances."""
    owner = owner_of(entry, nodes, probable)
    prefixes = entry.get("Ipv4Prefixes")
    return Interface(
        entry["NetworkInterfaceId"],
        owner,
        inventory.node_of(entry, nodes),
        n_addresses,
        owner == BRANCH,
        tuple(each["Ipv4Prefix"] for each in prefixes) if prefixes else (),
        cluster_of(entry) if entry.get("TagSet") else "",
    )


def take(
    empty: Subnet, interfaces: list[Interface], addresses: list[str]
) -> tuple[Subnet, NDArray[np.int64], list[SkippedInterface]]:
    """Return `empty` with the interfaces' addresses, their offsets, and invalid interfaces.

    All addresses at once; one interface after the other only if one of them is not valid.
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
    """Do what `take` does, one interface after the other."""
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
