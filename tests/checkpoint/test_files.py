"""Who may open the files, what a lock follows, and what a forked child may do."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import sys
import time
from contextlib import closing

import pytest

from ipam_core.checkpoint import DurableStore
from ipam_core.checkpoint.files import LockFile
from ipam_core.errors import CheckpointBusyError, CheckpointError
from ipam_core.ipamd import checkpoint_file
from support import python
from support.checkpointing import open_checkpoint, sandbox, small_store
from support.forking import in_a_child


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ipam.db"


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def modes(directory):
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


# --- permissions ------------------------------------------------------------------


@pytest.mark.usefixtures("open_umask")
def test_files_are_their_owners_alone(path):
    with open_checkpoint(path) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        durable.assign(sandbox(1))
        private = dict.fromkeys(("ipam.db", "ipam.db-wal", "ipam.db.lock"), 0o600)
        assert modes(path.parent) == private
        path.unlink()
        durable.assign(sandbox(2))  # puts it back
        assert modes(path.parent) == private
        checkpoint_file.export_node(checkpoint.entries(), path.with_name("ipam.json"))
    assert set(modes(path.parent).values()) == {0o600}


@pytest.mark.usefixtures("open_umask")
def test_files_of_an_earlier_version_become_their_owners(path):
    """Who may read a file may lock it, and hold up the agent."""
    open_checkpoint(path).close()
    for file in path.parent.iterdir():
        file.chmod(0o644)
    open_checkpoint(path).close()
    assert set(modes(path.parent).values()) == {0o600}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_can_lock_nothing(path):
    path.parent.chmod(0o755)
    for parent in path.parents[1:]:
        if parent.owner() == "root" and parent.name:
            parent.chmod(parent.stat().st_mode | 0o011)

    def lock():
        os.setgid(65534)
        os.setuid(65534)
        for name in ("ipam.db", "ipam.db-wal", "ipam.db.lock"):
            with path.with_name(name).open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "locked"

    with open_checkpoint(path):
        assert "PermissionError" in in_a_child(lock)


# --- the lock -----------------------------------------------------------------------


def test_lock_never_follows_a_link(path):
    """It emptied the file that a link in its place pointed to."""
    lock, precious = path.with_name("ipam.db.lock"), path.with_name("precious")
    precious.write_text("42 full\n")
    lock.symlink_to(precious)
    with pytest.raises(CheckpointError, match=r"ipam\.db\.lock: Too many levels of symbolic"):
        open_checkpoint(path)
    lock.unlink()
    os.link(precious, lock)
    with pytest.raises(CheckpointError, match=r"ipam\.db\.lock is a link"):
        open_checkpoint(path)
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(CheckpointError, match=r"ipam\.db\.lock is no file"):
        open_checkpoint(path)
    lock.unlink()
    lock.write_text("poetry's lock, not ours")
    with pytest.raises(CheckpointError, match=r"is another's file: b\"poetry's lock"):
        open_checkpoint(path)
    assert (precious.read_text(), lock.read_text()) == ("42 full\n", "poetry's lock, not ours")
    assert not path.exists()
    lock.unlink()
    open_checkpoint(path).close()


def test_new_file_never_follows_a_link(path):
    precious = path.with_name("precious")
    precious.write_text("mine")
    path.with_name("ipam.db.new").symlink_to(precious)
    open_checkpoint(path).close()
    assert precious.read_text() == "mine"


def test_busy_lock_names_a_process_only_if_it_lives(path, monkeypatch):
    monkeypatch.setattr("ipam_core.checkpoint.files.FORK_S", 0.05)
    ended = python.run("-c", "import os; print(os.getpid())", check=True)
    pid = int(ended.stdout)
    lock = path.with_name("ipam.db.lock")
    for content, told in (
        (f"{os.getpid()} full\n", f"in use by process {os.getpid()}$"),
        (f"{pid} full\n", f"in use by a process that process {pid} left behind"),
        ("", "in use by another process$"),
        (f"{10**30} off\n", "left behind"),
    ):
        lock.write_text(content)
        with lock.open() as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            with pytest.raises(CheckpointBusyError, match=told):
                open_checkpoint(path)
    open_checkpoint(path).close()


def test_a_file_that_is_refused_is_left_as_it_was_and_nothing_next_to_it(path):
    """Somebody gave the path of another file by mistake."""
    text = path.with_name("notes.txt")
    text.write_text("my notes\n")
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE mine (value)")
        database.commit()
    for file in (text, other):
        file.chmod(0o644)
        before = file.read_bytes()
        with pytest.raises(CheckpointError):
            open_checkpoint(file)
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (before, 0o644)
    assert sorted(each.name for each in path.parent.iterdir()) == ["notes.txt", "other.db"]


def test_a_lock_of_an_earlier_run_stays_where_its_checkpoint_is_refused(path):
    open_checkpoint(path).close()
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert path.with_name("ipam.db.lock").exists()


def test_a_lock_that_another_discards_meanwhile_is_taken_anew(path, monkeypatch):
    """Else two processes would each have a file of that name locked."""
    discarded = []
    real = LockFile._lock

    def lock(self, path):
        real(self, path)
        if not discarded:
            discarded.append(os.fstat(self._descriptor).st_ino)
            path.with_name("ipam.db.lock").unlink()

    monkeypatch.setattr(LockFile, "_lock", lock)
    with open_checkpoint(path):
        assert path.with_name("ipam.db.lock").exists()
        with pytest.raises(CheckpointBusyError):
            open_checkpoint(path)
    assert len(discarded) == 1


def test_a_lock_that_another_holds_is_not_discarded(path, monkeypatch):
    """Made here, and locked by another before it was locked here."""
    with path.with_name("ipam.db.lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        real = os.open

        def opened(name, flags, *mode):
            return real(name, flags & ~os.O_EXCL, *mode)

        monkeypatch.setattr(os, "open", opened)
        with pytest.raises(CheckpointBusyError):
            open_checkpoint(path)
    assert path.with_name("ipam.db.lock").exists()


# --- forks --------------------------------------------------------------------------


def test_forked_child_gets_an_error_at_once_and_harms_nothing(path):
    """Parent and child gave the same addresses to different pods."""
    checkpoint = open_checkpoint(path, durability="full")
    durable = DurableStore(small_store(), checkpoint)
    held = durable.assign(sandbox(1))
    began = time.monotonic()
    for use in (
        lambda: durable.assign(sandbox(1)),  # out of memory
        lambda: durable.assign(sandbox(2)),
        lambda: durable.release(sandbox(1)),
        checkpoint.entries,
        durable.save_layout,
    ):
        told = in_a_child(use)
        assert told.startswith("ForkedError: checkpoint ")
        assert f"belongs to process {os.getpid()}" in told
    assert in_a_child(checkpoint.close) == "None"
    assert in_a_child(lambda: open_checkpoint(path)).startswith("CheckpointBusyError")
    assert time.monotonic() - began < 10
    assert durable.release(sandbox(1)).address == held.address
    with pytest.raises(CheckpointBusyError):
        open_checkpoint(path)
    checkpoint.close()
    with open_checkpoint(path) as again:
        assert [e.sandbox for e in again.entries()] == [None]


CHILD_THAT_ENDS = """
import os, sys
from support.checkpointing import sandbox, small_store
from ipam_core.checkpoint import Checkpoint, DurableStore
durable = DurableStore(small_store(), Checkpoint(sys.argv[1]))
durable.assign(sandbox(1))
log = os.stat(sys.argv[1] + "-wal")
if os.fork() == 0:
    sys.exit(0)  # the interpreter ends as it does, and frees all that it has
os.wait()
now = os.stat(sys.argv[1] + "-wal")
assert (now.st_ino, now.st_size) == (log.st_ino, log.st_size), "the log was moved"
for number in range(2, 9):
    durable.assign(sandbox(number))
os.kill(os.getpid(), 9)
"""

CHILD_THAT_OUTLIVES = """
import os, sys, time
from ipam_core.checkpoint import Checkpoint
checkpoint = Checkpoint(sys.argv[1])
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(30)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), 9)
"""


def run(script, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    options = {"capture_output": False, "stdout": python.PIPE}  # a child keeps what it inherits
    return python.run("-c", script, path, env=environment, timeout=60, **options)


def test_child_that_ends_does_not_take_the_log_with_it(path):
    """Closing the connection in the child moves the log and unlinks it under the parent."""
    assert run(CHILD_THAT_ENDS, path).returncode == -9
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint.entries()) == 8


def test_child_that_outlives_its_parent_does_not_hold_the_lock(path):
    child = int(run(CHILD_THAT_OUTLIVES, path).stdout)
    try:
        open_checkpoint(path).close()
        os.kill(child, 0)  # it lives still
    finally:
        os.kill(child, 9)
