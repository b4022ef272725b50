"""What a node asks for, as values: EC2 calls, metadata reads, checkpoint access.

A step of a node (`ipam_core.node`) is a generator of these. A driver carries each one out and
sends the reply back, or throws the error in. `api` names the EC2 call behind an effect; None
is not an EC2 call. The reply of each effect is in its docstring; `ipam_core.replies` refuses
any other. Sources: the EC2 API reference, and pool-rules sections 5 and 6 (docs/rules.md).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from ipam_core._store import Sandbox

T = TypeVar("T")


class Effect:
    """One call or read that a node asks for."""

    __slots__ = ()
    api: ClassVar[str | None] = None


Step = Generator[Effect, Any, T]
"""A step of a node: yields effects, receives their replies, returns a T."""


# --- replies --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedEni:
    """An ENI as instance metadata shows it; metadata may lag behind EC2.

    `mac` and `subnet_cidr` are for the host's network alone; "" where nobody asked for them.
    """

    eni_id: str
    device_number: int
    network_card: int = 0
    primary_address: str = ""
    subnet_id: str = ""
    mac: str = ""
    subnet_cidr: str = ""
    addresses: tuple[str, ...] = ()  # secondary IPv4 addresses, the primary one left out
    prefixes: tuple[str, ...] = ()  # IPv4 /28s
    ipv6_prefixes: tuple[str, ...] = ()

    @property
    def is_primary(self) -> bool:
        """Whether it is the instance's primary ENI: device 0 of card 0."""
        return self.device_number == 0 and self.network_card == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EniDescription:
    """An ENI as EC2 describes it: the truth about what it holds."""

    eni_id: str
    addresses: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    attachment_id: str | None = None
    instance_id: str | None = None  # the instance that it is attached to
    interface_type: str = "interface"  # or "trunk", "efa", "efa-only"
    status: str = "in-use"  # or "available"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetDescription:
    """A subnet of the node's VPC and zone."""

    subnet_id: str
    available_addresses: int
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EniConfig:
    """Where ENIs for pods go under custom networking."""

    subnet_id: str
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """One assignment, or one cooldown, that outlived a restart; times as ages then."""

    container_id: str
    ifname: str
    network: str
    address: str
    pod: str | None = None
    assigned_ago_s: float = 0.0
    released_ago_s: float | None = None  # not None: released so long ago, and held by no sandbox


# --- addresses --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AssignPrivateIps(Effect):
    """Ask for `count` secondary IPs on an ENI. Reply: tuple of addresses; all or nothing."""

    api: ClassVar[str] = "AssignPrivateIpAddresses"
    eni_id: str
    count: int


@dataclass(frozen=True, slots=True)
class AssignPrefixes(Effect):
    """Ask for `count` /28 prefixes on an ENI. Reply: tuple of CIDRs; all or nothing."""

    api: ClassVar[str] = "AssignPrivateIpAddresses"
    eni_id: str
    count: int


@dataclass(frozen=True, slots=True)
class AssignIpv6Prefix(Effect):
    """Ask for one /80 prefix on an ENI. Reply: tuple of CIDRs."""

    api: ClassVar[str] = "AssignIpv6Addresses"
    eni_id: str


@dataclass(frozen=True, slots=True)
class UnassignPrivateIps(Effect):
    """Give secondary IPs back. Reply: None."""

    api: ClassVar[str] = "UnassignPrivateIpAddresses"
    eni_id: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnassignPrefixes(Effect):
    """Give /28 prefixes back. Reply: None."""

    api: ClassVar[str] = "UnassignPrivateIpAddresses"
    eni_id: str
    prefixes: tuple[str, ...]


# --- ENIs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEni(Effect):
    """Create an ENI. Reply: its id. An empty subnet id is the primary ENI's subnet."""

    api: ClassVar[str] = "CreateNetworkInterface"
    subnet_id: str = ""
    security_groups: tuple[str, ...] = ()
    n_addresses: int = 0
    n_prefixes: int = 0
    ipv6: bool = False

    @property
    def count(self) -> int:
        """Addresses or prefixes asked for, without the primary address. IPv6: one address."""
        return int(self.ipv6) or self.n_addresses or self.n_prefixes


@dataclass(frozen=True, slots=True)
class FindFreeDevice(Effect):
    """Ask which device numbers of a network card are taken. Reply: the lowest free one."""

    api: ClassVar[str] = "DescribeInstances"
    network_card: int = 0


@dataclass(frozen=True, slots=True)
class AttachEni(Effect):
    """Attach an ENI to the node. Reply: the attachment's id."""

    api: ClassVar[str] = "AttachNetworkInterface"
    eni_id: str
    device_number: int
    network_card: int = 0


