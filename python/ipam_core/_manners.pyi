"""Types of a part of the DataStore: a store as Python's containers are (_manners.pyx)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, ClassVar, Self

from ipam_core._shared import Shared
from ipam_core._values import Assignment, FreeSlot, Sandbox

_Item = Sandbox | Assignment | str | IPv4Address | IPv6Address | IPv4Network | IPv6Network

class Manners(Shared):
    """A store as Python's own containers are."""

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def _repr_html_(self) -> str: ...
    def __len__(self) -> int: ...  # assignments
    def __bool__(self) -> bool: ...  # True
    def __iter__(self) -> Iterator[Assignment]: ...
    def __contains__(self, item: _Item, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Self: ...
    def copy(self) -> Self: ...
    def free_slots(self, now_ns: int | None = None) -> list[FreeSlot]: ...
    def assign_from(
        self,
        cidr: str | IPv4Address | IPv4Network | IPv6Network,
        sandbox: Sandbox,
        pod: str | None = None,
        now_ns: int | None = None,
    ) -> Assignment: ...
