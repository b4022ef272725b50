"""Group commit: one thread writes the changes of all others, many with one sync.

    callers ---- put ----> queue ----> the writer: prepare, write, complete ----> wake

A caller puts its work into the queue with one call that cannot be interrupted, and waits. The
writer takes all that is in the queue and completes it: the change in memory, the commit, and
what follows the commit. An interrupt (KeyboardInterrupt, SystemExit of a signal handler) is
raised by Python in the caller's thread, so it finds no change half done: the caller waits for
the end of the change and then raises the interrupt. Callers hold no lock, so an interrupt
leaves none behind.

The writer is a daemon thread. Normally nothing interrupts it. If it is interrupted, it
continues from its stage (`stage`); if it has ended, a caller starts another.
"""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections import deque
from contextlib import suppress
from enum import IntEnum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ipam_core.errors import CheckpointWriteError, ForkedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Change = TypeVar("Change")
T = TypeVar("T")

PATIENCE_S = 1.0
"""The time that a caller waits before it checks whether the writer is alive."""

TRIES = 3
"""The number of unexpected exceptions after which the writer still continues."""

_EVERYBODYS = (OSError, CheckpointWriteError)
"""Errors of a write that concern a group; any other is the fault of one member."""


class Work(Generic[Change, T]):
    """The work of a caller for the writer, in three parts; each may be called again."""

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


class _Write(Work[Change, None]):
    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes

    def prepare(self) -> Sequence[Change]:
        return self._changes


class _Action(Work[Any, T]):
    """A call that needs the file alone."""

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action

    def complete(self) -> T:
        return self._action()


class _Stage(IntEnum):
    NEW = 0
    PREPARED = 1
    WRITTEN = 2
    FAILED = 3
    DONE = 4


class _Request(Generic[Change, T]):
    __slots__ = ("answered", "changes", "commits", "error", "result", "stage", "woken", "work")

    def __init__(
        self,
        commits: GroupCommit[Change],
        work: Work[Change, T],
        answered: Callable[[], object] | None = None,
    ) -> None:
        self.answered: Callable[[], object] | None = answered
        """Called by the writer when it is done, perhaps more than once."""
        self.commits: GroupCommit[Change] = commits
        self.work: Work[Change, T] = work
        self.stage: _Stage = _Stage.NEW
        self.changes: Sequence[Change] = ()
        self.result: T | None = None
        self.error: BaseException | None = None
        self.woken: threading.Lock = threading.Lock()  # released when it is done
        self.woken.acquire()


