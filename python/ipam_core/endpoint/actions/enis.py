"""CreateNetworkInterface, DeleteNetworkInterface and ModifyNetworkInterfaceAttribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.actions import interfaces
from ipam_core.endpoint.arguments import (
    check_specifications,
    eni_of,
    groups_of,
    subnet_of,
    tags_for,
)
from ipam_core.endpoint.resources import KINDS
from ipam_core.instances import MAX_IPV4_PER_ENI

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account

_ACTION = "CreateNetworkInterface"


def create_network_interface(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Make an interface, pending and attached to nothing."""
    made = account.client_tokens.made_before(_ACTION, params)
    if made is not None:
        return _created(account, made, params)
    subnet = subnet_of(account, params["SubnetId"])
    kind = interfaces.checked_type(params)
    description = interfaces.checked_description(params.get("Description", ""))
    groups = groups_of(account, params.get("Groups", ()), subnet.vpc_id)
    check_specifications(params, KINDS["enis"].name)
    tags = tags_for(params, KINDS["enis"].name)
    wanted = interfaces.Wanted(subnet, params, new=True)
    wanted_ipv6 = interfaces.WantedIpv6(subnet, params)
    interfaces.check_room(MAX_IPV4_PER_ENI, n_slots=wanted.n_slots, n_ipv6=wanted_ipv6.n_slots)
    eni = interfaces.make(
        account,
        wanted,
        wanted_ipv6,
        groups=groups,
        description=description,
        interface_type=kind,
        primary_ipv6=params.get("EnablePrimaryIpv6", False),
        tags=tags,
        client_token=params.get("ClientToken", ""),
    )
    account.later(account.delays.available_s, "available", eni.eni_id)
    account.client_tokens.remember(_ACTION, params, eni.eni_id)
    return _created(account, eni.eni_id, params)


def _created(account: Account, eni_id: str, params: dict[str, Any]) -> dict[str, Any]:
    reply = {"NetworkInterface": described.interface(account, account.enis.by_key[eni_id])}
    return reply | ({"ClientToken": params["ClientToken"]} if params.get("ClientToken") else {})


def delete_network_interface(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Delete an interface that is attached to nothing."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    if eni.attachment is not None:
        raise refusals.ENI_IN_USE(eni.eni_id)
    account.remove_interface(eni)
    return {}


def modify_network_interface_attribute(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Change what of an interface a request names: one attribute, as EC2 allows."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    named = [name for name in _ATTRIBUTES if name in params]
    if not named:
        raise refusals.INVALID_COMBINATION("No attributes specified.")
    if len(named) > 1:
        raise refusals.INVALID_COMBINATION("Fields for multiple attribute types specified")
    if "Groups" in params:
        eni.groups = groups_of(account, params["Groups"], eni.vpc_id)
        if eni.instance_id is not None and eni.is_primary:
            account.instances.by_key[eni.instance_id].groups = eni.groups
    elif "Description" in params:
        eni.description = interfaces.checked_description(params["Description"].get("Value", ""))
    elif "SourceDestCheck" in params:
        eni.source_dest_check = params["SourceDestCheck"].get("Value", True)
    elif "Attachment" in params:
        change = params["Attachment"]
        for name in ("AttachmentId", "DeleteOnTermination"):
            if name not in change:
                raise refusals.MISSING_PARAMETER(f"attachment.{name[0].lower()}{name[1:]}")
        if change["AttachmentId"] != eni.attachment_id:
            raise refusals.ATTACHMENT_NOT_FOUND(change["AttachmentId"][:200])
        eni.goes_with_instance = change["DeleteOnTermination"]
    else:
        eni.primary_ipv6 = params["EnablePrimaryIpv6"] and bool(eni.ipv6_addresses)
    account.enis.changed(eni)
    return {}


_ATTRIBUTES = ("Groups", "Description", "SourceDestCheck", "Attachment", "EnablePrimaryIpv6")
