"""Types of the compiled Subnet (src/ipam_core/_subnet.pyx holds the docstrings)."""

from array import array
from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import final

import numpy as np
from numpy.typing import NDArray

from ipam_core._subnet_view import BLOCK_STATES as BLOCK_STATES
from ipam_core._subnet_view import SubnetView, _Address, _ReservationType
from ipam_core._subnet_view import _AddressPlacement as _AddressPlacement

PLACEMENTS: tuple[str, ...]
RESERVATION_TYPES: tuple[str, ...]

@final
class Subnet(SubnetView):
    """The addresses of one subnet, taken and given back as EC2 does."""

    def __init__(
        self,
        cidr: str | IPv4Network,
        *,
        placement: _AddressPlacement = "random",
        seed: int = 0,
        reservations: Iterable[tuple[str | IPv4Network, _ReservationType]] = (),
    ) -> None: ...
    def copy(
        self, *, placement: _AddressPlacement | None = None, seed: int | None = None
    ) -> Subnet: ...

    # addresses
    def take_address(self) -> str: ...
    def take_addresses(self, n: int) -> list[str]: ...
    def take_given(self, address: _Address) -> None: ...
    def take_given_addresses(self, addresses: NDArray[np.uint32] | Iterable[_Address]) -> None: ...
    def release_address(self, address: _Address) -> None: ...
    def release_addresses(self, addresses: NDArray[np.uint32] | Iterable[_Address]) -> None: ...

    # /28s
    def take_prefix(self) -> str: ...
    def take_prefixes(self, n: int) -> list[str]: ...
    def take_given_prefix(self, prefix: str | IPv4Network) -> None: ...
    def release_prefix(self, prefix: str | IPv4Network) -> None: ...

    # what is chosen next
    def set_sequence(self, random: int, order: NDArray[np.uint16] | array[int]) -> None: ...

    # reservations
    def add_reservation(
        self, cidr: str | IPv4Network, reservation_type: _ReservationType
    ) -> None: ...
    def remove_reservation(self, cidr: str | IPv4Network) -> None: ...
