"""Types of a part of the DataStore: what is attached (src/ipam_core/_enis.pyx)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from ipam_core._shared import Shared
from ipam_core._values import Assignment, Eni

_Prefix = str | IPv4Network | IPv6Network

class Enis(Shared):
    """The ENIs of a store, and their secondary IPs and prefixes."""

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
