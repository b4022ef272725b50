"""The checkpoint file: opening it, writing it, and replacing it when it was deleted.

SQLite in write-ahead mode: a commit appends a page or two to the log and syncs the log
once. Every 250 pages SQLite moves the log into the file; that is a page a change at
most, so the bytes of a change stay constant for any number of pods.

Next to the file are its log (-wal) and a lock (.lock).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import weakref
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from ipam_core.checkpoint import schema, wal
from ipam_core.checkpoint.files import LockFile, create_private, make_private
from ipam_core.checkpoint.rows import Rows
from ipam_core.disk import sync
from ipam_core.errors import (
    CheckpointBusyError,
    CheckpointDamagedError,
    CheckpointError,
    CheckpointWriteError,
    NotRestoredError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ipam_core.checkpoint.entry import Row
    from ipam_core.checkpoint.rows import Before, Change

Durability = Literal["full", "normal", "off"]
"""What a commit waits for: SQLite's `synchronous`. `Checkpoint` says what each can lose."""

LOG_PAGES = 250
"""Pages of the log before it is moved into the file: a restart checks them within 20 ms, and
under `normal` about this many changes can be lost. Moving costs two syncs."""

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BAD_VALUE = (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


_open: weakref.WeakSet[Database] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for database in _open:
        database.leave_to_parent()


os.register_at_fork(after_in_child=_leave_to_parent)


class Database:
    """An open checkpoint file, for one thread at a time."""

    def __init__(self, path: Path, durability: Durability, *, create: bool) -> None:
        """Open the file, or create it; check that it is intact; bring it up to date.

        Raises `CheckpointError` or one of its kinds, and leaves the file as it was.
        """
        self.path = path
        self._durability = durability
        self._path_text, self._wal_text = str(path), str(self._beside("-wal"))
        self._connection: sqlite3.Connection | None = None
        self.closed: bool = False
        self._addresses: list[Row] | None = None
        """What was read to check the file, until it is used or changes."""
        self._unsure: Before = {}
        """What the file holds, or will hold again after the next commit."""
        if not create and not path.exists():
            raise CheckpointError(path, "no such file")
        self._lock = LockFile(path)
        _open.add(self)
        try:
            with _translated(path):
                self._find_or_create()
                if self._lock.durability in ("", "full") and (
                    damage := wal.find_damage(self._beside("-wal"))
                ):
                    raise CheckpointDamagedError(path, (damage,))
                self._verify(self._connected())
                for file in (self.path, self._beside("-wal")):
                    make_private(file)
                self._lock.mark(durability)
        except BaseException:
            try:
                self._close_connection()
            finally:
                self._lock.discard()
            raise

    def close(self) -> None:
        """Move the log into the file and close both. Closing twice does nothing.

        Raises `CheckpointWriteError` where a failed change may still be in the file; the file
        is closed then too.
        """
        if self.closed:
            return
        try:
            if self._unsure:
                self.write(())
        finally:
            try:
                self._close_connection()
            finally:
                self._lock.close()

    def _close_connection(self) -> None:
        self.closed, self._addresses = True, None
        if self._connection is not None:
            self._connection.close()

    def addresses(self) -> list[Row]:
        """Return the rows of the table `address`, in order of address."""
        known, self._addresses = self._addresses, None
        if known is not None:
            return known
        rows = self._read("SELECT * FROM address")
        if self._unsure:
            now = {row[0]: row for row in rows}
            now |= {key: row for (table, key), row in self._unsure.items() if table == "address"}
            rows = [row for _, row in sorted(now.items()) if row is not None]
        return rows

    def layout(self, network_card: int) -> str | None:
        """Return the saved layout of a network card, None if none was saved."""
        found = self._read("SELECT * FROM layout WHERE network_card = ?", (network_card,))
        row = self._unsure.get(("layout", network_card), found[0] if found else None)
        return None if row is None else row[1]

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        with _translated(self.path):
            return self._connected().execute(query, values).fetchall()

    def write(self, changes: Sequence[Change]) -> None:
        """Commit all changes or none; return when they are as durable as was asked.

        The same transaction restores the rows that failed commits may have changed, also
        without any new changes.

        Raises:
            CheckpointWriteError: with SQLite's or the system's error as its cause. It is
                unknown whether the changes are in the file until the next commit, which
                restores what was there before.
            Any error that a change raises: then nothing was written.
        """
        if not changes and not self._unsure:
            return
        self._addresses = None
        try:
            connection = self._connected()
            connection.rollback()  # an interrupted commit
            before = dict(self._unsure)
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._apply(connection, changes)
            except BaseException:
                connection.rollback()
                self._unsure = before  # nothing was written
                raise
            try:
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
            self._stay_in_place(connection)
            self._unsure = {}
        except NotRestoredError:
            raise
        except (sqlite3.Error, OSError, CheckpointError) as error:
            why = error.why if isinstance(error, CheckpointError) else str(error)
            raise CheckpointWriteError(self.path, f"not written: {why}") from error

    def _apply(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
        rows = Rows(connection, self._unsure)
        rows.put_back()
        try:
            for change in changes:
                change(rows)
        except _BAD_VALUE as error:
            raise ValueError(f"not a value for a checkpoint: {error}") from error

    def leave_to_parent(self) -> None:
        """In a forked child: block no one, and touch nothing of the parent.

        The lock outlives the parent as long as a child has it open. The connection is
        never closed: closing it would move the log, and unlink it under the parent.
        """
        import ctypes  # noqa: PLC0415 - 5 ms, and few fork

        self.closed = True
        self._lock.close()
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    # --- the file's place -------------------------------------------------------

    def _find_or_create(self) -> None:
        """Create a new file, complete or not at all, where there is none."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            if self._beside("-wal").exists():
                why = f"missing, but {self._beside('-wal').name} is there"
                raise CheckpointDamagedError(self.path, (why,)) from None
            with self._replacement() as fresh:
                schema.migrate(fresh)
            return
        if not os.access(self.path, os.R_OK | os.W_OK):  # opening it here would undo SQLite's lock
            raise CheckpointError(self.path, os.strerror(errno.EACCES))
        if size == 0:
            raise CheckpointDamagedError(self.path, ("empty, which a checkpoint never is",))

    @contextmanager
    def _replacement(self) -> Iterator[sqlite3.Connection]:
        """Yield a new database that takes its place at the path, synced, at the end."""
        path = self._beside(".new")
        for leftover in (path, self._beside(".new-journal"), self._beside(".new-wal")):
            leftover.unlink(missing_ok=True)
        create_private(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as fresh:
            yield fresh
            fresh.execute("PRAGMA journal_mode = WAL")  # a commit of its own: SQLite syncs it
        path.rename(self.path)
        sync(self.path.parent)

    def _stay_in_place(self, connection: sqlite3.Connection) -> None:
        """Check that the file is where the next process will open it.

        A file deleted under a running process still accepts writes, and they are lost with the
        process. The open file is put back in its place; nothing is lost.
        """
        if self._places() == self._opened:
            return
        try:
            here = self.path.stat()
        except FileNotFoundError:
            with self._replacement() as fresh:
                connection.backup(fresh)
        else:
            if (here.st_dev, here.st_ino) != self._opened[0]:
                raise CheckpointError(self.path, "another file was put in its place")
        connection.close()  # moves the log into the file
        self._connection = None
        self._connected()

    def _places(self) -> tuple[tuple[int, int] | None, ...]:
        """Return which files are at the two paths."""
        found: list[tuple[int, int] | None] = []
        for path in (self._path_text, self._wal_text):
            try:
                stat = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, at each commit
            except FileNotFoundError:
                found.append(None)
            else:
                found.append((stat.st_dev, stat.st_ino))
        return tuple(found)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    # --- the connection -----------------------------------------------------------

    def _connected(self) -> sqlite3.Connection:
        if self.closed:
            raise CheckpointError(self.path, "closed")
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the first read
            connection.execute(f"PRAGMA synchronous = {self._durability.upper()}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            schema.add_functions(connection)
            connection.execute("BEGIN IMMEDIATE")  # makes the log and takes the lock
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._opened = self._places()
        return connection

    def _verify(self, connection: sqlite3.Connection) -> None:
        version = schema.read_version(connection, self.path)
        problems, rows = schema.find_damage(connection, version)
        if problems:
            raise CheckpointDamagedError(self.path, tuple(problems))
        schema.migrate(connection, version)
        if version == schema.VERSION:
            self._addresses = rows["address"]


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise SQLite's and the system's errors as this package's."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGE:
            raise CheckpointDamagedError(path, (str(error),)) from error
        if code in _BUSY:
            raise CheckpointBusyError(path, "in use by another process") from error
        raise CheckpointError(path, str(error)) from error
    except UnicodeDecodeError as error:  # of the tables' names, or of SQLite's own message
        raise CheckpointDamagedError(path, (f"text that is not UTF-8: {error}",)) from error
    except OSError as error:
        raise CheckpointError(path, error.strerror or str(error)) from error
