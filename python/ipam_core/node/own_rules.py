"""What a policy's own rule and own placement need of a node: a memory, and an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.errors import AddressInUseError, UnknownAddressError
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections import deque

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.policy import Policy


def remember(memory: deque[tuple[int, int]], now_ns: int, in_use: int, memory_s: float) -> None:
    """Note what is in use at a pool check, and forget what is older than the memory."""
    if memory and memory[-1][0] == now_ns:  # a check may note it twice
        memory.pop()
    memory.append((now_ns, in_use))
    while now_ns - memory[0][0] > memory_s * NS:
        memory.popleft()


def place(
    policy: Policy, store: DataStore, sandbox: Sandbox, pod: str | None, now_ns: int
) -> Assignment | None:
    """Assign an address out of the slot that the policy's placement chooses; None: there is none.

    A sandbox that has an address keeps it. Raises `ValueError` if what the placement returns is
    none of the slots. Cost: O(slots of the card), and the placement's own.
    """
    assert policy.placement is not None
    if store.find(sandbox) is not None:
        return store.assign(sandbox, pod, now_ns)
    while free := store.free_slots(now_ns):
        chosen = policy.placement(free)
        if not any(chosen is slot for slot in free):
            raise ValueError(
                f"the placement of policy {policy.name!r} returned {chosen!r}, none of the slots"
            )
        try:
            return store.assign_from(chosen.cidr, sandbox, pod, now_ns)
        except (AddressInUseError, UnknownAddressError):
            continue  # another thread took it, or removed the slot
    return None
