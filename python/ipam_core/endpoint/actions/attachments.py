"""AttachNetworkInterface and DetachNetworkInterface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint.actions import interfaces
from ipam_core.endpoint.arguments import attached_eni_of, eni_of, instance_of

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Instance


def attach_network_interface(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Attach an interface to an instance of its zone, at a device index that is free."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    instance = instance_of(account, params["InstanceId"])
    device, card = params["DeviceIndex"], params.get("NetworkCardIndex", 0)
    if instance.state not in ("pending", "running"):
        raise refusals.INCORRECT_STATE(instance.instance_id, instance.state)
    if eni.attachment is not None:
        raise refusals.ENI_ATTACHED(eni.eni_id)
    if eni.zone != instance.zone:
        raise refusals.OTHER_ZONE()
    check_place(account, instance, device, card)
    most = instance.limits.ipv4_per_eni
    interfaces.check_room(most, n_slots=eni.n_slots, n_ipv6=eni.n_ipv6)
    attachment = interfaces.attach(account, eni, instance, device_index=device, network_card=card)
    return {"AttachmentId": attachment.attachment_id, "NetworkCardIndex": card}


def check_place(account: Account, instance: Instance, device: int, card: int) -> None:
    """Raise `Ec2Error` where no interface fits on an instance at a device index of a card."""
    cards = instance.limits.enis_per_network_card
    if not 0 <= card < len(cards):
        raise refusals.INVALID_VALUE(
            card, "networkCardIndex", f"The instance type has {len(cards)} network cards."
        )
    if device < 0:
        raise refusals.INVALID_VALUE(device, "deviceIndex", "Parameter must not be negative.")
    there = [eni for eni in account.attached_to(instance.instance_id) if eni.network_card == card]
    if any(eni.device_number == device for eni in there):
        raise refusals.DEVICE_TAKEN(instance.instance_id, device)
    if len(there) >= cards[card]:
        raise refusals.ATTACHMENT_LIMIT(len(there) + 1, instance.limits.instance_type)


def detach_network_interface(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Detach an interface: it is being detached, with Force at once, and then available."""
    eni = attached_eni_of(account, params["AttachmentId"])
    attachment = eni.attachment
    assert attachment is not None  # it was found by it
    if eni.is_primary:
        raise refusals.PRIMARY_STAYS()
    force = params.get("Force", False)
    if attachment.status == "detaching" and not force:
        raise refusals.DETACHING(attachment.attachment_id)
    attachment.status = "detaching"
    account.enis.changed(eni)
    delay_s = 0.0 if force else account.delays.detached_s
    account.later(delay_s, "detached", attachment.attachment_id)
    return {}
