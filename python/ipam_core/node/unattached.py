"""Assignments whose addresses are not attached: kept for their own sandboxes.

Metadata may lag when a node starts: then a running pod's address seems to be gone. Source:
upstream #3876 and #3824; the policy rule `keep_unattached`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ipam_core._lazy import Load, deprecated_name
from ipam_core.errors import (
    AddressInUseError,
    DuplicateError,
    UnknownAddressError,
    UnknownSandboxError,
)

if TYPE_CHECKING:
    from ipam_core._store import Assignment, DataStore, Sandbox


class Holder(NamedTuple):
    """Who holds an address, as `DataStore.adopt` takes it; `assigned_ns` is monotonic."""

    sandbox: Sandbox
    pod: str | None
    assigned_ns: int


class UnattachedAssignments(dict[str, Holder]):
    """Addresses that are not attached, each with who holds it.

    When an address is attached, it goes back to its own sandbox only. For threads: each entry
    is taken out once, by one thread, which decides about it.
    """

    def keep(self, address: str, holder: Holder) -> None:
        """Keep an address. Raises `AddressInUseError` where it is kept for another sandbox."""
        if self.setdefault(address, holder).sandbox != holder.sandbox:
            raise AddressInUseError(address)

    def held_by(self, sandbox: Sandbox) -> list[str]:
        """Return the addresses that are kept for a sandbox."""
        return [address for address, holder in list(self.items()) if holder.sandbox == sandbox]

    def forget(self, addresses: list[str]) -> None:
        """Forget these addresses."""
        for address in addresses:
            self.pop(address, None)

    def take(self, sandbox: Sandbox) -> dict[str, Holder]:
        """Forget what is kept for a sandbox; return it, by address."""
        taken = ((address, self.pop(address, None)) for address in self.held_by(sandbox))
        return {address: holder for address, holder in taken if holder is not None}

    def give_back(self, store: DataStore) -> list[Assignment]:
        """Assign the addresses that are now attached to a store to their sandboxes; return them."""
        given = []
        for address, holder in list(self.items()):
            try:
                assignment = store.adopt(holder.sandbox, address, holder.pod, holder.assigned_ns)
            except (UnknownAddressError, DuplicateError, AddressInUseError):
                continue  # not there; it asked again; another thread is about to give it up
            if self.pop(address, None) is None:  # another thread has just released it
                unassign(store, assignment)
            else:
                given.append(assignment)
        return given


def unassign(store: DataStore, assignment: Assignment) -> None:
    """Take back an assignment that was not reported yet: its address does not cool."""
    with suppress(UnknownSandboxError):  # removed with its ENI meanwhile
        store.unassign(assignment.sandbox)


__getattr__: Load = deprecated_name(
    __name__, {"Kept": "Holder", "KeptAside": "UnattachedAssignments"}
)
