"""/v1/enis of the agent's introspection endpoint, in its three forms.

Source: pkg/ipamd/introspect.go (eniV1RequestHandler) and
pkg/ipamd/datastore/data_store.go (ENIInfos, ENI, CidrInfo, AddressInfo) of
aws/amazon-vpc-cni-k8s. Today's form is by network card; before, one flat ENIInfos; in
the oldest its ENIs were `ENIIPPools`, and an address had a plain `Assigned` (as in
issue 272).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Evidence, HeldCidr, HeldEni, NodeState, Source
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

_POOLS = ("ENIs", "ENIIPPools")
_CARDS = frozenset(map(str, range(64)))
_COUNTS = ("TotalIPs", "AssignedIPs")


def is_enis(document: Any) -> bool:
    """Return whether a JSON document is one of the forms."""
    if not isinstance(document, dict) or not document:
        return False
    return _is_card(document) or all(
        key in _CARDS and _is_card(card) for key, card in document.items()
    )


def read_enis(document: dict[str, Any], file: str, content: str) -> NodeState:
    """Return the node's state. Raises `InputError` if a part is not valid."""
    cards = {0: document} if _is_card(document) else {int(k): v for k, v in document.items()}
    times: list[datetime] = []
    state = {number: _card(card, times) for number, card in sorted(cards.items())}
    counts = ", ".join(
        f"{name} {dig.shown(card.get(name))}"
        for card in (cards[min(cards)],)
        for name in _COUNTS
        if name in card
    )
    return NodeState(
        cards=state,
        evidence=Evidence(
            file=file,
            line=dig.line_of(content, *_COUNTS, *_POOLS),
            value=counts,
            time=max(times, default=None),
            source=Source.STATE,
        ),
        newest=max(times, default=None),
    )


def _is_card(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(name), dict) for name in _POOLS)


def _card(card: dict[str, Any], times: list[datetime]) -> tuple[HeldEni, ...]:
    pools = next(card[name] for name in _POOLS if isinstance(card.get(name), dict))
    enis = [_eni(eni_id, dig.mapping(eni, eni_id), times) for eni_id, eni in pools.items()]
    return tuple(sorted(enis, key=lambda eni: (not eni.primary, eni.device_number, eni.eni_id)))


def _eni(eni_id: str, eni: dict[str, Any], times: list[datetime]) -> HeldEni:
    held = dig.mapping(eni.get("AvailableIPv4Cidrs"), f"{eni_id}: AvailableIPv4Cidrs")
    plain = dig.mapping(eni.get("IPv4Addresses"), f"{eni_id}: IPv4Addresses")
    cidrs = [_cidr(name, dig.mapping(cidr, name), times) for name, cidr in held.items()]
    cidrs += [
        _used(f"{address}/32", False, {address: dig.mapping(one, address)}, times)
        for address, one in plain.items()
    ]
    return HeldEni(
        eni_id=eni_id,
        device_number=dig.number(eni, "DeviceNumber"),
        primary=dig.boolean(eni, "IsPrimary"),
        trunk=dig.boolean(eni, "IsTrunk"),
        efa=dig.boolean(eni, "IsEFA"),
        excluded=dig.boolean(eni, "IsExcludedForPodIPs"),
        subnet_id=dig.text(eni.get("SubnetID")),
        cidrs=tuple(cidrs),
    )


def _cidr(name: str, cidr: dict[str, Any], times: list[datetime]) -> HeldCidr:
    try:
        size = ipaddress.IPv4Network(name).num_addresses
    except ValueError:
        raise InputError(f"AvailableIPv4Cidrs: {dig.shown(name)} is not an IPv4 CIDR") from None
    addresses = dig.mapping(cidr.get("IPAddresses"), f"{name}: IPAddresses")
    if len(addresses) > size:
        raise InputError(f"{name}: {len(addresses)} addresses in {size}")
    return _used(name, dig.boolean(cidr, "IsPrefix"), addresses, times)


def _used(name: str, is_prefix: bool, addresses: dict[str, Any], times: list[datetime]) -> HeldCidr:
    pods, released = [], []
    for address, raw in addresses.items():
        one = dig.mapping(raw, address)
        known = [dig.time(one.get(key)) for key in ("AssignedTime", "UnassignedTime")]
        times += [time for time in known if time is not None]
        if one.get("Assigned") is True or any(dig.mapping(one.get("IPAMKey"), "IPAMKey").values()):
            metadata = dig.mapping(one.get("IPAMMetadata"), "IPAMMetadata")
            pods.append(dig.text(metadata.get("k8sPodName")) or address)
        elif known[1] is not None:
            released.append(known[1])
    return HeldCidr(cidr=name, is_prefix=is_prefix, pods=tuple(pods), released=tuple(released))
