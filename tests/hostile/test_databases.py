"""A checkpoint in which others have defined or written something: refused in one line, at once."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from ipam_core import Checkpoint, Sandbox
from ipam_core.checkpoint.entry import Entry, with_checksum
from ipam_core.cli._app import run

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
FOREIGN = {
    "view": f"CREATE VIEW v AS {ENDLESS}",
    "index": "CREATE INDEX i ON address(pod)",
    "table": f"CREATE TABLE w ({', '.join(f'c{n}' for n in range(20))});"
    "INSERT INTO w(c0) VALUES (1)",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON address BEGIN DELETE FROM meta; END",
    "costly index": "CREATE INDEX i ON address(length(zeroblob(900000000)))",
    "view for a table": f"ALTER TABLE address RENAME TO a; CREATE VIEW address AS {ENDLESS}",
    "view for the version": f"DROP TABLE meta; CREATE VIEW meta(key, value, checksum) AS "
    f"SELECT 'version', x, x FROM ({ENDLESS})",
    "generated": "DROP TABLE meta;"
    "CREATE TABLE meta (key, value, checksum AS (zeroblob(900000000)))",
}
VALUES = {
    "text for a time": ("10.0.1.5", 0, "n", "c1", "eth0", "p", 0, "eni-1", "soon", None),
    "blob for an address": (b"\x00\xff", 0, "n", "c1", "eth0", "p", 0, "eni-1", 1, None),
    "blob for a pod": ("10.0.1.5", 0, "n", "c1", "eth0", b"p", 0, "eni-1", 1, None),
    "null for a container": ("10.0.1.5", 0, "n", None, "eth0", "p", 0, "eni-1", 1, None),
    "fraction for a card": ("10.0.1.5", 0.5, "n", "c1", "eth0", "p", 0, "eni-1", 1, None),
    "text for a release": ("10.0.1.5", 0, "", "", "", None, 0, "eni-1", 1, "then"),
}


@pytest.fixture
def path(tmp_path):
    with Checkpoint(tmp_path / "node.db") as opened:
        opened.put(Entry("10.0.1.4", Sandbox("c0", "eth0", "n"), 1, "default/web"))
    return tmp_path / "node.db"


def told(capsys, *arguments):
    status = run(["checkpoint", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_define_is_named_and_not_asked_anything(path, capsys, name):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FOREIGN[name])
    status, out, err = told(capsys, "show", "--checkpoint", path)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    status, out, err = told(capsys, "verify", "--checkpoint", path)
    assert status in (1, 2)
    assert len((out + err).splitlines()) <= 4
    status, out, err = told(capsys, "export", "--intact", "--checkpoint", path)
    kept = "10.0.1.4" in out
    assert kept == (name != "view for a table")
    assert status == (0 if kept else 1)


@pytest.mark.parametrize("name", VALUES)
def test_a_row_whose_values_are_of_another_kind_is_damage(path, capsys, name):
    row = with_checksum(*VALUES[name])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"INSERT INTO address VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()
    status, out, err = told(capsys, "show", "--checkpoint", path)
    assert (status, out) == (2, "")
    assert err.endswith(": a value of another kind\n")
    status, out, err = told(capsys, "export", "--intact", "--checkpoint", path)
    assert status == 1
    assert "10.0.1.4" in out
    assert "left out" in err


def test_what_is_refused_is_left_as_it_is(path, capsys):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FOREIGN["view"])
    before = path.read_bytes()
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    assert told(capsys, "verify", "--checkpoint", copy)[0] == 1
    assert copy.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("bad", [b"CREATE TABL\x80 address", b"CREATE TABLE \x80\xd0ress"])
def test_a_definition_that_is_no_text_is_damage(tmp_path, bad):
    """SQLite's own message quotes it, and Python cannot decode that message."""
    from ipam_core.checkpoint import Checkpoint
    from ipam_core.checkpoint.salvage import salvage

    sound, damaged = tmp_path / "sound.db", tmp_path / "damaged.db"
    with Checkpoint(sound):
        pass
    damaged.write_bytes(sound.read_bytes().replace(b"CREATE TABLE address", bad))
    entries, problems = salvage(damaged)
    assert entries == []
    assert problems
