"""What each EC2 instance type allows: ENIs, addresses on each, network cards, pods.

The table is package data, `data/instance-limits.csv`; where it is from and how old it
is stands beside it in `data/instance-limits.json`. It is read when first asked for, and
kept as lines by name: a look-up parses its own line only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ipam_core.errors import UnknownInstanceTypeError

if TYPE_CHECKING:
    from ipam_core.settings import Settings

MAX_IPV4_PER_ENI = 64  # the most of any type; the store keeps an ENI's slots in one 64-bit word
ADDRESSES_PER_PREFIX = 16  # a /28: all of them usable by pods
HOST_NETWORK_PODS = 2  # aws-node and kube-proxy: they count as pods and use no pod address
FEW_VCPUS = 30
"""Up to so many vCPUs AWS's max-pods calculator allows 110 pods, above them 250."""
MOST_PODS_FEW_VCPUS, MOST_PODS_MANY_VCPUS = 110, 250


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLimits:
    """What one instance type allows.

    Attributes:
        instance_type: its name, as `m8g.4xlarge`.
        max_enis: ENIs on the default network card.
        ipv4_per_eni: IPv4 addresses on each ENI, its primary address included.
        hypervisor: `nitro`, `xen`, or `unknown`.
        bare_metal: whether it runs without a hypervisor.
        enis_per_network_card: ENIs of each network card, by card index.
        default_network_card: the card of the primary ENI.
        max_pods: the kubelet's `maxPods` that AWS publishes for it: with secondary IPs.
        vcpus: its vCPUs; None where nobody publishes them.
        trunking: whether it can carry a trunk ENI, by the VPC resource controller's table;
            True for a type that is not in it, as the agent takes it.

    Raises:
        ValueError: no ENI, or no or more than 64 IPv4 addresses on one.
    """

    instance_type: str
    max_enis: int
    ipv4_per_eni: int
    hypervisor: str
    bare_metal: bool
    enis_per_network_card: tuple[int, ...]
    default_network_card: int
    max_pods: int
    vcpus: int | None = None
    trunking: bool = True

    def __post_init__(self) -> None:
        if self.max_enis < 1:
            raise ValueError(f"max_enis={self.max_enis}: at least 1")
        if not 1 <= self.ipv4_per_eni <= MAX_IPV4_PER_ENI:
            raise ValueError(f"ipv4_per_eni={self.ipv4_per_eni}: 1 to {MAX_IPV4_PER_ENI}")

    @property
    def slots(self) -> int:
        """Secondary addresses, or prefixes, an ENI holds: its primary address goes to no pod."""
        return self.ipv4_per_eni - 1

    @property
    def nitro(self) -> bool:
        """Whether the agent uses prefixes here: on the Nitro hypervisor and on bare metal.

        A type whose hypervisor is `unknown` is not nitro unless it is bare metal: the
        agent asks for one of the two facts (`IsPrefixDelegationSupported` in upstream's
        pkg/awsutils/awsutils.go), and the two such types, cr1.8xlarge and hs1.8xlarge,
        are older than Nitro.
        """
        return self.hypervisor == "nitro" or self.bare_metal

    @property
    def max_addresses(self) -> int:
        """Pod addresses of a full node in secondary-IP mode (one network card)."""
        return self.max_enis * self.slots

    @property
    def max_addresses_prefix(self) -> int:
        """Pod addresses of a full node in prefix mode (one network card)."""
        return self.max_addresses * ADDRESSES_PER_PREFIX

    @property
    def usual_max_pods(self) -> int:
        """The kubelet's usual `maxPods` with secondary IPs: see `max_pods` for every mode."""
        return self.max_addresses + HOST_NETWORK_PODS


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPods:
    """The kubelet's `maxPods` for a type and settings, and by which rule.

    Attributes:
        value: what a node usually has if nobody sets it by hand.
        rule: where `value` is from, in words for people.
        calculated: what AWS's max-pods calculator gives; with pod ENIs it is the
            calculator's rule on one ENI fewer, because the trunk takes its place.
        allowed: the addresses that the node can hold, and two pods; no ceiling by vCPUs.
    """

    value: int
    rule: str
    calculated: int
    allowed: int


