"""Batches in sandboxes and texts, and durable ones: all or none, in one commit."""

import numpy as np
import pytest

from ipam_core import DataStore, DurableStore, Sandbox
from ipam_core.batches import assign_named, digests_of, texts_of
from ipam_core.errors import CheckpointWriteError, PoolExhaustedError, UnknownSandboxError
from support.checkpointing import open_checkpoint, sandbox


def store_of(n):
    store = DataStore()
    store.add_eni("eni-1", device_number=0)
    for k in range(n):
        store.add_address("eni-1", f"10.0.0.{k + 5}")
    return store


def test_digests_are_those_of_the_sandboxes_and_rows_become_texts():
    sandboxes = [Sandbox(f"c{n}") for n in range(4)]
    rows = digests_of(sandboxes)
    assert rows.shape == (4, 2)
    assert rows.dtype == np.uint64
    assert [row.tobytes() for row in rows] == [each.digest for each in sandboxes]
    assert (digests_of(["c0", "c1", sandboxes[2], "c3"]) == rows).all()
    store = store_of(3)
    addresses = store.assign_many(rows, partial=True)
    assert texts_of(addresses) == ["10.0.0.5", "10.0.0.6", "10.0.0.7", None]
    assert digests_of([]).shape == (0, 2)
    wide = DataStore("ipv6")
    wide.add_eni("eni-1", device_number=0)
    wide.add_prefix("eni-1", "2001:db8::/80")
    assert texts_of(wide.assign_many(rows[:1])) == [next(iter(wide)).address]
    for wrong in (5, 0, None, b"c0"):
        with pytest.raises(TypeError, match="give sandboxes or container ids"):
            digests_of([wrong])
    with pytest.raises(ValueError, match=r"shape \(n, 2\), not \(4,\)"):
        texts_of(rows[:, 0])


def test_a_named_batch_keeps_the_names_and_gives_all_or_none():
    store = store_of(3)
    given = assign_named(store, [Sandbox("c0"), Sandbox("c1")], ["ns/a", None])
    assert [(one.sandbox.container_id, one.pod) for one in given] == [("c0", "ns/a"), ("c1", None)]
    before = store.snapshot()
    with pytest.raises(PoolExhaustedError):
        assign_named(store, [Sandbox("c2"), Sandbox("c3")])
    assert store.snapshot() == before
    with pytest.raises(ValueError, match="1 sandboxes and 2 pods"):
        assign_named(store, [Sandbox("c2")], ["ns/a", "ns/b"])


def test_a_durable_batch_is_one_commit_or_nothing(tmp_path):
    with open_checkpoint(tmp_path / "pods.db") as checkpoint:
        store = store_of(6)
        durable = DurableStore(store, checkpoint)
        writes = []
        write = checkpoint._commits._write
        checkpoint._commits._write = lambda changes: (writes.append(len(changes)), write(changes))
        given = durable.assign_many([sandbox(n) for n in range(4)], [f"ns/{n}" for n in range(4)])
        assert [one.pod for one in given] == ["ns/0", "ns/1", "ns/2", "ns/3"]
        assert writes == [4]
        assert {each.address for each in checkpoint.entries()} == {one.address for one in given}
        assert durable.assign_many([sandbox(1), sandbox(9)])[0] == given[1]
        before, kept = store.snapshot(), checkpoint.entries()
        with pytest.raises(PoolExhaustedError):
            durable.assign_many([sandbox(20), sandbox(21)])  # there is one address
        with pytest.raises(UnknownSandboxError):
            durable.release_many([sandbox(0), sandbox(77)])
        with pytest.raises(ValueError, match="named twice"):
            durable.release_many([sandbox(0), sandbox(0)])
        assert len(store) == 5
        assert [store.find(sandbox(n)) for n in range(4)] == given
        assert checkpoint.entries() == kept
        assert store.find(sandbox(20)) is None
        assert before != b""

        def fails(changes):
            raise CheckpointWriteError("here", "no space")

        checkpoint._commits._write = fails
        for call in (durable.assign_many, durable.release_many):
            with pytest.raises(CheckpointWriteError):
                call([sandbox(0)] if call == durable.release_many else [sandbox(30)])
        assert store.find(sandbox(30)) is None
        assert store.find(sandbox(0)) == given[0]
        checkpoint._commits._write = write
        assert durable.release_many([sandbox(0), sandbox(1)]) == given[:2]
        assert len(checkpoint.entries()) >= 3
        store._check()
