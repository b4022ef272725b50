"""Flipped bits, cut files, files of other versions: found at open, never read as the truth."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import sys

import pytest

from ipam_core.checkpoint import Checkpoint, Entry, rows, schema
from ipam_core.checkpoint.entry import with_checksum
from ipam_core.checkpoint.salvage import salvage
from ipam_core.errors import CheckpointDamagedError, CheckpointError, CheckpointVersionError
from support.checkpointing import open_checkpoint, sandbox
from support.python import run
from support.soak import SOAK, examples


def entry(number):
    return Entry(
        address=f"10.0.{number // 256}.{number % 256}",
        sandbox=sandbox(number),
        pod=f"default/web-{number}",
        eni_id="eni-0",
        assigned_ns=1_764_000_000_000_000_000 + number,
    )


@pytest.fixture
def whole(tmp_path):
    """A checkpoint of three pages of rows, its log moved into the file."""
    path = tmp_path / "whole.db"
    with open_checkpoint(path) as checkpoint:
        checkpoint.put(*[entry(number) for number in range(30)])
        checkpoint.apply_restore(released=[entry(3)])
    return path


def flipped(content, position, bit):
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path, whole):
    """Each byte of the file in `make soak`, in CI the heads of file and pages and a sample.

    Of the heads a soak flips every bit.
    """
    content = whole.read_bytes()
    with open_checkpoint(whole) as checkpoint:
        truth = checkpoint.entries()
    path = tmp_path / "flipped.db"
    chance = random.Random(8)
    heads = [range(100), *(range(page, page + 12) for page in range(0, len(content), 4096))]
    flips = [
        (position, bit)
        for head in heads
        for position in head
        for bit in chance.sample(range(8), examples(1, 8))
    ]
    others = range(len(content)) if SOAK else chance.sample(range(len(content)), 100)
    flips += [(position, chance.randrange(8)) for position in others]
    n_found = 0
    for position, bit in flips:
        path.write_bytes(flipped(content, position, bit))
        try:
            with open_checkpoint(path) as checkpoint:
                assert checkpoint.entries() == truth, f"bit {bit} of byte {position}"
        except CheckpointError:
            n_found += 1
        path.with_name("flipped.db-wal").unlink(missing_ok=True)
    assert n_found > len(flips) / 4  # the rest is empty space


def test_flip_that_sqlite_does_not_see_is_found_by_the_rows_checksum(whole):
    content = whole.read_bytes()
    position = content.index(b"default/web-17") + len("default/web-")
    whole.write_bytes(flipped(content, position, 1))  # web-17 becomes web-37
    connection = sqlite3.connect(whole)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    with pytest.raises(CheckpointDamagedError, match=r"address 10\.0\.0\.17: checksum") as raised:
        open_checkpoint(whole)
    assert raised.value.problems == ("address 10.0.0.17: checksum does not match",)

    entries, problems = salvage(whole)
    assert problems == ["address 10.0.0.17: checksum does not match"]
    assert {e.address for e in entries} == {entry(n).address for n in range(30)} - {"10.0.0.17"}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 0.7])
def test_cut_file_is_refused(whole, share):
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointDamagedError):
        open_checkpoint(whole)


def test_file_cut_anywhere_is_refused_or_nothing_is_lost(whole):
    """Of a last page that is cut within its zeros SQLite reads the zeros all the same."""
    content = whole.read_bytes()
    with open_checkpoint(whole) as checkpoint:
        truth = checkpoint.entries()
    for length in range(0, len(content), 500):
        whole.write_bytes(content[:length])
        try:
            with open_checkpoint(whole) as checkpoint:
                assert checkpoint.entries() == truth, length
        except CheckpointDamagedError:
            continue


def crashed(path, durability="full"):
    """Leave a checkpoint whose last 20 changes are in the log alone, each its own commit."""
    script = """
import os, sys
sys.path[:0] = sys.argv[3:]
from checkpoint_of_30 import entry, open_checkpoint
checkpoint = open_checkpoint(sys.argv[1], durability=sys.argv[2])
for number in range(20):
    checkpoint.put(entry(number))
