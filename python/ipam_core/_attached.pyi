"""Types of a part of the DataStore: what ENIs have (src/ipam_core/_attached.pyx)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from ipam_core._enis import Enis
from ipam_core._values import Assignment

_Prefix = str | IPv4Network | IPv6Network

class Attached(Enis):
    """The secondary IPs and prefixes of a store's ENIs."""

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