@dataclass(frozen=True, slots=True)
class DeleteWithInstance(Effect):
    """Have EC2 delete the ENI when the instance is terminated. Reply: None."""

    api: ClassVar[str] = "ModifyNetworkInterfaceAttribute"
    eni_id: str
    attachment_id: str


@dataclass(frozen=True, slots=True)
class SetSecurityGroups(Effect):
    """Give an ENI these security groups in place of its own. Reply: None."""

    api: ClassVar[str] = "ModifyNetworkInterfaceAttribute"
    eni_id: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DetachEni(Effect):
    """Detach an ENI by its attachment. Reply: None."""

    api: ClassVar[str] = "DetachNetworkInterface"
    eni_id: str
    attachment_id: str


@dataclass(frozen=True, slots=True)
class DeleteEni(Effect):
    """Delete an ENI that is not attached. Reply: None."""

    api: ClassVar[str] = "DeleteNetworkInterface"
    eni_id: str


@dataclass(frozen=True, slots=True)
class TagEni(Effect):
    """Give an ENI the tags of this node that it lacks. Reply: None."""

    api: ClassVar[str] = "CreateTags"
    eni_id: str


@dataclass(frozen=True, slots=True)
class TagCreatedAt(Effect):
    """Tag an ENI as created now, so that a later leak task can date it. Reply: None."""

    api: ClassVar[str] = "CreateTags"
    eni_id: str


@dataclass(frozen=True, slots=True)
class DescribeEnis(Effect):
    """Describe ENIs. Reply: tuple of `EniDescription`; unknown ids: `NotFoundError`."""

    api: ClassVar[str] = "DescribeNetworkInterfaces"
    eni_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindNodelessEnis(Effect):
    """Describe ENIs of this VPC and cluster that carry a node's tag and are available.

    Reply: tuple of `EniDescription`. EC2 filters by tag, status, VPC and cluster.
    """

    api: ClassVar[str] = "DescribeNetworkInterfaces"


@dataclass(frozen=True, slots=True)
class DescribeSubnets(Effect):
    """Describe the subnets of the node's VPC and zone. Reply: tuple of descriptions."""

    api: ClassVar[str] = "DescribeSubnets"


# --- metadata, Kubernetes, checkpoint -----------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadAttachedEnis(Effect):
    """Read instance metadata. Reply: tuple of `AttachedEni`."""


@dataclass(frozen=True, slots=True)
class ReadNodeTags(Effect):
    """Read the tags that ENIs of this node carry, its instance's id first. Reply: dict."""


@dataclass(frozen=True, slots=True)
class ReadSecurityGroups(Effect):
    """Read the security groups of the primary ENI. Reply: tuple of ids."""


@dataclass(frozen=True, slots=True)
class ReadUnschedulable(Effect):
    """Read whether the node carries the taint node.kubernetes.io/unschedulable. Reply: bool."""


@dataclass(frozen=True, slots=True)
class ReadEniConfig(Effect):
    """Read the node's ENIConfig (custom networking). Reply: `EniConfig`."""


# --- the host's network: asked for only by a node with `host_network` ---------------------


@dataclass(frozen=True, slots=True)
class SetUpHost(Effect):
    """Prepare the host's routing, and the link of the primary ENI. Reply: None."""

    primary: AttachedEni


@dataclass(frozen=True, slots=True)
class SetUpEni(Effect):
    """Bring up the link of an ENI, with its address and a route table of its own. Reply: None.

    It may be asked for again at any time. A trunk's primary address gets no rule.
    """

    eni: AttachedEni
    route_table: int
    trunk: bool = False


@dataclass(frozen=True, slots=True)
class SetUpPodRules(Effect):
    """Send what pods send through their ENIs. Reply: None. `pods` are (address, route table).

    At a start: the plugin does it for a new pod.
    """

    pods: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TearDownEni(Effect):
    """Take away the rules of an ENI that is gone, by its primary address. Reply: None."""

    eni_id: str
    primary_address: str


HOST_EFFECTS = (SetUpHost, SetUpEni, SetUpPodRules, TearDownEni)
"""What is done on the host itself: no call of EC2."""

# --- durable state --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadCheckpoint(Effect):
    """Read what the checkpoint holds. Reply: tuple of `CheckpointEntry`."""


@dataclass(frozen=True, slots=True)
class ForgetAssignments(Effect):
    """Remove assignments from the checkpoint, unless others hold the addresses. Reply: None."""

    held: tuple[tuple[str, Sandbox], ...]


@dataclass(frozen=True, slots=True)
class Sleep(Effect):
    """Wait. Reply: None."""

    seconds: float
