"""Files: what outlives a power cut, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from ipam_core.errors import CheckpointBusyError, CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LockFile:
    """An exclusive lock on `path`.lock; the kernel lets go of it when the process ends.

    The file says who holds the lock, and how durable that process wrote: what it left
    behind is judged by that. It stays when the lock is let go, because removing it
    would let two processes each lock a file of that name.
    """

    def __init__(self, path: Path, durability: str) -> None:
        lock_path = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CheckpointError(path, f"{lock_path.name}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = self._read()[0] or "unknown"
                raise CheckpointBusyError(path, f"in use by process {holder}") from error
            self.last_durability = self._read()[1]
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {durability}\n".encode(), 0)
        except OSError as error:
            self.close()
            raise CheckpointError(path, f"{lock_path.name}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _read(self) -> tuple[str, str]:
        """Return the process that last held the lock, and how durable it wrote."""
        holder, _, durability = os.pread(self._descriptor, 100, 0).decode().strip().partition(" ")
        return holder, durability

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)