os._exit(9)
"""
    module = path.with_name("checkpoint_of_30.py")
    shutil.copyfile(__file__, module)
    ended = run("-c", script, path, durability, path.parent, *sys.path)
    assert ended.returncode == 9
    return path.with_name(path.name + "-wal")


FRAME = 24 + 4096


@pytest.mark.parametrize("rest", [b"", bytes(1000)], ids=["cut", "its end never written"])
def test_log_after_a_crash_is_replayed_and_a_last_commit_cut_off_is_no_damage(tmp_path, rest):
    path = tmp_path / "ipam.db"
    log = crashed(path)
    before = log.read_bytes()
    assert before[-1000:] != bytes(1000)
    log.write_bytes(before[:-1000] + rest)  # the last change was being written
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.entries() == sorted(
            [entry(number) for number in range(19)], key=lambda e: e.address
        )


@pytest.mark.parametrize("place", ["head", "salt", "page", "commit"])
def test_flipped_bit_in_the_log_is_found(tmp_path, place):
    """SQLite takes it for the log's end and forgets all that was acknowledged after."""
    path = tmp_path / "ipam.db"
    log = crashed(path)
    content = log.read_bytes()
    n_frames = (len(content) - 32) // FRAME
    frame = 32 + (n_frames - 10) * FRAME
    position = {"head": 17, "salt": frame + 9, "page": frame + 2000, "commit": frame + 7}[place]
    damaged = flipped(content, position, 0)
    log.write_bytes(damaged)
    shutil.copyfile(path, tmp_path / "copy.db")
    shutil.copyfile(log, tmp_path / "copy.db-wal")
    for _ in range(2):  # refused again: nothing was moved or removed
        with pytest.raises(CheckpointDamagedError, match="write-ahead log"):
            open_checkpoint(path)
        assert log.read_bytes() == damaged
    entries, problems = salvage(path)
    assert len(entries) < 20
    assert "write-ahead log" in problems[0]
    # What SQLite makes of it, to see that the check is needed:
    connection = sqlite3.connect(tmp_path / "copy.db")
    assert connection.execute("SELECT count(*) FROM address").fetchone()[0] < 20
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_log_that_was_never_synced_may_end_anywhere(tmp_path):
    """Under `normal` a power cut may leave any part of the log; the rest is its price."""
    path = tmp_path / "ipam.db"
    log = crashed(path, "normal")
    content = log.read_bytes()
    log.write_bytes(flipped(content, 32 + 10 * FRAME + 2000, 0))
    with open_checkpoint(path) as checkpoint:
        assert 0 < len(checkpoint.entries()) < 20


def test_missing_file_whose_log_is_there_is_refused(tmp_path):
    path = tmp_path / "ipam.db"
    crashed(path)
    path.unlink()
    with pytest.raises(CheckpointDamagedError, match=r"missing, but ipam\.db-wal is there"):
        open_checkpoint(path)


def test_other_files_are_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100)
    with pytest.raises(CheckpointDamagedError, match="not a database"):
        open_checkpoint(text)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.executescript("CREATE TABLE song (title); INSERT INTO song VALUES ('x');")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(CheckpointError, match="not a checkpoint of ipam-core"):
        open_checkpoint(other)
    assert other.read_bytes() == before


# --- versions -----------------------------------------------------------------


def test_file_of_a_newer_version_is_refused_in_one_line(whole):
    connection = sqlite3.connect(whole)
    connection.execute(
        "UPDATE meta SET value = ?, checksum = ? WHERE key = 'version'",
        with_checksum("version", schema.VERSION + 1)[1:],
    )
    connection.commit()
    connection.close()
    with pytest.raises(CheckpointVersionError) as raised:
        open_checkpoint(whole)
    assert "\n" not in str(raised.value)
    assert (raised.value.version, raised.value.newest) == (schema.VERSION + 1, schema.VERSION)


ADD_ZONE = """
    ALTER TABLE layout ADD COLUMN zone TEXT;
    CREATE TABLE moved (network_card INTEGER PRIMARY KEY, body, zone, checksum) WITHOUT ROWID;
    INSERT INTO moved
        SELECT network_card, body, 'a', checksum(network_card, body, 'a') FROM layout;
    DROP TABLE layout;
    ALTER TABLE moved RENAME TO layout;
"""


def test_file_of_an_older_version_is_brought_up_to_date(whole, monkeypatch):
    with open_checkpoint(whole) as checkpoint:
        truth = checkpoint.entries()
        checkpoint._commits.submit(rows.keep_layout(with_checksum(0, "{}")))
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ADD_ZONE))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    for _ in range(2):  # the second time it is of the new version
        with open_checkpoint(whole) as checkpoint:
            assert checkpoint.entries() == truth
            assert checkpoint._database._read("SELECT * FROM layout") == [
                with_checksum(0, "{}", "a")
            ]


def test_step_that_fails_leaves_the_old_version(whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, f"{ADD_ZONE}; SELECT nonsense"))
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(CheckpointError, match="nonsense"):
            open_checkpoint(whole)
    with open_checkpoint(whole) as checkpoint:
        assert len(checkpoint.entries()) == 30


def test_bad_values_are_refused_before_they_are_written(tmp_path):
    from ipam_core import Sandbox

    with pytest.raises(ValueError, match="durability 'most'"):
        Checkpoint(tmp_path / "ipam.db", durability="most")
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        for who in (Sandbox("\udc80"), Sandbox.from_digest(bytes(16))):
            with pytest.raises(ValueError, match=r"surrogates|digest only"):
                checkpoint.put(Entry(address="10.0.0.1", sandbox=who, assigned_ns=1))
        good = Entry(address="10.0.0.1", sandbox=sandbox(1), assigned_ns=1)
        with pytest.raises(OverflowError):
            checkpoint.put(good, good._replace(address="10.0.0.2", assigned_ns=1 << 63))
        assert checkpoint.entries() == []
        checkpoint.put(good)
        assert checkpoint.entries() == [good]


def test_verify_tells_the_same(whole, capsys):
    from ipam_core.cli._app import run

    assert run(["checkpoint", "verify", "--checkpoint", str(whole)]) == 0
    content = whole.read_bytes()
    position = content.index(b"default/web-17")
    whole.write_bytes(flipped(content, position, 1))
    capsys.readouterr()
    assert run(["checkpoint", "verify", "--checkpoint", str(whole), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == [
        "address 10.0.0.17: checksum does not match"
    ]
    assert run(["checkpoint", "export", "--checkpoint", str(whole), "--intact"]) == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["allocations"]) == 28  # one released, one damaged
    assert "10.0.0.17" in captured.err
