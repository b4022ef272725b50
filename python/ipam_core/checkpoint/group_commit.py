"""Group commit: one thread at a time writes the changes of all, many with one sync.

    callers ---- append ----> waiting ----> whose turn it is: prepare, write, complete ----> wake

A caller appends its work to what waits, with one call that cannot be interrupted. If nobody
writes, it takes the turn and writes itself: where a sync is fast, waking another thread and being
woken by it takes longer than all else. If another thread writes, it waits. Who has the turn takes
all that waits and completes it: the change in memory, the commit, and what follows the commit.

What came meanwhile is written by the writer, a daemon thread. Then there is a crowd: those that
were answered last, and those that waited then. They leave their work to the writer, and it waits
until all of them want something again, no longer than its last write took. So all share the next
sync, and they do not compete with the writer for the GIL. If nobody comes, the crowd is over.

The main thread never takes the turn: the writer writes for it. Python runs signal handlers in the
main thread, between any two of its lines. So an interrupt (KeyboardInterrupt, SystemExit of a
signal handler) finds no change half done: the caller waits for the end of the change and then
raises the interrupt; and a handler may make changes itself. An event loop never writes either: a
sync would block it.

The turn is an entry of a dict, taken and given back with one call each: no interrupt can come
between taking it and knowing it. Who is interrupted (by a debugger, or by the lack of memory)
continues from the stage that was reached (`stage`). If a thread ended and left the turn, who
waits takes it from there; if the writer ended, who waits starts another.
"""

from __future__ import annotations

import copy
import os
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic

from ipam_core.checkpoint.work import Action, Change, Request, Stage, T, Work, Write
from ipam_core.errors import CheckpointWriteError, ForkedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE_S = 1.0
"""The time that a caller waits before it checks whether somebody writes."""

CROWD_S = 0.001
"""The longest time that the writer waits for callers that were busy before."""

TRIES = 3
"""The number of unexpected exceptions after which the writer still continues."""

_EVERYBODYS = (OSError, CheckpointWriteError)
"""Errors of a write that concern a group; any other is the fault of one member."""


