"""The subnets of the simulated region."""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import TYPE_CHECKING, Protocol

from ipam_core.cloud import refusals
from ipam_core.errors import NoFreePrefixError, SubnetExhaustedError
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet

_REUSE_AFTER = 1024
"""How many given back wait before one is used again: late, as in a large subnet."""


class SimulatedSubnet(Protocol):
    """What the region needs of a subnet.

    Each call is all or nothing: `Ec2Error` is EC2's answer where the subnet has not enough.
    """

    tags: dict[str, str]

    @property
    def cidr(self) -> str:
        """Its block."""

    @property
    def available_addresses(self) -> int:
        """Free addresses, as DescribeSubnets reports them."""

    @property
    def available_prefixes(self) -> int:
        """Free /28s."""

    def take_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Take a primary address, secondary addresses and prefixes for a new ENI."""

    def place_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Return addresses of an ENI from before the subnet was counted."""

    def take_addresses(self, count: int) -> list[str]:
        """Take secondary addresses."""

    def take_prefixes(self, count: int) -> list[str]:
        """Take free /28s."""

    def give_back(self, addresses: list[str], prefixes: list[str]) -> None:
        """Give back what was taken."""


class AddressedSubnet:
    """A subnet address by address, as the compiled `Subnet` keeps it.

    It fragments as EC2's subnets do, and takes prefixes out of CIDR reservations first.
    """

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self.cidr: str = subnet.cidr
        self.tags: dict[str, str] = {}

    @property
    def available_addresses(self) -> int:
        """Free addresses, those in reservations too."""
        return self.subnet.n_free

    @property
    def available_prefixes(self) -> int:
        """Free /28s, those in prefix reservations too."""
        return self.subnet.n_free_prefixes

    def take_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Take a primary address, secondary addresses and prefixes."""
        needed = 1 + n_addresses + ADDRESSES_PER_PREFIX * n_prefixes
        if n_prefixes and self.subnet.n_free < needed:
            raise refusals.NEW_ENI_FULL()
        primary, *addresses = self.take_addresses(1 + n_addresses)
        try:
            prefixes = self.take_prefixes(n_prefixes)
        except refusals.Ec2Error:
            self.give_back([primary, *addresses], [])
            raise
        return primary, addresses, prefixes

    def place_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Return addresses of an ENI from before the count: they are taken from the free ones."""
        return self.take_eni(n_addresses, n_prefixes)

    def take_addresses(self, count: int) -> list[str]:
        """Take secondary addresses."""
        try:
            return self.subnet.take_addresses(count)
        except SubnetExhaustedError as error:
            raise refusals.SUBNET_FULL() from error

    def take_prefixes(self, count: int) -> list[str]:
        """Take free /28s."""
        try:
            return self.subnet.take_prefixes(count)
        except NoFreePrefixError as error:
            raise refusals.NO_FREE_BLOCKS() from error

    def give_back(self, addresses: list[str], prefixes: list[str]) -> None:
        """Give back what was taken."""
        for address in addresses:  # few; in bulk it would load NumPy
            self.subnet.release_address(address)
        for prefix in prefixes:
            self.subnet.release_prefix(prefix)


class _Texts:
    """Addresses or prefixes of a counted subnet, in order; those given back come again late."""

    def __init__(self, first: int, step: int, suffix: str) -> None:
        self._next = first
        self._step = step
        self._suffix = suffix
        self.given_back: deque[str] = deque()

    def take(self, count: int) -> list[str]:
        taken = []
        for _ in range(count):
            if len(self.given_back) > _REUSE_AFTER:
                taken.append(self.given_back.popleft())
            else:
                taken.append(f"{ipaddress.IPv4Address(self._next)}{self._suffix}")
                self._next += self._step
        return taken


class CountedSubnet:
    """A subnet known only by its free counts; None is no limit.

    That is what a scenario file states: `free_ips` single addresses and
    `free_prefixes` free /28s. A prefix takes 16 of the addresses, and there are never
    more free /28s than addresses for them.
    """

    def __init__(self, network: str) -> None:
        self.cidr = network
        base = int(ipaddress.IPv4Network(network).network_address)
        half = 2 ** (31 - ipaddress.IPv4Network(network).prefixlen)
        self.tags: dict[str, str] = {}
        self.free_addresses: int | None = None
        self.free_prefixes: int | None = None
        # Prefixes come out of the network's upper half, so that the kinds never meet.
        self._addresses = _Texts(base, 1, "")
        self._prefixes = _Texts(base + half, ADDRESSES_PER_PREFIX, "/28")

    def set_free(self, addresses: int | None = None, prefixes: int | None = None) -> None:
        """State what is free; what is left out stays as it was."""
        if addresses is not None:
            self.free_addresses = addresses
        if prefixes is not None:
            self.free_prefixes = prefixes
        if addresses is not None and self.free_prefixes is not None:
            self.free_prefixes = min(self.free_prefixes, addresses // ADDRESSES_PER_PREFIX)

    @property
    def available_addresses(self) -> int:
        """Free addresses; a large number if there is no limit."""
        return 2**31 if self.free_addresses is None else self.free_addresses

    @property
    def available_prefixes(self) -> int:
        """Free /28s; a large number if there is no limit."""
        return 2**27 if self.free_prefixes is None else self.free_prefixes

    def take_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Take a primary address, secondary addresses and prefixes."""
        self._charge(1 + n_addresses, n_prefixes)
        return self.place_eni(n_addresses, n_prefixes)

    def place_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Return addresses of an ENI from before the count; the counts stay."""
        primary, *addresses = self._addresses.take(1 + n_addresses)
        return primary, addresses, self._prefixes.take(n_prefixes)

    def take_addresses(self, count: int) -> list[str]:
        """Take secondary addresses."""
        self._charge(count, 0)
        return self._addresses.take(count)

    def take_prefixes(self, count: int) -> list[str]:
        """Take free /28s."""
        self._charge(0, count)
        return self._prefixes.take(count)

    def give_back(self, addresses: list[str], prefixes: list[str]) -> None:
        """Give back what was taken: it counts as free again at once."""
        if self.free_addresses is not None:
            self.free_addresses += len(addresses) + ADDRESSES_PER_PREFIX * len(prefixes)
        if self.free_prefixes is not None:
            self.free_prefixes += len(prefixes)
        self._addresses.given_back.extend(addresses)
        self._prefixes.given_back.extend(prefixes)

    def _charge(self, n_addresses: int, n_prefixes: int) -> None:
        needed = n_addresses + ADDRESSES_PER_PREFIX * n_prefixes
        if n_prefixes and (
            (self.free_prefixes is not None and self.free_prefixes < n_prefixes)
            or (self.free_addresses is not None and self.free_addresses < needed)
        ):
            raise refusals.NO_FREE_BLOCKS()
        if self.free_addresses is not None and self.free_addresses < needed:
            raise refusals.SUBNET_FULL()
        if self.free_addresses is not None:
            self.free_addresses -= needed
        if self.free_prefixes is not None:
            self.free_prefixes -= n_prefixes
