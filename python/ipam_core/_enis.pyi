"""Types of a part of the DataStore: what is attached (src/ipam_core/_enis.pyx)."""

from typing import ClassVar, Literal

from ipam_core._values import Assignment, Eni

_Mode = Literal["secondary-ip", "prefix", "mixed", "ipv6"]
_Placement = Literal["pack", "first", "spread", "arbitrary"]

class Enis:
    """The ENIs of a store, and their secondary IPs and prefixes."""

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
    def turns(self, *, copied: bool = False) -> list[str]: ...  # as the agent's rules take them
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
    def freeable_cidrs(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...  # both, as the agent's rules take them
    def freeable_prefixes(
        self, eni_id: str, *, cooling: bool = True, now_ns: int | None = None
    ) -> list[str]: ...
