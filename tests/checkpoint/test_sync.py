"""The sync before each acknowledgement, seen in the system calls: a kill does not show it."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from support import checkpoint_worker
from support.checkpointing import strace

N_CHANGES = 60
CALL = re.compile(
    r"(?P<name>\w+)\((\d+<|\")(?P<file>[^>\"]*)[>\"](?P<rest>.*)\) += (?P<result>-?\d+)"
)
SYNCS = {"fsync", "fdatasync"}
WRITES = {"write", "pwrite64", "pwritev", "writev"}


class Call(NamedTuple):
    """A system call: its file, the first bytes that it wrote, and its result."""

    name: str
    file: str
    rest: str
    result: int
    thread: str


def traced(tmp_path, durability, n_threads=1):
    """Return the calls of a worker in the order in which they ended."""
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
            found.append(Call(*match.group("name", "file", "rest"), int(match["result"]), thread))
    return found


def acknowledgements(calls):
    """Yield what was called between each intent of a thread and its acknowledgement."""
    since = {}  # by thread
    for call in calls:
        if call.name == "write" and '"? ' in call.rest:
            since[call.thread] = []
        elif call.name == "write" and re.search(r'"! (assign|release)', call.rest):
            yield since.pop(call.thread)
        for others in since.values():
            others.append((call.name, call.file, call.result))


@pytest.mark.parametrize("n_threads", [0, 1])
def test_full_syncs_after_the_last_write_and_before_each_acknowledgement(tmp_path, n_threads):
    """Of the main thread, for which the writer writes, and of a thread that writes for itself."""
    calls = traced(tmp_path, "full", n_threads)
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
    calls = [(call.name, call.file) for call in traced(tmp_path, "full")]
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


def test_threads_share_syncs_and_are_acknowledged_after_them(tmp_path):
    calls = traced(tmp_path, "full", n_threads=8)
    gaps = list(acknowledgements(calls))
    assert len(gaps) == 8 * N_CHANGES
    n_syncs = sum(call.name in SYNCS and call.file.endswith("-wal") for call in calls)
    assert n_syncs < len(gaps) / 2
    for since in gaps:
        to_log = [name for name, file, _ in since if file.endswith("ipam.db-wal")]
        first_write = next(place for place, name in enumerate(to_log) if name in WRITES)
        assert SYNCS & set(to_log[first_write:]), "acknowledged before the sync"
