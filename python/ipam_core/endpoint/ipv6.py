"""A subnet's IPv6 /64: single addresses and /80 prefixes, at random."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from ipam_core.cloud import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

_HOST_BITS = 64
_IN_PREFIX_BITS = 48
_N_PREFIXES = 1 << (_HOST_BITS - _IN_PREFIX_BITS)


class Ipv6Block:
    """The addresses of a /64. `chance` decides which are given.

    Invariant: no address is held singly that a held prefix contains. Cost: constant, as long
    as a good part is free; there are 65,536 prefixes, of which the first is never given.
    """

    def __init__(self, cidr: str, chance: Random) -> None:
        self.network: IPv6Network = IPv6Network(cidr)
        self._base = int(self.network.network_address)
        self._chance = chance
        self._addresses: set[int] = set()
        self._n_in: dict[int, int] = {}
        """How many single addresses each /80 has that has any."""
        self._prefixes: set[int] = set()

    @property
    def cidr(self) -> str:
        """The /64."""
        return str(self.network)

    def take_addresses(self, count: int) -> list[str]:
        """Take so many addresses. Raises `Ec2Error`: every /80 is held as a prefix."""
        if len(self._prefixes) >= _N_PREFIXES - 1:
            raise refusals.SUBNET_FULL()
        taken: list[str] = []
        while len(taken) < count:
            number = self._chance.getrandbits(_HOST_BITS)
            if self._is_free(number):
                self._hold(number)
                taken.append(self._text(number))
        return taken

    def take_prefixes(self, count: int) -> list[str]:
        """Take so many free /80s. Raises `Ec2Error`: there are fewer."""
        if _N_PREFIXES - 1 - len(self._prefixes) - len(self._n_in) < count:
            raise refusals.NO_FREE_BLOCKS()
        taken: list[str] = []
        while len(taken) < count:
            prefix = self._chance.randrange(1, _N_PREFIXES)
            if prefix not in self._prefixes and prefix not in self._n_in:
                self._prefixes.add(prefix)
                taken.append(f"{self._text(prefix << _IN_PREFIX_BITS)}/80")
        return taken

    def number_of(self, text: str) -> int:
        """Return where an address is in the block. Raises `Ec2Error`: it is none of it."""
        try:
            address = IPv6Address(text)
        except ValueError:
            raise refusals.BAD_ADDRESS(text[:200]) from None
        if address.scope_id is not None or address not in self.network:
            raise refusals.ADDRESS_OUTSIDE()
        return int(address) - self._base

    def prefix_number_of(self, text: str) -> int:
        """Return which /80 a prefix is. Raises `Ec2Error`: it is none of the block."""
        address, slash, bits = text.partition("/")
        number = self.number_of(address)
        if slash + bits != "/80" or number % (1 << _IN_PREFIX_BITS):
            raise refusals.BAD_ADDRESS(text[:200])
        return number >> _IN_PREFIX_BITS

    def address_of(self, text: str) -> str:
        """Return an address of the block as EC2 writes it."""
        return self._text(self.number_of(text))

    def prefix_of(self, text: str) -> str:
        """Return a /80 of the block as EC2 writes it."""
        return f"{self._text(self.prefix_number_of(text) << _IN_PREFIX_BITS)}/80"

    def check_given(self, addresses: Iterable[str], prefixes: Iterable[str]) -> None:
        """Raise `Ec2Error` where one of these cannot be taken by name."""
        numbers = [self.number_of(text) for text in addresses]
        wholes = [self.prefix_number_of(text) for text in prefixes]
        for number in numbers:
            if not self._is_free(number) or number >> _IN_PREFIX_BITS in wholes:
                raise refusals.ADDRESS_IN_USE()
        for prefix in wholes:
            if prefix in self._prefixes or prefix in self._n_in or prefix == 0:
                raise refusals.ADDRESS_IN_USE()
        if len(set(numbers)) < len(numbers) or len(set(wholes)) < len(wholes):
            raise refusals.INVALID_VALUE("duplicates", "ipv6Addresses", "One is there twice.")

    def take_given(self, addresses: Iterable[str], prefixes: Iterable[str]) -> None:
        """Take what `check_given` allows."""
        for text in addresses:
            self._hold(self.number_of(text))
        self._prefixes.update(self.prefix_number_of(text) for text in prefixes)

    def give_back(self, addresses: Iterable[str], prefixes: Iterable[str]) -> None:
        """Give back what was taken."""
        for text in addresses:
            number = self.number_of(text)
            self._addresses.remove(number)
            whole = number >> _IN_PREFIX_BITS
            self._n_in[whole] -= 1
            if not self._n_in[whole]:
                del self._n_in[whole]
        self._prefixes.difference_update(self.prefix_number_of(text) for text in prefixes)

    def _is_free(self, number: int) -> bool:
        return (
            number not in self._addresses
            and number >> _IN_PREFIX_BITS not in self._prefixes
            and number >= 4  # the first four are AWS's
        )

    def _hold(self, number: int) -> None:
        self._addresses.add(number)
        whole = number >> _IN_PREFIX_BITS
        self._n_in[whole] = self._n_in.get(whole, 0) + 1

    def _text(self, number: int) -> str:
        return str(IPv6Address(self._base + number))
