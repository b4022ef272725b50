"""AssignPrivateIpAddresses, AssignIpv6Addresses, and what gives them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint.actions import interfaces
from ipam_core.endpoint.arguments import eni_of, given_address, given_prefix

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Interface, VpcSubnet

NOTHING_ASKED = (
    "One of privateIpAddressSet or privateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount "
    "must be specified."
)


def assign_private_ip_addresses(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Give an interface secondary addresses or /28s, by name or by number."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    subnet = account.subnets.by_key[eni.subnet_id]
    wanted = interfaces.Wanted(subnet, params, new=False)
    asked = [*wanted.addresses, *wanted.prefixes]
    if not asked and not wanted.n_slots:
        raise refusals.INVALID_PARAMETER(NOTHING_ASKED)
    moved = _moved(subnet, eni, wanted, allowed=params.get("AllowReassignment", False))
    # What it holds already it may be asked to hold.
    wanted.addresses = [each for each in wanted.addresses if each not in subnet.holders]
    wanted.prefixes = [each for each in wanted.prefixes if subnet.holders.get(each) is not eni]
    n_slots = eni.n_slots + wanted.n_slots + len(moved)
    interfaces.check_room(interfaces.most_addresses(account, eni), n_slots=n_slots)
    _, addresses, prefixes = wanted.take(new=False)
    for address in moved:
        subnet.holders[address].addresses.remove(address)
        account.enis.touched(subnet.holders[address])
    eni.addresses += [*moved, *addresses]
    eni.prefixes += prefixes
    subnet.holders |= dict.fromkeys((*moved, *addresses, *prefixes), eni)
    account.enis.touched(eni)
    given = set(asked) - {*addresses, *prefixes}
    return {
        "NetworkInterfaceId": eni.eni_id,
        "AssignedPrivateIpAddresses": [
            {"PrivateIpAddress": each}
            for each in [*(one for one in asked if one in given and "/" not in one), *addresses]
        ],
        "AssignedIpv4Prefixes": [
            {"Ipv4Prefix": each}
            for each in [*(one for one in asked if one in given and "/" in one), *prefixes]
        ],
    }


def _moved(
    subnet: VpcSubnet, eni: Interface, wanted: interfaces.Wanted, *, allowed: bool
) -> list[str]:
    """Return the addresses that other interfaces hold as secondary ones, if they may move."""
    found = []
    for address in wanted.addresses:
        holder = subnet.holders.get(address)
        if holder is None or address in eni.addresses:
            continue
        if address == holder.primary_address:
            raise refusals.ADDRESS_IN_USE()
        found.append(address)
    if found and not allowed:
        raise refusals.MOVE_NOT_ALLOWED(", ".join(found))
    return found


def unassign_private_ip_addresses(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Take secondary addresses and /28s from an interface: all that are named, or none."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    subnet = account.subnets.by_key[eni.subnet_id]
    addresses = {given_address(subnet, text) for text in params.get("PrivateIpAddresses", ())}
    prefixes = {given_prefix(subnet, text) for text in params.get("Ipv4Prefixes", ())}
    if not addresses and not prefixes:
        raise refusals.MISSING_PARAMETER.text_of(
            "One of privateIpAddresses or ipv4Prefixes must be specified."
        )
    if eni.primary_address in addresses:
        raise refusals.INVALID_VALUE(
            eni.primary_address,
            "privateIpAddress",
            "The primary IP address of an interface cannot be unassigned.",
        )
    if not addresses <= set(eni.addresses) or not prefixes <= set(eni.prefixes):
        raise refusals.NOT_ASSIGNED(eni.eni_id)
    gone = [each for each in eni.addresses if each in addresses]
    gone_prefixes = [each for each in eni.prefixes if each in prefixes]
    eni.addresses = [each for each in eni.addresses if each not in addresses]
    eni.prefixes = [each for each in eni.prefixes if each not in prefixes]
    for held in (*gone, *gone_prefixes):
        del subnet.holders[held]
    subnet.give_back(gone, gone_prefixes)
    account.enis.touched(eni)
    return {}


def assign_ipv6_addresses(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Give an interface IPv6 addresses or /80s, by name or by number."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    subnet = account.subnets.by_key[eni.subnet_id]
    wanted = interfaces.WantedIpv6(subnet, params)
    if not wanted.n_slots:
        raise refusals.INVALID_PARAMETER(
            "One of ipv6Addresses or ipv6AddressCount or ipv6Prefixes or ipv6PrefixCount "
            "must be specified."
        )
    n_ipv6 = eni.n_ipv6 + wanted.n_slots
    interfaces.check_room(interfaces.most_addresses(account, eni), n_ipv6=n_ipv6)
    addresses, prefixes = wanted.take()
    eni.ipv6_addresses += addresses
    eni.ipv6_prefixes += prefixes
    account.enis.touched(eni)
    return {
        "NetworkInterfaceId": eni.eni_id,
        "AssignedIpv6Addresses": addresses,
        "AssignedIpv6Prefixes": prefixes,
    }


def unassign_ipv6_addresses(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Take IPv6 addresses and /80s from an interface: all that are named, or none."""
    eni = eni_of(account, params["NetworkInterfaceId"])
    block = account.subnets.by_key[eni.subnet_id].ipv6
    if block is None:
        raise refusals.NO_IPV6(eni.subnet_id)
    addresses = [block.address_of(text) for text in params.get("Ipv6Addresses", ())]
    prefixes = [block.prefix_of(text) for text in params.get("Ipv6Prefixes", ())]
    addresses, prefixes = list(dict.fromkeys(addresses)), list(dict.fromkeys(prefixes))
    if not addresses and not prefixes:
        raise refusals.MISSING_PARAMETER.text_of(
            "One of ipv6Addresses or ipv6Prefixes must be specified."
        )
    if not set(addresses) <= set(eni.ipv6_addresses) or not set(prefixes) <= set(eni.ipv6_prefixes):
        raise refusals.NOT_ASSIGNED(eni.eni_id)
    eni.ipv6_addresses = [each for each in eni.ipv6_addresses if each not in addresses]
    eni.ipv6_prefixes = [each for each in eni.ipv6_prefixes if each not in prefixes]
    block.give_back(addresses, prefixes)
    account.enis.touched(eni)
    return {
        "NetworkInterfaceId": eni.eni_id,
        "UnassignedIpv6Addresses": addresses,
        "UnassignedIpv6Prefixes": prefixes,
    }
