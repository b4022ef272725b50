"""A whole simulated cloud in one line: one instance, alone in a region of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._subnet import Subnet
from ipam_core.cloud.region import PRIMARY_SUBNET, SimulatedRegion
from ipam_core.cloud.simulated import SimulatedInstance
from ipam_core.cloud.subnets import AddressedSubnet
from ipam_core.instances import InstanceLimits, limits

if TYPE_CHECKING:
    from collections.abc import Callable


class SimulatedCloud(SimulatedInstance):
    """One instance of a type, its primary ENI attached, in a subnet of its own.

    `SimulatedCloud("m5.large", seed=1)` performs a node's effects as EC2 does, limits and
    error codes included. `instance_type` is a name, or limits of your own. The subnet gives
    addresses where EC2 would, anywhere, by `seed`; it is full when `cidr` is. `clock_ns`
    gives monotonic nanoseconds: it dates tags and lets metadata lag by `metadata_lag_s`.

    For several instances, subnets, faults or throttling, make a `SimulatedRegion` and its
    `SimulatedInstance`s.

    Attributes:
        limits: what the type allows, for `Node(cloud.limits, ...)`.

    Raises:
        UnknownInstanceTypeError: no such type; it names the nearest.
        ValueError: `cidr` is no IPv4 network from /16 to /28.
    """

    def __init__(
        self,
        instance_type: str | InstanceLimits,
        *,
        cidr: str = "10.0.0.0/16",
        seed: int = 0,
        clock_ns: Callable[[], int] = lambda: 0,
        metadata_lag_s: float = 0.0,
    ) -> None:
        self.limits: InstanceLimits = (
            limits(instance_type) if isinstance(instance_type, str) else instance_type
        )
        subnet = AddressedSubnet(Subnet(cidr, seed=seed))
        region = SimulatedRegion({PRIMARY_SUBNET: subnet}, clock_ns=clock_ns, seed=seed)
        super().__init__(
            region,
            enis_per_card=self.limits.enis_per_network_card,
            slots=self.limits.slots,
            instance_type=self.limits.instance_type,
            metadata_lag_s=metadata_lag_s,
        )
        self.attach(region.create_eni(PRIMARY_SUBNET), 0, self.limits.default_network_card)
