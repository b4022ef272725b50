"""Assignments whose addresses are not attached: kept for their own sandboxes.

Metadata may lag when a node starts, so that a pod's address seems to be gone while the
pod runs. Source: upstream #3876 and #3824; the policy rule `keep_unattached`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from ipam_core.errors import AddressInUseError, DuplicateError, UnknownAddressError

if TYPE_CHECKING:
    from ipam_core._store import Assignment, DataStore, Sandbox


class Kept(NamedTuple):
    """Who holds an address, as `DataStore.adopt` takes it; `assigned_ns` is monotonic."""

    sandbox: Sandbox
    pod: str | None
    assigned_ns: int


class KeptAside(dict[str, Kept]):
    """Addresses that are not attached, each with who holds it.

    Once attached, an address goes back to its sandbox, and to nobody else. For
    threads: `lock` is held while addresses go back or are forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def keep(self, address: str, kept: Kept) -> None:
        """Keep an address. Raises `AddressInUseError` where it is kept for another sandbox."""
        if self.setdefault(address, kept).sandbox != kept.sandbox:
            raise AddressInUseError(address)

    def held_by(self, sandbox: Sandbox) -> list[str]:
        """Return the addresses that are kept for a sandbox."""
        return [address for address, kept in list(self.items()) if kept.sandbox == sandbox]

    def forget(self, addresses: list[str]) -> None:
        """Keep these addresses no longer."""
        for address in addresses:
            self.pop(address, None)

    def give_back(self, store: DataStore) -> list[Assignment]:
        """Assign what is attached to a store by now to its sandboxes again; return that."""
        given = []
        with self.lock:
            for address, kept in list(self.items()):
                try:
                    given.append(store.adopt(kept.sandbox, address, kept.pod, kept.assigned_ns))
                except (UnknownAddressError, DuplicateError, AddressInUseError):
                    continue  # not there; it asked again; another thread is about to give it up
                del self[address]
        return given
