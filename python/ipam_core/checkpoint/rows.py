"""The rows that one commit changes, and their values before it.

A commit that fails may be on disk nevertheless: its sync failed after its pages were written,
or the file was moved away. So the earlier values of all rows that a commit changes are kept,
and the next commit restores them, in the same transaction as its own changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox
from ipam_core.checkpoint.entry import NOBODY, Row, with_checksum
from ipam_core.errors import NotRestoredError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    Before = dict[tuple[str, Any], Row | None]
    """By table and key: a row, or None where there was none."""

    Change = Callable[["Rows"], None]
    """Changes rows; an error that it raises goes only to the caller that asked for it."""

_READ = {
    "address": "SELECT * FROM address WHERE address = ?",
    "layout": "SELECT * FROM layout WHERE network_card = ?",
}
_WRITE = {
    "address": f"INSERT OR REPLACE INTO address VALUES ({', '.join('?' * 11)})",
    "layout": "INSERT OR REPLACE INTO layout VALUES (?, ?, ?)",
}
_ERASE = {
    "address": "DELETE FROM address WHERE address = ?",
    "layout": "DELETE FROM layout WHERE network_card = ?",
}
_HOLDER = slice(2, 5)
_RELEASED_NS = 9


class Rows:
    """The tables within one transaction."""

    def __init__(self, connection: sqlite3.Connection, before: Before) -> None:
        self._execute = connection.execute
        self._before = before

    def put_back(self) -> None:
        """Make every row as it was before the commits that failed."""
        for (table, key), row in self._before.items():
            if row is None:
                self._execute(_ERASE[table], (key,))
            else:
                self._execute(_WRITE[table], row)

    def read(self, table: str, key: Any) -> Row | None:
        """Return a row, or None; it is noted as it is now."""
        row: Row | None = self._execute(_READ[table], (key,)).fetchone()
        self._before.setdefault((table, key), row)
        return row

    def write(self, table: str, row: Row) -> None:
        """Write a row, in place of any row with its key."""
        self.read(table, row[0])
        self.overwrite(table, row)

    def overwrite(self, table: str, row: Row) -> None:
        """Write a row in place of one that was read."""
        self._execute(_WRITE[table], row)

    def erase(self, table: str, key: Any) -> None:
        """Erase a row, if there is one."""
        if self.read(table, key) is not None:
            self._execute(_ERASE[table], (key,))

    def addresses(self, released_before_ns: int | None = None) -> list[str]:
        """Return the addresses that have rows, or those that were released before a time."""
        query = "SELECT address FROM address"
        if released_before_ns is None:
            return [address for (address,) in self._execute(query)]
        released = f"{query} WHERE released_ns < ?"
        return [address for (address,) in self._execute(released, (released_before_ns,))]


def holder_of(row: Row | None) -> tuple[str, str, str]:
    """Return the holder of an address, by its row: network, container id and interface."""
    return NOBODY if row is None or row[_RELEASED_NS] is not None else row[_HOLDER]


def put(row: Row) -> Change:
    """Write a row of an address, with any holder before."""
    return lambda rows: rows.write("address", row)


def assign(path: Path, row: Row) -> Change:
    """Write a row of an address that no other sandbox holds. Raises `NotRestoredError`."""

    def change(rows: Rows) -> None:
        _check_holder(path, rows.read("address", row[0]), row[_HOLDER])
        rows.overwrite("address", row)

    return change


def release(
    path: Path, held: tuple[str, str, str], address: str, card: int, eni_id: str, at_ns: int
) -> Change:
    """Let an address cool that no one but `held` holds. Raises `NotRestoredError`."""

    def change(rows: Rows) -> None:
        before = rows.read("address", address)
        _check_holder(path, before, held)
        if before is not None:
            row = with_checksum(*before[:2], *NOBODY, None, 0, *before[7:9], at_ns)
        else:
            row = with_checksum(address, card, *NOBODY, None, 0, eni_id, at_ns, at_ns)
        rows.overwrite("address", row)

    return change


def forget(address: str) -> Change:
    """Erase what is known of an address."""
    return lambda rows: rows.erase("address", address)


def forget_of(address: str, held: tuple[str, str, str]) -> Change:
    """Erase what is known of an address, if this sandbox holds it."""

    def change(rows: Rows) -> None:
        if holder_of(rows.read("address", address)) == held:
            rows.erase("address", address)

    return change


def forget_all(rows: Rows) -> None:
    """Erase what is known of all addresses."""
    for address in rows.addresses():
        rows.erase("address", address)


def forget_released(before_ns: int) -> Change:
    """Erase what was released before a time."""

    def change(rows: Rows) -> None:
        for address in rows.addresses(released_before_ns=before_ns):
            rows.erase("address", address)

    return change


def keep_layout(row: Row) -> Change:
    """Write a network card's layout."""
    return lambda rows: rows.write("layout", row)


def _check_holder(path: Path, row: Row | None, held: tuple[str, str, str]) -> None:
    holder = holder_of(row)
    if holder not in (NOBODY, held):
        assert row is not None
        network, container_id, ifname = holder
        raise NotRestoredError(path, row[0], Sandbox(container_id, ifname, network))
