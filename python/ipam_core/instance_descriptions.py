"""Limits of instance types as EC2 describes them: what `describe-instance-types` prints."""

from __future__ import annotations

from typing import Any

from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.instances import HOST_NETWORK_PODS, MAX_IPV4_PER_ENI, InstanceLimits


def read_descriptions(text: str) -> dict[str, InstanceLimits]:
    """Return the limits of each type in what `aws ec2 describe-instance-types` prints.

    JSON or YAML; also several answers one after the other, and a list of types as `--query
    'InstanceTypes[]'` gives. EC2 does not report whether a type can carry a trunk ENI: the
    value is the table's, True for a type that is not in it.

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
