"""How an interface is made: for CreateNetworkInterface, and for an instance's launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint.arguments import given_address, given_prefix, positive
from ipam_core.endpoint.resources import Attachment, Interface
from ipam_core.errors import AddressInUseError
from ipam_core.instances import ADDRESSES_PER_PREFIX, MAX_IPV4_PER_ENI

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Instance, VpcSubnet

ONE_WAY = (
    "You may specify one and only one of privateIpAddressSet or secondaryPrivateIpAddressCount "
    "or ipv4Prefixes or ipv4PrefixCount, but not more than one of them."
)

MOST_DESCRIPTION = 255
"""Characters of a description. Source: CreateNetworkInterface in the EC2 API reference."""
TYPES = ("interface", "efa", "efa-only", "branch", "trunk")
LAUNCHED_TYPES = ("interface", "efa", "efa-only")
"""Those that a launch may ask for. Source: InstanceNetworkInterfaceSpecification, ibid."""


class Wanted:
    """The addresses and prefixes that a request wants for an interface, by name or by number.

    Made from the parameters that CreateNetworkInterface, RunInstances and the assignments
    share. Raises `Ec2Error`: they contradict each other, or are not of the subnet.
    """

    def __init__(self, subnet: VpcSubnet, params: dict[str, Any], *, new: bool) -> None:
        self.subnet = subnet
        self.primary: str = ""
        addresses: list[str] = []
        for each in params.get("PrivateIpAddresses", ()):
            if isinstance(each, str):
                addresses.append(given_address(subnet, each))
                continue
            address = given_address(subnet, each.get("PrivateIpAddress", ""))
            if not each.get("Primary"):
                addresses.append(address)
            elif self.primary:
                raise refusals.INVALID_COMBINATION("Only one address can be the primary one.")
            else:
                self.primary = address
        if new and "PrivateIpAddress" in params:
            named = given_address(subnet, params["PrivateIpAddress"])
            if self.primary not in ("", named):
                raise refusals.INVALID_COMBINATION("Only one address can be the primary one.")
            self.primary = named
            addresses = [each for each in addresses if each != named]
        self.addresses: list[str] = list(dict.fromkeys(addresses))
        self.prefixes: list[str] = list(
            dict.fromkeys(
                given_prefix(subnet, _of(each, "Ipv4Prefix"))
                for each in params.get("Ipv4Prefixes", ())
            )
        )
        self.n_addresses: int = positive(params, "SecondaryPrivateIpAddressCount")
        self.n_prefixes: int = positive(params, "Ipv4PrefixCount")
        ways = (self.addresses, self.n_addresses, self.prefixes, self.n_prefixes)
        if sum(map(bool, ways)) > 1:
            raise refusals.INVALID_COMBINATION(ONE_WAY)

    @property
    def n_slots(self) -> int:
        """How many slots it takes in addition to the primary address."""
        given = len(self.addresses) + len(self.prefixes)
        return given + self.n_addresses + self.n_prefixes

    def take(self, *, new: bool) -> tuple[str, list[str], list[str]]:
        """Take all of it from the subnet, or nothing: a new interface's primary address too.

        Raises `Ec2Error`: one is held, or the subnet has not enough.
        """
        named = [*([self.primary] if self.primary else []), *self.addresses]
        n_free = self.n_addresses + (new and not self.primary)
        taken: list[str] = []
        prefixes: list[str] = []
        subnet = self.subnet
        needed = len(named) + n_free + ADDRESSES_PER_PREFIX * self.n_prefixes
        if new and self.n_prefixes and subnet.available_addresses < needed:
            raise refusals.NEW_ENI_FULL()
        try:
            subnet.subnet.take_given_addresses(named)
            taken += named
            for prefix in self.prefixes:
                subnet.subnet.take_given_prefix(prefix)
                prefixes.append(prefix)
            drawn = subnet.take_addresses(n_free) if n_free else []
            taken += drawn
            if self.n_prefixes:
                prefixes += subnet.take_prefixes(self.n_prefixes)
        except refusals.Ec2Error:
            subnet.give_back(taken, prefixes)
            raise
        except AddressInUseError:
            subnet.give_back(taken, prefixes)
            raise refusals.ADDRESS_IN_USE() from None
        primary = self.primary
        if new and not primary:
            primary = drawn.pop(0)
        return primary, [*self.addresses, *drawn], prefixes


class WantedIpv6:
    """The IPv6 addresses and prefixes that a request wants. Raises `Ec2Error` as `Wanted`."""

    def __init__(self, subnet: VpcSubnet, params: dict[str, Any]) -> None:
        self.subnet = subnet
        self.addresses: list[str] = [
            _of(each, "Ipv6Address") for each in params.get("Ipv6Addresses", ())
        ]
        self.prefixes: list[str] = [
            _of(each, "Ipv6Prefix") for each in params.get("Ipv6Prefixes", ())
        ]
        self.n_addresses: int = positive(params, "Ipv6AddressCount")
        self.n_prefixes: int = positive(params, "Ipv6PrefixCount")
        ways = (self.addresses, self.n_addresses, self.prefixes, self.n_prefixes)
        if sum(map(bool, ways)) > 1:
            raise refusals.INVALID_COMBINATION(
                "You may specify one and only one of ipv6Addresses or ipv6AddressCount or "
                "ipv6Prefixes or ipv6PrefixCount."
            )
        self.n_slots: int = len(self.addresses) + len(self.prefixes) + max(ways[1], ways[3])
        if self.n_slots and subnet.ipv6 is None:
            raise refusals.NO_IPV6(subnet.subnet_id)
        if subnet.ipv6 is not None:
            subnet.ipv6.check_given(self.addresses, self.prefixes)

    def take(self) -> tuple[list[str], list[str]]:
        """Take all of it: it is checked. Raises `Ec2Error`: no prefix is free."""
        block = self.subnet.ipv6
        if block is None or not self.n_slots:
            return [], []
        addresses = block.take_addresses(self.n_addresses)
        prefixes = block.take_prefixes(self.n_prefixes)
        block.take_given(self.addresses, self.prefixes)
        return (
            [*(block.address_of(each) for each in self.addresses), *addresses],
            [*(block.prefix_of(each) for each in self.prefixes), *prefixes],
        )


def _of(each: str | dict[str, str], name: str) -> str:
    return each if isinstance(each, str) else each.get(name, "")


def checked_description(text: str) -> str:
    """Return an interface's description. Raises `Ec2Error`: it is too long."""
    if len(text) > MOST_DESCRIPTION:
        raise refusals.INVALID_VALUE(
            text[:200], "description", f"At most {MOST_DESCRIPTION} characters are allowed."
        )
    return text


