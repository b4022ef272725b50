"""The work of a caller of a group commit, and how much of it is done."""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Change = TypeVar("Change")
T = TypeVar("T")


class Work(Generic[Change, T]):
    """The work of a caller, in three parts, for whoever writes; each may be called again."""

    def may_join(self) -> bool:
        """Return whether it may be written with the current group; else it begins the next."""
        return True

    def prepare(self) -> Sequence[Change]:
        """Return the changes to write. An error that it raises is the caller's answer."""
        return ()

    def complete(self) -> T | None:
        """Make the change in memory that was written to disk; return the caller's answer."""
        return None

    def undo(self) -> None:
        """Undo what `prepare` did, if anything: nothing was written."""


class Write(Work[Change, None]):
    """Changes that need no more than to be written."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes

    def prepare(self) -> Sequence[Change]:
        """Return the changes."""
        return self._changes


class Action(Work[Any, T]):
    """A call that needs the file alone."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action

    def complete(self) -> T:
        """Call it, and return what it returns."""
        return self._action()


class Stage(IntEnum):
    """How much of a request is done."""

    NEW = 0
    PREPARED = 1
    WRITTEN = 2
    FAILED = 3
    DONE = 4


class Request(Generic[Change, T]):
    """Work that a caller waits for, with its stage, and its answer at the end."""

    __slots__ = ("answered", "changes", "error", "result", "stage", "woken", "work")

    def __init__(self, work: Work[Change, T], answered: Callable[[], object] | None = None) -> None:
        self.answered: Callable[[], object] | None = answered
        """Called by whoever writes when it is done, perhaps more than once."""
        self.work: Work[Change, T] = work
        self.stage: Stage = Stage.NEW
        self.changes: Sequence[Change] = ()
        self.result: T | None = None
        self.error: BaseException | None = None
        self.woken: threading.Lock = threading.Lock()  # released when it is done
        self.woken.acquire()
