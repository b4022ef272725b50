"""What a restart takes over from a checkpoint, and what it says of the rest."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ipam_core.checkpoint.checkpoint import age_ns, monotonic_ns
from ipam_core.checkpoint.entry import split_latest
from ipam_core.errors import (
    CheckpointError,
    IpamError,
    UnknownAddressError,
    UnknownSandboxError,
)
from ipam_core.node.unattached import Kept, KeptAside
from ipam_core.policy import IPAM_CORE

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipam_core._store import Assignment, DataStore, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint
    from ipam_core.checkpoint.entry import Entry
    from ipam_core.policy import Policy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of each entry of a checkpoint."""

    store: DataStore
    adopted: tuple[Assignment, ...]
    """Sandboxes that hold their addresses again."""
    n_cooling: int
    """Addresses that go on cooling, those of pods that are gone included."""
    gone: tuple[Entry, ...]
    """Released: their sandboxes are not among the live ones."""
    aside: KeptAside
    """Kept in the checkpoint and out of the store: their addresses are not attached."""
    dropped: tuple[Entry, ...]
    """Struck: not attached, under a policy that does not keep such entries aside."""
    superseded: tuple[Entry, ...]
    """Struck: never acknowledged, for their sandboxes got other addresses later."""


def restore(
    checkpoint: Checkpoint,
    store: DataStore | None = None,
    *,
    network_card: int = 0,
    policy: Policy = IPAM_CORE,
    live: Collection[Sandbox] | None = None,
    now_ns: int | None = None,
) -> Restored:
    """Fill a store with what a checkpoint holds for its network card.

    Without a `store`, one is made of the layout that `Checkpoint.save_layout` kept.
    `live` are the sandboxes that run; left out, all are taken to. The others are
    released now. What is left of a cooldown follows from the wall-clock time of the
    release and is never more than a full one; without the policy rule `keep_cooldown`
    nothing cools. Without `keep_unattached`, entries whose addresses are not attached
    are dropped, with a warning in the log, as the agent does. `now_ns` is the store's
    monotonic time.

    The checkpoint changes in one commit, or, where all is well, not at all. On error
    it is as it was, and the store holds what it held.

    Raises:
        CheckpointError: an entry contradicts the store, or there is no layout.
        CheckpointWriteError: the checkpoint could not be brought up to date.

    Source: pool-rules section 5, "At start"; ReadBackingStore in
    pkg/ipamd/datastore/data_store.go.
    """
    wall_ns, store_ns = checkpoint.wall_clock_ns(), monotonic_ns(now_ns)
    if store is None:
        store = checkpoint.load_layout(network_card, store_ns)
        if store is None:
            raise CheckpointError(checkpoint.path, f"no layout of network card {network_card}")
    if next(iter(store.assignments()), None) is not None:
        raise ValueError("restore needs a store in which nothing is assigned")
    entries = checkpoint.entries(network_card)
    held, superseded = split_latest(entries)
    gone = [entry for entry in held if live is not None and entry.sandbox not in live]
    released = [entry for entry in entries if entry.released_ns is not None]
    cooling = [
        (entry.address, store_ns - age_ns(entry.released_ns or 0, wall_ns))
        for entry in sorted(released, key=lambda entry: entry.released_ns or 0)
        if age_ns(entry.released_ns or 0, wall_ns) <= store.cooldown_ns
    ] + [(entry.address, store_ns) for entry in gone]
    if not policy.keep_cooldown:
        cooling = []
    aside, dropped = KeptAside(), []
    adopted: list[Assignment] = []
    try:
        for entry in held:
            if live is None or entry.sandbox in live:
                try:
                    adopted.append(_adopt(store, entry, wall_ns, store_ns))
                except UnknownAddressError:
                    if policy.keep_unattached:
                        aside.keep(entry.address, _holder(entry, wall_ns, store_ns))
                    else:
                        dropped.append(entry)
        still_cooling = {address for address, _ in cooling}
        checkpoint.settle(
            released=[entry for entry in gone if entry.address in still_cooling],
            forgotten=[
                entry.address
                for entry in (*dropped, *superseded, *released, *gone)
                if entry.address not in still_cooling
            ],
        )
    except IpamError as error:
        for assignment in adopted:
            unassign(store, assignment)
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(checkpoint.path, str(error)) from error
    for entry in dropped:
        logger.warning(
            "dropped %s of %r, pod %s: not attached", entry.address, entry.sandbox, entry.pod
        )
    return Restored(
        store=store,
        adopted=tuple(adopted),
        n_cooling=sum(_cool(store, address, released_ns) for address, released_ns in cooling),
        gone=tuple(gone),
        aside=aside,
        dropped=tuple(dropped),
        superseded=tuple(superseded),
    )


def _adopt(store: DataStore, entry: Entry, wall_ns: int, store_ns: int) -> Assignment:
    """Assign an entry's address to its sandbox again, as of when it was assigned."""
    sandbox, pod, assigned_ns = _holder(entry, wall_ns, store_ns)
    return store.adopt(sandbox, entry.address, pod, assigned_ns)


def _holder(entry: Entry, wall_ns: int, store_ns: int) -> Kept:
    assigned_ns = store_ns - age_ns(entry.assigned_ns, wall_ns)
    return Kept(cast("Sandbox", entry.sandbox), entry.pod, assigned_ns)


def unassign(store: DataStore, assignment: Assignment) -> None:
    """Take back an assignment that nobody was told of: its address does not cool."""
    with suppress(UnknownSandboxError):  # removed with its ENI meanwhile
        store.release(assignment.sandbox, assignment.assigned_ns - store.cooldown_ns - 1)


def _cool(store: DataStore, address: str, released_ns: int) -> bool:
    """Let an address cool from a time on, if it is attached."""
    try:
        store.cool(address, released_ns)
    except UnknownAddressError:
        return False
    return True
