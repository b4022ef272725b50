"""A node's checkpoint: changes made durable one by one, and what a restart reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from ipam_core import effects
from ipam_core.checkpoint import layout, rows
from ipam_core.checkpoint.database import Database, Durability
from ipam_core.checkpoint.entry import NOBODY, Entry, names_of, split_latest, with_checksum
from ipam_core.checkpoint.group_commit import GroupCommit
from ipam_core.errors import NotRestoredError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from ipam_core._store import Assignment, DataStore
    from ipam_core.checkpoint.rows import Change
    from ipam_core.checkpoint.work import T, Work
    from ipam_core.node.unattached import Holder


class Checkpoint:
    """A node's durable state in one file, for all its network cards.

    Every method that changes something returns when the change is as durable as
    `durability` says, and raises `CheckpointWriteError`, with nothing changed, when it
    cannot be. Threads that write at the same time share a sync: one thread at a time writes,
    for all. An interrupt (KeyboardInterrupt, SystemExit of a signal handler) in a call is
    raised when the change is durable, or refused; never half-way, and in no other thread.

    If a failed write left something in the file, the next commit restores the earlier rows
    before anything more is acknowledged; `close` does so if there is no further commit.

    A `Checkpoint` is for one process: a forked child gets `ForkedError`. The file, its log
    and its lock can be opened by their owner only.

    `durability` decides what a power cut can lose. The end of the process, also by SIGKILL,
    never loses an acknowledged change:

    - `full`: nothing. One sync a change, or a group of changes.
    - `normal`: the last changes, about 250; the file stays intact.
    - `off`: the file.

    With `create` false, a missing file is an error. `wall_clock_ns` returns nanoseconds since
    1970.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "full",
        create: bool = True,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the file, or create it, and check that it is intact.

        Raises:
            CheckpointBusyError: another process has it open.
            CheckpointDamagedError: a page, a row or the log is not what was written.
            CheckpointVersionError: a newer ipam-core wrote it.
            CheckpointError: it cannot be opened.
        """
        if durability not in get_args(Durability):
            raise ValueError(f"durability {durability!r}; one of {get_args(Durability)}")
        self.path: Path = Path(path).resolve()  # where SQLite puts the log
        self.durability = durability
        self.wall_clock_ns = wall_clock_ns
        self._database = Database(self.path, durability, create=create)
        try:
            self._commits: GroupCommit[Change] = GroupCommit(
                self._database.write, f"checkpoint {self.path}"
            )
        except BaseException:  # an interrupt, or no thread could be started
            self._database.close()
            raise
        self._restored: set[int] = set()

    def close(self) -> None:
        """Close the file when pending changes are written. Closing twice does nothing.

        Raises `CheckpointWriteError` where a failed change may still be in the file; the file
        is closed then too.
        """
        if not self._database.closed:
            self._commits.exclusively(self._database.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- what changes ---------------------------------------------------------

    def record_assigned(
        self,
        assignment: Assignment,
        wall_ns: int | None = None,
        *,
        network_card: int = 0,
        interfaces_count: int = 0,
        forgotten: Iterable[str] = (),
    ) -> None:
        """Make an assignment durable. `wall_ns` is when it was made; left out, now.

        The same commit may forget addresses that the sandbox had before. Raises
        `NotRestoredError` where the checkpoint holds the address for another sandbox.
        Cost: one page of the log and one sync, shared with threads that write at the same time.
        """
        assigned = self.assigning(
            assignment, wall_ns, network_card=network_card, interfaces_count=interfaces_count
        )
        self._commits.submit(assigned, *map(rows.forget, forgotten))

    def record_released(
        self, assignment: Assignment, wall_ns: int | None = None, *, network_card: int = 0
    ) -> None:
        """Make a release durable; the address cools from `wall_ns` (left out: now) on.

        Raises `NotRestoredError` where the checkpoint holds it for another sandbox.
        """
        self._commits.submit(self.releasing(assignment, wall_ns, network_card=network_card))

    def put(self, *entries: Entry) -> None:
        """Write entries in one commit; they replace those of the same addresses."""
        self._commits.submit(*[rows.put(entry.row()) for entry in entries])

    def apply_restore(
        self, *, released: Iterable[Entry] = (), forgotten: Iterable[str] = ()
    ) -> None:
        """Release entries now, and forget addresses, in one commit."""
        self._commits.submit(*self.settling(released, forgotten))

    settle = apply_restore
    """The name until 0.1."""

    def replace(self, entries: Iterable[Entry]) -> None:
        """Replace all entries by these, in one commit."""
        self._commits.submit(rows.forget_all, *[rows.put(entry.row()) for entry in entries])

    def save_layout(
        self, store: DataStore, network_card: int = 0, now_ns: int | None = None
    ) -> None:
        """Keep a store's mode, ENIs, addresses and prefixes, for `restore` without EC2.

        Call it when they have changed; `now_ns` is the store's monotonic time. Releases that
        have cooled are forgotten at the same time, so that the file does not grow without
        limit. Cost: proportional to what is attached.
        """
        wall_ns = self.wall_clock_ns()
        body = layout.layout_of(store, epoch_ns=wall_ns - monotonic_ns(now_ns))
        self._commits.submit(
            rows.keep_layout(with_checksum(network_card, body)),
            rows.forget_released(max(wall_ns - 2 * store.cooldown_ns, 0)),  # may be 292 years
        )

    # --- for `restore` and `DurableStore`: more work for the writer's thread ----------------

    def run(self, work: Work[Change, T]) -> T:
        """Have work done by the thread that writes, and return its answer."""
        answer: T = self._commits.run(work)
        return answer

    async def arun(self, work: Work[Change, T]) -> T:
        """Do as `run`, without blocking the event loop."""
        answer: T = await self._commits.arun(work)
        return answer

    def assigning(
        self,
        assignment: Assignment,
        wall_ns: int | None = None,
        *,
        network_card: int = 0,
        interfaces_count: int = 0,
    ) -> Change:
        """Return the change that `record_assigned` makes."""
        entry = Entry(
            address=assignment.address,
            sandbox=assignment.sandbox,
            pod=assignment.pod,
            network_card=network_card,
            interfaces_count=interfaces_count,
            eni_id=assignment.eni_id,
            assigned_ns=self.wall_clock_ns() if wall_ns is None else wall_ns,
        )
        return rows.assign(self.path, entry.row())

    def releasing(
        self, assignment: Assignment, wall_ns: int | None = None, *, network_card: int = 0
    ) -> Change:
        """Return the change that `record_released` makes."""
        return rows.release(
            self.path,
            names_of(assignment.sandbox),
            assignment.address,
            network_card,
            assignment.eni_id,
            self.wall_clock_ns() if wall_ns is None else wall_ns,
        )

    def settling(self, released: Iterable[Entry], forgotten: Iterable[str]) -> list[Change]:
        """Return the changes that `apply_restore` makes."""
        now_ns = self.wall_clock_ns()
        return [
            rows.release(
                self.path,
                names_of(entry.sandbox) if entry.sandbox else NOBODY,
                entry.address,
                entry.network_card,
                entry.eni_id,
                now_ns,
            )
            for entry in released
        ] + [rows.forget(address) for address in forgotten]

    def note_restored(self, *network_cards: int) -> None:
        """Note that the entries of these cards were read to fill their stores."""
        self._restored.update(network_cards)

    def entries_now(self, network_card: int | None = None) -> list[Entry]:
        """Return what `entries` returns; for the thread that writes."""
        return [
            Entry.of_row(row)
            for row in self._database.addresses()
            if network_card is None or row[1] == network_card
        ]

    def layout_now(self, network_card: int, store_ns: int) -> DataStore | None:
        """Return what `load_layout` returns; for the thread that writes."""
        body = self._database.layout(network_card)
        if body is None:
            return None
        return layout.store_of(body, wall_ns=self.wall_clock_ns(), now_ns=store_ns)

    def check_restored(
        self, store: DataStore, network_card: int, unattached: Mapping[str, Holder]
    ) -> None:
        """Raise `NotRestoredError` where a store lacks an assignment or a cooldown of its card.

        A restart may ignore cooldowns under some policies: they count as missing only where
        nothing was restored. To be called by the thread that writes. Cost: one pass over the
        file's rows.
        """
        now_ns = self.wall_clock_ns()
        used: set[str] | None = None
        for entry in self.entries_now(network_card):
            if entry.sandbox is not None:
                held = store.find(entry.sandbox)
                kept = unattached.get(entry.address)
                known = held is not None or (kept is not None and kept.sandbox == entry.sandbox)
            elif (
                network_card in self._restored
                or age_ns(entry.released_ns or 0, now_ns) > store.cooldown_ns
            ):
                continue
            else:
                if used is None:
                    used = {u.address for e in store.enis() for u in store.used_addresses(e.eni_id)}
                known = entry.address in used
            if not known:
                raise NotRestoredError(self.path, entry.address, entry.sandbox)

    # --- reading ----------------------------------------------------------------

    def entries(self, network_card: int | None = None) -> list[Entry]:
        """Return what is known of each address, of one network card or of all."""
        return self._commits.exclusively(lambda: self.entries_now(network_card))

    def load_layout(self, network_card: int = 0, now_ns: int | None = None) -> DataStore | None:
        """Return a store of the saved layout, nothing assigned; None if none was saved."""
        store_ns = monotonic_ns(now_ns)
        return self._commits.exclusively(lambda: self.layout_now(network_card, store_ns))

    # --- for a node's driver ------------------------------------------------------

    def perform(self, effect: effects.ReadCheckpoint | effects.ForgetAssignments) -> object:
        """Carry out what a node asks of its checkpoint, and return the reply."""
        if isinstance(effect, effects.ForgetAssignments):
            self._commits.submit(
                *[rows.forget_of(address, names_of(who)) for address, who in effect.held]
            )
            return None
        now_ns = self.wall_clock_ns()
        entries = self.entries()
        held, _ = split_latest(entries)
        released = [entry for entry in entries if entry.sandbox is None]
        self.note_restored(*(entry.network_card for entry in entries))
        return tuple(_as_effect(entry, now_ns) for entry in (*held, *released))


def age_ns(time_ns: int, now_ns: int) -> int:
    """Return how long ago a wall-clock time was; 0 if the clock was set back before it."""
    return max(now_ns - time_ns, 0)


def monotonic_ns(now_ns: int | None) -> int:
    """Return the store's time that a caller gave, or the monotonic clock's."""
    return time.monotonic_ns() if now_ns is None else now_ns


def _as_effect(entry: Entry, now_ns: int) -> effects.CheckpointEntry:
    """Return an entry as a node reads it: times as ages."""
    holder = entry.sandbox
    return effects.CheckpointEntry(
        container_id=holder.container_id if holder else "",
        ifname=holder.ifname if holder else "",
        network=holder.network if holder else "",
        address=entry.address,
        pod=entry.pod,
        assigned_ago_s=age_ns(entry.assigned_ns, now_ns) / 1e9,
        released_ago_s=(
            None if entry.released_ns is None else age_ns(entry.released_ns, now_ns) / 1e9
        ),
    )
