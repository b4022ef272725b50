"""Types of a part of the DataStore: who holds what (src/ipam_core/_pods.pyx)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from ipam_core._attached import Attached
from ipam_core._values import Assignment, Sandbox, UsedAddress

_Address = str | IPv4Address | IPv6Address

class Pods(Attached):
    """The assignments of a store, one by one."""

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