def max_pods(limits: InstanceLimits, settings: Settings | None = None) -> MaxPods:
    """Return the kubelet's usual `maxPods` for a type under the agent's settings.

    With secondary IPs a node takes what its image computes (nodeadm, `eni-max-pods.txt`):
    ENIs x (addresses of an ENI - 1) + 2, whatever MAX_ENI, custom networking and the trunk
    take away; `calculated` counts those. In prefix mode and with IPv6 nodes are given what
    the calculator says, which managed node groups set: at most 110 up to 30 vCPUs, 250
    above. Where the vCPUs are not known, 110 counts.

    Source: max-pods-calculator.sh and nodeadm of awslabs/amazon-eks-ami; EKS user guide,
    "Choose an optimal Amazon EC2 node instance type". Cost: constant.
    """
    enis, prefixes, many = limits.max_enis, False, (limits.vcpus or 0) > FEW_VCPUS
    if settings is not None:
        enis = min(enis, settings.max_eni or enis) - settings.custom_networking
        enis = max(enis - (settings.enable_pod_eni and limits.trunking), 0)
        prefixes = limits.nitro and (settings.enable_prefix_delegation or settings.enable_ipv6)
    size = ADDRESSES_PER_PREFIX if prefixes else 1
    allowed = enis * limits.slots * size + HOST_NETWORK_PODS
    calculated = min(allowed, MOST_PODS_MANY_VCPUS if many else MOST_PODS_FEW_VCPUS)
    if not prefixes:
        rule, value = "AWS's number for the type with secondary IPs", limits.usual_max_pods
    elif calculated == allowed:
        rule, value = "AWS's max-pods calculator: every address, and 2", calculated
    elif limits.vcpus is None:
        rule, value = "AWS's max-pods calculator; the vCPUs are not known", calculated
    else:
        rule, value = f"AWS's max-pods calculator for {limits.vcpus} vCPUs", calculated
    return MaxPods(value=value, rule=rule, calculated=calculated, allowed=allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """Where the table of limits is from.

    Attributes:
        repository: the agent's, by URL.
        file: the one in it that holds the limits.
        agent_version: the agent's release.
        as_of: year and month.
        newer: what of the table is not from that file, and where it is from.
    """

    repository: str
    file: str
    agent_version: str
    as_of: str
    newer: tuple[str, ...] = ()


@cache
def limits(name: str) -> InstanceLimits:
    """Return what the instance type `name` allows.

    Costs one line parsed, and a look-up from then on; the first call of all reads the table.

    Raises:
        UnknownInstanceTypeError: no such type in the table; it names the nearest.
    """
    line = _lines().get(name)
    if line is None:
        raise UnknownInstanceTypeError(name, _nearest(name))
    return _parse(line)


def names() -> tuple[str, ...]:
    """Return every instance type of the table, in order of name."""
    return tuple(_lines())


@cache
def source() -> TableSource:
    """Return where the table is from and how old it is."""
    fields = json.loads(_read("instance-limits.json"))
    return TableSource(**fields | {"newer": tuple(fields["newer"])})


@cache
def _lines() -> dict[str, str]:
    lines = _read("instance-limits.csv").splitlines()[1:]
    return {line.partition(",")[0]: line for line in lines}


def _read(name: str) -> str:
    from pkgutil import get_data  # noqa: PLC0415  (importing this module costs nothing)

    data = get_data("ipam_core", f"data/{name}")
    assert data is not None  # the loaders of files and of archives both give data
    return data.decode()


def _parse(line: str) -> InstanceLimits:
    name, enis, ipv4, card, cards, hypervisor, bare_metal, pods, vcpus, trunking = line.split(",")
    return InstanceLimits(
        instance_type=name,
        max_enis=int(enis),
        ipv4_per_eni=int(ipv4),
        hypervisor=hypervisor,
        bare_metal=bare_metal == "true",
        enis_per_network_card=tuple(map(int, cards.split("+"))),
        default_network_card=int(card),
        max_pods=int(pods),
        vcpus=int(vcpus) if vcpus else None,
        trunking=trunking == "true",
    )


def _nearest(name: str) -> tuple[str, ...]:
    """Return up to three names that `name` may mean: of its family, if there is one."""
    from difflib import get_close_matches  # noqa: PLC0415  (needed only where a name is wrong)

    wanted = name.strip().lower()
    family = wanted.partition(".")[0] + "."
    kin = [each for each in names() if each.startswith(family)]
    return tuple(get_close_matches(wanted, kin or names(), n=3, cutoff=0 if kin else 0.6))
