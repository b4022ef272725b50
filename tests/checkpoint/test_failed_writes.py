"""A change that was refused is not on disk, or is undone there before anything more is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from ipam_core.checkpoint import DurableStore, Entry
from ipam_core.errors import CheckpointWriteError, PoolExhaustedError
from support.checkpointing import open_checkpoint, sandbox, small_store, store_of

A, B = sandbox(1), sandbox(2)


class Failing:
    """A checkpoint whose commits reach the disk and fail all the same, as a lost sync does."""

    def __init__(self, path):
        self.path = path
        self.checkpoint = open_checkpoint(path)
        self.store = store_of(3)
        self.durable = DurableStore(self.store, self.checkpoint)
        self.database = self.checkpoint._database
        self.stay = self.database._stay_in_place

    def break_down(self):
        def lost(connection):
            raise OSError("Input/output error")

        self.database._stay_in_place = lost

    def heal(self):
        self.database._stay_in_place = self.stay

    def memory(self):
        return {a.sandbox: a.address for a in self.store.assignments()}

    def known(self):
        return {e.sandbox: e.address for e in self.checkpoint.entries() if e.sandbox}

    def after_kill(self):
        """Return what a process that starts now would find: what is on disk, as it is."""
        left = self.path.with_name("left")
        shutil.rmtree(left, ignore_errors=True)
        left.mkdir()
        for name in ("ipam.db", "ipam.db-wal"):
            shutil.copy(self.path.with_name(name), left)
        with open_checkpoint(left / "ipam.db") as checkpoint:
            return {e.sandbox: e.address for e in checkpoint.entries() if e.sandbox}


@pytest.fixture
def failing(tmp_path):
    made = Failing(tmp_path / "ipam.db")
    made.durable.assign(A, "default/a")
    yield made
    made.heal()
    made.checkpoint.close()


def test_release_that_failed_is_undone_before_a_memory_answer(failing):
    """The answer from memory was acknowledged, and a crash lost it."""
    failing.break_down()
    with pytest.raises(CheckpointWriteError):
        failing.durable.release(A)
    assert failing.after_kill() == {}  # it is on disk: nothing was acknowledged since
    assert failing.known() == failing.memory() == {A: "10.0.0.1"}
    with pytest.raises(CheckpointWriteError):
        failing.durable.assign(A)  # memory knows, but cannot be sure of the disk
    failing.heal()
    assert failing.durable.assign(A).address == "10.0.0.1"
    assert failing.after_kill() == failing.memory() == {A: "10.0.0.1"}


def test_assign_that_failed_is_undone_with_the_next_change(failing):
    failing.break_down()
    with pytest.raises(CheckpointWriteError):
        failing.durable.assign(B)
    assert failing.after_kill() == {A: "10.0.0.1", B: "10.0.0.2"}
    failing.heal()
    failing.durable.save_layout()
    assert failing.after_kill() == failing.memory() == {A: "10.0.0.1"}


def test_a_change_that_fails_again_and_again_is_undone_to_what_it_was_first(failing):
    before = failing.checkpoint.entries()
    failing.break_down()
    for _ in range(3):
        for change, who in ((failing.durable.assign, B), (failing.durable.release, A)):
            with pytest.raises(CheckpointWriteError):
                change(who)
    assert failing.checkpoint.entries() == before
    failing.heal()
    failing.durable.assign(sandbox(3))
    failing.durable.release(sandbox(3))
    assert [e for e in failing.checkpoint.entries() if e.sandbox] == before
    assert failing.after_kill() == failing.memory()


def test_close_undoes_what_failed_or_says_that_it_cannot(failing):
    failing.break_down()
    with pytest.raises(CheckpointWriteError):
        failing.durable.release(A)
    failing.heal()
    failing.checkpoint.close()
    with open_checkpoint(failing.path) as checkpoint:
        assert [e.sandbox for e in checkpoint.entries()] == [A]

    other = Failing(failing.path.with_name("other.db"))
    other.durable.assign(A)
    other.break_down()
    with pytest.raises(CheckpointWriteError):
        other.durable.release(A)
    with pytest.raises(CheckpointWriteError):
        other.checkpoint.close()
    other.checkpoint.close()
    open_checkpoint(other.path).close()


def test_every_kind_of_change_is_undone(failing):
    """Each is put back by a commit that has nothing else to write."""
    checkpoint, store = failing.checkpoint, failing.store
    failing.durable.save_layout()
    failing.durable.assign(B)
    failing.durable.release(B)
    before = checkpoint.entries()
    entry = Entry(address="10.9.9.9", sandbox=sandbox(9), assigned_ns=1)
    store.add_address("eni-0", "10.0.0.200")
    failing.break_down()
    for change in (
        lambda: checkpoint.put(entry),
        lambda: checkpoint.replace([entry]),
        lambda: checkpoint.apply_restore(released=before[:1], forgotten=["10.0.0.2"]),
        failing.durable.save_layout,
    ):
        with pytest.raises(CheckpointWriteError):
            change()
        assert checkpoint.entries() == before
        assert checkpoint.load_layout().addresses("eni-0") == [f"10.0.0.{n}" for n in (1, 2, 3)]
    failing.heal()
    failing.durable.assign(A)  # out of memory
    assert failing.after_kill() == {A: "10.0.0.1"}
    checkpoint.close()
    with open_checkpoint(failing.path) as again:
        assert again.entries() == before
        assert again.load_layout().addresses("eni-0") == [f"10.0.0.{n}" for n in (1, 2, 3)]


def test_release_while_the_directory_is_away_is_undone_when_it_is_back(tmp_path):
    """The commit went into the file that was moved, and was there again with it."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    failing = Failing(home / "ipam.db")
    failing.durable.assign(A)
    home.rename(away)
    with pytest.raises(CheckpointWriteError):
        failing.durable.release(A)
    away.rename(home)
    failing.durable.assign(B)
    assert failing.after_kill() == failing.memory() == {A: "10.0.0.1", B: "10.0.0.2"}
    failing.checkpoint.close()


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int fails(void) { return access(getenv("FAIL_SYNC"), F_OK) == 0; }
int fsync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails() ? (errno = EIO, -1) : next(fd);
}
int fdatasync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? (errno = EIO, -1) : next(fd);
}
"""


def test_assignment_told_after_a_failed_sync_outlives_a_kill(tmp_path):
    """The release's pages were in the log, and only its sync had failed."""
    library, flag, path = tmp_path / "shim.so", tmp_path / "flag", tmp_path / "ipam.db"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"],
        input=SHIM,
        text=True,
        check=True,
    )
    script = """
        import os, sys
        from pathlib import Path
        from support.checkpointing import sandbox, small_store
        from ipam_core.checkpoint import Checkpoint, DurableStore
        from ipam_core.errors import CheckpointWriteError
        flag = Path(os.environ["FAIL_SYNC"])
        durable = DurableStore(small_store(), Checkpoint(sys.argv[1]))
        held = durable.assign(sandbox(1)).address
        flag.touch()
        try:
            durable.release(sandbox(1))
        except CheckpointWriteError:
            flag.unlink()
        assert durable.assign(sandbox(1)).address == held
        print(held, flush=True)
        os.kill(os.getpid(), 9)
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "LD_PRELOAD": str(library),
        "FAIL_SYNC": str(flag),
    }
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), path],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    with open_checkpoint(path) as checkpoint:
        assert [(e.sandbox, e.address) for e in checkpoint.entries()] == [(A, ended.stdout.strip())]


def test_bad_member_of_a_group_harms_no_other(tmp_path):
    """All of a group got the OverflowError of one of them."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        good = [Entry(address=f"10.0.0.{n}", sandbox=sandbox(n), assigned_ns=n) for n in range(5)]
        bad = good[2]._replace(network_card=1 << 63)
        written = []
        write = checkpoint._commits._write

        def note(changes):
            written.append(len(changes))
            write(changes)

        checkpoint._commits._write = note
        outcomes = together(checkpoint, [*good[:2], bad, *good[3:]])
        assert outcomes == [None, None, OverflowError, None, None]
        assert written[0] == 5  # they were one group
        assert checkpoint.entries() == [*good[:2], *good[3:]]
        assert together(checkpoint, [bad]) == [OverflowError]


