"""Whose turn it is to write: a caller's own, or the writer's for the main thread and for many."""

from __future__ import annotations

import asyncio
import signal
import threading

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


def test_a_crowd_leaves_its_work_to_the_writer_until_one_comes_alone(commits, written):
    put_waiting(commits, "other")
    me = in_thread(lambda: (commits.submit("mine"), threading.current_thread())[1])
    in_thread(lambda: commits.submit("next"))
    alone = in_thread(lambda: (commits.submit("alone"), threading.current_thread())[1])
    assert written == [
        (me, ["other", "mine"]),
        (commits._writer(), ["next"]),
        (alone, ["alone"]),
    ]


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

    def attempt(interrupter):
        commits = GroupCommit(lambda changes: None)
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
