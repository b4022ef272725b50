"""Types of the compiled DataStore (src/ipam_core/_store.pyx holds the docstrings)."""

from collections.abc import Iterator
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

_Mode = Literal["secondary-ip", "prefix", "mixed", "ipv6"]
_Placement = Literal["pack", "first", "spread", "arbitrary"]

MOST_COOLDOWN_S: int
SNAPSHOT_HEAD: bytes

@final
class Sandbox:
    """(network, container id, interface), immutable, its hash and 128-bit digest kept."""

    def __init__(
        self, container_id: str, ifname: str = "eth0", network: str = "aws-cni"
    ) -> None: ...
    @staticmethod
    def from_digest(digest: bytes) -> Sandbox: ...
    @property
    def container_id(self) -> str: ...
    @property
    def ifname(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def digest(self) -> bytes: ...  # 16 bytes
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Assignment:
    """One address held by one sandbox. Strings are made when asked for."""

    @property
    def sandbox(self) -> Sandbox: ...
    @property
    def pod(self) -> str | None: ...  # "namespace/name", as the caller gave it
    @property
    def address(self) -> str: ...
    @property
    def eni_id(self) -> str: ...
    @property
    def device_number(self) -> int: ...
    @property
    def prefix(self) -> str | None: ...  # the CIDR it comes out of; None: a secondary IP
    @property
    def assigned_ns(self) -> int: ...

@final
class PoolStats:
    """Counts over ENIs that are not excluded, of the mode's own kind (pool-rules section 3)."""

    total: int
    assigned: int
    cooling: int
    available: int  # property: total - assigned; cooling addresses count as available
    assignable: int  # property: total - assigned - cooling
    prefixes: int  # attached, excluded ENIs' too
    free_prefixes: int  # without an assigned address, excluded ENIs' too
    enis: int  # excluded ones too

@final
class Eni:
    """What the store knows of an ENI, as it was added."""

    eni_id: str
    device_number: int
    network_card: int
    primary: bool
    trunk: bool
    efa: bool
    excluded: bool
    created_ns: int
    subnet_id: str
    route_table: int

@final
class EniStats:
    """One ENI's counts."""

    eni: Eni
    slots_used: int  # secondary IPs + prefixes attached, of both kinds
    total: int  # addresses of the mode's own kind
    assigned: int  # of the mode's own kind
    cooling: int  # of the mode's own kind
    assigned_any: int  # of either kind: pods that an ENI to be freed must not have
    cooling_any: int
    addresses: int  # secondary IPs attached (not those inside prefixes)
    prefixes: int
    free_prefixes: int

@final
class UsedAddress:
    """An address that a sandbox holds or has held since it was attached."""

    address: str
    prefix: str | None
    sandbox: Sandbox | None  # None: released
    pod: str | None
    assigned_ns: int
    released_ns: int  # 0: never released

@final
class FreeEniAnswer:
    """Which ENI can be freed; why each other cannot (pool-rules section 5.3)."""

    eni_id: str | None  # the one to free: as the placement chooses among `candidates`
    candidates: tuple[str, ...]  # all that can go, one at a time
    reasons: dict[str, str]  # by ENI id, of those that cannot: "primary", "trunk", "efa",
    # "too young", "has pods", "cooling", "needed for WARM_IP_TARGET",
    # "needed for MINIMUM_IP_TARGET", "needed for WARM_PREFIX_TARGET"

@final
class DataStore:
    """One network card's ENIs and their addresses."""

    MAX_ENIS: ClassVar[int]
    MAX_SLOTS: ClassVar[int]

    def __init__(
        self,
        mode: _Mode = "secondary-ip",
        *,
        cooldown_s: float = 30,
        placement: _Placement = "pack",
        seed: int = 0,
    ) -> None: ...
    @property
    def mode(self) -> _Mode: ...
    @mode.setter
    def mode(self, mode: _Mode) -> None: ...  # the other kind drains (section 3)
    @property
    def cooldown_ns(self) -> int: ...
    @property
    def placement(self) -> _Placement: ...

    # ENIs
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
    def __contains__(self, eni_id: object, /) -> bool: ...

    # addresses and prefixes
    def add_address(self, eni_id: str, address: str) -> None: ...
    def add_prefix(self, eni_id: str, prefix: str) -> None: ...
    def remove_address(
        self, eni_id: str, address: str, *, force: bool = False
    ) -> list[Assignment]: ...
    def remove_prefix(
        self, eni_id: str, prefix: str, *, force: bool = False
    ) -> list[Assignment]: ...
    def addresses(self, eni_id: str) -> list[str]: ...
    def prefixes(self, eni_id: str) -> list[str]: ...
    def freeable_addresses(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...
    def freeable_prefixes(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...

    # pods
    def assign(
        self, sandbox: Sandbox, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment: ...
    def adopt(
        self, sandbox: Sandbox, address: str, pod: str | None = None, now_ns: int | None = None
    ) -> Assignment: ...  # a given address, of either kind; what a restart takes over
    def cool(self, address: str, released_ns: int) -> None: ...  # a restart that keeps cooldowns
    def release(self, sandbox: Sandbox, now_ns: int | None = None) -> Assignment: ...
    def find(self, sandbox: Sandbox) -> Assignment | None: ...
    def find_address(self, address: str) -> Assignment | None: ...
    def assignments(self) -> Iterator[Assignment]: ...
    def used_addresses(self, eni_id: str) -> list[UsedAddress]: ...
    def assign_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...
    def release_many(
        self, digests: NDArray[np.uint64], now_ns: int | None = None, *, partial: bool = False
    ) -> NDArray[np.uint64]: ...

    # questions
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
        min_age_s: float = 60.0,
        now_ns: int | None = None,
    ) -> FreeEniAnswer: ...
    def free_counts(self) -> NDArray[np.uint32]: ...
    def assignment_ages_ns(self, now_ns: int | None = None) -> NDArray[np.int64]: ...

    # the whole state
    def snapshot(self) -> bytes: ...
    @classmethod
    def restore(cls, snapshot: bytes) -> DataStore: ...
    def _check(self) -> None: ...
