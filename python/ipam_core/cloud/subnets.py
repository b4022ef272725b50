"""The subnets of the simulated region."""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import TYPE_CHECKING, Protocol

from ipam_core.cloud.codes import INSUFFICIENT_ADDRESSES, INSUFFICIENT_PREFIXES
from ipam_core.errors import NoFreePrefixError, SubnetExhaustedError
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from ipam_core._subnet import Subnet

_REUSE_AFTER = 1024
"""How many given back wait before one is given again: late, as in a large subnet."""


class SubnetFullSignal(Exception):  # noqa: N818 - a signal between cloud modules, not an error
    """A subnet cannot give what was asked; `code` is what EC2 answers."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SimulatedSubnet(Protocol):
    """What the region asks of a subnet. Each call is all or nothing."""

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
        """Return what an ENI holds that was there before anybody counted."""

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
        self.cidr = subnet.cidr
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
        primary, *addresses = self.take_addresses(1 + n_addresses)
        try:
            prefixes = self.take_prefixes(n_prefixes)
        except SubnetFullSignal:
            self.give_back([primary, *addresses], [])
            raise
        return primary, addresses, prefixes

    def place_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Return what an ENI holds that was there before: it has to come from somewhere."""
        return self.take_eni(n_addresses, n_prefixes)

    def take_addresses(self, count: int) -> list[str]:
        """Take secondary addresses."""
        try:
            return self.subnet.take_addresses(count)
        except SubnetExhaustedError as error:
            raise SubnetFullSignal(INSUFFICIENT_ADDRESSES) from error

    def take_prefixes(self, count: int) -> list[str]:
        """Take free /28s."""
        try:
            return self.subnet.take_prefixes(count)
        except NoFreePrefixError as error:
            raise SubnetFullSignal(INSUFFICIENT_PREFIXES) from error

    def give_back(self, addresses: list[str], prefixes: list[str]) -> None:
        """Give back what was taken."""
        self.subnet.release_addresses(addresses)
        for prefix in prefixes:
            self.subnet.release_prefix(prefix)


class CountedSubnet:
    """A subnet known only by how much is free; None is without end.

    That is what a scenario file states: `free_ips` single addresses and
    `free_prefixes` free /28s. A prefix takes 16 of the addresses, and there are never
    more free /28s than addresses for them.
    """

    def __init__(self, network: str) -> None:
        self.cidr = network
        base = int(ipaddress.IPv4Network(network).network_address)
        self.tags: dict[str, str] = {}
        self.free_addresses: int | None = None
        self.free_prefixes: int | None = None
        # Prefixes come out of the network's upper half, so that the kinds never meet.
        self._next_address = base
        self._next_prefix = base + 2 ** (31 - ipaddress.IPv4Network(network).prefixlen)
        self._old_addresses: deque[str] = deque()
        self._old_prefixes: deque[str] = deque()

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
        """Free addresses; a large number where there is no end."""
        return 2**31 if self.free_addresses is None else self.free_addresses

    @property
    def available_prefixes(self) -> int:
        """Free /28s; a large number where there is no end."""
        return 2**27 if self.free_prefixes is None else self.free_prefixes

    def take_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Take a primary address, secondary addresses and prefixes."""
        self._charge(1 + n_addresses, n_prefixes)
        return self.place_eni(n_addresses, n_prefixes)

    def place_eni(self, n_addresses: int, n_prefixes: int) -> tuple[str, list[str], list[str]]:
        """Return what an ENI holds that was there before; the counts stay."""
        primary, *addresses = self._addresses(1 + n_addresses)
        return primary, addresses, self._prefixes(n_prefixes)

    def take_addresses(self, count: int) -> list[str]:
        """Take secondary addresses."""
        self._charge(count, 0)
        return self._addresses(count)

    def take_prefixes(self, count: int) -> list[str]:
        """Take free /28s."""
        self._charge(0, count)
        return self._prefixes(count)

    def give_back(self, addresses: list[str], prefixes: list[str]) -> None:
        """Give back what was taken: it counts as free again at once."""
        if self.free_addresses is not None:
            self.free_addresses += len(addresses) + ADDRESSES_PER_PREFIX * len(prefixes)
        if self.free_prefixes is not None:
            self.free_prefixes += len(prefixes)
        self._old_addresses.extend(addresses)
        self._old_prefixes.extend(prefixes)

    def _charge(self, n_addresses: int, n_prefixes: int) -> None:
        needed = n_addresses + ADDRESSES_PER_PREFIX * n_prefixes
        if n_prefixes and (
            (self.free_prefixes is not None and self.free_prefixes < n_prefixes)
            or (self.free_addresses is not None and self.free_addresses < needed)
        ):
            raise SubnetFullSignal(INSUFFICIENT_PREFIXES)
        if self.free_addresses is not None and self.free_addresses < needed:
            raise SubnetFullSignal(INSUFFICIENT_ADDRESSES)
        if self.free_addresses is not None:
            self.free_addresses -= needed
        if self.free_prefixes is not None:
            self.free_prefixes -= n_prefixes

    def _addresses(self, count: int) -> list[str]:
        taken = []
        for _ in range(count):
            if len(self._old_addresses) > _REUSE_AFTER:
                taken.append(self._old_addresses.popleft())
            else:
                taken.append(str(ipaddress.IPv4Address(self._next_address)))
                self._next_address += 1
        return taken

    def _prefixes(self, count: int) -> list[str]:
        taken = []
        for _ in range(count):
            if len(self._old_prefixes) > _REUSE_AFTER:
                taken.append(self._old_prefixes.popleft())
            else:
                taken.append(f"{ipaddress.IPv4Address(self._next_prefix)}/28")
                self._next_prefix += ADDRESSES_PER_PREFIX
        return taken
