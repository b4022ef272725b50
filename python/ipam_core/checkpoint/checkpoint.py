"""A node's checkpoint: what is durable, change by change, and what a restart reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from ipam_core import effects
from ipam_core.checkpoint import layout
from ipam_core.checkpoint.database import Database, Durability
from ipam_core.checkpoint.entry import Entry, checksum, sealed, split_latest
from ipam_core.checkpoint.group_commit import GroupCommit

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from ipam_core._store import Assignment, DataStore
    from ipam_core.checkpoint.database import Change

_PUT = f"INSERT OR REPLACE INTO address VALUES ({', '.join('?' * 11)})"
_RELEASE = """
    INSERT INTO address VALUES (?1, ?2, '', '', '', NULL, 0, ?3, ?4, ?4, ?5)
    ON CONFLICT (address) DO UPDATE SET
        network = '', container_id = '', ifname = '', pod = NULL, interfaces_count = 0,
        released_ns = excluded.released_ns,
        checksum = checksum(
            address, network_card, '', '', '', NULL, 0, eni_id, assigned_ns, excluded.released_ns
        )
"""
_FORGET = "DELETE FROM address WHERE address = ?"
_STRIKE = f"{_FORGET} AND (network, container_id, ifname) = (?, ?, ?)"
_PRUNE = "DELETE FROM address WHERE released_ns < ?"
_LAYOUT = "INSERT OR REPLACE INTO layout VALUES (?, ?, ?)"


class Checkpoint:
    """A node's durable state in one file, for all its network cards.

    Every method that changes something returns when the change is as durable as
    `durability` says, and raises `CheckpointWriteError`, with nothing changed, when it
    cannot be. Threads that write at the same time share a sync. A `Checkpoint` is for
    one process, and not to be carried over a fork.

    `durability` decides what a power cut can cost; the end of the process, by SIGKILL
    too, never costs anything that was acknowledged:

    - `full`: nothing. One sync a change, or a group of changes.
    - `normal`: the last changes, 250 or so; the file stays sound.
    - `off`: the file.

    With `create` false, a file that is not there is an error. `wall_clock_ns` tells
    nanoseconds since 1970.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "full",
        create: bool = True,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the file, or make it, and prove it whole.

        Raises:
            CheckpointBusyError: another process has it open.
            CheckpointDamagedError: a page, a row or the log is not what was written.
            CheckpointVersionError: a newer ipam-core wrote it.
            CheckpointError: it cannot be opened.
        """
        if durability not in get_args(Durability):
            raise ValueError(f"durability {durability!r}; one of {get_args(Durability)}")
        self.path = Path(path).resolve()  # where SQLite puts the log
        self.durability = durability
        self.wall_clock_ns = wall_clock_ns
        self._database = Database(self.path, durability, create=create)
        self._commits: GroupCommit[Change] = GroupCommit(self._database.write)

    def close(self) -> None:
        """Close the file. Nothing may be under way. Closing twice does nothing."""
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

        In the same commit, addresses may be forgotten that the sandbox had before.
        Cost: one page of the log and one sync, shared with threads that write meanwhile.
        """
        entry = Entry(
            address=assignment.address,
            sandbox=assignment.sandbox,
            pod=assignment.pod,
            network_card=network_card,
            interfaces_count=interfaces_count,
            eni_id=assignment.eni_id,
            assigned_ns=self.wall_clock_ns() if wall_ns is None else wall_ns,
        )
        self._commits.submit((_PUT, entry.row()), *_forget(forgotten))

    def record_released(
        self, assignment: Assignment, wall_ns: int | None = None, *, network_card: int = 0
    ) -> None:
        """Make a release durable; the address cools from `wall_ns` (left out: now) on."""
        at_ns = self.wall_clock_ns() if wall_ns is None else wall_ns
        self._commits.submit(_release(assignment.address, network_card, assignment.eni_id, at_ns))

    def put(self, *entries: Entry) -> None:
        """Write entries as they are in one commit, over what was known of their addresses."""
        self._commits.submit(*[(_PUT, entry.row()) for entry in entries])

    def settle(self, *, released: Iterable[Entry] = (), forgotten: Iterable[str] = ()) -> None:
        """Release entries now, and forget addresses, in one commit."""
        now_ns = self.wall_clock_ns()
        changes = [
            _release(entry.address, entry.network_card, entry.eni_id, now_ns) for entry in released
        ]
        self._commits.submit(*changes, *_forget(forgotten))

    def replace(self, entries: Iterable[Entry]) -> None:
        """Write these entries instead of all that there are, in one commit."""
        self._commits.submit(
            ("DELETE FROM address", ()), *[(_PUT, entry.row()) for entry in entries]
        )

    def save_layout(
        self, store: DataStore, network_card: int = 0, now_ns: int | None = None
    ) -> None:
        """Keep a store's mode, ENIs, addresses and prefixes, for `restore` without EC2.

        To be called when they changed; `now_ns` is the store's monotonic time. Releases
        that have cooled are forgotten on the way, so that the file does not grow for
        ever. Cost: proportional to what is attached.
        """
        wall_ns = self.wall_clock_ns()
        body = layout.layout_of(store, epoch_ns=wall_ns - monotonic_ns(now_ns))
        self._commits.submit(
            (_LAYOUT, sealed(network_card, body)),
            (_PRUNE, (max(wall_ns - 2 * store.cooldown_ns, 0),)),  # a cooldown may be 292 years
        )

    # --- what is there ----------------------------------------------------------

    def entries(self, network_card: int | None = None) -> list[Entry]:
        """Return what is known of each address, of one network card or of all."""
        rows = self._commits.exclusively(self._database.addresses)
        return [Entry.of_row(row) for row in rows if network_card is None or row[1] == network_card]

    def load_layout(self, network_card: int = 0, now_ns: int | None = None) -> DataStore | None:
        """Return a store of the layout that was kept, nothing assigned; None: none was kept."""
        rows = self._commits.exclusively(
            lambda: self._database.read(
                "SELECT body FROM layout WHERE network_card = ?", (network_card,)
            )
        )
        if not rows:
            return None
        return layout.store_of(rows[0][0], epoch_ns=self.wall_clock_ns() - monotonic_ns(now_ns))

    # --- for a node's driver ------------------------------------------------------

    def perform(self, effect: effects.ReadCheckpoint | effects.ForgetAssignments) -> object:
        """Carry out what a node asks of its checkpoint, and return the reply."""
        if isinstance(effect, effects.ForgetAssignments):
            self._commits.submit(
                *[
                    (_STRIKE, (address, who.network, who.container_id, who.ifname))
                    for address, who in effect.held
                ]
            )
            return None
        now_ns = self.wall_clock_ns()
        entries = self.entries()
        held, _ = split_latest(entries)
        released = [entry for entry in entries if entry.sandbox is None]
        return tuple(_as_effect(entry, now_ns) for entry in (*held, *released))


def age_ns(time_ns: int, now_ns: int) -> int:
    """Return how long ago a wall-clock time was; 0 where the clock was set back behind it."""
    return max(now_ns - time_ns, 0)


def monotonic_ns(now_ns: int | None) -> int:
    """Return the store's time that a caller gave, or the monotonic clock's."""
    return time.monotonic_ns() if now_ns is None else now_ns


def _forget(addresses: Iterable[str]) -> list[Change]:
    return [(_FORGET, (address,)) for address in addresses]


def _release(address: str, network_card: int, eni_id: str, at_ns: int) -> Change:
    """Return the change that lets an address cool, known before or not."""
    unknown = (address, network_card, "", "", "", None, 0, eni_id, at_ns, at_ns)
    return _RELEASE, (address, network_card, eni_id, at_ns, checksum(*unknown))


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
