"""One account and region: its resources, and the changes that take time.

Actions read and change it; each checks everything first. Nothing here knows requests.
"""

from __future__ import annotations

import heapq
import random
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._subnet import Subnet
from ipam_core.cloud.region import SimulatedRegion
from ipam_core.endpoint.client_tokens import ClientTokens
from ipam_core.endpoint.indices import ENI_INDICES, INSTANCE_INDICES, SUBNET_INDICES
from ipam_core.endpoint.ipv6 import Ipv6Block
from ipam_core.endpoint.resources import (
    KINDS,
    CidrReservation,
    Instance,
    Interface,
    SecurityGroup,
    VirtualNetwork,
    VpcSubnet,
)
from ipam_core.endpoint.tables import Table
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ACCOUNT_ID = "111122223333"
"""The account of AWS's own examples."""
USER_ID = "AIDACKCEVSQ6C2EXAMPLE"
"""The user that calls, and that made every interface."""
TERMINATED_FOR_NS = 3600 * NS
"""How long a terminated instance is still described: "usually within an hour" (EC2 guide)."""
_IPV6_BASE = IPv6Network("2600:1f00::/32")
"""Where VPCs get their /56 from: one of AWS's own ranges."""
_DEFAULT_BLOCK_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long what a call began takes, in seconds of the VPC's clock.

    AWS publishes no figures; these are of the size that the agent's own waits assume
    (pkg/awsutils/awsutils.go: an attachment shows within seconds, and a deletion is tried
    again for as long).
    """

    available_s: float = 0.0
    """From CreateNetworkInterface until the interface is available."""
    attached_s: float = 1.0
    detached_s: float = 2.0
    running_s: float = 5.0
    terminated_s: float = 10.0


class Account:
    """The resources of one account in one region.

    `clock_ns` gives nanoseconds since `ipam_core.cloud.region.EPOCH`; `seed` decides ids,
    addresses and MACs. `zones` are the letters of the availability zones.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        account_id: str = ACCOUNT_ID,
        cluster: str = "",
        zones: Iterable[str] = ("a", "b", "c"),
        clock_ns: Callable[[], int] = lambda: 0,
        seed: int = 0,
        delays: Delays | None = None,
    ) -> None:
        if region.count("-") < 2:
            raise ValueError(f"region {region!r}: a name as us-east-1 is needed")
        self.region_name = region
        self.account_id = account_id
        self.cluster = cluster
        self.cluster_subnets: tuple[str, ...] = ()
        """The subnets that the cluster's control plane was given; none: all."""
        self.node_groups: tuple[str, ...] = ()
        self.http_tokens = "optional"
        """Whether instance metadata needs a token, where a launch did not say: or `required`."""
        self.zones: list[str] = [f"{region}{letter}" for letter in zones]
        self.delays: Delays = delays or Delays()
        self.chance: random.Random = random.Random(seed)
        self.secret: bytes = self.chance.randbytes(32)
        self.simulated: SimulatedRegion = SimulatedRegion(
            {}, cluster=cluster, clock_ns=clock_ns, seed=seed
        )
        self.enis: Table[Interface] = Table(
            "network-interface-id",
            ENI_INDICES,
            {"addresses.private-ip-address": self._holders_of},
        )
        self.instances: Table[Instance] = Table("instance-id", INSTANCE_INDICES)
        self.subnets: Table[VpcSubnet] = Table("subnet-id", SUBNET_INDICES)
        self.vpcs: Table[VirtualNetwork] = Table("vpc-id", {})
        self.groups: Table[SecurityGroup] = Table("group-id", {"vpc-id": lambda row: (row.vpc_id,)})
        self.reservations: Table[CidrReservation] = Table(
            "subnet-cidr-reservation-id", {"subnet-id": lambda row: (row.subnet_id,)}
        )
        self.client_tokens: ClientTokens = ClientTokens()
        self.n_made: int = 0
        self.pending: list[tuple[int, int, str, str]] = []
        """What will be, by due time: a heap of (time, number, what, id)."""
        self._event_ns = 0
        """When what is happening by itself happens; 0 in a call."""

    # --- time, ids --------------------------------------------------------------------

    def now_ns(self) -> int:
        """Return nanoseconds since `EPOCH`."""
        return self.simulated.clock_ns()

    def next_number(self) -> int:
        """Return the place of what is made now in the order of creation."""
        self.n_made += 1
        return self.n_made

    def new_id(self, prefix: str) -> str:
        """Return a new id."""
        return f"{prefix}-0{self.chance.getrandbits(64):016x}"

    def new_mac(self) -> str:
        """Return a MAC that no interface has: locally administered, as EC2's are."""
        while True:
            mac = (0x02 << 40 | self.chance.getrandbits(40)).to_bytes(6, "big").hex(":")
            if not self.enis.numbers_of("mac-address", mac):
                return mac

    def event_ns(self) -> int:
        """Return the time of what happens now: while `settle` catches up, when it was due."""
        return self._event_ns or self.now_ns()

    def later(self, delay_s: float, what: str, key: str) -> None:
        """Let something happen once the clock has gone on so far, before the next call."""
        due_ns = self.event_ns() + round(delay_s * NS)
        heapq.heappush(self.pending, (due_ns, self.next_number(), what, key))

    def settle(self) -> None:
        """Let happen what is due by now, each at its own time, in order."""
        now_ns = self.now_ns()
        while self.pending and self.pending[0][0] <= now_ns:
            self._event_ns, _, what, key = heapq.heappop(self.pending)
            EVENTS[what](self, key)
        self._event_ns = 0

    # --- networks, subnets, groups ------------------------------------------------------

    def default_vpc(self) -> VirtualNetwork:
        """Return the first VPC, made where there is none, with its group `default`."""
        return next(iter(self.vpcs), None) or self.add_vpc()

    def add_vpc(self, blocks: Iterable[str] = (), *, vpc_id: str = "") -> VirtualNetwork:
        """Add a VPC with these IPv4 blocks; more are added as subnets need them."""
        number = self.next_number()
        ipv6 = IPv6Network((int(_IPV6_BASE.network_address) + (len(self.vpcs) << 72), 56))
        network = VirtualNetwork(
            vpc_id=vpc_id or self.new_id("vpc"),
            number=number,
            blocks=[(block, self.new_id("vpc-cidr-assoc")) for block in blocks],
            ipv6_block=(str(ipv6), self.new_id("vpc-cidr-assoc")),
        )
        self.vpcs.add(network)
        self.add_group("default", "default VPC security group", vpc_id=network.vpc_id)
        return network

    def add_group(
        self,
        name: str,
        description: str,
        *,
        vpc_id: str,
        group_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> SecurityGroup:
        """Add a security group."""
        group = SecurityGroup(
            group_id=group_id or self.new_id("sg"),
            number=self.next_number(),
            vpc_id=vpc_id,
            name=name,
            description=description,
            tags=dict(tags or {}),
        )
        self.groups.add(group)
        return group

    def default_group(self, vpc_id: str) -> SecurityGroup:
        """Return the group that a VPC was made with."""
        return self.groups.all_of("vpc-id", vpc_id)[0]

    def add_subnet(
        self,
        cidr: str,
        *,
        zone: str = "",
        subnet_id: str = "",
        vpc_id: str = "",
        ipv6: bool = True,
        used: int = 0,
        reservations: Iterable[tuple[str, str]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> VpcSubnet:
        """Add a subnet; `used` of its addresses, at random, are somebody else's for ever.

        Its VPC's blocks grow by a /16 (or the subnet's own, if larger) that holds it.
        `zone` is a letter or a zone's name.

        Raises:
            ValueError: not an IPv4 network of /16 to /28, or it overlaps another subnet.
            SubnetExhaustedError, ReservationError: more is used than it has; a bad reservation.
        """
        network = self.vpcs.by_key[vpc_id] if vpc_id else self.default_vpc()
        compiled = Subnet(cidr, seed=self.chance.getrandbits(64))
        own = IPv4Network(compiled.cidr)
        for other in self.subnets.all_of("vpc-id", network.vpc_id):
            if own.overlaps(IPv4Network(other.subnet.cidr)):
                raise ValueError(f"{cidr} overlaps {other.subnet.cidr}")
        for reserved, kind in reservations:
            compiled.add_reservation(reserved, kind)  # type: ignore[arg-type]
        others = tuple(compiled.take_addresses(used))
        if not any(own.subnet_of(IPv4Network(block)) for block, _ in network.blocks):
            block = own.supernet(new_prefix=min(_DEFAULT_BLOCK_BITS, own.prefixlen))
            network.blocks.append((str(block), self.new_id("vpc-cidr-assoc")))
        zone = zone or self.zones[0][-1]
        zone = zone if zone.startswith(self.region_name) else self.region_name + zone
        if zone not in self.zones:
            self.zones = sorted({*self.zones, zone})
        subnet = VpcSubnet(
            compiled,
            subnet_id=subnet_id or self.new_id("subnet"),
            number=self.next_number(),
            vpc_id=network.vpc_id,
            zone=zone,
            ipv6=self._ipv6_block(network) if ipv6 else None,
            tags=dict(tags or {}),
        )
        subnet.others = others
        self.subnets.add(subnet)
        self.simulated.subnets[subnet.subnet_id] = subnet
        for reserved, kind in compiled.reservations:
            self.note_reservation(subnet, reserved, kind)
        return subnet

    def _ipv6_block(self, network: VirtualNetwork) -> Ipv6Block | None:
        """Return the next /64 of a VPC; None where all 256 are taken."""
        n_taken = len(self.subnets.numbers_of("vpc-id", network.vpc_id))
        if n_taken >= 256:
            return None
        base = int(IPv6Network(network.ipv6_block[0]).network_address) + (n_taken << 64)
        return Ipv6Block(str(IPv6Network((base, 64))), self.chance)

    def note_reservation(
        self,
        subnet: VpcSubnet,
        cidr: str,
        kind: str,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> CidrReservation:
        """Give a range that the subnet has reserved its id."""
        reservation = CidrReservation(
            reservation_id=self.new_id("scr"),
            number=self.next_number(),
            subnet_id=subnet.subnet_id,
            cidr=cidr,
            kind=kind,
            description=description,
            tags=dict(tags or {}),
        )
        self.reservations.add(reservation)
        return reservation

    def _holders_of(self, address: str) -> list[Interface]:
        """Return the interfaces that hold an IPv4 address: one in a VPC at most."""
        found = (subnet.holders.get(address) for subnet in self.subnets)
        return [eni for eni in found if eni is not None]

    # --- interfaces, instances ------------------------------------------------------------

    def http_tokens_of(self, instance: Instance) -> str:
        """Return whether an instance's metadata needs a token: `required` or `optional`."""
        return instance.http_tokens or self.http_tokens

    def attached_to(self, instance_id: str) -> list[Interface]:
        """Return the interfaces of an instance, by card and device index."""
        found = self.simulated.attached_to(instance_id)
        return [each for each in found if isinstance(each, Interface)]

    def remove_interface(self, eni: Interface) -> None:
        """Delete an interface; what it held is free again."""
        subnet = self.subnets.by_key[eni.subnet_id]
        for held in (eni.primary_address, *eni.addresses, *eni.prefixes):
            del subnet.holders[held]
        if subnet.ipv6 is not None:
            subnet.ipv6.give_back(eni.ipv6_addresses, eni.ipv6_prefixes)
        self.simulated.delete_eni(eni.eni_id)
        self.enis.remove(eni)
        self.client_tokens.forget("CreateNetworkInterface", eni.client_token)

    def release(self, eni: Interface) -> None:
        """End an interface's attachment."""
        eni.attachment = None
        eni.goes_with_instance = False
        eni.status = "available"
        self.simulated.detach(eni)
        self.enis.changed(eni)

    def find(self, resource_id: str) -> tuple[str, Any] | None:
        """Return the table's name and the resource of an id, None where there is none."""
        for name in KINDS:
            row = getattr(self, name).by_key.get(resource_id)
            if row is not None:
                return name, row
        return None


# --- what happens by itself -------------------------------------------------------------------


def _available(account: Account, eni_id: str) -> None:
    eni = account.enis.by_key.get(eni_id)
    if eni is not None and eni.status == "pending":
        eni.status = "available"
        account.enis.changed(eni)


def _attached(account: Account, attachment_id: str) -> None:
    eni = account.enis.first_of("attachment.attachment-id", attachment_id)
    if eni is not None and eni.attachment is not None and eni.attachment.status == "attaching":
        eni.attachment.status = "attached"
        account.enis.changed(eni)


def _detached(account: Account, attachment_id: str) -> None:
    eni = account.enis.first_of("attachment.attachment-id", attachment_id)
    if eni is not None:
        account.release(eni)


def _running(account: Account, instance_id: str) -> None:
    instance = account.instances.by_key.get(instance_id)
    if instance is not None and instance.state == "pending":
        instance.state = "running"
        account.instances.changed(instance)


def _terminated(account: Account, instance_id: str) -> None:
    instance = account.instances.by_key[instance_id]
    for eni in account.attached_to(instance_id):
        if eni.goes_with_instance:
            account.remove_interface(eni)
        else:
            account.release(eni)
    instance.state = "terminated"
    instance.private_address = ""
    account.instances.changed(instance)
    account.later(TERMINATED_FOR_NS / NS, "forgotten", instance_id)


def _forgotten(account: Account, instance_id: str) -> None:
    instance = account.instances.by_key[instance_id]
    account.instances.remove(instance)
    account.client_tokens.forget("RunInstances", instance.client_token)


EVENTS: dict[str, Callable[[Account, str], None]] = {
    "available": _available,
    "attached": _attached,
    "detached": _detached,
    "running": _running,
    "terminated": _terminated,
    "forgotten": _forgotten,
}