def together(checkpoint, entries):
    """Put entries by as many threads, in one group; return the kind of error of each."""
    import threading

    outcomes = [None] * len(entries)

    def put(place):
        try:
            checkpoint.put(entries[place])
        except OverflowError as error:
            outcomes[place] = type(error)

    threads = [threading.Thread(target=put, args=(place,)) for place in range(len(entries))]

    def start():
        for place, thread in enumerate(threads):
            thread.start()
            while len(checkpoint._commits._waiting) <= place:
                pass

    checkpoint._commits.exclusively(start)
    for thread in threads:
        thread.join(20)
    return outcomes


def test_release_with_a_bad_time_changes_nothing(tmp_path):
    """The file said released, the store said held."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(store_of(1), checkpoint)
        durable.assign(A)
        for now_ns in (2**70, "now"):
            with pytest.raises((ValueError, TypeError)):
                durable.release(A, now_ns)
        assert [e.sandbox for e in checkpoint.entries()] == [A]
        assert durable.store.find(A) is not None
        with pytest.raises(PoolExhaustedError):
            durable.assign(B)


def test_a_sandbox_of_which_only_the_digest_is_known_is_refused_and_gets_nothing(tmp_path):
    from ipam_core import Sandbox

    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        with pytest.raises(ValueError, match="digest only"):
            durable.assign(Sandbox.from_digest(bytes(range(16))))
        assert checkpoint.entries() == []
        assert next(durable.store.assignments(), None) is None
