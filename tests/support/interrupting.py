"""An interrupt at a chosen moment: before any line, call or return, or before any opcode."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager

import pytest

from support.soak import SOAK

MOMENTS = ["line", "opcode"] if SOAK else ["line"]
"""Lines with calls and returns in CI; every opcode too in `make soak`."""

HANGS_S = 20


class Interrupt(SystemExit):
    """What a signal handler may raise. Threads that end with it say nothing."""


class Interrupter:
    """Raises an `Interrupt` at the n-th moment after it was armed, in one thread.

    `in_writer` chooses the thread that writes checkpoints opened meanwhile, else it is
    the thread that arms it. A trace function that raises is removed by Python: there is
    one interrupt, as of one signal.
    """

    def __init__(self, moment, *, in_writer=False):
        self.number = 1
        self.moment = moment
        self.in_writer = in_writer
        self.armed = False
        self.n_moments = 0
        self.where = None

    @property
    def fired(self):
        return self.where is not None

    @contextmanager
    def arm(self):
        """Interrupt what is called meanwhile."""
        self.n_moments, self.where, self.armed = 0, None, True
        if not self.in_writer:
            sys.settrace(self._trace)
        try:
            yield
        finally:
            self.armed = False
            if not self.in_writer:
                sys.settrace(None)

    def watch(self):
        """Trace the thread that calls this, in the frames that are open too."""
        sys.settrace(self._trace)
        frame = sys._getframe().f_back
        while frame is not None:
            frame.f_trace = self._trace
            frame.f_trace_opcodes = self.moment == "opcode"
            frame = frame.f_back

    def _trace(self, frame, event, argument):
        if frame.f_code.co_filename == __file__ or "hypothesis" in frame.f_code.co_filename:
            return None  # the switch itself; what a test library does when memory is cleaned up
        if frame.f_code.co_qualname == "Condition._acquire_restore":
            return None  # cut off there, Python itself releases a lock that it does not hold
        if self.in_writer and not threading.current_thread().name.startswith("writer"):
            return None
        if self.moment == "opcode":
            frame.f_trace_opcodes = True
        if self.armed and not self.fired:
            self.n_moments += 1
            if self.n_moments == self.number:
                self.where = f"{event} {frame.f_code.co_qualname}:{frame.f_lineno}"
                raise Interrupt
        return self._trace


def at_each_moment(attempt, moment, *, in_writer=False, stride=1, first=1):
    """Call `attempt(interrupter)` with an interrupt at its first moment, its second, to its last.

    Or at every `stride`th from the `first` on, but for `make soak`. Returns how many there
    were. A failure says where the interrupt was.
    """
    interrupter = Interrupter(moment, in_writer=in_writer)
    interrupter.number = 1 if SOAK else first
    if in_writer:
        threading.settrace(interrupter._trace)  # of the threads that are started from now on
    try:
        while True:
            try:
                attempt(interrupter)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                number, where = interrupter.number, interrupter.where
                pytest.fail(f"interrupt {number} at {where}: {error!r}")
            if not interrupter.fired:
                return interrupter.number - 1
            interrupter.number += 1 if SOAK else stride
    finally:
        threading.settrace(None)


def in_thread(action, hangs_s=HANGS_S):
    """Return what an action returns in a thread of its own; fail if it hangs."""
    outcome = []

    def run():
        try:
            outcome.append((action(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(hangs_s)
    assert outcome, "hangs"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
