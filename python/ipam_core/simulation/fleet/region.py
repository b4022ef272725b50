"""The simulated region of a fleet: its subnets, throttling and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._subnet import Subnet
from ipam_core.cloud.region import Fault, SimulatedRegion
from ipam_core.cloud.subnets import AddressedSubnet
from ipam_core.cloud.throttling import Throttle
from ipam_core.tags import ROLE_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.spec import FleetSpec, SubnetSpec


def region_of(spec: FleetSpec, engine: Engine, seed: int) -> SimulatedRegion:
    """Return the region of a fleet at its start."""
    region = SimulatedRegion(
        {subnet.subnet_id: _subnet(subnet, n, seed) for n, subnet in enumerate(spec.subnets)},
        clock_ns=lambda: engine.now_ns,
        throttle=None if spec.throttling is None else Throttle(spec.throttling),
        seed=seed,
    )
    region.faults = [
        Fault(
            fault.api,
            fault.code,
            times=fault.times,
            message=fault.message,
            probability=fault.probability,
            from_ns=fault.from_ns,
            until_ns=fault.until_ns,
        )
        for fault in spec.faults
    ]
    return region


def zone_subnets(subnets: Sequence[SubnetSpec]) -> dict[str, tuple[str, ...]]:
    """Return the subnets of each subnet's zone, by its id."""
    by_zone: dict[str, list[str]] = {}
    for subnet in subnets:
        by_zone.setdefault(subnet.zone, []).append(subnet.subnet_id)
    of_zone = {zone: tuple(subnet_ids) for zone, subnet_ids in by_zone.items()}
    return {subnet.subnet_id: of_zone[subnet.zone] for subnet in subnets}


def _subnet(spec: SubnetSpec, number: int, seed: int) -> AddressedSubnet:
    compiled = Subnet(
        spec.cidr,
        seed=seed * 1009 + number,
        reservations=spec.reservations,  # type: ignore[arg-type]
    )
    compiled.take_addresses(spec.used)
    subnet = AddressedSubnet(compiled)
    if spec.tag is not None:
        subnet.tags[ROLE_TAG] = spec.tag
    return subnet
