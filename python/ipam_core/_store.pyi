"""Types of the compiled DataStore (src/ipam_core/_store.pyx holds the docstrings)."""

from array import array
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from ipam_core._manners import Manners
from ipam_core._values import Assignment as Assignment
from ipam_core._values import Eni as Eni
from ipam_core._values import EniStats as EniStats
from ipam_core._values import FreeEniAnswer as FreeEniAnswer
from ipam_core._values import FreeSlot as FreeSlot
from ipam_core._values import PoolStats as PoolStats
from ipam_core._values import Sandbox as Sandbox
from ipam_core._values import UsedAddress as UsedAddress

_Address = str | IPv4Address | IPv6Address
_Prefix = str | IPv4Network | IPv6Network

@final
class DataStore(Manners):
    """One network card's ENIs and their addresses."""

    def add_eni(
        self,
        eni_id: str,
        *,
        device_number: int,
        network_card: int = 0,
        primary: bool = False,
        trunk: bool = False,
        efa: bool = False,
        excluded: bool = False,
        created_ns: int | None = None,  # monotonic; None: now
        subnet_id: str = "",
        route_table: int = 0,
    ) -> None: ...
    def remove_eni(self, eni_id: str, *, force: bool = False) -> list[Assignment]: ...
    def exclude_eni(self, eni_id: str) -> None: ...
    def include_eni(self, eni_id: str) -> None: ...
    def eni(self, eni_id: str) -> Eni: ...
    def enis(self) -> tuple[Eni, ...]: ...  # by device number
    def turns(self, *, copied: bool = False) -> list[str]: ...  # as the agent's rules take them
    def add_address(self, eni_id: str, address: str | IPv4Address) -> None: ...
    def add_prefix(self, eni_id: str, prefix: _Prefix) -> None: ...
    def remove_address(
        self, eni_id: str, address: str | IPv4Address, *, force: bool = False
    ) -> list[Assignment]: ...
    def remove_prefix(
        self, eni_id: str, prefix: _Prefix, *, force: bool = False
    ) -> list[Assignment]: ...
    def addresses(self, eni_id: str) -> list[str]: ...
    def prefixes(self, eni_id: str) -> list[str]: ...
    def freeable_addresses(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...
    def freeable_cidrs(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...  # both, as the agent's rules take them
    def freeable_prefixes(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...
    def assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment: ...
    def try_assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment | None: ...  # None where `assign` raises PoolExhaustedError
    def adopt(
        self,
        sandbox: Sandbox,
        address: _Address,
        pod: str | None = None,
        now_ns: int | None = None,
        *,
        beside: bool = False,
    ) -> Assignment: ...  # a given address, of either kind; what a restart takes over
    def cool(
        self, address: _Address, released_ns: int
    ) -> None: ...  # a restart that keeps cooldowns
    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment: ...
    def try_release(
        self, sandbox: Sandbox, now_ns: int | None = None
    ) -> Assignment | None: ...  # None where `release` raises UnknownSandboxError
    def unassign(self, sandbox: Sandbox) -> Assignment: ...  # not reported yet: does not cool
    def find(self, sandbox: Sandbox) -> Assignment | None: ...
    def find_address(self, address: _Address) -> Assignment | None: ...
    def assignments(self) -> Iterator[Assignment]: ...
    def used_addresses(self, eni_id: str) -> list[UsedAddress]: ...
    @overload  # an array of NumPy has a buffer, too, but gets what it is
    def assign_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
    @overload
    def assign_many(
        self, digests: Buffer, now_ns: int | None = None, *, partial: bool = False
    ) -> array[int]: ...
    @overload
    def release_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
    @overload
    def release_many(
        self, digests: Buffer, now_ns: int | None = None, *, partial: bool = False
    ) -> array[int]: ...
    def stats(self, now_ns: int | None = None, network_card: int | None = None) -> PoolStats: ...
    def eni_stats(self, eni_id: str, now_ns: int | None = None) -> EniStats: ...
    def next_cool_ns(self, now_ns: int | None = None) -> int | None: ...  # when the first one ends
    def growable_enis(self, max_slots: int) -> list[str]: ...  # a free slot, not excluded
    def find_freeable_eni(
        self,
        *,
        warm_ip: int,
        minimum_ip: int,
        warm_prefix: int,
        min_age_s: float = 60,
        now_ns: int | None = None,
    ) -> FreeEniAnswer: ...
    def free_counts(self, now_ns: int | None = None) -> NDArray[np.uint32]: ...
    def assignment_ages_ns(self, now_ns: int | None = None) -> NDArray[np.int64]: ...

    # the complete state
    def snapshot(self) -> bytes: ...
    @classmethod
    def restore(cls, snapshot: bytes) -> DataStore: ...
    def _check(self) -> None: ...
