"""The sync before each acknowledgement, seen in the system calls: a kill does not show it."""

from __future__ import annotations

import re

import pytest

from support import checkpoint_worker
from support.checkpointing import strace

N_CHANGES = 60
CALL = re.compile(
    r"(?P<name>\w+)\((\d+<|\")(?P<file>[^>\"]*)[>\"](?P<rest>.*)\) += (?P<result>-?\d+)"
)
SYNCS = {"fsync", "fdatasync"}
WRITES = {"write", "pwrite64", "pwritev", "writev"}


def traced(tmp_path, durability, n_threads=1):
    """Return the calls of a worker as (name, file, first bytes, result), in order."""
    log = strace(
        tmp_path,
        [f"trace={','.join(sorted(SYNCS | WRITES | {'rename'}))}"],
        [checkpoint_worker.__file__, tmp_path / "ipam.db", durability, 1, n_threads, N_CHANGES],
    ).log
    found = []
    pending = {}  # by thread: a call that another thread's interrupted in the log
    for line in log:
        thread, _, text = line.partition(" ")
        if text.endswith(" <unfinished ...>"):
            pending[thread] = text.removesuffix(" <unfinished ...>")
            continue
        if match := re.match(r"<\.\.\. \w+ resumed>", text.strip()):
            text = pending.pop(thread) + text.strip()[match.end() :]
        if match := CALL.match(text.strip()):
            found.append((match["name"], match["file"], match["rest"], int(match["result"])))
    return found


def acknowledgements(calls):
    """Yield what was called between each intent and its acknowledgement."""
    since = []
    for name, file, rest, result in calls:
        if name == "write" and '"? ' in rest:
            since = []
        elif name == "write" and re.search(r'"! (assign|release)', rest):
            yield since
            since = []
        since.append((name, file, result))


def test_full_syncs_after_the_last_write_and_before_each_acknowledgement(tmp_path):
    calls = traced(tmp_path, "full")
    n_acknowledged = 0
    for since in acknowledgements(calls):
        n_acknowledged += 1
        to_log = [(name, result) for name, file, result in since if file.endswith("ipam.db-wal")]
        names = [name for name, _ in to_log]
        assert WRITES & set(names), "nothing was written"
        last_write = max(place for place, name in enumerate(names) if name in WRITES)
        after = [(name, result) for name, result in to_log[last_write:] if name in SYNCS]
        assert after, f"no sync after the last write: {names}"
        assert all(result == 0 for _, result in after)
    assert n_acknowledged == N_CHANGES


def test_full_syncs_once_a_change_and_writes_one_page(tmp_path):
    """But for the one change among the first thirty that splits the page in two."""
    gaps = list(acknowledgements(traced(tmp_path, "full")))
    written = [
        sum(result for name, file, result in since if name in WRITES and "ipam.db" in file)
        for since in gaps
    ]
    assert [sum(name in SYNCS for name, _, _ in since) for since in gaps] == [1] * N_CHANGES
    assert written.count(24 + 4096) >= N_CHANGES - 1
    assert max(written) <= 4 * (24 + 4096)


def test_new_file_and_its_name_are_synced_before_anything_is_acknowledged(tmp_path):
    calls = [(name, file) for name, file, *_ in traced(tmp_path, "full")]
    new = str(tmp_path / "ipam.db.new")
    renamed = calls.index(("rename", new))
    assert max(place for place, call in enumerate(calls) if call[1] == new) == renamed
    assert calls[renamed - 1] in {(sync, new) for sync in SYNCS}
    assert calls[renamed + 1] in {(sync, str(tmp_path)) for sync in SYNCS}


@pytest.mark.parametrize("durability", ["normal", "off"])
def test_the_others_sync_no_change(tmp_path, durability):
    """And so the test above would see it if `full` did not."""
    gaps = list(acknowledgements(traced(tmp_path, durability)))
    assert len(gaps) == N_CHANGES
    assert not any(name in SYNCS for since in gaps for name, _, _ in since)


def test_threads_share_syncs(tmp_path):
    calls = traced(tmp_path, "full", n_threads=8)
    n_acknowledged = sum(bool(re.search(r'"! (assign|release)', rest)) for *_, rest, _ in calls)
    n_syncs = sum(name in SYNCS and file.endswith("-wal") for name, file, _, _ in calls)
    assert n_acknowledged == 8 * N_CHANGES
    assert n_syncs < n_acknowledged / 2
