"""What can still be read of a damaged checkpoint."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from ipam_core.checkpoint import schema, wal
from ipam_core.checkpoint.entry import Entry
from ipam_core.errors import CheckpointError


def salvage(path: Path) -> tuple[list[Entry], list[str]]:
    """Return the entries whose rows are as they were written, and a list of problems.

    Works on a copy: the file, its log and its lock are not changed, so that a better tool may
    still recover more. Raises `CheckpointError` where it cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        try:
            shutil.copyfile(path, copy)
            log = path.resolve().with_name(f"{path.resolve().name}-wal")
            if log.exists():
                shutil.copyfile(log, copy.with_name("copy-wal"))
        except OSError as error:
            raise CheckpointError(path, error.strerror or str(error)) from error
        damage = wal.find_damage(copy.with_name("copy-wal"))
        problems = [damage] if damage else []
        entries = []
        with closing(sqlite3.connect(copy)) as connection:
            try:
                if not schema.is_expected(connection, "address"):
                    return [], [*problems, "the table address is not a checkpoint's"]
                for row in schema.read_rows(connection, "address"):
                    if problem := schema.problem_of("address", row):
                        problems.append(f"address {row[0]}: {problem}")
                    else:
                        entries.append(Entry.of_row(row))
            except sqlite3.Error as error:
                problems.append(str(error))
            except UnicodeDecodeError:  # of SQLite's own message, which quotes the file
                problems.append("a table's definition is damaged")
        return entries, problems
