"""Files: what outlives a power cut, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipam_core.errors import CheckpointBusyError, CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(path.name + ".lock")
        with _errors_of(path, lock_path):
            self._descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with _errors_of(path, lock_path):
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    why = f"in use by process {self._read()[0] or 'unknown'}"
                    raise CheckpointBusyError(path, why) from error
                self.durability = self._read()[1]
                self.mark(self.durability)
        except BaseException:
            self.close()
            raise

    def mark(self, durability: str) -> None:
        """Note this process, and how durable it writes from now on."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()} {durability}\n".encode(), 0)

    def _read(self) -> tuple[str, str]:
        content = os.pread(self._descriptor, 100, 0).decode(errors="replace")
        holder, _, durability = content.strip().partition(" ")
        return holder, durability

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)


@contextmanager
def _errors_of(path: Path, lock_path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(path, f"{lock_path.name}: {error.strerror}") from error
