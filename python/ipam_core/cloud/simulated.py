"""A simulated region: subnets, ENIs and attachments, and the instances in it.

All calls are answered at once and are all or nothing; when a reply arrives is the
business of whoever drives the node. Limits and error codes are EC2's (pool-rules
section 6). Everything is deterministic: the same calls give the same answers.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core.cloud import codes
from ipam_core.cloud.codes import error_for
from ipam_core.cloud.subnets import SimulatedSubnet, SubnetFullSignal
from ipam_core.node.leaks import CLUSTER_TAG, CREATED_AT_TAG
from ipam_core.node.taking import NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.errors import CloudError

PRIMARY_SUBNET = "primary"
CHANGING_APIS = frozenset({
    "AssignPrivateIpAddresses",
    "AssignIpv6Addresses",
    "UnassignPrivateIpAddresses",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
})  # fmt: skip
"""The calls that change what an instance has attached."""


@dataclass(slots=True, kw_only=True)
class SimulatedEni:
    """An ENI as EC2 knows it."""

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

    @property
    def attachment_id(self) -> str | None:
        """The attachment's id, None where the ENI is available."""
        return None if self.instance_id is None else f"attach-{self.eni_id}"

    def describe(self) -> fx.EniDescription:
        """Return what DescribeNetworkInterfaces says."""
        return fx.EniDescription(
            eni_id=self.eni_id,
            addresses=tuple(self.addresses),
            prefixes=tuple(self.prefixes),
            ipv6_prefixes=tuple(self.ipv6_prefixes),
            attachment_id=self.attachment_id,
            interface_type=self.interface_type,
            status="available" if self.instance_id is None else "in-use",
            description=self.description,
            tags=dict(self.tags),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One EC2 call that a node made."""

    api: str
    instance_id: str
    effect: fx.Effect
    error: CloudError | None = None

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
    """Calls to `api` fail with `code` before anything changes; `times` None is for ever."""

    api: str
    code: str
    times: int | None = None
    message: str = ""


EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall-clock time at which a simulated region's clock is 0."""


class SimulatedRegion:
    """EC2 of one account and region. `subnets` are by id; the nodes' own is "primary".

    `clock_ns` gives virtual nanoseconds since `EPOCH`: it dates tags and lets metadata lag.
    """

    def __init__(
        self,
        subnets: dict[str, SimulatedSubnet],
        *,
        cluster: str = "",
        clock_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        self.subnets = subnets
        self.cluster = cluster
        self.clock_ns = clock_ns
        self.enis: dict[str, SimulatedEni] = {}
        self.faults: list[Fault] = []
        self._next_eni = 0

    def create_eni(
        self, subnet_id: str, *, n_addresses: int = 0, n_prefixes: int = 0
    ) -> SimulatedEni:
        """Create an ENI that is attached to nothing. Raises `SubnetFullSignal`."""
        held = self.subnets[subnet_id].take_eni(n_addresses, n_prefixes)
        self._next_eni += 1
        return self._add(f"eni-{self._next_eni:017x}", subnet_id, held)

    def place_eni(
        self, eni_id: str, subnet_id: str, *, n_addresses: int = 0, n_prefixes: int = 0
    ) -> SimulatedEni:
        """Add an ENI that was there before the subnet's free addresses were counted."""
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
        self.enis[eni_id] = eni
        return eni

    def wall_time(self) -> datetime:
        """Return the wall-clock time."""
        return EPOCH + timedelta(microseconds=self.clock_ns() // 1000)

    def delete_eni(self, eni_id: str) -> None:
        """Delete an ENI; what it held is free again."""
        eni = self.enis.pop(eni_id)
        self.subnets[eni.subnet_id].give_back([eni.primary_address, *eni.addresses], eni.prefixes)

    def fault_of(self, api: str) -> CloudError | None:
        """Return the error with which a call fails now, using up one time of its fault."""
        for fault in self.faults:
            if fault.api == api:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.faults.remove(fault)
                return error_for(api, fault.code, fault.message)
        return None


class SimulatedInstance:
    """One instance in a region: performs the effects of the node that runs on it.

    `enis_per_card` and `slots` are what EC2 allows the type. `on_call` is told of each call.
    Instance metadata shows a change only `metadata_lag_s` after it was made.
    """

    def __init__(
        self,
        region: SimulatedRegion,
        *,
        enis_per_card: tuple[int, ...],
        slots: int,
        instance_id: str = "i-00000000000000001",
        eni_config: fx.EniConfig | None = None,
        on_call: Callable[[Call], None] | None = None,
        metadata_lag_s: float = 0.0,
    ) -> None:
        self.region = region
        self.metadata_lag_s = metadata_lag_s
        self._metadata: deque[tuple[int, tuple[fx.AttachedEni, ...]]] = deque()
        self.enis_per_card = enis_per_card
        self.slots = slots
        self.instance_id = instance_id
        self.eni_config = eni_config or fx.EniConfig(subnet_id="eniconfig")
        self.on_call = on_call
        self.unschedulable = False
        self.metadata_hides_addresses = False
        self.checkpoint: list[fx.CheckpointEntry] = []
        self._perform: dict[type[fx.Effect], Callable[[Any], Any]] = {
            fx.AssignPrivateIps: self._assign_private_ips,
            fx.AssignPrefixes: self._assign_prefixes,
            fx.AssignIpv6Prefix: self._assign_ipv6_prefix,
            fx.UnassignPrivateIps: self._unassign_private_ips,
            fx.UnassignPrefixes: self._unassign_prefixes,
            fx.CreateEni: self._create_eni,
            fx.FindFreeDevice: self._find_free_device,
            fx.AttachEni: self._attach_eni,
            fx.DeleteWithInstance: self._require_eni,
            fx.DetachEni: self._detach_eni,
            fx.DeleteEni: self._delete_eni,
            fx.TagEni: self._tag_eni,
            fx.TagCreatedAt: self._tag_created_at,
            fx.DescribeEnis: self._describe_enis,
            fx.FindNodelessEnis: self._find_nodeless_enis,
            fx.DescribeSubnets: self._describe_subnets,
            fx.ReadAttachedEnis: self._read_attached_enis,
            fx.ReadUnschedulable: lambda _: self.unschedulable,
            fx.ReadEniConfig: lambda _: self.eni_config,
            fx.ReadCheckpoint: lambda _: tuple(self.checkpoint),
            fx.ForgetAssignments: lambda _: None,
        }

    def perform(self, effect: fx.Effect) -> Any:
        """Carry one effect out and return its reply. Raises `CloudError`."""
        api = effect.api
        if api is None:
            return self._perform[type(effect)](effect)
        error = self.region.fault_of(api)
        reply = None
        if error is None:
            try:
                reply = self._perform[type(effect)](effect)
            except SubnetFullSignal as full:
                error = error_for(api, full.code)
            except _Refused as refused:
                error = error_for(api, refused.code, refused.message)
        if error is None and api in CHANGING_APIS:
            self.publish_metadata()
        if self.on_call is not None:
            self.on_call(Call(api=api, instance_id=self.instance_id, effect=effect, error=error))
        if error is not None:
            raise error
        return reply

    def attached(self) -> list[SimulatedEni]:
        """Return the ENIs attached to this instance, by card and device number."""
        return sorted(
            (eni for eni in self.region.enis.values() if eni.instance_id == self.instance_id),
            key=lambda eni: (eni.network_card, eni.device_number),
        )

    def attach(self, eni: SimulatedEni, device_number: int, network_card: int = 0) -> None:
        """Attach an ENI without asking anybody."""
        eni.instance_id = self.instance_id
        eni.device_number = device_number
        eni.network_card = network_card

    def free_device(self, network_card: int = 0) -> int:
        """Return the lowest device number that is free on a card."""
        taken = {eni.device_number for eni in self.attached() if eni.network_card == network_card}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    # --- EC2 ------------------------------------------------------------------

    def _eni(self, eni_id: str) -> SimulatedEni:
        try:
            return self.region.enis[eni_id]
        except KeyError:
            message = f"The networkInterface ID '{eni_id}' does not exist"
            raise _Refused(codes.ENI_NOT_FOUND, message) from None

    def _require_eni(self, effect: fx.DeleteWithInstance) -> None:
        self._eni(effect.eni_id)

    def _tag_created_at(self, effect: fx.TagCreatedAt) -> None:
        self._eni(effect.eni_id).tags[CREATED_AT_TAG] = self.region.wall_time().isoformat()

    def _room(self, eni: SimulatedEni, count: int) -> None:
        if len(eni.addresses) + len(eni.prefixes) + count > self.slots:
            raise _Refused(codes.ADDRESS_LIMIT, f"at most {self.slots} beside the primary")

    def _assign_private_ips(self, effect: fx.AssignPrivateIps) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        self._room(eni, effect.count)
        addresses = self.region.subnets[eni.subnet_id].take_addresses(effect.count)
        eni.addresses += addresses
        return tuple(addresses)

    def _assign_prefixes(self, effect: fx.AssignPrefixes) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        self._room(eni, effect.count)
        prefixes = self.region.subnets[eni.subnet_id].take_prefixes(effect.count)
        eni.prefixes += prefixes
        return tuple(prefixes)

    def _assign_ipv6_prefix(self, effect: fx.AssignIpv6Prefix) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        number = int(eni.eni_id[-8:], 16) if eni.eni_id[-8:].isalnum() else 1
        eni.ipv6_prefixes.append(f"2001:db8:0:1:{number & 0xFFFF:x}::/80")
        return tuple(eni.ipv6_prefixes)

    def _unassign_private_ips(self, effect: fx.UnassignPrivateIps) -> None:
        eni = self._eni(effect.eni_id)
        gone = [address for address in effect.addresses if address in eni.addresses]
        eni.addresses = [address for address in eni.addresses if address not in set(gone)]
        self.region.subnets[eni.subnet_id].give_back(gone, [])

    def _unassign_prefixes(self, effect: fx.UnassignPrefixes) -> None:
        eni = self._eni(effect.eni_id)
        gone = [prefix for prefix in effect.prefixes if prefix in eni.prefixes]
        eni.prefixes = [prefix for prefix in eni.prefixes if prefix not in set(gone)]
        self.region.subnets[eni.subnet_id].give_back([], gone)

    def _create_eni(self, effect: fx.CreateEni) -> str:
        eni = self.region.create_eni(
            effect.subnet_id or PRIMARY_SUBNET,
            n_addresses=effect.n_addresses,
            n_prefixes=effect.n_prefixes,
        )
        eni.description = f"aws-K8S-{self.instance_id}"
        eni.tags[NODE_TAG] = self.instance_id
        eni.tags[CREATED_AT_TAG] = self.region.wall_time().isoformat()
        if self.region.cluster:
            eni.tags[CLUSTER_TAG] = self.region.cluster
        return eni.eni_id

    def _find_free_device(self, effect: fx.FindFreeDevice) -> int:
        return self.free_device(effect.network_card)

    def _attach_eni(self, effect: fx.AttachEni) -> str:
        eni = self._eni(effect.eni_id)
        card = effect.network_card
        most = self.enis_per_card[card] if card < len(self.enis_per_card) else 0
        if sum(other.network_card == card for other in self.attached()) >= most:
            raise _Refused(codes.ATTACHMENT_LIMIT, f"at most {most} interfaces on card {card}")
        self.attach(eni, effect.device_number, effect.network_card)
        return f"attach-{eni.eni_id}"

    def _detach_eni(self, effect: fx.DetachEni) -> None:
        self._eni(effect.eni_id).instance_id = None

    def _delete_eni(self, effect: fx.DeleteEni) -> None:
        eni = self._eni(effect.eni_id)
        if eni.instance_id is not None:
            raise _Refused("InvalidParameterValue", f"{eni.eni_id} is currently in use")
        self.region.delete_eni(eni.eni_id)

    def _tag_eni(self, effect: fx.TagEni) -> None:
        self._eni(effect.eni_id).tags[NODE_TAG] = self.instance_id

    def _describe_enis(self, effect: fx.DescribeEnis) -> tuple[fx.EniDescription, ...]:
        return tuple(self._eni(eni_id).describe() for eni_id in effect.eni_ids)

    def _find_nodeless_enis(self, _: fx.FindNodelessEnis) -> tuple[fx.EniDescription, ...]:
        cluster = self.region.cluster
        return tuple(
            eni.describe()
            for eni in self.region.enis.values()
            if eni.instance_id is None
            and NODE_TAG in eni.tags
            and (not cluster or eni.tags.get(CLUSTER_TAG) == cluster)
        )

    def _describe_subnets(self, _: fx.DescribeSubnets) -> tuple[fx.SubnetDescription, ...]:
        return tuple(
            fx.SubnetDescription(
                subnet_id=subnet_id,
                available_addresses=subnet.available_addresses,
                tags=dict(subnet.tags),
            )
            for subnet_id, subnet in self.region.subnets.items()
        )

    # --- metadata ---------------------------------------------------------------

    def publish_metadata(self) -> None:
        """Let metadata show, after its lag, what is attached now."""
        if self.metadata_lag_s:
            self._metadata.append((self.region.clock_ns(), self._metadata_now()))

    def _read_attached_enis(self, _: fx.ReadAttachedEnis) -> tuple[fx.AttachedEni, ...]:
        if not self._metadata:
            return self._metadata_now()
        shown_ns = self.region.clock_ns() - round(self.metadata_lag_s * 1e9)
        while len(self._metadata) > 1 and self._metadata[1][0] <= shown_ns:
            self._metadata.popleft()
        return self._metadata[0][1]

    def _metadata_now(self) -> tuple[fx.AttachedEni, ...]:
        hide = self.metadata_hides_addresses
        return tuple(
            fx.AttachedEni(
                eni_id=eni.eni_id,
                device_number=eni.device_number,
                network_card=eni.network_card,
                primary_address=eni.primary_address,
                subnet_id=eni.subnet_id,
                addresses=() if hide else tuple(eni.addresses),
                prefixes=tuple(eni.prefixes),
                ipv6_prefixes=tuple(eni.ipv6_prefixes),
            )
            for eni in self.attached()
        )


class _Refused(Exception):  # noqa: N818 - turned into a CloudError by `perform`
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def count_calls(calls: list[Call]) -> Counter[str]:
    """Return how often each API was called, failing calls too."""
    return Counter(call.api for call in calls)
