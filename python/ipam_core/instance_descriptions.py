"""Limits of instance types from elsewhere than the table: EC2's own answer, or given by hand."""

from __future__ import annotations

from typing import Any

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.instances import HOST_NETWORK_PODS, MAX_IPV4_PER_ENI, InstanceLimits

MOST_ENIS = 64
_GIVEN = ("enis", "ips", "vcpus", "cards", "nitro", "trunk", "name")
BY_HAND = "given"
"""The type's name of limits given by hand without one."""


def read_descriptions(text: str) -> dict[str, InstanceLimits]:
    """Return the limits of each type in what `aws ec2 describe-instance-types` prints.

    JSON or YAML; several answers after each other, and a list of types as `--query
    'InstanceTypes[]'` gives, too. Whether a type can carry a trunk ENI EC2 does not say: it
    is the table's, True for a type that is not in it.

    Raises:
        InputError: no such description in it, or one that lacks a number; it is named.
    """
    found = {}
    for document in load_documents(text):
        described = document.get("InstanceTypes") if isinstance(document, dict) else document
        for each in described if isinstance(described, list) else ():
            one = _described(each)
            found[one.instance_type] = one
    if not found:
        raise InputError(
            "no instance type in it: what 'aws ec2 describe-instance-types' prints is needed"
        )
    return found


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
    enis = _number(given["enis"], f"limits {text!r}: enis", MOST_ENIS)
    cards = given.get("cards", str(enis)).split("+")
    per_card = tuple(_number(each, f"limits {text!r}: cards", MOST_ENIS) for each in cards)
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


def _described(raw: Any) -> InstanceLimits:
    name = raw.get("InstanceType") if isinstance(raw, dict) else None
    if not isinstance(name, str):
        raise InputError("an instance type without InstanceType")
    network = raw.get("NetworkInfo")
    network = network if isinstance(network, dict) else {}
    listed = network.get("NetworkCards")
    cards = [
        _integer(card, "MaximumNetworkInterfaces", name)
        for card in sorted(
            listed if isinstance(listed, list) else (),
            key=lambda card: _integer(card, "NetworkCardIndex", name, least=0),
        )
    ] or [_integer(network, "MaximumNetworkInterfaces", name)]
    default = network.get("DefaultNetworkCardIndex") or 0
    if not isinstance(default, int) or not 0 <= default < len(cards):
        raise InputError(f"{name}: DefaultNetworkCardIndex {default!r}: there are {len(cards)}")
    ips = _integer(network, "Ipv4AddressesPerInterface", name, most=MAX_IPV4_PER_ENI)
    vcpus = raw.get("VCpuInfo")
    return InstanceLimits(
        instance_type=name,
        max_enis=cards[default],
        ipv4_per_eni=ips,
        hypervisor=str(raw.get("Hypervisor") or "unknown"),
        bare_metal=raw.get("BareMetal") is True,
        enis_per_network_card=tuple(cards),
        default_network_card=default,
        max_pods=cards[default] * (ips - 1) + HOST_NETWORK_PODS,
        vcpus=_integer(vcpus, "DefaultVCpus", name) if isinstance(vcpus, dict) else None,
        trunking=_known_trunking(name),
    )


def _known_trunking(name: str) -> bool:
    from ipam_core import instances  # noqa: PLC0415  (reads the table)

    return name not in instances.names() or instances.limits(name).trunking


def _integer(mapping: Any, key: str, name: str, *, least: int = 1, most: int = 1 << 16) -> int:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name}: {key} is {value!r}: a number of {least} to {most} is needed")
    return value


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise InputError(f"{what}: {text!r} is not a number of 1 to {most}")
    return int(text)


def _truth(text: str, whole: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"limits {whole!r}: {text!r} is neither true nor false")
    return text == "true"