def checked_type(params: dict[str, Any], *, allowed: tuple[str, ...] = TYPES) -> str:
    """Return the type that a request gives an interface. Raises `Ec2Error`: there is none such."""
    kind: str = params.get("InterfaceType", "interface")
    if kind not in allowed:
        raise refusals.INVALID_VALUE(
            kind[:200], "InterfaceType", f"Allowed values are: {', '.join(allowed)}."
        )
    return kind


def check_room(most: int, *, n_slots: int = 0, n_ipv6: int = 0) -> None:
    """Raise `Ec2Error` where an interface would hold more than `most` addresses of a family.

    `n_slots` are its secondary addresses and prefixes: the primary address takes one place more.
    """
    if 1 + n_slots > most:
        raise refusals.ADDRESS_LIMIT()
    if n_ipv6 > most:
        raise refusals.IPV6_LIMIT()


def most_addresses(account: Account, eni: Interface) -> int:
    """Return how many addresses an interface may hold, its primary one included."""
    if eni.instance_id is None:
        return MAX_IPV4_PER_ENI
    return account.instances.by_key[eni.instance_id].limits.ipv4_per_eni


def make(
    account: Account,
    wanted: Wanted,
    wanted_ipv6: WantedIpv6,
    *,
    groups: tuple[str, ...],
    description: str = "",
    interface_type: str = "interface",
    primary_ipv6: bool = False,
    tags: dict[str, str] | None = None,
    client_token: str = "",
) -> Interface:
    """Make an interface that holds what is wanted. Raises `Ec2Error`; nothing is taken then."""
    subnet = wanted.subnet
    primary, addresses, prefixes = wanted.take(new=True)
    try:
        ipv6_addresses, ipv6_prefixes = wanted_ipv6.take()
    except refusals.Ec2Error:
        subnet.give_back([primary, *addresses], prefixes)
        raise
    eni = Interface(
        eni_id=account.new_id("eni"),
        number=account.next_number(),
        subnet_id=subnet.subnet_id,
        vpc_id=subnet.vpc_id,
        zone=subnet.zone,
        mac=account.new_mac(),
        groups=groups,
        created_ns=account.now_ns(),
        primary_address=primary,
        addresses=addresses,
        prefixes=prefixes,
        ipv6_addresses=ipv6_addresses,
        ipv6_prefixes=ipv6_prefixes,
        primary_ipv6=primary_ipv6 and bool(ipv6_addresses),
        interface_type=interface_type,
        description=description,
        tags=dict(tags or {}),
        client_token=client_token,
    )
    subnet.holders |= dict.fromkeys((primary, *addresses, *prefixes), eni)
    account.simulated.add_eni(eni)
    account.enis.add(eni)
    return eni


def attach(
    account: Account,
    eni: Interface,
    instance: Instance,
    *,
    device_index: int,
    network_card: int,
    goes_with_instance: bool = False,
) -> Attachment:
    """Attach an interface: it is being attached, and attached after a while."""
    attachment = Attachment(attachment_id=account.new_id("eni-attach"), since_ns=account.now_ns())
    account.simulated.attach(eni, instance.instance_id, device_index, network_card)
    eni.attachment = attachment
    eni.goes_with_instance = goes_with_instance
    eni.status = "in-use"
    account.enis.changed(eni)
    account.later(account.delays.attached_s, "attached", attachment.attachment_id)
    return attachment