class GroupCommit(Generic[Change]):
    """Writes changes of many threads, each group of them with one call of `write`.

    Groups are written in order, one at a time, and in a group changes are in order of arrival.
    A forked child gets `ForkedError`: it has no writer.
    """

    def __init__(
        self, write: Callable[[Sequence[Change]], None], what: str = "a group commit"
    ) -> None:
        self._write = write
        self._what = what
        self._pid = os.getpid()
        self._queue: SimpleQueue[_Request[Change, Any] | None] = SimpleQueue()
        self._writers: dict[int, threading.Thread] = {}
        self._come: deque[_Request[Change, Any]] = deque()
        """Taken from the queue, and not in a group yet."""
        self._group: list[_Request[Change, Any]] = []
        self._start()

    def submit(self, *changes: Change) -> None:
        """Return once `write` returned for a group with these changes.

        Raises what `write` raised for that group, each caller a copy of its own.
        """
        if changes:
            self.run(_Write(changes))

    def exclusively(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, called while no group is being written."""
        result: T = self.run(_Action(action))
        return result

    def run(self, work: Work[Change, T]) -> Any:
        """Have work done, and return its answer.

        An interrupt is raised when the work has ended; the work is always completed.
        """
        self._check_caller()
        request = _Request(self, work)
        try:
            self._queue.put(request)
            self._wait_for(request)
        except BaseException:
            self._outlast(request)
            raise
        if (error := request.error) is not None:
            try:
                raise error
            finally:
                del error, request  # its traceback holds this frame
        return request.result

    async def arun(self, work: Work[Change, T]) -> Any:
        """Do as `run`, without blocking the event loop; the writer shares syncs as ever.

        A task that is cancelled meanwhile is cancelled when the work has ended; the work is
        always completed.
        """
        import asyncio  # noqa: PLC0415  (half of the time that importing a store takes)

        self._check_caller()
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def answered() -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(done.set)

        request = _Request(self, work, answered)
        self._queue.put(request)
        cancelled: asyncio.CancelledError | None = None
        while request.stage is not _Stage.DONE:
            try:
                # Not by wait_for: Python 3.11's loses a cancellation that comes with the end.
                async with asyncio.timeout(PATIENCE_S):
                    await done.wait()
            except TimeoutError:
                self._revive(request)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if (failed := request.error) is not None:
            try:
                raise failed
            finally:
                del failed, request  # its traceback holds this frame
        return request.result

    # --- the caller's side ----------------------------------------------------------

    def _check_caller(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedError(self._what, self._pid)
        if threading.current_thread() is self._writer():
            raise RuntimeError(f"{self._what}: called by its own writer")

    def _wait_for(self, request: _Request[Change, Any]) -> None:
        while request.stage is not _Stage.DONE:
            if not request.woken.acquire(timeout=PATIENCE_S):
                self._revive(request)

    def _outlast(self, request: _Request[Change, Any]) -> None:
        """Continue to wait through further interrupts: the last of them is raised at the end."""
        latest: BaseException | None = None
        self._queue.put(request)  # the first wait may not have done so
        while request.stage is not _Stage.DONE:
            try:
                self._wait_for(request)
            except BaseException as interrupt:
                latest = interrupt
        if latest is not None:
            raise latest

    def _writer(self) -> threading.Thread | None:
        return self._writers.get(len(self._writers) - 1)

    def _revive(self, request: _Request[Change, Any]) -> None:
        """Check that a writer is alive, and that it has this request."""
        writer = self._writer()
        if writer is None or not writer.is_alive():
            self._start()
            self._queue.put(request)

    def _start(self) -> None:
        """Start a writer; if several are started in place of one, only one continues."""
        weakref.finalize(self, self._queue.put, None).atexit = False
        threading.Thread(
            target=_serve,
            args=(self._queue, self._writers, len(self._writers)),
            name=f"writer of {self._what}",
            daemon=True,
        ).start()

    # --- the writer's side ----------------------------------------------------------

    def work_off(self, request: _Request[Change, Any]) -> None:
        """Complete a request, and all that arrived meanwhile, group by group."""
        self._come.append(request)
        n_tries = 0
        while self._come or self._group:
            try:
                self._gather()
                self._commit()
            except BaseException as stray:  # of no caller: continue the interrupted work
                n_tries += 1
                if n_tries == TRIES:
                    self._give_up(stray)
            else:
                n_tries = 0

    def _gather(self) -> None:
        """Prepare the members of the next group; an interrupted one is first."""
        if self._group:
            return
        with suppress(Empty):
            while (came := self._queue.get_nowait()) is not None:
                self._come.append(came)
        while self._come:
            request = self._come[0]
            if request.stage is _Stage.NEW:  # else it is in the queue twice
                alone = isinstance(request.work, _Action)
                if self._group and (alone or not request.work.may_join()):
                    return
                self._group.append(request)
                self._prepare(request)
                if alone:
                    return
            self._come.popleft()

    def _prepare(self, request: _Request[Change, Any]) -> None:
        try:
            request.changes = request.work.prepare()
            request.stage = _Stage.PREPARED
        except Exception as error:
            request.error = error
            request.stage = _Stage.FAILED

    def _commit(self) -> None:
        """Write the group, and answer its members."""
        for request in self._group:  # interrupted before it was prepared
            if request.stage is _Stage.NEW:
                self._prepare(request)
        prepared = [r for r in self._group if r.stage is _Stage.PREPARED]
        if prepared:
            self._write_all(prepared)
        for request in self._group:
            if request.stage is _Stage.WRITTEN:
                try:
                    request.result = request.work.complete()
                except Exception as error:
                    request.error = error
            elif request.stage is _Stage.FAILED:
                request.work.undo()
            request.stage = _Stage.DONE
        self._answer()

    def _write_all(self, requests: Sequence[_Request[Change, Any]]) -> None:
        """Write what these requests change; a faulty one does not harm the others."""
        try:
            if not isinstance(requests[0].work, _Action):
                self._write([change for request in requests for change in request.changes])
        except Exception as error:
            if len(requests) > 1 and not isinstance(error, _EVERYBODYS):
                for request in requests:
                    self._write_all([request])
                return
            for request in requests:
                request.error = _copy_of(error)
                request.stage = _Stage.FAILED
        else:
            for request in requests:
                request.stage = _Stage.WRITTEN

    def _answer(self) -> None:
        for request in self._group:
            with suppress(RuntimeError):  # released before the interrupt
                request.woken.release()
            if request.answered is not None:
                request.answered()
        self._group = []

    def _give_up(self, stray: BaseException) -> None:
        """Raise in the callers an exception that repeats."""
        for request in self._group:
            if request.stage < _Stage.WRITTEN:
                request.work.undo()
            if request.stage is not _Stage.DONE:
                request.error = _copy_of(stray)
                request.stage = _Stage.DONE
        self._answer()


def _serve(
    queue: SimpleQueue[_Request[Any, Any] | None], writers: dict[int, threading.Thread], number: int
) -> None:
    """Serve a queue until it holds `None`, which is put when the `GroupCommit` is deleted."""
    if writers.setdefault(number, threading.current_thread()) is not threading.current_thread():
        return
    while (request := queue.get()) is not None:
        request.commits.work_off(request)
        del request


def _copy_of(error: BaseException) -> BaseException:
    """Return a copy of an error: each thread adds to the traceback of what it raises."""
    try:
        own = copy.copy(error)
    except Exception:  # its constructor takes arguments that it does not keep
        return error
    own.__cause__ = error.__cause__
    return own
