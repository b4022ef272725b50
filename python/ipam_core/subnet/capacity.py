"""How many nodes of a given type and settings still fit into a subnet.

A node draws what the target rules make it draw once its pods run and it rests: its
interfaces, each with an address of its own, and their secondary IPs or /28s. Nodes join
one after the other, each whole, until EC2 refuses one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from ipam_core.errors import NoFreePrefixError, SubnetExhaustedError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.instances import max_pods as usual_max_pods
from ipam_core.pool import PoolView, decide

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one node takes from a subnet: interfaces, secondary addresses, /28s."""

    enis: int
    addresses: int
    prefixes: int

    @property
    def singles(self) -> int:
        """Addresses taken one by one: the interfaces' own, and the secondary ones."""
        return self.enis + self.addresses


@cache
def resting_draw(
    limits: InstanceLimits,
    settings: Settings,
    pods: int,
    *,
    prefix_mode: bool,
    max_pods: int | None = None,
) -> Draw:
    """Return what a node holds when its `pods` pods came one by one and it rests.

    Settings under which an idle node gains and gives back for ever (pool-rules section 7)
    give what it holds at its most.

    Pods are those that need an address. Under custom networking the primary interface
    lies in another subnet, and counts nowhere here. Source of the rules: `pool.decide`,
    and pool-rules sections 1 and 5 for which interface grows.
    """
    if max_pods is None:
        max_pods = usual_max_pods(
            limits, replace(settings, enable_prefix_delegation=prefix_mode)
        ).value
    room_for = min(limits.max_enis, settings.max_eni or limits.max_enis)
    room_for -= settings.custom_networking
    size = ADDRESSES_PER_PREFIX if prefix_mode else 1
    view = PoolView(
        settings=settings, slots=limits.slots, max_pods=max_pods, prefix_mode=prefix_mode
    )
    enis = 0 if settings.custom_networking else 1
    held = 0  # secondary addresses, or prefixes
    assigned = 0
    grown_at = -1  # the number of pods at which it last grew
    while True:
        # Pods fill the prefixes one by one, so the free ones are those that none has reached.
        used = -(-assigned // size) if prefix_mode else 0
        view = replace(
            view,
            total=held * size,
            assigned=assigned,
            prefixes=held if prefix_mode else 0,
            free_prefixes=held - used if prefix_mode else 0,
        )
        decision = decide(view)
        slots_left = enis * limits.slots - held
        if decision.low and slots_left > 0:
            held += min(slots_left, decision.want)
            grown_at = assigned
        elif decision.low and enis < room_for and decision.want_new_eni > 0:
            enis += 1
            held += decision.want_new_eni
            grown_at = assigned
        elif decision.high and decision.give_back > 0 and grown_at != assigned:
            held -= decision.give_back
        elif assigned < pods and held * size > assigned:
            assigned += 1
        else:
            break
    return Draw(
        enis=enis,
        addresses=0 if prefix_mode else held,
        prefixes=held if prefix_mode else 0,
    )


def count_fitting(subnet: Subnet, draw: Draw) -> int:
    """Return how many nodes of a draw join a copy of the subnet before EC2 refuses one.

    Without /28s that is a division; with them, interfaces' own addresses fall where the
    subnet's placement puts them, and break blocks that are whole.
    """
    if draw.prefixes == 0:
        return subnet.n_free_unreserved // draw.singles
    after, joined = subnet.copy(), 0
    while True:
        try:
            after.take_addresses(draw.singles)
            after.take_prefixes(draw.prefixes)
        except (SubnetExhaustedError, NoFreePrefixError):
            return joined
        joined += 1
