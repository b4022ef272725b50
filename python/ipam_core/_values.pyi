"""Types of the values that a DataStore takes and gives (src/ipam_core/_values.pyx)."""

from dataclasses import dataclass
from typing import final

__all__ = [
    "Assignment",
    "Eni",
    "EniStats",
    "FreeEniAnswer",
    "FreeSlot",
    "PoolStats",
    "Sandbox",
    "UsedAddress",
]

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
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
@dataclass(frozen=True, kw_only=True)
class PoolStats:
    """Counts over ENIs that are not excluded, of the mode's own kind (pool-rules section 3)."""

    total: int
    assigned: int
    cooling: int
    prefixes: int  # attached, excluded ENIs' too
    free_prefixes: int  # without an assigned address, excluded ENIs' too
    enis: int  # excluded ones too

    @property
    def available(self) -> int: ...  # total - assigned; cooling addresses count as available
    @property
    def assignable(self) -> int: ...  # total - assigned - cooling

@final
@dataclass(frozen=True, kw_only=True)
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
@dataclass(frozen=True, kw_only=True)
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
@dataclass(frozen=True, kw_only=True)
class UsedAddress:
    """An address that a sandbox holds or has held since it was attached."""

    address: str
    prefix: str | None
    sandbox: Sandbox | None  # None: released
    pod: str | None
    assigned_ns: int
    released_ns: int  # 0: never released

@final
@dataclass(frozen=True, kw_only=True)
class FreeSlot:
    """A slot that can give an address: a secondary IP, or a prefix."""

    eni_id: str
    device_number: int
    cidr: str  # of a prefix with its slash
    n_free: int
    n_assigned: int
    n_cooling: int

@final
@dataclass(frozen=True, kw_only=True)
class FreeEniAnswer:
    """Which ENI can be freed; why each other cannot (pool-rules section 5.3)."""

    eni_id: str | None  # the one to free: as the placement chooses among `candidates`
    candidates: tuple[str, ...]  # all that can go, one at a time
    reasons: dict[str, str]  # by ENI id, of those that cannot: "primary", "trunk", "efa",
    # "too young", "has pods", "cooling", "needed for WARM_IP_TARGET",
    # "needed for MINIMUM_IP_TARGET", "needed for WARM_PREFIX_TARGET"