class GroupCommit(Generic[Change]):
    """Writes changes of many threads, each group of them with one call of `write`.

    Groups are written in order, one at a time, and in a group changes are in order of arrival.
    `write` is called by the writer, or by a caller that is not the main thread. A forked child gets
    `ForkedError`: it has no writer.
    """

    def __init__(
        self, write: Callable[[Sequence[Change]], None], what: str = "a group commit"
    ) -> None:
        self._write = write
        self._what = what
        self._pid = os.getpid()
        self._waiting: deque[Request[Change, Any]] = deque()
        """What is in no group yet, in order of arrival; perhaps some of it twice."""
        self._group: list[Request[Change, Any]] = []
        self._turn: dict[int, threading.Thread] = {}
        """Under 0 the thread that writes; empty where none does."""
        self._ended: dict[threading.Thread, threading.Thread] = {}
        """Threads that ended in their turn, each with the one that took it from there."""
        self._crowd = 1
        """The number of callers that may soon want something; 1: there is no crowd."""
        self._write_s = 0.0
        """The time that the last write took."""
        self._queue: SimpleQueue[GroupCommit[Change] | None] = SimpleQueue()
        """Calls for the writer: something waits, and nobody writes."""
        self._writers: dict[int, threading.Thread] = {}
        self._start()

    def submit(self, *changes: Change) -> None:
        """Return once `write` returned for a group with these changes.

        Raises what `write` raised for that group, each caller a copy of its own.
        """
        if changes:
            self.run(Write(changes))

    def exclusively(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, called while no group is being written."""
        result: T = self.run(Action(action))
        return result

    def run(self, work: Work[Change, T]) -> Any:
        """Have work done, and return its answer.

        An interrupt is raised when the work has ended; the work is always completed.
        """
        self._check_caller()
        request = Request(work)
        try:
            self._waiting.append(request)
            self._attend_to(request)
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
        """Do as `run`, without blocking the event loop: another thread writes.

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

        request = Request(work, answered)
        self._waiting.append(request)
        self._call_writer()
        cancelled: asyncio.CancelledError | None = None
        while request.stage is not Stage.DONE:
            try:
                # Not by wait_for: Python 3.11's loses a cancellation that comes with the end.
                async with asyncio.timeout(PATIENCE_S):
                    await done.wait()
            except TimeoutError:
                self._revive()
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
        if self._has_turn():
            raise RuntimeError(f"{self._what}: called by its own writer")

    def _attend_to(self, request: Request[Change, Any]) -> None:
        """Write what waits, or wait until another thread has; return when a request is done."""
        if self._crowd > 1 or threading.current_thread() is threading.main_thread():
            self._call_writer()
        else:
            self.work_off(request)
        while request.stage is not Stage.DONE:
            if not request.woken.acquire(timeout=PATIENCE_S):
                self._revive()

    def _call_writer(self) -> None:
        """Call the writer, unless it looks by itself: when a thread writes, or in a crowd.

        Whoever has the turn, or waits for a crowd, looks at what waits after it has changed what
        is read here.
        """
        if 0 not in self._turn and (self._crowd == 1 or len(self._waiting) >= self._crowd):
            self._queue.put(self)

    def _outlast(self, request: Request[Change, Any]) -> None:
        """Continue through further interrupts: the last of them is raised at the end."""
        latest: BaseException | None = None
        self._waiting.append(request)  # the interrupt may have come before
        while True:
            try:
                if self._has_turn():
                    self.work_off(request)
                self._attend_to(request)
                break
            except BaseException as interrupt:
                latest = interrupt
        if latest is not None:
            raise latest

    def _has_turn(self) -> bool:
        return self._turn.get(0) is threading.current_thread()

    def _writer(self) -> threading.Thread | None:
        return self._writers.get(len(self._writers) - 1)

    def _revive(self) -> None:
        """Check that a writer is alive, and that who has the turn is; call the writer."""
        has, me = self._turn.get(0), threading.current_thread()
        if has is not None and not has.is_alive() and self._ended.setdefault(has, me) is me:
            self._turn.pop(0, None)  # nobody else does: it is the turn of `has`
        writer = self._writer()
        if writer is None or not writer.is_alive():
            self._start()
        self._queue.put(self)

    def _start(self) -> None:
        """Start a writer; if several are started in place of one, only one continues."""
        weakref.finalize(self, self._queue.put, None).atexit = False
        threading.Thread(
            target=_serve,
            args=(self._queue, self._writers, len(self._writers)),
            name=f"writer of {self._what}",
            daemon=True,
        ).start()

    # --- the side of whoever writes -------------------------------------------------

    def work_off(self, own: Request[Change, Any] | None = None) -> None:
        """Take the turn, and complete all that waits, group by group; no more if it is taken.

        A caller stops when its `own` request is done, and calls the writer if there is a crowd.
        What interrupted it is raised then; the writer ignores it.
        """
        me = threading.current_thread()
        interrupt: BaseException | None = None
        while True:
            if own is None and self._crowd > 1:
                self._wait_for_crowd()
            if self._turn.setdefault(0, me) is not me:
                break
            try:
                interrupt = self._use_turn(own) or interrupt
            finally:
                self._turn.pop(0, None)
            if _is_done(own):
                if self._waiting or self._crowd > 1:  # who comes from here on relies on the writer
                    self._queue.put(self)
                break
            if not self._waiting and self._crowd == 1:  # who comes from here on finds no turn taken
                break
        if own is not None and interrupt is not None:
            raise interrupt

    def _wait_for_crowd(self) -> None:
        """Wait until all of the crowd want something, no longer than a write takes."""
        end_s = time.monotonic() + min(self._write_s, CROWD_S)
        while len(self._waiting) < self._crowd and (left_s := end_s - time.monotonic()) > 0:
            with suppress(Empty):
                if self._queue.get(timeout=left_s) is None:  # the end, for `_serve`
                    self._queue.put(None)
                    break
        self._crowd = 1

    def _use_turn(self, own: Request[Change, Any] | None) -> BaseException | None:
        """Complete a group, or groups up to `own`; return what interrupted this last."""
        n_tries, interrupt = 0, None
        while self._group or (self._waiting and not _is_done(own)):
            try:
                self._gather()
                self._commit()
            except BaseException as stray:  # of no caller: continue the interrupted work
                interrupt = stray
                n_tries += 1
                if n_tries == TRIES:
                    self._give_up(stray)
            else:
                n_tries = 0
                if self._crowd > 1 and own is None:
                    break
        return interrupt

    def _gather(self) -> None:
        """Prepare the members of the next group; an interrupted one is first."""
        if self._group:
            return
        while self._waiting:
            request = self._waiting[0]
            alone = False
            if request.stage is Stage.NEW:  # else it waits twice
                alone = isinstance(request.work, Action)
                if self._group and (alone or not request.work.may_join()):
                    return
                self._group.append(request)
                self._prepare(request)
            self._waiting.popleft()
            if alone:
                return

    def _prepare(self, request: Request[Change, Any]) -> None:
        try:
            request.changes = request.work.prepare()
            request.stage = Stage.PREPARED
        except Exception as error:
            request.error = error
            request.stage = Stage.FAILED

    def _commit(self) -> None:
        """Write the group, and answer its members."""
        for request in self._group:  # interrupted before it was prepared
            if request.stage is Stage.NEW:
                self._prepare(request)
        prepared = [r for r in self._group if r.stage is Stage.PREPARED]
        if prepared:
            start_s = time.monotonic()
            self._write_all(prepared)
            self._write_s = time.monotonic() - start_s
        for request in self._group:
            if request.stage is Stage.WRITTEN:
                try:
                    request.result = request.work.complete()
                except Exception as error:
                    request.error = error
            elif request.stage is Stage.FAILED:
                request.work.undo()
            request.stage = Stage.DONE
        self._answer()

    def _write_all(self, requests: Sequence[Request[Change, Any]]) -> None:
        """Write what these requests change; a faulty one does not harm the others."""
        try:
            if not isinstance(requests[0].work, Action):
                self._write([change for request in requests for change in request.changes])
        except Exception as error:
            if len(requests) > 1 and not isinstance(error, _EVERYBODYS):
                for request in requests:
                    self._write_all([request])
                return
            for request in requests:
                request.error = _copy_of(error)
                request.stage = Stage.FAILED
        else:
            for request in requests:
                request.stage = Stage.WRITTEN

    def _answer(self) -> None:
        self._crowd = max(len(self._group) + len(self._waiting), 1)
        for request in self._group:
            with suppress(RuntimeError):  # released before the interrupt
                request.woken.release()
            if request.answered is not None:
                request.answered()
        self._group = []

    def _give_up(self, stray: BaseException) -> None:
        """Raise in the callers an exception that repeats."""
        for request in self._group:
            if request.stage < Stage.WRITTEN:
                request.work.undo()
            if request.stage is not Stage.DONE:
                request.error = _copy_of(stray)
                request.stage = Stage.DONE
        self._answer()


def _is_done(own: Request[Any, Any] | None) -> bool:
    return own is not None and own.stage is Stage.DONE


def _serve(
    queue: SimpleQueue[GroupCommit[Any] | None], writers: dict[int, threading.Thread], number: int
) -> None:
    """Serve calls until one is `None`, which is put when the `GroupCommit` is deleted."""
    if writers.setdefault(number, threading.current_thread()) is not threading.current_thread():
        return
    while (commits := queue.get()) is not None:
        commits.work_off()
        del commits


def _copy_of(error: BaseException) -> BaseException:
    """Return a copy of an error: each thread adds to the traceback of what it raises."""
    try:
        own = copy.copy(error)
    except Exception:  # its constructor takes arguments that it does not keep
        return error
    own.__cause__ = error.__cause__
    return own
