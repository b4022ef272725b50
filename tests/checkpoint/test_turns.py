"""Whose turn it is to write: a caller's own, or the writer's for the main thread and for many."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from ipam_core.checkpoint import group_commit
from ipam_core.checkpoint.group_commit import GroupCommit
from ipam_core.checkpoint.work import Request, Stage, Work, Write
from support.interrupting import MOMENTS, Interrupt, at_each_moment, in_thread


@pytest.fixture
def written():
    """Each group that was written, with the thread that wrote it."""
    return []


@pytest.fixture
def commits(written):
    return GroupCommit(lambda changes: written.append((threading.current_thread(), list(changes))))


class Call(Work):
    """Calls something while it is prepared."""

    def __init__(self, action):
        self.action = action

    def prepare(self):
        self.action()
        return ["called"]


def put_waiting(commits, *changes):
    """Let changes wait as if threads had asked for them; return the requests."""
    requests = [Request(Write([change])) for change in changes]
    commits._waiting.extend(requests)
    return requests


def test_a_thread_writes_for_itself_where_nobody_writes(commits, written):
    me = in_thread(lambda: (commits.submit("mine"), threading.current_thread())[1])
    assert written == [(me, ["mine"])]
    assert commits._turn == {}


def test_the_writer_writes_for_the_main_thread_and_for_an_event_loop(commits, written):
    commits.submit("main")
    asyncio.run(commits.arun(Write(["loop"])))
    in_thread(lambda: asyncio.run(commits.arun(Write(["loop in a thread"]))))
    assert [changes for _, changes in written] == [["main"], ["loop"], ["loop in a thread"]]
    assert {thread for thread, _ in written} == {commits._writer()}


def test_what_came_while_a_thread_wrote_is_left_to_the_writer(commits, written):
    others, write = [], commits._write

    def write_while_others_come(changes):
        write(changes)
        if len(written) == 1:
            others.extend(put_waiting(commits, "first", "second"))

    commits._write = write_while_others_come
    me = in_thread(lambda: (commits.submit("mine"), threading.current_thread())[1])
    for other in others:
        assert other.woken.acquire(timeout=20)
    assert written == [(me, ["mine"]), (commits._writer(), ["first", "second"])]


class Patient(GroupCommit):
    """Each write seems to take long, so that the writer waits for a crowd as long."""

    @property
    def _write_s(self):
        return 20

    @_write_s.setter
    def _write_s(self, _):
        pass


def test_the_writer_waits_until_all_of_a_crowd_want_something(written, monkeypatch):
    """Those that were answered last, and who waited then."""
    monkeypatch.setattr(group_commit, "CROWD_S", 20)
    monkeypatch.setattr(group_commit, "PATIENCE_S", 100)

    def write(changes):
        written.append((threading.current_thread(), set(changes)))
        if set(changes) == {1, 2}:
            put_waiting(commits, "late")

    commits = Patient(write)
    put_waiting(commits, "other")
    me = in_thread(lambda: (commits.submit("mine"), threading.current_thread())[1])
    for changes in ((1, 2), (3, 4)):
        threads = [threading.Thread(target=commits.submit, args=(n,)) for n in changes]
        for thread in threads:
            thread.start()
            time.sleep(0.02)  # enough for a group that does not wait
        for thread in threads:
            thread.join(15)
    assert written == [
        (me, {"other", "mine"}),
        (commits._writer(), {1, 2}),
        (commits._writer(), {"late", 3, 4}),
    ]
    commits._queue.put(None)  # it would wait for 20 s more


def test_a_crowd_that_does_not_come_again_is_forgotten(commits, written):
    put_waiting(commits, "other")
    me = in_thread(lambda: (commits.submit("mine"), threading.current_thread())[1])
    until = time.monotonic() + 20
    while commits._crowd > 1:
        assert time.monotonic() < until
        time.sleep(0.001)
    alone = in_thread(lambda: (commits.submit("alone"), threading.current_thread())[1])
    assert written == [(me, ["other", "mine"]), (alone, ["alone"])]


def test_one_of_a_crowd_does_not_wait_for_the_others_longer_than_a_write(commits, written):
    """Nobody calls the writer then: it looks by itself."""
    commits._crowd = 8
    put_waiting(commits, "first")
    commits._queue.put(commits)
    in_thread(lambda: commits.submit("second"))
    commits._crowd = 8
    commits._queue.put(commits)
    commits.submit("third")
    assert sorted(change for _, group in written for change in group) == [
        "first", "second", "third",
    ]  # fmt: skip


def test_what_waits_twice_keeps_nobody_busy(commits, written):
    """As after an interrupt. It makes no group, and after none there is no crowd."""
    turns, use_turn = [], commits._use_turn

    def count(own):
        turns.append(own)
        return use_turn(own)

    commits._use_turn = count
    (request,) = put_waiting(commits, "once")
    commits._waiting.append(request)
    commits._queue.put(commits)
    assert request.woken.acquire(timeout=20)
    commits._waiting.append(request)
    commits._queue.put(commits)
    time.sleep(0.05)
    assert len(turns) < 10
    commits.submit("next")
    assert [changes for _, changes in written] == [["once"], ["next"]]


def test_a_thread_that_ended_in_its_turn_is_followed(commits, written, monkeypatch):
    """As one that a debugger cut off where it would have given the turn back."""
    monkeypatch.setattr(group_commit, "PATIENCE_S", 0.01)
    in_thread(lambda: commits._turn.setdefault(0, threading.current_thread()))
    in_thread(lambda: commits.submit("thread"))
    commits.submit("main")
    assert [changes for _, changes in written] == [["thread"], ["main"]]
    assert commits._turn == {}


def test_work_may_not_ask_for_more_work(commits):
    def ask():
        commits.submit("again")

    for run in (lambda work: in_thread(lambda: commits.run(work)), commits.run):
        with pytest.raises(RuntimeError, match="called by its own writer"):
            run(Call(ask))
    commits.submit("next")


def test_a_signal_handler_may_ask_while_the_main_thread_waits(commits, written):
    """It runs in the main thread, so this may not have the turn."""
    handled = threading.Event()

    def handler(*_):
        commits.submit("handler")
        handled.set()

    write = commits._write

    def write_and_signal(changes):
        if changes == ["main"]:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        write(changes)

    commits._write = write_and_signal
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        commits.submit("main")
        assert handled.wait(20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [changes for _, changes in written] == [["main"], ["handler"]]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_writer_in_a_crowd_leaves_nobody_waiting(moment):
    """Its own request may be done, and those of others in the same group not yet."""
    kept = []

    def attempt(interrupter):
        commits = GroupCommit(lambda changes: None)
        kept.append(commits)  # no finalizer of one before runs, and is interrupted
        others = put_waiting(commits, "first", "second")
        raised = False
        try:
            with interrupter.arm():
                commits.submit("mine")
        except Interrupt:
            raised = True
        assert raised == interrupter.fired
        commits._revive()  # as each that waits does in the end
        for other in others:
            assert other.woken.acquire(timeout=20)
            assert other.stage is Stage.DONE
            assert other.error is None
        in_thread(lambda: commits.submit("next"))
        assert commits._turn == {}

    assert in_thread(lambda: at_each_moment(attempt, moment), hangs_s=600) > 50
