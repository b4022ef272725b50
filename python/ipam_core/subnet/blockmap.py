"""Shared by the maps of a subnet's blocks: rows of /28s, and a mark for each state."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from ipam_core._subnet import BLOCK_STATES
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core._subnet import Subnet

BLOCKS_PER_ROW = 64
"""Blocks in a row of a map: 1,024 addresses."""

MARKS = dict(zip(BLOCK_STATES, ".1#APRE", strict=True))
"""One letter for each state; a fragmented block shows its number of used addresses in hex."""


def rows(subnet: Subnet) -> Iterator[tuple[str, slice]]:
    """Yield each row of a map: its first address, and its blocks."""
    start = IPv4Network(subnet.cidr).network_address
    for first in range(0, subnet.n_blocks, BLOCKS_PER_ROW):
        yield (
            str(start + first * ADDRESSES_PER_PREFIX),
            slice(first, min(first + BLOCKS_PER_ROW, subnet.n_blocks)),
        )
