"""A simulated region: one account's subnets and ENIs, and the refusals of EC2.

Everything is deterministic: the same calls, seed and clock give the same answers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core._dataclass import dataclass
from ipam_core.cloud.codes import REQUEST_LIMIT, error_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam_core.cloud.subnets import SimulatedSubnet
    from ipam_core.cloud.throttling import Throttle
    from ipam_core.errors import CloudError

PRIMARY_SUBNET = "primary"
"""The id of the only subnet where a simulation does not name more."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall-clock time at which a simulated region's clock is 0."""


def wall_time_of(time_ns: int) -> datetime:
    """Return the wall-clock time, to the microsecond, at which a region's clock shows a time."""
    return EPOCH + timedelta(microseconds=time_ns // 1000)


@dataclass(slots=True, kw_only=True)
class SimulatedEni:
    """An ENI as EC2 knows it. `SimulatedRegion` attaches and detaches it."""

    eni_id: str
    subnet_id: str
    primary_address: str
    addresses: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    ipv6_prefixes: list[str] = field(default_factory=list)
    interface_type: str = "interface"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    instance_id: str | None = None
    device_number: int = 0
    network_card: int = 0
    security_groups: tuple[str, ...] = ()
    goes_with_instance: bool = False

    @property
    def attachment_id(self) -> str | None:
        """The attachment's id, None where the ENI is available."""
        return None if self.instance_id is None else f"attach-{self.eni_id}"

    @property
    def is_primary(self) -> bool:
        """Whether its place on an instance is that of the primary ENI: device 0 of card 0."""
        return self.device_number == 0 and self.network_card == 0

    def describe(self) -> fx.EniDescription:
        """Return the ENI as DescribeNetworkInterfaces shows it."""
        return fx.EniDescription(
            eni_id=self.eni_id,
            addresses=tuple(self.addresses),
            prefixes=tuple(self.prefixes),
            ipv6_prefixes=tuple(self.ipv6_prefixes),
            attachment_id=self.attachment_id,
            instance_id=self.instance_id,
            interface_type=self.interface_type,
            status="available" if self.instance_id is None else "in-use",
            description=self.description,
            tags=dict(self.tags),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One EC2 call of a node, with its result; `region` is "" where it has no name."""

    api: str
    instance_id: str
    effect: fx.Effect
    time_ns: int = 0
    reply: Any = None
    error: CloudError | None = None
    region: str = ""

    @property
    def count(self) -> int | None:
        """Addresses or prefixes asked for or given back; None for other calls."""
        effect = self.effect
        if isinstance(effect, fx.UnassignPrivateIps):
            return len(effect.addresses)
        if isinstance(effect, fx.UnassignPrefixes):
            return len(effect.prefixes)
        return getattr(effect, "count", None)


@dataclass(slots=True)
class Fault:
    """Calls to `api` fail with `code` before anything changes.

    `times` None is without end; `probability` is that of each call, from `from_ns` until
    before `until_ns` by the region's clock.
    """

    api: str
    code: str
    times: int | None = None
    message: str = ""
    probability: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None

    def strikes(self, api: str, now_ns: int, chance: random.Random) -> bool:
        """Return whether a call made now fails, using up one time."""
        if (
            api != self.api
            or self.times == 0
            or now_ns < self.from_ns
            or (self.until_ns is not None and now_ns >= self.until_ns)
            or (self.probability < 1 and chance.random() >= self.probability)
        ):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class SimulatedRegion:
    """EC2 of one account and region, which may have a `name`. `subnets` are by id.

    `clock_ns` gives virtual nanoseconds since `EPOCH`: it dates tags, lets metadata lag and
    opens and closes faults. `throttle` is EC2's request throttling, None for none; `seed`
    decides which calls fail under a fault with a probability. The ids of ENIs follow
    `first_eni`.
    """

    def __init__(
        self,
        subnets: dict[str, SimulatedSubnet],
        *,
        cluster: str = "",
        clock_ns: Callable[[], int] = lambda: 0,
        throttle: Throttle | None = None,
        seed: int = 0,
        first_eni: int = 0,
        name: str = "",
    ) -> None:
        self.name = name
        self.subnets = subnets
        self.cluster = cluster
        self.clock_ns = clock_ns
        self.throttle = throttle
        self.enis: dict[str, SimulatedEni] = {}
        self.faults: list[Fault] = []
        self._attached: defaultdict[str | None, dict[str, SimulatedEni]] = defaultdict(dict)
        self._chance = random.Random(seed)
        self._n_enis = first_eni
        self._n_ipv6_prefixes = 0

    def wall_time(self) -> datetime:
        """Return the wall-clock time."""
        return wall_time_of(self.clock_ns())

    # --- ENIs -------------------------------------------------------------------

    def create_eni(
        self, subnet_id: str, *, n_addresses: int = 0, n_prefixes: int = 0
    ) -> SimulatedEni:
        """Create an unattached ENI. Raises `Ec2Error`: the subnet is full."""
        held = self.subnets[subnet_id].take_eni(n_addresses, n_prefixes)
        self._n_enis += 1
        return self._add(f"eni-{self._n_enis:017x}", subnet_id, held)

    def place_eni(
        self, eni_id: str, subnet_id: str, *, n_addresses: int = 0, n_prefixes: int = 0
    ) -> SimulatedEni:
        """Add an ENI from before the subnet's free addresses were counted."""
        held = self.subnets[subnet_id].place_eni(n_addresses, n_prefixes)
        return self._add(eni_id, subnet_id, held)

    def _add(
        self, eni_id: str, subnet_id: str, held: tuple[str, list[str], list[str]]
    ) -> SimulatedEni:
        primary, addresses, prefixes = held
        eni = SimulatedEni(
            eni_id=eni_id,
            subnet_id=subnet_id,
            primary_address=primary,
            addresses=addresses,
            prefixes=prefixes,
        )
        self.add_eni(eni)
        return eni

    def add_eni(self, eni: SimulatedEni) -> None:
        """Add an ENI, attached to nothing, that holds what its subnet gave already."""
        self.enis[eni.eni_id] = eni
        self._attached[None][eni.eni_id] = eni

    def restore_enis(self, enis: Iterable[SimulatedEni]) -> None:
        """Add ENIs as another region had them, attached or not; new ones get other ids."""
        for eni in enis:
            instance_id, eni.instance_id = eni.instance_id, None
            self.add_eni(eni)
            self._n_enis = max(self._n_enis, int(eni.eni_id.removeprefix("eni-"), 16))
            if instance_id is not None:
                self.attach(eni, instance_id, eni.device_number, eni.network_card)

    def delete_eni(self, eni_id: str) -> None:
        """Delete an ENI; its addresses are free again."""
        eni = self.enis[eni_id]
        self.subnets[eni.subnet_id].give_back([eni.primary_address, *eni.addresses], eni.prefixes)
        self.forget_eni(eni_id)

    def forget_eni(self, eni_id: str) -> None:
        """Remove an ENI from the region; its addresses stay taken."""
        eni = self.enis.pop(eni_id)
        del self._attached[eni.instance_id][eni_id]

    def attach(
        self, eni: SimulatedEni, instance_id: str, device_number: int = 0, network_card: int = 0
    ) -> None:
        """Attach an ENI to an instance."""
        self._move(eni, instance_id)
        eni.device_number = device_number
        eni.network_card = network_card

    def detach(self, eni: SimulatedEni) -> None:
        """Detach an ENI: it is available."""
        self._move(eni, None)

    def _move(self, eni: SimulatedEni, instance_id: str | None) -> None:
        del self._attached[eni.instance_id][eni.eni_id]
        eni.instance_id = instance_id
        self._attached[instance_id][eni.eni_id] = eni

    def attached_to(self, instance_id: str) -> list[SimulatedEni]:
        """Return the ENIs of an instance, by card and device number."""
        return sorted(
            self._attached[instance_id].values(),
            key=lambda eni: (eni.network_card, eni.device_number),
        )

    def available_enis(self) -> list[SimulatedEni]:
        """Return the unattached ENIs."""
        return list(self._attached[None].values())

    def terminate(self, instance_id: str) -> None:
        """End an instance: its ENIs with DeleteOnTermination are deleted; others stay."""
        for eni in self.attached_to(instance_id):
            if eni.goes_with_instance:
                self.delete_eni(eni.eni_id)
            else:
                self.detach(eni)
        del self._attached[instance_id]

    def assign_ipv6_prefix(self, eni: SimulatedEni) -> None:
        """Give an ENI the next /80."""
        self._n_ipv6_prefixes += 1
        high, low = divmod(self._n_ipv6_prefixes, 1 << 16)
        eni.ipv6_prefixes.append(f"2001:db8:{high:x}:1:{low:x}::/80")

    # --- refusals -----------------------------------------------------------------

    def refusal_of(self, api: str) -> CloudError | None:
        """Return the error of a throttled call, None if it is admitted.

        It costs a token of the account's bucket for this API.
        """
        if self.throttle is None or self.throttle.admits(api, self.clock_ns()):
            return None
        return error_for(api, REQUEST_LIMIT, "Request limit exceeded.")

    def fault_of(self, api: str) -> CloudError | None:
        """Return the error with which a call fails now, using up one time of its fault."""
        if not self.faults:
            return None
        now_ns = self.clock_ns()
        for fault in self.faults:
            if fault.strikes(api, now_ns, self._chance):
                return error_for(api, fault.code, fault.message)
        return None
