"""A slow model of a VPC, with sets: who holds which address, what is attached, what EC2 refuses.

It shares no code with the package. `expect_*` say how a call must end: a set of EC2's codes,
any of which may be given, or nothing where it must be done. `did_*` put the reply in, and fail
where it gives what it must not.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import count

# EC2 user guide, "Maximum IP addresses per network interface".
TYPES = {"t3.small": (3, 4), "m5.large": (3, 10)}
UNATTACHED = 64  # what an interface holds whose instance is not known yet, its primary included
DELAYS_S = {"available": 1, "attached": 2, "detached": 3, "running": 4, "terminated": 5}


@dataclass
class SubnetModel:
    subnet_id: str
    cidr: IPv4Network
    zone: str
    reservations: dict = field(default_factory=dict)  # id -> (network, type)


@dataclass
class EniModel:
    eni_id: str
    subnet: SubnetModel
    primary: IPv4Address
    addresses: set = field(default_factory=set)
    prefixes: set = field(default_factory=set)
    status: str = "pending"
    attachment_id: str | None = None
    attachment_status: str = ""
    instance_id: str | None = None
    device: int = 0
    goes: bool = False

    def n_held(self):
        return 1 + len(self.addresses) + len(self.prefixes)

    def all_addresses(self):
        return {self.primary, *self.addresses, *(a for p in self.prefixes for a in p)}


@dataclass
class InstanceModel:
    instance_id: str
    kind: str
    zone: str
    state: str = "pending"


class VpcModel:
    def __init__(self):
        self.subnets = {}
        self.enis = {}
        self.instances = {}
        self.now_s = 0.0
        self._pending = []
        self._order = count()

    # --- time ---------------------------------------------------------------------

    def move(self, seconds):
        until = self.now_s + seconds
        while self._pending and self._pending[0][0] <= until:
            self.now_s, _, what, key = heapq.heappop(self._pending)
            getattr(self, f"_{what}")(key)
        self.now_s = until

    def _later(self, what, key, delay_s=None):
        delay_s = DELAYS_S[what] if delay_s is None else delay_s
        heapq.heappush(self._pending, (self.now_s + delay_s, next(self._order), what, key))

    def _available(self, eni_id):
        if eni_id in self.enis and self.enis[eni_id].status == "pending":
            self.enis[eni_id].status = "available"

    def _attached(self, attachment_id):
        for eni in self.enis.values():
            if eni.attachment_id == attachment_id and eni.attachment_status == "attaching":
                eni.attachment_status = "attached"

    def _detached(self, attachment_id):
        for eni in self.enis.values():
            if eni.attachment_id == attachment_id:
                self._free(eni)

    def _free(self, eni):
        eni.status, eni.attachment_id, eni.instance_id = "available", None, None
        eni.attachment_status, eni.goes = "", False

    def _running(self, instance_id):
        instance = self.instances.get(instance_id)
        if instance and instance.state == "pending":
            instance.state = "running"

    def _terminated(self, instance_id):
        for eni in self.on_instance(instance_id):
            if eni.goes:
                del self.enis[eni.eni_id]
            else:
                self._free(eni)
        self.instances[instance_id].state = "terminated"

    # --- what there is ---------------------------------------------------------------

    def on_instance(self, instance_id):
        return [eni for eni in self.enis.values() if eni.instance_id == instance_id]

    def used(self, subnet):
        return {
            address
            for eni in self.enis.values()
            if eni.subnet is subnet
            for address in eni.all_addresses()
        }

    def kept(self, subnet):
        """The five addresses that AWS keeps."""
        return {*(subnet.cidr[n] for n in range(4)), subnet.cidr[-1]}

    def n_free(self, subnet):
        return subnet.cidr.num_addresses - 5 - len(self.used(subnet))

    def pickable(self, subnet):
        """Addresses that EC2 may give without being asked for by name."""
        reserved = [network for network, _ in subnet.reservations.values()]
        return {
            address
            for address in set(subnet.cidr) - self.kept(subnet) - self.used(subnet)
            if not any(address in network for network in reserved)
        }

    def free_blocks(self, subnet):
        """The /28s that EC2 may give: free, in a reservation for prefixes or outside of all."""
        taken = self.used(subnet) | self.kept(subnet)
        reserved = subnet.reservations.values()
        return {
            block
            for block in subnet.cidr.subnets(new_prefix=28)
            if not taken & set(block)
            and all(
                block.subnet_of(network) if kind == "prefix" else not block.overlaps(network)
                for network, kind in reserved
                if block.overlaps(network)
            )
        }

    def most_held(self, eni):
        if eni.instance_id is None:
            return UNATTACHED
        return TYPES[self.instances[eni.instance_id].kind][1]

    # --- what must be refused --------------------------------------------------------

    def _codes_of_taking(self, subnet, n_addresses, n_prefixes, given=(), given_prefixes=()):
        codes = set()
        taken = self.used(subnet)
        if any(address in taken for address in given):
            codes.add("InvalidIPAddress.InUse")
        busy = taken | self.kept(subnet)
        if any(set(prefix) & busy for prefix in given_prefixes):
            codes.add("InvalidIPAddress.InUse")
        if n_addresses > len(self.pickable(subnet) - set(given)):
            codes.add("InsufficientFreeAddressesInSubnet")
        if n_prefixes > len(self.free_blocks(subnet)):
            codes.add("InsufficientCidrBlocks")
        return codes

    def expect_create(self, subnet, n_addresses=0, n_prefixes=0, given=None):
        if 1 + n_addresses + n_prefixes > UNATTACHED:
            return {"PrivateIpAddressLimitExceeded"}
        # Of a new interface with prefixes EC2 words it so (amazon-vpc-cni-k8s, issue 3105).
        if n_prefixes and 1 + 16 * n_prefixes > self.n_free(subnet):
            codes = self._codes_of_taking(subnet, 0, 0, () if given is None else (given,))
            return codes | {"InvalidParameterValue"}
        n_drawn = n_addresses + (given is None)
        return self._codes_of_taking(subnet, n_drawn, n_prefixes, () if given is None else (given,))

    def may_lack_block_after_draw(self, subnet, n_drawn, n_prefixes):
        """The address drawn first may break the last free /28: EC2 promises no order."""
        outside = [
            block
            for block in self.free_blocks(subnet)
            if not any(block.overlaps(n) for n, _ in subnet.reservations.values())
        ]
        left = len(self.free_blocks(subnet)) - min(n_drawn, len(outside))
        return bool(n_prefixes) and n_prefixes > left

    def expect_assign(self, eni, n_addresses=0, n_prefixes=0, given=(), given_prefixes=()):
        codes = set()
        new = [a for a in given if a not in eni.addresses]
        new_prefixes = [p for p in given_prefixes if p not in eni.prefixes]
        n_new = n_addresses + n_prefixes + len(new) + len(new_prefixes)
        if eni.n_held() + n_new > self.most_held(eni):
            codes.add("PrivateIpAddressLimitExceeded")
        for other in self.enis.values():
            if other is not eni and any(address in other.addresses for address in new):
                codes.add("InvalidParameterValue")  # assigned, but move is not allowed
        codes |= self._codes_of_taking(eni.subnet, n_addresses, n_prefixes, new, new_prefixes)
        return codes

    def expect_unassign(self, eni, addresses=(), prefixes=()):
        if not set(addresses) <= eni.addresses or not set(prefixes) <= eni.prefixes:
            return {"InvalidParameterValue"}
        return set()

    def expect_attach(self, eni, instance, device):
        codes = set()
        most_enis, most_held = TYPES[instance.kind]
        there = self.on_instance(instance.instance_id)
        if instance.state not in ("pending", "running"):
            codes.add("IncorrectState")
        if eni.attachment_id is not None:
            codes.add("InvalidNetworkInterface.InUse")
        if eni.subnet.zone != instance.zone:
            codes.add("InvalidParameterCombination")
        if any(other.device == device for other in there):
            codes.add("InvalidParameterValue")
        if len(there) >= most_enis:
            codes.add("AttachmentLimitExceeded")
        if eni.n_held() > most_held:
            codes.add("PrivateIpAddressLimitExceeded")
        return codes

    def expect_detach(self, eni, force):
        if eni.device == 0:
            return {"OperationNotPermitted"}
        if eni.attachment_status == "detaching" and not force:
            return {"IncorrectState"}
        return set()

    def expect_delete(self, eni):
        return {"InvalidParameterValue"} if eni.attachment_id is not None else set()

    def expect_reserve(self, subnet, cidr):
        if not cidr.subnet_of(subnet.cidr) or any(
            cidr.overlaps(network) for network, _ in subnet.reservations.values()
        ):
            return {"InvalidParameterValue"}
        return set()

    # --- what was done -----------------------------------------------------------------

    def _fresh(self, subnet, drawn, blocks=(), given=()):
        """Fail where a reply gives what was not free, or twice."""
        assert len(set(drawn)) == len(drawn), "an address twice in one reply"
        assert set(drawn) <= self.pickable(subnet), "an address that is not free to pick"
        assert len(set(blocks)) == len(blocks), "a prefix twice in one reply"
        assert set(blocks) <= self.free_blocks(subnet), "a /28 that is not free to pick"
        everything = [*drawn, *given, *(a for block in blocks for a in block)]
        assert len(set(everything)) == len(everything), "an address of a prefix of the same reply"

    def did_create(self, subnet, described, n_addresses=0, n_prefixes=0, given=None):
        primary, addresses, prefixes = held(described)
        assert len(addresses) == n_addresses
        assert len(prefixes) == n_prefixes
        if given is not None:
            assert primary == given
            self._fresh(subnet, addresses, prefixes, [given])
        else:
            self._fresh(subnet, [primary, *addresses], prefixes)
        eni = EniModel(
            described["NetworkInterfaceId"], subnet, primary, set(addresses), set(prefixes)
        )
        assert eni.eni_id not in self.enis
        self.enis[eni.eni_id] = eni
        self._later("available", eni.eni_id)
        return eni

    def did_assign(self, eni, reply, n_addresses, n_prefixes, given, given_prefixes):
        got = [IPv4Address(a["PrivateIpAddress"]) for a in reply["AssignedPrivateIpAddresses"]]
        blocks = [IPv4Network(p["Ipv4Prefix"]) for p in reply["AssignedIpv4Prefixes"]]
        if given or given_prefixes:
            assert set(got) == set(given)
            assert set(blocks) == set(given_prefixes)
        else:
            assert (len(got), len(blocks)) == (n_addresses, n_prefixes)
            self._fresh(eni.subnet, got, blocks)
        eni.addresses |= set(got)
        eni.prefixes |= set(blocks)

    def did_unassign(self, eni, addresses, prefixes):
        eni.addresses -= set(addresses)
        eni.prefixes -= set(prefixes)

    def did_attach(self, eni, instance, device, attachment_id, *, goes=False):
        assert attachment_id not in {other.attachment_id for other in self.enis.values()}
        eni.attachment_id, eni.instance_id, eni.device = attachment_id, instance.instance_id, device
        eni.attachment_status, eni.status, eni.goes = "attaching", "in-use", goes
        self._later("attached", attachment_id)

    def did_detach(self, eni, force):
        eni.attachment_status = "detaching"
        self._later("detached", eni.attachment_id, 0 if force else None)

    def did_delete(self, eni):
        del self.enis[eni.eni_id]

    def did_run(self, subnet, kind, described):
        instance = InstanceModel(described["InstanceId"], kind, subnet.zone)
        self.instances[instance.instance_id] = instance
        (shown,) = described["NetworkInterfaces"]
        eni = self.did_create(subnet, shown)
        self.did_attach(eni, instance, 0, shown["Attachment"]["AttachmentId"], goes=True)
        self._later("running", instance.instance_id)
        return instance

    def did_terminate(self, instance):
        if instance.state in ("pending", "running"):
            instance.state = "shutting-down"
            self._later("terminated", instance.instance_id)


def held(described):
    """Return what a described interface holds: primary, secondary addresses, prefixes."""
    shown = described["PrivateIpAddresses"]
    (primary,) = [IPv4Address(a["PrivateIpAddress"]) for a in shown if a["Primary"]]
    assert str(primary) == described["PrivateIpAddress"]
    addresses = [IPv4Address(a["PrivateIpAddress"]) for a in shown if not a["Primary"]]
    prefixes = [IPv4Network(p["Ipv4Prefix"]) for p in described.get("Ipv4Prefixes", ())]
    return primary, addresses, prefixes
