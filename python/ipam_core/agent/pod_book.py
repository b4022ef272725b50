"""The pods that a load generator started, in a file next to the agent's socket.

Each row is a sandbox: its pod, and the address that it got. A sandbox is noted before the agent
is asked, and struck when the agent gave everything back, so that a process that is killed
leaves nothing that the next one cannot end. A pod that waits has a row without an address.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Self

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS pods (
    namespace TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, since REAL NOT NULL,
    sandbox TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT '',
    device INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS to_end (
    sandbox TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class BookedPod:
    """A pod; `address` "" where it waits. `since` is Unix seconds."""

    namespace: str
    name: str
    since: float
    sandbox: str = ""
    address: str = ""
    device: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PodBook:
    """The pods of one socket. Several processes may have it open; of threads one at a time.

    `path` None: in memory.

    Raises:
        InputError: the file is no such book.
        OSError: the folder cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._where = str(path or "memory")
        if path is not None:
            path.touch(mode=0o600)  # an error that names the file
        self._db = sqlite3.connect(
            path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
        )
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise InputError(f"{self._where}: a book of pods of another version ({version})")
            self._db.execute("PRAGMA synchronous=OFF")  # no power cut matters to a test's pods
            self._db.executescript(f"{_TABLES} PRAGMA user_version={_VERSION};")
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{self._where}: not a book of pods: {error}") from error
        except InputError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- pods -----------------------------------------------------------------------

    def add(self, count: int, *, name: str, namespace: str, now: float) -> list[BookedPod]:
        """Note new pods, numbered on from the last of that name; return them."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            query = "SELECT coalesce(max(number), 0) FROM pods WHERE namespace=? AND name GLOB ?"
            pattern = f"{_escaped(name)}-[0-9]*"
            (last,) = self._db.execute(query, (namespace, pattern)).fetchone()
            pods = [
                BookedPod(namespace, f"{name}-{number}", now)
                for number in range(last + 1, last + 1 + count)
            ]
            self._db.executemany(
                "INSERT INTO pods (namespace, name, number, since) VALUES (?, ?, ?, ?)",
                [
                    (pod.namespace, pod.name, number, now)
                    for number, pod in enumerate(pods, last + 1)
                ],
            )
        return pods

    def pods(self) -> list[BookedPod]:
        """Return all pods, the oldest first."""
        query = (
            "SELECT namespace, name, since, sandbox, address, device FROM pods"
            " ORDER BY since, namespace, number, name"
        )
        with closing(self._db.execute(query)) as rows:
            return [BookedPod(*row) for row in rows]

    def waiting(self) -> list[BookedPod]:
        """Return the pods without an address, the oldest first."""
        return [pod for pod in self.pods() if not pod.address]

    def strike(self, pods: Iterable[BookedPod]) -> None:
        """Forget pods; the sandboxes that they hold are to be ended."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for pod in pods:
                key = (pod.namespace, pod.name)
                self._db.execute(
                    "INSERT OR REPLACE INTO to_end SELECT sandbox, namespace, name FROM pods"
                    " WHERE namespace=? AND name=? AND sandbox<>''",
                    key,
                )
                self._db.execute("DELETE FROM pods WHERE namespace=? AND name=?", key)

    # --- sandboxes --------------------------------------------------------------------

    def begin(self, pod: BookedPod, sandbox: str) -> None:
        """Note a sandbox before the agent is asked for its address."""
        self._db.execute("INSERT INTO to_end VALUES (?, ?, ?)", (sandbox, pod.namespace, pod.name))

    def serve(self, pod: BookedPod, sandbox: str, address: str, device: int) -> None:
        """Note that a pod has an address: the sandbox is its own."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "UPDATE pods SET sandbox=?, address=?, device=? WHERE namespace=? AND name=?",
                (sandbox, address, device, pod.namespace, pod.name),
            )
            self.ended(sandbox)

    def ended(self, sandbox: str) -> None:
        """Note that the agent holds nothing for a sandbox any more."""
        self._db.execute("DELETE FROM to_end WHERE sandbox=?", (sandbox,))

    def to_end(self) -> list[tuple[str, str, str]]:
        """Return the sandboxes that are to be ended: (sandbox, namespace, pod's name)."""
        with closing(self._db.execute("SELECT * FROM to_end ORDER BY sandbox")) as rows:
            return list(rows)


def _escaped(name: str) -> str:
    """Return a text as GLOB matches it."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
