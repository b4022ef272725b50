"""A process killed at any moment has lost nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ipam_core.checkpoint import restore
from support import checkpoint_worker
from support.checkpoint_worker import sandbox
from support.checkpointing import open_checkpoint
from support.python import Process
from support.soak import examples

N_KILLS = examples(10, 1000)
WORKER = checkpoint_worker.__file__


def live_and_be_killed(path, chance, seed):
    """Run the worker on a checkpoint and kill it at a random moment; return what it said.

    One life in four is killed at any moment from its start on, while the file is made,
    opened or restored; the others within 0.15 s of their work.
    """
    durability = chance.choice(["full", "normal", "off"])
    command = (WORKER, path, durability, seed, chance.choice("0148"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    worker = Process(*command, stdout=subprocess.PIPE, env=environment, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(worker.stdout))
    reader.start()
    if chance.random() < 0.25:
        time.sleep(chance.uniform(0.1, 0.5))
    else:
        while not lines and worker.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.15))
    worker.kill()
    reader.join()
    worker.stdout.close()
    assert worker.wait() == -9, "the worker ended by itself"
    return [line.split() for line in lines if line.endswith("\n")]


def apply(held, lines):
    """Replay what was acknowledged; return the changes that were asked for but not."""
    open_changes = {}
    for sign, *change in lines:
        if sign == "?":
            kind, number = change
            open_changes[int(number)] = kind
        elif sign == "!":
            kind, number, address = change
            del open_changes[int(number)]
            if kind == "assign":
                held[int(number)] = address
            elif kind == "release":
                assert held.pop(int(number)) == address
    return open_changes


def check(path, held, open_changes):
    """Hold the file against what was acknowledged; return who holds what now."""
    with open_checkpoint(path) as checkpoint:  # proves pages and rows whole
        entries = [entry for entry in checkpoint.entries() if entry.sandbox]
        if checkpoint.load_layout() is None:  # killed before anything was kept
            assert (entries, held) == ([], {})
            return {}
        restored = restore(checkpoint)
    restored.store._check()
    assert restored.superseded == ()
    number_of = {sandbox(n): n for n in range(checkpoint_worker.N_SANDBOXES)}
    found = {number_of[a.sandbox]: a.address for a in restored.adopted}
    assert len(found) == len(entries)
    assert len(set(found.values())) == len(found), "an address with two holders"
    for number in held.keys() | found.keys():
        kind = open_changes.get(number)
        if kind is None:
            assert found.get(number) == held.get(number), f"sandbox {number}"
        elif kind == "release":  # as it was, or released
            assert found.get(number) in (held[number], None)
        else:  # absent, or there with an address of its own
            assert number not in held
    for assignment in restored.adopted:
        assert assignment.pod == f"default/web-{number_of[assignment.sandbox]}"
        assert assignment.eni_id == "eni-0"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("share", range(2))
def test_killed_at_random_moments(tmp_path, share):
    """Lives follow one another on the same file, as an agent's do."""
    chance, held = random.Random(share), {}
    path, n_acknowledged, n_open = tmp_path / "ipam.db", 0, 0
    for life in range(N_KILLS // 2):
        lines = live_and_be_killed(path, chance, f"{share}-{life}")
        open_changes = apply(held, lines)
        n_acknowledged += sum(line[0] == "!" for line in lines)
        n_open += len(open_changes)
        held = check(path, held, open_changes) if path.exists() else held
    print(f"{N_KILLS // 2} kills, {n_acknowledged} changes acknowledged, {n_open} under way")
    assert n_acknowledged > N_KILLS
    assert n_open > 0
    assert Path(path).exists()
