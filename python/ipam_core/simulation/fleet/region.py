"""The simulated regions of a fleet: their subnets, throttling and faults, and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._subnet import Subnet
from ipam_core.cloud.region import Fault, SimulatedRegion
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import AddressedSubnet
from ipam_core.cloud.throttling import Throttle
from ipam_core.effects import EniConfig
from ipam_core.simulation.fleet.independent import derived_seed
from ipam_core.tags import ROLE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.cloud.region import Call, SimulatedEni
    from ipam_core.instances import InstanceLimits
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.spec import FleetSpec, SubnetSpec


class Machines:
    """The regions of a fleet at its start, and the instances that are launched in them.

    `on_call` hears of the instances' EC2 calls. `part` is the number of the part that the
    fleet is: ids of instances and ENIs differ between regions, and between parts.
    """

    def __init__(
        self,
        spec: FleetSpec,
        engine: Engine,
        seed: int,
        on_call: Callable[[Call], None],
        part: int,
    ) -> None:
        self._on_call = on_call
        self._lag_s = spec.metadata_lag_s
        self._first_id = part << 48
        self.subnets: dict[str, AddressedSubnet] = {
            subnet.subnet_id: _subnet(subnet, n, seed) for n, subnet in enumerate(spec.subnets)
        }
        names = dict.fromkeys(subnet.region for subnet in spec.subnets)
        self.regions: dict[str, SimulatedRegion] = {
            name: self._region(spec, name, engine, seed, n) for n, name in enumerate(names)
        }
        self._regions = {each.subnet_id: self.regions[each.region] for each in spec.subnets}
        by_zone: dict[tuple[str, str], list[str]] = {}
        for subnet in spec.subnets:
            by_zone.setdefault((subnet.region, subnet.zone), []).append(subnet.subnet_id)
        of_zone = {zone: tuple(subnet_ids) for zone, subnet_ids in by_zone.items()}
        self._zone_subnets = {
            subnet.subnet_id: of_zone[subnet.region, subnet.zone] for subnet in spec.subnets
        }

    def _region(
        self, spec: FleetSpec, name: str, engine: Engine, seed: int, number: int
    ) -> SimulatedRegion:
        region = SimulatedRegion(
            {
                subnet.subnet_id: self.subnets[subnet.subnet_id]
                for subnet in spec.subnets
                if subnet.region == name
            },
            clock_ns=lambda: engine.now_ns,
            throttle=None if spec.throttling is None else Throttle(spec.throttling),
            seed=derived_seed(seed, number),
            first_eni=self._first_id + (number << 32),
            name=name,
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

    def create_eni(self, subnet_id: str) -> SimulatedEni:
        """Create an unattached ENI. Raises `Ec2Error`: the subnet is full."""
        return self._regions[subnet_id].create_eni(subnet_id)

    def launch(
        self, eni: SimulatedEni, number: int, limits: InstanceLimits, pod_subnet: str | None
    ) -> SimulatedInstance:
        """Launch the instance of a number with its primary ENI, in that one's subnet."""
        instance = SimulatedInstance(
            self._regions[eni.subnet_id],
            enis_per_card=limits.enis_per_network_card,
            slots=limits.slots,
            instance_type=limits.instance_type,
            instance_id=f"i-{self._first_id + number + 1:017x}",
            subnet_id=eni.subnet_id,
            zone_subnets=self._zone_subnets[eni.subnet_id],
            eni_config=EniConfig(subnet_id=pod_subnet or eni.subnet_id),
            on_call=self._on_call,
            metadata_lag_s=self._lag_s,
        )
        eni.goes_with_instance = True
        instance.attach(eni, 0)
        return instance


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
