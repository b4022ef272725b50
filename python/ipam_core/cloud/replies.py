"""EC2's replies as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.effects import AttachedEni, EniDescription

if TYPE_CHECKING:
    from collections.abc import Mapping


def tags_of(described: Mapping[str, Any], key: str = "Tags") -> dict[str, str]:
    """Return the tags of a described resource."""
    return {tag["Key"]: tag["Value"] for tag in described.get(key, ())}


def description_of(eni: Mapping[str, Any]) -> EniDescription:
    """Return an ENI of DescribeNetworkInterfaces as a value."""
    return EniDescription(
        eni_id=eni["NetworkInterfaceId"],
        attachment_id=eni.get("Attachment", {}).get("AttachmentId"),
        instance_id=eni.get("Attachment", {}).get("InstanceId"),
        interface_type=eni["InterfaceType"],
        status=eni["Status"],
        description=eni.get("Description", ""),
        tags=tags_of(eni, "TagSet"),
        **_held(eni),
    )


def attached_eni_of(eni: Mapping[str, Any]) -> AttachedEni:
    """Return an attached ENI of DescribeNetworkInterfaces as metadata would show it."""
    attachment = eni["Attachment"]
    return AttachedEni(
        eni_id=eni["NetworkInterfaceId"],
        device_number=attachment["DeviceIndex"],
        network_card=attachment.get("NetworkCardIndex", 0),
        primary_address=eni.get("PrivateIpAddress", ""),
        subnet_id=eni["SubnetId"],
        mac=eni.get("MacAddress", "").lower(),
        subnet_cidr="",  # another call would have it
        **_held(eni),
    )


def _held(eni: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the secondary addresses and prefixes of an ENI; an EFA-only one has none."""
    return {
        "addresses": tuple(
            each["PrivateIpAddress"]
            for each in eni.get("PrivateIpAddresses", ())
            if not each["Primary"]
        ),
        "prefixes": tuple(each["Ipv4Prefix"] for each in eni.get("Ipv4Prefixes", ())),
        "ipv6_prefixes": tuple(each["Ipv6Prefix"] for each in eni.get("Ipv6Prefixes", ())),
    }
