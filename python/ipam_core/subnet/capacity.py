"""How many nodes of a given draw still fit into a subnet.

Nodes join one after the other, each completely, until EC2 refuses one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.errors import NoFreePrefixError, SubnetExhaustedError

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.subnet.draw import Draw


def count_fitting(subnet: Subnet, draw: Draw) -> int:
    """Return how many nodes of a draw join a copy of the subnet before EC2 refuses one.

    Without /28s that is a division. With them, the subnet's placement decides where the
    interfaces' own addresses lie, and they break free blocks.
    """
    if draw.prefixes == 0:
        return subnet.n_free_unreserved // max(draw.singles, 1)
    after, joined = subnet.copy(), 0
    while True:
        try:
            after.take_addresses(draw.singles)
            after.take_prefixes(draw.prefixes)
        except (SubnetExhaustedError, NoFreePrefixError):
            return joined
        joined += 1
