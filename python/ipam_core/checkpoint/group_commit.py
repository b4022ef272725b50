"""Group commit: changes that come while one is being written share the next write."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Change = TypeVar("Change")
T = TypeVar("T")


class _Group(Generic[Change]):
    __slots__ = ("changes", "error", "written")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.written = threading.Event()
        self.error: BaseException | None = None


class GroupCommit(Generic[Change]):
    """Writes changes of many threads, each group of them with one call of `write`.

    Who comes first into a group leads it: it waits until the group before is written,
    closes its own, and writes it. Who comes later waits for the leader. A lone thread
    waits for nobody. Groups are written in order, one at a time, and inside a group
    changes stand in order of arrival.
    """

    def __init__(self, write: Callable[[Sequence[Change]], None]) -> None:
        self._write = write
        self._joining = threading.Lock()
        self._writing = threading.Lock()
        self._group: _Group[Change] = _Group()

    def submit(self, *changes: Change) -> None:
        """Return once `write` returned for a group with these changes.

        Raises what `write` raised for that group; the leader and those who followed
        get the same exception.
        """
        if not changes:
            return
        with self._joining:
            group = self._group
            leads = not group.changes
            group.changes += changes
        if leads:
            try:
                with self._writing:
                    self._close(group)
                    self._write(group.changes)
            except BaseException as error:
                group.error = error
                raise
            finally:
                self._close(group)
                group.written.set()
        else:
            group.written.wait()
            if group.error is not None:
                raise group.error

    def exclusively(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, called while no group is being written."""
        with self._writing:
            return action()

    def _close(self, group: _Group[Change]) -> None:
        """Let no one else into a group; what comes now begins the next."""
        with self._joining:
            if self._group is group:
                self._group = _Group()
