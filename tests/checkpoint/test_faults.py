"""Faults of the file system and of other processes: what is said, and that nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from ipam_core.checkpoint import DurableStore, restore
from ipam_core.errors import (
    CheckpointBusyError,
    CheckpointDamagedError,
    CheckpointError,
    CheckpointWriteError,
)
from support.checkpointing import Clocks, open_checkpoint, sandbox, small_store, state, strace
from support.python import run

PRELUDE = """
import os, resource, sys, threading
from pathlib import Path
from ipam_core.checkpoint import Checkpoint, DurableStore, restore
from ipam_core.errors import *
from support.checkpointing import *
path = Path(sys.argv[1])
def become_nobody():  # where the tests run as root: no permission stops root
    if os.getuid() == 0:
        os.setgid(65534); os.setuid(65534)
"""


def child(tmp_path, code, *arguments):
    """Run code in a process of its own on `tmp_path/ipam.db`; return what it printed."""
    script = PRELUDE + textwrap.dedent(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = run("-c", script, tmp_path / "ipam.db", *arguments, env=environment, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def reopened(tmp_path):
    """Return what the checkpoint holds now, by container id."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        return {e.sandbox: e.address for e in checkpoint.entries() if e.sandbox}


# --- no room --------------------------------------------------------------------


def test_disk_full_undoes_the_change_and_all_is_well_when_there_is_room(tmp_path):
    """A file-size limit, which a write meets as it meets a full disk: with an error."""
    told = child(
        tmp_path,
        """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        checkpoint = Checkpoint(path, durability="normal")
        durable = DurableStore(big_store(), checkpoint)
        for number in range(10):
            durable.assign(sandbox(number), f"default/web-{number}")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1]))
        number, errors = 10, []
        while len(errors) < 3:
            before = state(durable.store, 1)
            try:
                durable.assign(sandbox(number))
            except CheckpointWriteError as error:
                errors.append(error)
                assert durable.store.find(sandbox(number)) is None
                durable.store._check()
                try:
                    durable.release(sandbox(1))
                except CheckpointWriteError:
                    assert durable.store.find(sandbox(1)) is not None
            number += not errors
        print(type(errors[0].__cause__).__name__, errors[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert durable.assign(sandbox(number), "default/late").pod == "default/late"
        durable.release(sandbox(1))
        for assignment in durable.store.assignments():
            print(assignment.sandbox.container_id, assignment.address)
        sys.stdout.flush()
        os._exit(0)  # no close: what is in the file is what the commits put there
        """,
    )
    assert told[0].startswith("OperationalError checkpoint ")
    assert "not written: " in told[0]
    acknowledged = dict(line.split() for line in told[1:])
    assert {who.container_id: a for who, a in reopened(tmp_path).items()} == acknowledged
    assert len(acknowledged) > 20


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 512 KiB, where mounting one is allowed."""
    if os.getuid() != 0:
        pytest.skip("only root mounts a tmpfs; the file-size limit is tested for everybody")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a tmpfs; the file-size limit is tested for everybody")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(filler):
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_full_tmpfs(tiny_disk):
    clocks = Clocks()
    checkpoint = open_checkpoint(tiny_disk / "ipam.db", clocks)
    durable = DurableStore(small_store(), checkpoint)
    filler = tiny_disk / "filler"
    for number in range(30):
        durable.assign(sandbox(number), None, clocks.now_ns)
        if number == 20:
            fill(filler)
            before = state(durable.store, clocks.now_ns)
            with pytest.raises(CheckpointWriteError, match="full"):
                durable.release(sandbox(3), clocks.now_ns)
            with pytest.raises(CheckpointWriteError, match="full"):
                durable.assign(sandbox(99), None, clocks.now_ns)
            assert state(durable.store, clocks.now_ns) == before
            filler.unlink()
    before = state(durable.store, clocks.now_ns)
    durable.save_layout(clocks.now_ns)
    checkpoint.close()
    with open_checkpoint(tiny_disk / "ipam.db", clocks) as again:
        assert state(restore(again, now_ns=clocks.now_ns).store, clocks.now_ns) == before


# --- a disk that fails ------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "cause"),
    [
        ("pwrite64", "EIO", "SQLITE_IOERR_WRITE"),
        ("pwrite64", "ENOSPC", "SQLITE_FULL"),
        ("fdatasync", "EIO", "SQLITE_IOERR_FSYNC"),
    ],
)
def test_a_disk_that_fails_now_and_then_loses_nothing_that_was_acknowledged(
    tmp_path, call, error, cause
):
    """Every seventh write or sync fails, those that move the log into the file too.

    The process ends without a close. A change whose sync failed was not acknowledged,
    and may be on disk all the same.
    """
    script = PRELUDE + textwrap.dedent("""
        durable = DurableStore(big_store(), Checkpoint(path))
        def tell(sign, number, address):
            os.write(1, f"{sign} {number} {address}\\n".encode())
        for number in range(700):
            try:
                tell("+", number, durable.assign(sandbox(number)).address)
            except CheckpointWriteError as failure:
                assert durable.store.find(sandbox(number)) is None
                tell("?", number, failure.__cause__.sqlite_errorname)
            if number % 3 == 0 and durable.store.find(sandbox(number // 2)) is not None:
                try:
                    tell("-", number // 2, durable.release(sandbox(number // 2)).address)
                except CheckpointWriteError as failure:
                    assert durable.store.find(sandbox(number // 2)) is not None
                    tell("?", number // 2, failure.__cause__.sqlite_errorname)
        os._exit(0)
        """)
    # Opened and made whole before the first fault: the calls before are fewer than 40.
    faults = f"inject={call}:error={error}:when=40+7"
    told = strace(tmp_path, [faults], ["-c", script, tmp_path / "ipam.db"]).told
    held, failed = {}, set()
    for sign, number, outcome in map(str.split, told):
        who = sandbox(int(number))
        if sign == "?":
            assert outcome == cause
            failed.add(who)
        else:
            failed.discard(who)
            held[who] = outcome if sign == "+" else None
    assert len(failed) > 50
    found = reopened(tmp_path)
    assert len(set(found.values())) == len(found)
    for who in held.keys() | found.keys():
        if who not in failed:
            assert found.get(who) == held.get(who)
        elif who in held:  # a release: as it was, or released
            assert found.get(who) in (held[who], None)


# --- no permission ----------------------------------------------------------------


@pytest.fixture
def common_place():
    """A directory that any user may pass through, which pytest's are not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
        Path(directory).chmod(0o755)


def test_read_only_directory(common_place):
    told = child(
        common_place,
        """
        Checkpoint(path).close()
        path.with_name("ipam.db.lock").unlink()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        become_nobody()
        assert path.read_bytes()
        for target in (path, path.with_name("other.db")):
            try:
                Checkpoint(target)
            except CheckpointError as error:
                print(type(error).__name__, error)
        """,
    )
    assert len(told) == 2
    assert all(line.startswith("CheckpointError ") for line in told)
    assert all(line.endswith("Permission denied") for line in told)
    assert sorted(path.name for path in common_place.iterdir()) == ["ipam.db"]


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_file_that_may_not_be_read_or_written(common_place, mode):
    told = child(
        common_place,
        """
        Checkpoint(path).close()
        path.with_name("ipam.db.lock").chmod(0o666)
        path.chmod(int(sys.argv[2]))
        path.parent.chmod(0o777)
        become_nobody()
        try:
            Checkpoint(path)
        except CheckpointError as error:
            print(type(error).__name__, error)
        """,
        str(mode),
    )
    assert told == [f"CheckpointError checkpoint {common_place / 'ipam.db'}: Permission denied"]


def test_directory_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"ipam\.db\.lock: No such file or directory"):
        open_checkpoint(tmp_path / "nowhere" / "ipam.db")
    with pytest.raises(CheckpointError, match="no such file"):
        open_checkpoint(tmp_path / "ipam.db", create=False)
    assert list(tmp_path.iterdir()) == []


# --- files that go away -------------------------------------------------------------


@pytest.mark.parametrize("gone", [["ipam.db"], ["ipam.db-wal"], ["ipam.db", "ipam.db-wal"]])
@pytest.mark.parametrize("durability", ["full", "off"])
def test_deleted_file_is_put_back_with_all_that_was_in_it(tmp_path, gone, durability):
    path, clocks = tmp_path / "ipam.db", Clocks()
    checkpoint = open_checkpoint(path, clocks, durability=durability)
    durable = DurableStore(small_store(), checkpoint)
    durable.save_layout(clocks.now_ns)
    for number in range(5):
        durable.assign(sandbox(number), "default/a", clocks.now_ns)
    for name in gone:
        (tmp_path / name).unlink()
    durable.release(sandbox(0), clocks.now_ns)
    durable.assign(sandbox(5), None, clocks.now_ns)
    before = state(durable.store, clocks.now_ns)
    # What a crash would leave now, without the goodbye of a close:
    left = tmp_path / "left"
    left.mkdir()
    for name in ("ipam.db", "ipam.db-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    with open_checkpoint(left / "ipam.db", clocks) as crashed:
        assert state(restore(crashed, now_ns=clocks.now_ns).store, clocks.now_ns) == before
    checkpoint.close()
    with open_checkpoint(path, clocks) as again:
        assert state(restore(again, now_ns=clocks.now_ns).store, clocks.now_ns) == before


def test_file_put_in_its_place_is_not_written_over(tmp_path):
    path, clocks = tmp_path / "ipam.db", Clocks()
    checkpoint = open_checkpoint(path, clocks)
    durable = DurableStore(small_store(), checkpoint)
    path.rename(tmp_path / "moved.db")
    path.write_text("somebody else's")
    with pytest.raises(CheckpointWriteError, match="another file was put in its place"):
        durable.assign(sandbox(1), None, clocks.now_ns)
    assert durable.store.find(sandbox(1)) is None
    assert path.read_text() == "somebody else's"
    path.unlink()
    held = durable.assign(sandbox(2), None, clocks.now_ns)
    checkpoint.close()
    assert reopened(tmp_path)[sandbox(2)] == held.address


def test_directory_deleted_under_a_running_process(tmp_path):
    directory, clocks = tmp_path / "state", Clocks()
    directory.mkdir()
    checkpoint = open_checkpoint(directory / "ipam.db", clocks)
    durable = DurableStore(small_store(), checkpoint)
    held = durable.assign(sandbox(1), None, clocks.now_ns)
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    with pytest.raises(CheckpointWriteError):
        durable.assign(sandbox(2), None, clocks.now_ns)
    directory.mkdir()
    other = durable.assign(sandbox(3), None, clocks.now_ns)
    checkpoint.close()
    found = reopened(directory)
    assert (found[sandbox(1)], found[sandbox(3)]) == (held.address, other.address)


# --- a second process -----------------------------------------------------------------


def test_second_process_is_refused_and_the_first_goes_on(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        told = child(
            tmp_path,
            """
            try:
                Checkpoint(path)
            except CheckpointBusyError as error:
                print(error)
            """,
        )
        assert told == [f"checkpoint {tmp_path / 'ipam.db'}: in use by process {os.getpid()}"]
        held = durable.assign(sandbox(1))
    assert reopened(tmp_path) == {sandbox(1): held.address}


def test_second_in_the_same_process_is_refused_too(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db"):
        with pytest.raises(CheckpointBusyError):
            open_checkpoint(tmp_path / "ipam.db")
        link = tmp_path / "link.db"
        link.symlink_to("ipam.db")
        with pytest.raises(CheckpointBusyError):  # another lock file: SQLite's own lock
            open_checkpoint(link)
    open_checkpoint(tmp_path / "ipam.db").close()


def test_sqlites_shell_is_kept_out_while_it_is_open(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db"):
        told = child(
            tmp_path,
            """
            import sqlite3
            try:
                sqlite3.connect(path, timeout=0).execute("DELETE FROM address")
            except sqlite3.OperationalError as error:
                print(error)
            """,
        )
    assert told == ["database is locked"]


def test_closed_checkpoint_writes_no_more(tmp_path):
    checkpoint = open_checkpoint(tmp_path / "ipam.db")
    checkpoint.close()
    checkpoint.close()
    with pytest.raises(CheckpointError, match="closed"):
        checkpoint.entries()
    with pytest.raises(CheckpointWriteError, match="closed"):
        checkpoint.apply_restore(forgotten=["10.0.0.1"])
    (tmp_path / "ipam.db").write_bytes(b"")
    with pytest.raises(CheckpointDamagedError, match="empty"):
        open_checkpoint(tmp_path / "ipam.db")
