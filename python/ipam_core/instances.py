"""What each EC2 instance type allows: ENIs, addresses on each, network cards, pods.

The table is package data, `data/instance-limits.csv`; its source and date are in
`data/instance-limits.json`. It is read at the first look-up and kept as lines by name: a
look-up parses only its own line.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError, UnknownInstanceTypeError

if TYPE_CHECKING:
    from ipam_core.settings import Settings

MAX_IPV4_PER_ENI = 64  # the highest of all types; the store keeps an ENI's slots in one 64-bit word
ADDRESSES_PER_PREFIX = 16  # a /28: all of them usable by pods
HOST_NETWORK_PODS = 2  # aws-node and kube-proxy: they count as pods and use no pod address
FEW_VCPUS = 30
"""AWS's max-pods calculator allows 110 pods up to this number of vCPUs, 250 above it."""
MOST_PODS_FEW_VCPUS, MOST_PODS_MANY_VCPUS = 110, 250
BY_HAND = "given"
"""The name of the type for limits given by hand."""
_MOST_ENIS = 64
_GIVEN = ("enis", "ips", "vcpus", "cards", "nitro", "trunk", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLimits:
    """What one instance type allows. Source: the table that `instances.source()` names.

    Attributes:
        instance_type: its name, as `m8g.4xlarge`.
        max_enis: ENIs on the default network card.
        ipv4_per_eni: IPv4 addresses on each ENI, its primary address included.
        hypervisor: `nitro`, `xen`, or `unknown`.
        bare_metal: whether it runs without a hypervisor.
        enis_per_network_card: ENIs of each network card, by card index.
        default_network_card: the card of the primary ENI.
        max_pods: the kubelet's `maxPods` that AWS publishes for it: with secondary IPs.
        vcpus: its vCPUs; None where they are not published.
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
        value: what a node usually has if it is not set by hand.
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
    ENIs x (addresses of an ENI - 1) + 2. That does not subtract what MAX_ENI, custom
    networking and the trunk take; `calculated` does. In prefix mode and with IPv6 nodes are
    given what the calculator says, which managed node groups set: at most 110 up to 30 vCPUs,
    250 above. Where the vCPUs are not known, the limit is 110.

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
        newer: which parts of the table are not from that file, and their sources.
    """

    repository: str
    file: str
    agent_version: str
    as_of: str
    newer: tuple[str, ...] = ()


@cache
def limits(name: str) -> InstanceLimits:
    """Return what the instance type `name` allows.

    In place of a name, limits may be given by hand, as `enis=4,ips=15,vcpus=8`
    (`parse_limits`), for a type that is not in the table. Cost: one line is parsed at the
    first call for a type, then a look-up; the very first call reads the table. Source of the
    table: `source()`.

    Raises:
        UnknownInstanceTypeError: no such type in the table; it names the nearest.
        InputError: limits by hand that are not of that form.
    """
    if name.partition("=")[0] in _GIVEN:
        return parse_limits(name)
    line = _lines().get(name)
    if line is None:
        raise UnknownInstanceTypeError(name, _nearest(name))
    return _parse(line)


def parse_limits(text: str) -> InstanceLimits:
    """Return limits given by hand, as `enis=4,ips=15,vcpus=8`.

    `enis` and `ips` (IPv4 addresses of an ENI, its primary included) are needed; `cards`
    (`8+8`) and `vcpus` may be given, and whether the type is of `nitro` (true unless
    given) and can carry a `trunk`.

    Raises:
        InputError: not of this form; it quotes what it refused.
    """
    given = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or name not in _GIVEN:
            raise InputError(
                f"limits {text!r}: {part!r} is none of {', '.join(f'{each}=' for each in _GIVEN)}"
            )
        given[name] = value
    for name in ("enis", "ips"):
        if name not in given:
            raise InputError(f"limits {text!r}: {name}= is missing, as in enis=4,ips=15")
    enis = _number(given["enis"], f"limits {text!r}: enis", _MOST_ENIS)
    cards = given.get("cards", str(enis)).split("+")
    per_card = tuple(_number(each, f"limits {text!r}: cards", _MOST_ENIS) for each in cards)
    if per_card[0] != enis:
        raise InputError(f"limits {text!r}: enis={enis} are those of the first of cards")
    ips = _number(given["ips"], f"limits {text!r}: ips", MAX_IPV4_PER_ENI)
    vcpus = given.get("vcpus")
    return InstanceLimits(
        instance_type=given.get("name") or BY_HAND,
        max_enis=enis,
        ipv4_per_eni=ips,
        hypervisor="nitro" if _truth(given.get("nitro", "true"), text) else "xen",
        bare_metal=False,
        enis_per_network_card=per_card,
        default_network_card=0,
        max_pods=enis * (ips - 1) + HOST_NETWORK_PODS,
        vcpus=None if vcpus is None else _number(vcpus, f"limits {text!r}: vcpus", 10_000),
        trunking=_truth(given.get("trunk", "true"), text),
    )


def as_text(limits: InstanceLimits) -> str:
    """Return limits in the form that `parse_limits` and `instances.limits` take."""
    parts = {
        "enis": limits.max_enis,
        "ips": limits.ipv4_per_eni,
        "vcpus": limits.vcpus,
        "cards": "+".join(map(str, limits.enis_per_network_card)),
        "nitro": str(limits.nitro).lower(),
        "trunk": str(limits.trunking).lower(),
        "name": limits.instance_type,
    }
    return ",".join(f"{name}={value}" for name, value in parts.items() if value is not None)


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


@lru_cache(maxsize=256)  # a file of scenarios may name one such type in each of them
def _nearest(name: str) -> tuple[str, ...]:
    """Return up to three names similar to `name`: of its family, if there is one."""
    from difflib import get_close_matches  # noqa: PLC0415  (needed only where a name is wrong)

    wanted = name.strip().lower()
    family = wanted.partition(".")[0] + "."
    kin = [each for each in names() if each.startswith(family)]
    return tuple(get_close_matches(wanted, kin or names(), n=3, cutoff=0 if kin else 0.6))


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise InputError(f"{what}: {text!r} is not a number of 1 to {most}")
    return int(text)


def _truth(text: str, whole: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"limits {whole!r}: {text!r} is neither true nor false")
    return text == "true"
