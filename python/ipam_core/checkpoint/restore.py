"""What a restart takes over from a checkpoint, and a report about the rest."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from ipam_core._dataclass import dataclass
from ipam_core._lazy import RenamedAttribute
from ipam_core._store import DataStore
from ipam_core.checkpoint.checkpoint import age_ns, monotonic_ns
from ipam_core.checkpoint.entry import split_latest
from ipam_core.checkpoint.work import Work
from ipam_core.errors import AddressInUseError, CheckpointError, IpamError, UnknownAddressError
from ipam_core.node.unattached import Holder, UnattachedAssignments
from ipam_core.policy import IPAM_CORE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ipam_core._store import Assignment, Sandbox
    from ipam_core.checkpoint.checkpoint import Checkpoint
    from ipam_core.checkpoint.entry import Entry
    from ipam_core.checkpoint.rows import Change
    from ipam_core.policy import Policy

logger: logging.Logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What happened to each entry of a checkpoint."""

    store: DataStore
    adopted: tuple[Assignment, ...]
    """Sandboxes that hold their addresses again."""
    n_cooling: int
    """Addresses that continue to cool, those of deleted pods included."""
    gone: tuple[Entry, ...]
    """Released: their sandboxes are not among the live ones."""
    unattached: UnattachedAssignments
    """Kept in the checkpoint and out of the store: their addresses are not attached."""
    dropped: tuple[Entry, ...]
    """Removed: not attached, under a policy that does not keep such entries."""
    superseded: tuple[Entry, ...]
    """Removed: never acknowledged, because their sandboxes got other addresses later."""

    aside: ClassVar[RenamedAttribute] = RenamedAttribute("unattached")


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
    `live` are the sandboxes that run; left out, all run. The others are released now. The rest
    of a cooldown is computed from the wall-clock time of the release and is never more than a
    full one; without the policy rule `keep_cooldown` nothing cools. Without `keep_unattached`,
    entries whose addresses are not attached are dropped, with a warning in the log, as the
    agent does. `now_ns` is the store's monotonic time.

    All or nothing: every check is made on a copy of the store, before anything changes. The
    checkpoint changes in one commit, or not at all if there is nothing to correct. On error
    the checkpoint and the store are unchanged.

    Raises:
        CheckpointError: an entry contradicts the store, or there is no layout.
        CheckpointWriteError: the checkpoint could not be brought up to date.

    Source: pool-rules section 5, "At start"; ReadBackingStore in
    pkg/ipamd/datastore/data_store.go.
    """
    if store is not None and next(iter(store.assignments()), None) is not None:
        raise ValueError("restore needs a store in which nothing is assigned")
    work = _Restore(checkpoint, store, network_card, policy, live, monotonic_ns(now_ns))
    restored = checkpoint.run(work)
    for entry in restored.dropped:
        logger.warning(
            "dropped %s of %r, pod %s: not attached", entry.address, entry.sandbox, entry.pod
        )
    return restored


class _Restore(Work["Change", Restored]):
    """Restores a store between two commits, so that no one sees it half filled."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        store: DataStore | None,
        network_card: int,
        policy: Policy,
        live: Collection[Sandbox] | None,
        store_ns: int,
    ) -> None:
        self._checkpoint = checkpoint
        self._store = store
        self._card = network_card
        self._policy = policy
        self._live = live
        self._store_ns = store_ns
        self._wall_ns = checkpoint.wall_clock_ns()
        self._proved: Restored | None = None
        """The result on the copy, or on a store that no one else has yet."""

    def prepare(self) -> Sequence[Change]:
        checkpoint = self._checkpoint
        filled = (
            checkpoint.layout_now(self._card, self._store_ns)
            if self._store is None
            else DataStore.restore(self._store.snapshot())
        )
        if filled is None:
            raise CheckpointError(checkpoint.path, f"no layout of network card {self._card}")
        try:
            self._read(filled.cooldown_ns)
            proved = self._fill(filled)
        except (IpamError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(checkpoint.path, str(error)) from error
        self._proved = proved
        cooling = {address for address, _ in self._cooling}
        return checkpoint.settling(
            released=[entry for entry in self._gone if entry.address in cooling],
            forgotten=[
                entry.address
                for entry in (*proved.dropped, *self._before, *self._released, *self._gone)
                if entry.address not in cooling
            ],
        )

    def complete(self) -> Restored:
        assert self._proved is not None
        restored = self._proved if self._store is None else self._fill(self._store)
        self._checkpoint.note_restored(self._card)
        return restored

    def _read(self, cooldown_ns: int) -> None:
        """Sort what the checkpoint holds of the card."""
        entries = self._checkpoint.entries_now(self._card)
        self._held, self._before = split_latest(entries)
        live, age = self._live, partial(age_ns, now_ns=self._wall_ns)
        self._gone = [e for e in self._held if live is not None and e.sandbox not in live]
        self._released = [e for e in entries if e.released_ns is not None]
        self._cooling = []
        if self._policy.keep_cooldown:
            self._cooling = [
                (entry.address, self._store_ns - age(entry.released_ns or 0))
                for entry in sorted(self._released, key=lambda e: e.released_ns or 0)
                if age(entry.released_ns or 0) <= cooldown_ns
            ] + [(entry.address, self._store_ns) for entry in self._gone]

    def _fill(self, store: DataStore) -> Restored:
        """Put into a store what is to be restored."""
        adopted: list[Assignment] = []
        dropped: list[Entry] = []
        unattached = UnattachedAssignments()
        for entry in self._held:
            if self._live is not None and entry.sandbox not in self._live:
                continue
            holder = Holder(
                cast("Sandbox", entry.sandbox),
                entry.pod,
                self._store_ns - age_ns(entry.assigned_ns, self._wall_ns),
            )
            try:
                adopted.append(
                    store.adopt(holder.sandbox, entry.address, holder.pod, holder.assigned_ns)
                )
            except UnknownAddressError:
                if self._policy.keep_unattached:
                    unattached.keep(entry.address, holder)
                else:
                    dropped.append(entry)
        return Restored(
            store=store,
            adopted=tuple(adopted),
            n_cooling=sum(self._cool(store, *released) for released in self._cooling),
            gone=tuple(self._gone),
            unattached=unattached,
            dropped=tuple(dropped),
            superseded=tuple(self._before),
        )

    def _cool(self, store: DataStore, address: str, released_ns: int) -> bool:
        """Let an address cool from a time on, if it is attached."""
        try:
            store.cool(address, released_ns)
        except UnknownAddressError:
            return False
        except AddressInUseError:
            if self._proved is None:
                raise
        return True
