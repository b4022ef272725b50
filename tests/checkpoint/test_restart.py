"""A restart: what was acknowledged is what is there, cooldowns and layout included."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core import IPAM_CORE, VPC_CNI, DataStore
from ipam_core.checkpoint import DurableStore, Entry, restore
from ipam_core.effects import ForgetAssignments, ReadCheckpoint
from ipam_core.errors import (
    CheckpointError,
    CheckpointWriteError,
    PoolExhaustedError,
    UnknownSandboxError,
)
from support.checkpointing import (
    EPOCH_NS,
    SECOND,
    Clocks,
    big_store,
    open_checkpoint,
    sandbox,
    small_store,
    state,
)


@pytest.fixture
def clocks():
    return Clocks()


STEPS = st.lists(
    st.tuples(st.sampled_from(["assign", "release", "wait", "fail", "layout"]), st.integers(0, 40)),
    max_size=40,
)


@settings(max_examples=60)
@given(steps=STEPS, pause_s=st.sampled_from([0, 10, 29, 31]))
def test_state_after_a_restart_is_the_state_before(steps, pause_s):
    """Against a dict of what was acknowledged, and the store's own account of itself."""
    clocks, acknowledged = Clocks(), {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ipam.db"
        checkpoint = open_checkpoint(path, clocks)
        write = checkpoint._database.write
        durable = DurableStore(small_store(), checkpoint)
        durable.save_layout(clocks.now_ns)
        for kind, number in steps:
            if kind == "wait":
                clocks.advance(number)
            elif kind == "layout":
                durable.save_layout(clocks.now_ns)
            elif kind == "fail":  # a change that cannot be written is no change
                before = state(durable.store, clocks.now_ns)
                checkpoint._commits._write = fail
                try:
                    change(durable, clocks, acknowledged, number)
                except CheckpointWriteError:
                    assert state(durable.store, clocks.now_ns) == before
                checkpoint._commits._write = write
            elif (kind == "assign") != (sandbox(number) in acknowledged):
                change(durable, clocks, acknowledged, number)
        clocks.advance(pause_s)
        before = state(durable.store, clocks.now_ns)
        checkpoint.close()
        with open_checkpoint(path, clocks) as reopened:
            restored = restore(reopened, now_ns=clocks.now_ns)
            assert state(restored.store, clocks.now_ns) == before
            assert {a.sandbox: a.address for a in restored.adopted} == acknowledged


def change(durable, clocks, acknowledged, number):
    """Assign if the sandbox holds nothing, else release."""
    who = sandbox(number)
    if who in acknowledged:
        durable.release(who, clocks.now_ns)
        del acknowledged[who]
        return
    try:
        address = durable.assign(who, f"default/web-{number}", clocks.now_ns).address
    except PoolExhaustedError:
        return
    assert address not in acknowledged.values()
    acknowledged[who] = address


def fail(changes):
    raise CheckpointWriteError("ipam.db", "not written: no space")


def test_undone_assignment_does_not_cool_and_undone_release_keeps_its_time(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        held = durable.assign(sandbox(1), "default/a", clocks.now_ns)
        clocks.advance(5)
        write, checkpoint._commits._write = checkpoint._commits._write, fail
        with pytest.raises(CheckpointWriteError):
            durable.assign(sandbox(2), "default/b", clocks.now_ns)
        with pytest.raises(CheckpointWriteError):
            durable.release(sandbox(1), clocks.now_ns)
        stats = durable.store.stats(clocks.now_ns)
        assert (stats.assigned, stats.cooling) == (1, 0)
        found = durable.store.find(sandbox(1))
        assert (found.address, found.assigned_ns) == (held.address, held.assigned_ns)
        checkpoint._commits._write = write
        assert durable.assign(sandbox(2), None, clocks.now_ns).sandbox == sandbox(2)
        assert durable.release(sandbox(1), clocks.now_ns).address == held.address


def test_same_sandbox_asks_again_and_unknown_releases_change_nothing(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        first = durable.assign(sandbox(1), "default/a", clocks.now_ns)
        assert durable.assign(sandbox(1), "default/a", clocks.now_ns).address == first.address
        with pytest.raises(UnknownSandboxError):
            durable.release(sandbox(2), clocks.now_ns)
        assert len(checkpoint.entries()) == 1


def test_cooldown_goes_on_only_under_its_rule(tmp_path, clocks):
    path = tmp_path / "ipam.db"
    with open_checkpoint(path, clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        durable.save_layout(clocks.now_ns)
        durable.assign(sandbox(1), None, clocks.now_ns)
        durable.release(sandbox(1), clocks.now_ns)
        clocks.advance(20)
        kept = restore(checkpoint, policy=IPAM_CORE, now_ns=clocks.now_ns)
        assert (kept.n_cooling, kept.store.next_cool_ns(clocks.now_ns)) == (
            1,
            clocks.now_ns + 10 * SECOND + 1,
        )
        forgotten = restore(checkpoint, policy=VPC_CNI, now_ns=clocks.now_ns)
        assert (forgotten.n_cooling, forgotten.store.stats(clocks.now_ns).cooling) == (0, 0)
        assert checkpoint.entries() == []


@pytest.mark.parametrize("jump_s", [-86400, 86400])
def test_clock_that_jumps_costs_no_assignment_and_no_more_than_one_cooldown(
    tmp_path, clocks, jump_s
):
    """Set back, the cooldown starts again; set forward, it is over. Nothing else changes."""
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        durable.save_layout(clocks.now_ns)
        held = durable.assign(sandbox(1), "default/a", clocks.now_ns)
        durable.assign(sandbox(2), None, clocks.now_ns)
        durable.release(sandbox(2), clocks.now_ns)
        clocks.wall_offset_ns += jump_s * SECOND
        restored = restore(checkpoint, now_ns=clocks.now_ns)
        restored.store._check()
        assert [a.address for a in restored.adopted] == [held.address]
        assert restored.adopted[0].assigned_ns <= clocks.now_ns
        assert restored.n_cooling == (1 if jump_s < 0 else 0)
        next_ns = restored.store.next_cool_ns(clocks.now_ns)
        assert next_ns is None or next_ns <= clocks.now_ns + 30 * SECOND + 1


def test_pods_that_are_gone_are_released_and_reported(tmp_path, clocks):
    path = tmp_path / "ipam.db"
    with open_checkpoint(path, clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        durable.save_layout(clocks.now_ns)
        for number in range(4):
            durable.assign(sandbox(number), f"default/web-{number}", clocks.now_ns)
        live = {sandbox(0), sandbox(3)}
        restored = restore(checkpoint, live=live, now_ns=clocks.now_ns)
        assert {a.sandbox for a in restored.adopted} == live
        assert [entry.pod for entry in restored.gone] == ["default/web-1", "default/web-2"]
        assert restored.n_cooling == restored.store.stats(clocks.now_ns).cooling == 2
        again = restore(checkpoint, now_ns=clocks.now_ns)
        assert (len(again.adopted), again.n_cooling, again.gone) == (2, 2, ())
    with open_checkpoint(path, clocks) as checkpoint:
        forgetful = restore(checkpoint, live=(), policy=VPC_CNI, now_ns=clocks.now_ns)
        assert (forgetful.n_cooling, checkpoint.entries()) == (0, [])


def without(store, prefix):
    eni_id = next(e.eni_id for e in store.enis() if prefix in store.prefixes(e.eni_id))
    store.remove_prefix(eni_id, prefix)
    return eni_id


def test_unattached_is_kept_aside_and_its_address_goes_to_nobody_else(tmp_path, clocks):
    """Upstream #3876: metadata shows a prefix late, and its pods lose their addresses."""
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        held = DurableStore(small_store(), checkpoint).assign(
            sandbox(1), "default/a", clocks.now_ns
        )
        late = small_store()
        eni_id = without(late, held.prefix)
        restored = restore(checkpoint, late, now_ns=clocks.now_ns)
        assert {a: kept.sandbox for a, kept in restored.unattached.items()} == {
            held.address: sandbox(1)
        }
        assert not restored.adopted
        assert len(checkpoint.entries()) == 1

        durable = DurableStore(late, checkpoint, unattached=restored.unattached)
        for number in range(2, 3 * 16):  # all that is attached but two
            durable.assign(sandbox(number), None, clocks.now_ns)
        late.add_prefix(eni_id, held.prefix)
        others = [
            durable.assign(sandbox(number), None, clocks.now_ns).address for number in range(50, 67)
        ]
        assert held.address not in others
        assert late.find(sandbox(1)).address == held.address
        assert durable.unattached == {}
        with pytest.raises(PoolExhaustedError):
            durable.assign(sandbox(99), None, clocks.now_ns)
        late._check()


def test_unattached_is_taken_back_on_request_and_can_be_released(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        first = DurableStore(small_store(), checkpoint)
        held = [first.assign(sandbox(n), None, clocks.now_ns) for n in (1, 2)]
        late = small_store()
        eni_id = without(late, held[0].prefix)
        durable = DurableStore(
            late, checkpoint, unattached=restore(checkpoint, late, now_ns=clocks.now_ns).unattached
        )
        assert durable.unattached.give_back(late) == []
        assert durable.release(sandbox(2)) is None
        with pytest.raises(UnknownSandboxError):
            durable.release(sandbox(2))
        late.add_prefix(eni_id, held[0].prefix)
        assert [a.sandbox for a in durable.unattached.give_back(late)] == [sandbox(1)]
        assert [entry.sandbox for entry in checkpoint.entries()] == [sandbox(1)]


def test_sandbox_that_asks_again_gives_up_what_was_kept_aside(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        held = DurableStore(small_store(), checkpoint).assign(sandbox(1), None, clocks.now_ns)
        late = small_store()
        eni_id = without(late, held.prefix)
        durable = DurableStore(
            late, checkpoint, unattached=restore(checkpoint, late, now_ns=clocks.now_ns).unattached
        )
        other = durable.assign(sandbox(1), None, clocks.now_ns)
        assert durable.unattached == {}
        assert [entry.address for entry in checkpoint.entries()] == [other.address]
        late.add_prefix(eni_id, held.prefix)
        assert durable.unattached.give_back(late) == []


def test_sandbox_that_asks_again_gets_back_what_is_attached_by_now(tmp_path, clocks):
    store = DataStore(cooldown_s=30, given_time=True)
    store.add_eni("eni-0", device_number=0)
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        checkpoint.put(Entry(address="10.0.0.1", sandbox=sandbox(1), assigned_ns=7))
        restored = restore(checkpoint, store, now_ns=clocks.now_ns)
        durable = DurableStore(store, checkpoint, unattached=restored.unattached)
        store.add_address("eni-0", "10.0.0.1")
        assert durable.assign(sandbox(1), None, clocks.now_ns).address == "10.0.0.1"
        assert [entry.assigned_ns for entry in checkpoint.entries()] == [7]


def test_vpc_cni_drops_what_is_not_attached_with_a_warning(tmp_path, clocks, caplog):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        held = DurableStore(small_store(), checkpoint).assign(
            sandbox(1), "default/a", clocks.now_ns
        )
        late = small_store()
        without(late, held.prefix)
        with caplog.at_level(logging.WARNING, "ipam_core"):
            restored = restore(checkpoint, late, policy=VPC_CNI, now_ns=clocks.now_ns)
        assert [entry.pod for entry in restored.dropped] == ["default/a"]
        assert restored.unattached == {}
        assert held.address in caplog.text
        assert "default/a" in caplog.text
        assert checkpoint.entries() == []


def test_of_two_addresses_of_a_sandbox_the_later_was_acknowledged(tmp_path, clocks):
    """A commit that failed half-way may be on disk; its sandbox then got another address."""
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        for address, at in (("10.0.0.5", 7), ("10.0.0.4", 8)):
            checkpoint.put(Entry(address=address, sandbox=sandbox(1), assigned_ns=at))
        assert [e.address for e in checkpoint.perform(ReadCheckpoint())] == ["10.0.0.4"]
        restored = restore(checkpoint, small_store(), now_ns=clocks.now_ns)
        assert [a.address for a in restored.adopted] == ["10.0.0.4"]
        assert [entry.address for entry in restored.superseded] == ["10.0.0.5"]
        assert [entry.address for entry in checkpoint.entries()] == ["10.0.0.4"]


def test_restore_refuses_without_layout_or_with_a_store_in_use(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        with pytest.raises(CheckpointError, match="no layout of network card 0"):
            restore(checkpoint)
        store = small_store()
        store.assign(sandbox(1))
        with pytest.raises(ValueError, match="nothing is assigned"):
            restore(checkpoint, store)


def test_failed_write_at_restart_leaves_store_and_file_as_they_were(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        for number in range(3):
            durable.assign(sandbox(number), None, clocks.now_ns)
        entries, store = checkpoint.entries(), small_store()
        write, checkpoint._commits._write = checkpoint._commits._write, fail
        with pytest.raises(CheckpointWriteError):
            restore(checkpoint, store, live={sandbox(1)}, now_ns=clocks.now_ns)
        checkpoint._commits._write = write
        assert state(store, clocks.now_ns) == state(small_store(), clocks.now_ns)
        assert checkpoint.entries() == entries
        assert len(restore(checkpoint, store, now_ns=clocks.now_ns).adopted) == 3


def test_cards_are_kept_apart(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        for card in range(2):
            store = DataStore(cooldown_s=30, given_time=True)
            store.add_eni(f"eni-{card}", device_number=card, network_card=card)
            store.add_address(f"eni-{card}", f"10.0.{card}.1")
            durable = DurableStore(store, checkpoint, network_card=card)
            durable.save_layout(clocks.now_ns)
            durable.assign(sandbox(1), "default/a", clocks.now_ns)  # one address on each
        assert len(checkpoint.perform(ReadCheckpoint())) == 2
        for card in range(2):
            restored = restore(checkpoint, network_card=card, now_ns=clocks.now_ns)
            assert [a.address for a in restored.adopted] == [f"10.0.{card}.1"]


def test_releases_long_cooled_do_not_pile_up(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        for number in range(20):
            durable.assign(sandbox(number), None, clocks.now_ns)
            durable.release(sandbox(number), clocks.now_ns)
        clocks.advance(61)
        durable.assign(sandbox(1), None, clocks.now_ns)
        durable.save_layout(clocks.now_ns)
        assert len(checkpoint.entries()) == 1


def test_a_node_reads_and_strikes_by_effects(tmp_path, clocks):
    with open_checkpoint(tmp_path / "ipam.db", clocks) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        held = [durable.assign(sandbox(n), "default/a", clocks.now_ns) for n in (1, 2)]
        durable.release(sandbox(2), clocks.now_ns)
        clocks.advance(4)
        one, other = sorted(
            checkpoint.perform(ReadCheckpoint()), key=lambda e: e.released_ago_s is not None
        )
        assert (one.container_id, one.ifname, one.network, one.address, one.pod) == (
            sandbox(1).container_id,
            "eth0",
            "aws-cni",
            held[0].address,
            "default/a",
        )
        assert (one.assigned_ago_s, one.released_ago_s) == (4, None)
        assert (other.address, other.container_id, other.released_ago_s) == (
            held[1].address,
            "",
            4,
        )
        checkpoint.perform(ForgetAssignments(((held[0].address, sandbox(1)),)))
        assert [e.address for e in checkpoint.perform(ReadCheckpoint())] == [held[1].address]


def test_11_000_assignments_are_restored(tmp_path):
    """How long it takes is told, not judged: `benchmarks/bench_checkpoint.py` reports it."""
    path = tmp_path / "ipam.db"
    store = big_store()
    with open_checkpoint(path) as checkpoint:
        checkpoint.save_layout(store)
        for number in range(11_000):
            store.assign(sandbox(number), f"default/web-{number}", SECOND)
        checkpoint.put(
            *[
                Entry(
                    address=a.address,
                    sandbox=a.sandbox,
                    pod=a.pod,
                    eni_id=a.eni_id,
                    assigned_ns=SECOND,
                )
                for a in store.assignments()
            ]
        )
    with open_checkpoint(path) as checkpoint:
        restored = restore(checkpoint)
    restored.store._check()
    assert {(a.sandbox, a.address, a.pod) for a in restored.adopted} == {
        (a.sandbox, a.address, a.pod) for a in store.assignments()
    }


@pytest.mark.parametrize("given_time", [True, False])
def test_a_wall_clock_set_back_does_not_keep_a_layout_from_its_store(tmp_path, given_time):
    """ENIs would have come in the future, which a store refuses that goes by the clock."""
    now_ns, wall_ns = time.monotonic_ns(), [EPOCH_NS]
    with open_checkpoint(tmp_path / "ipam.db", wall_clock_ns=lambda: wall_ns[0]) as checkpoint:
        store = DataStore(given_time=given_time)
        store.add_eni("eni-0", device_number=0, created_ns=now_ns)
        checkpoint.save_layout(store, now_ns=now_ns)
        wall_ns[0] -= 86_400 * SECOND
        restored = restore(checkpoint, now_ns=now_ns + 7).store
    assert restored.eni("eni-0").created_ns == now_ns + 7
    assert restored.given_time is given_time
