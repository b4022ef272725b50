"""What a VPC keeps of its resources. An interface is the region's ENI, a subnet the region's.

Times are in nanoseconds since `ipam_core.cloud.region.EPOCH`; `number` is the place in the
order of creation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ipam_core.cloud.region import SimulatedEni
from ipam_core.cloud.subnets import AddressedSubnet
from ipam_core.instances import limits

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet
    from ipam_core.endpoint.ipv6 import Ipv6Block
    from ipam_core.instances import InstanceLimits


@dataclass(slots=True, kw_only=True)
class Attachment:
    """An interface's attachment, from when it is asked for until it is gone."""

    attachment_id: str
    since_ns: int
    status: str = "attaching"


@dataclass(slots=True, kw_only=True)
class Interface(SimulatedEni):
    """An ENI with what only EC2's API shows of it.

    The region knows it as attached from the call that attaches it until it is detached:
    that is when `attachment` is there, which has the states between.
    """

    number: int
    mac: str
    vpc_id: str
    zone: str
    groups: tuple[str, ...]
    created_ns: int
    status: str = "pending"
    source_dest_check: bool = True
    ipv6_addresses: list[str] = field(default_factory=list)
    primary_ipv6: bool = False
    attachment: Attachment | None = None
    client_token: str = ""

    @property
    def key(self) -> str:
        """Its id."""
        return self.eni_id

    @property
    def attachment_id(self) -> str | None:
        """The attachment's id, None where the ENI is available."""
        return None if self.attachment is None else self.attachment.attachment_id

    @property
    def n_slots(self) -> int:
        """How many of its slots are used: secondary addresses and prefixes."""
        return len(self.addresses) + len(self.prefixes)

    @property
    def n_ipv6(self) -> int:
        """How many IPv6 addresses and prefixes it holds."""
        return len(self.ipv6_addresses) + len(self.ipv6_prefixes)


@dataclass(slots=True, kw_only=True)
class Instance:
    """An instance, from its launch until an hour after its end."""

    instance_id: str
    number: int
    type_given: str
    """Its type: a name of the table, or limits as `instances.parse_limits` takes them."""
    image_id: str
    subnet_id: str
    vpc_id: str
    zone: str
    groups: tuple[str, ...]
    launched_ns: int
    reservation_id: str
    launch_index: int = 0
    state: str = "pending"
    ended_ns: int = 0
    key_name: str = ""
    http_tokens: str = ""
    client_token: str = ""
    private_address: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its id."""
        return self.instance_id

    @property
    def limits(self) -> InstanceLimits:
        """What its type allows."""
        return limits(self.type_given)


class VpcSubnet(AddressedSubnet):
    """A subnet of a VPC, with who holds which address and prefix of it."""

    def __init__(
        self,
        subnet: Subnet,
        *,
        subnet_id: str,
        number: int,
        vpc_id: str,
        zone: str,
        ipv6: Ipv6Block | None,
        tags: dict[str, str],
    ) -> None:
        super().__init__(subnet)
        self.subnet_id = subnet_id
        self.number = number
        self.vpc_id = vpc_id
        self.zone = zone
        self.ipv6 = ipv6
        self.tags = tags
        self.others: tuple[str, ...] = ()
        """Addresses that somebody outside the model holds, for ever."""
        self.holders: dict[str, Interface] = {}
        """The interface of each address and prefix that one holds."""

    @property
    def key(self) -> str:
        """Its id."""
        return self.subnet_id


@dataclass(slots=True, kw_only=True)
class VirtualNetwork:
    """A VPC, in EC2's sense: CIDR blocks."""

    vpc_id: str
    number: int
    blocks: list[tuple[str, str]]
    """Its IPv4 blocks with the ids of their associations; the first is the primary one."""
    ipv6_block: tuple[str, str]
    """Its /56 with the id of its association."""
    is_default: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its id."""
        return self.vpc_id


@dataclass(slots=True, kw_only=True)
class SecurityGroup:
    """A security group: it has a name, and filters nothing here."""

    group_id: str
    number: int
    vpc_id: str
    name: str
    description: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its id."""
        return self.group_id


@dataclass(slots=True, kw_only=True)
class CidrReservation:
    """A CIDR reservation of a subnet."""

    reservation_id: str
    number: int
    subnet_id: str
    cidr: str
    kind: str
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its id."""
        return self.reservation_id


class ResourceKind(NamedTuple):
    """How a kind of resource is called: in ids, and in tags' ResourceType."""

    prefix: str
    name: str


KINDS = {
    "enis": ResourceKind("eni", "network-interface"),
    "instances": ResourceKind("i", "instance"),
    "subnets": ResourceKind("subnet", "subnet"),
    "vpcs": ResourceKind("vpc", "vpc"),
    "groups": ResourceKind("sg", "security-group"),
    "reservations": ResourceKind("scr", "subnet-cidr-reservation"),
}
"""By the name of the account's table."""

_ID = re.compile(r"[a-z]+(-[a-z]+)?-([0-9a-f]{8}|[0-9a-f]{17})", re.ASCII)


def has_form_of_id(text: str, prefix: str) -> bool:
    """Return whether a text has the form of EC2's ids: a prefix, then 8 or 17 hex digits."""
    return text.startswith(f"{prefix}-") and _ID.fullmatch(text) is not None
