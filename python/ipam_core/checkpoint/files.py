"""Files: readable by their owner only, used by one process at a time."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ipam_core.errors import CheckpointBusyError, CheckpointError

try:
    import fcntl
except ModuleNotFoundError:
    raise ImportError("durable state needs a POSIX system: this one has no fcntl") from None

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = 0o600
"""A user who may only read a file could still lock it, and block the agent."""

FORK_S = 1.0
"""The time that a newly forked child may need to release its parent's lock."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CONTENT = re.compile(rb"([1-9]\d*) (full|normal|off)?")


def make_private(file: int | Path) -> None:
    """Let only the owner open a file, where this process may decide that."""
    with suppress(OSError):
        if stat.S_IMODE(os.stat(file).st_mode) & ~PRIVATE:  # noqa: PTH116 - of a descriptor too
            os.chmod(file, PRIVATE)  # noqa: PTH101


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may open; no file or link may be there."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))


class LockFile:
    """An exclusive lock on `path`.lock; the kernel releases it when the process ends.

    The file names the process that holds the lock, and its `durability`: the next process
    checks the log according to it. The file stays when the lock is released, because of that;
    `discard` removes one that this made. A link, or a file that is no lock, is refused and not
    changed.
    """

    _descriptor = -1
    _made = False  # by this, and locked since

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        try:
            while not self._take(path):
                self.close()
        except BaseException:
            self.discard()
            raise

    def _take(self, path: Path) -> bool:
        """Lock the file; return whether it is still the one of that name."""
        with _errors_of(path, self._path):
            made = True
            try:
                self._descriptor = os.open(self._path, _FLAGS | os.O_EXCL, PRIVATE)
            except FileExistsError:
                made = False
                self._descriptor = os.open(self._path, _FLAGS, PRIVATE)
            self._check_kind(path, self._path)
            make_private(self._descriptor)
            self._lock(path)
            if not self._is_in_place():  # another process made it, and discarded it meanwhile
                return False
            self._made = made
            self.durability: str = self._read()[1]
            self.mark(self.durability)
        return True

    def _is_in_place(self) -> bool:
        """Return whether the locked file is the one that others would lock."""
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def discard(self) -> None:
        """Release the lock, and remove its file if this made it: nothing was locked."""
        if self._descriptor >= 0 and self._made:
            with suppress(OSError):
                self._path.unlink()
        self.close()

    def mark(self, durability: str) -> None:
        """Write this process and its `durability` into the file."""
        content = f"{os.getpid()} {durability}\n".encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def close(self) -> None:
        """Release the lock. Closing twice does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        self._made = False
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close  # if an interrupt came between opening and keeping it

    def _check_kind(self, path: Path, lock_path: Path) -> None:
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError(path, f"{lock_path.name} is no file")
        if found.st_nlink > 1:
            raise CheckpointError(path, f"{lock_path.name} is a link to another file")
        if (content := self._first_line()) and not _CONTENT.fullmatch(content):
            raise CheckpointError(path, f"{lock_path.name} is another's file: {content!r}")

    def _first_line(self) -> bytes:
        return os.pread(self._descriptor, 40, 0).partition(b"\n")[0]

    def _read(self) -> tuple[int | None, str]:
        found = _CONTENT.fullmatch(self._first_line())
        return (int(found[1]), (found[2] or b"").decode()) if found else (None, "")

    def _lock(self, path: Path) -> None:
        """Take the lock; wait a moment for the fork of an ended process to release it."""
        ends = time.monotonic() + FORK_S
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                pid, _ = self._read()
                if pid is None:
                    holder = "another process"
                elif _lives(pid):
                    holder = f"process {pid}"
                elif time.monotonic() < ends:
                    time.sleep(0.01)
                    continue
                else:
                    holder = f"a process that process {pid} left behind when it ended"
                raise CheckpointBusyError(path, f"in use by {holder}") from error
            return


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def _errors_of(path: Path, lock_path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(path, f"{lock_path.name}: {error.strerror}") from error
