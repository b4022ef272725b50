"""One constructor wires a node, its checkpoint and its network cards; it refuses until ready."""

from __future__ import annotations

import pytest

from ipam_core import IPAM_CORE, DataStore, Node, Settings, drive
from ipam_core.checkpoint import DurableNode, DurableStore, Entry, restore
from ipam_core.effects import ReadCheckpoint
from ipam_core.errors import (
    CheckpointError,
    CheckpointWriteError,
    NotReadyError,
    NotRestoredError,
    PoolExhaustedError,
    UnknownSandboxError,
)
from ipam_core.instances import limits
from ipam_core.node.unattached import Holder
from support.checkpointing import SECOND, open_checkpoint, sandbox, small_store, state
from support.node_world import World

OLD, NEW = sandbox(1), sandbox(2)


def fail(changes):
    raise CheckpointWriteError("ipam.db", "not written: no space")


def four_cards(n_addresses=(1, 1, 1, 1)):
    """A node that is ready, with so many addresses on each of its network cards."""
    settings = Settings(enable_multi_nic=True, cooldown_s=30)
    node = Node(limits("p4d.24xlarge"), settings, policy=IPAM_CORE, clock_ns=lambda: 9 * SECOND)
    for card, store in enumerate(node.stores):
        store.add_eni(f"eni-{card}", device_number=0, network_card=card)
        for number in range(n_addresses[card]):
            store.add_address(f"eni-{card}", f"10.0.{card}.{number + 1}")
    node.ready = True
    return node


def rows(checkpoint):
    return sorted(
        (e.network_card, e.address, e.sandbox, e.interfaces_count)
        for e in checkpoint.entries()
        if e.sandbox
    )


# --- not before the start is done -------------------------------------------------


def test_nothing_is_given_out_before_the_node_has_started(tmp_path):
    """A pod that asked during the start got the address of one that runs."""
    world = World("m5.large", policy=IPAM_CORE, WARM_IP_TARGET="3")
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        drive(world.node.start(), world.instance, checkpoint, sleep=world.sleep)
        held = DurableNode(world.node, checkpoint).add_pod(OLD, "default/old").address
    refused = []
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        world.node = world.new_node()
        pods = DurableNode(world.node, checkpoint)
        by_hand = DurableStore(world.node.store, checkpoint)

        class Busy:
            """A checkpoint; while it is read a pod asks."""

            def perform(self, effect):
                for add in (pods.add_pod, pods.add_pod_to_all_cards, by_hand.assign):
                    with pytest.raises((NotReadyError, NotRestoredError)) as raised:
                        add(NEW, "default/new")
                    refused.append(raised.type)
                with pytest.raises(NotReadyError):
                    pods.remove_pod(OLD)
                return checkpoint.perform(effect)

        drive(world.node.start(), world.instance, Busy(), sleep=world.sleep)
        assert refused == [NotReadyError, NotReadyError, NotRestoredError]
        assert world.node.store.find(OLD).address == held
        assert pods.add_pod(NEW, "default/new").address != held
        assert by_hand.assign(NEW).address == pods.add_pod(NEW).address
        assert pods.remove_pod(OLD)[0].address == held


def test_a_node_that_started_without_its_checkpoint_is_refused(tmp_path):
    world = World("m5.large", policy=IPAM_CORE, WARM_IP_TARGET="3")
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        checkpoint.put(Entry(address="10.0.0.1", sandbox=OLD, assigned_ns=1))
        world.drive(world.node.start())
        with pytest.raises(NotRestoredError, match=r"holds 10\.0\.0\.1 for") as raised:
            DurableNode(world.node, checkpoint).add_pod(NEW)
        assert (raised.value.address, raised.value.sandbox) == ("10.0.0.1", OLD)
        assert world.node.store.find(NEW) is None


def test_a_store_that_was_not_restored_is_refused_for_what_is_held_and_what_cools(tmp_path):
    """After a restart without `restore` the next pod got a running pod's address."""
    path = tmp_path / "ipam.db"
    with open_checkpoint(path) as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        first = durable.assign(OLD).address
        durable.assign(NEW)
    for change in (DurableStore.assign, DurableStore.release):
        with open_checkpoint(path) as checkpoint:
            durable = DurableStore(small_store(), checkpoint)
            with pytest.raises(NotRestoredError):
                change(durable, sandbox(3))
            assert {e.sandbox for e in checkpoint.entries()} == {OLD, NEW}
    with open_checkpoint(path) as checkpoint:
        store = restore(checkpoint, small_store()).store
        durable = DurableStore(store, checkpoint)
        assert durable.assign(OLD).address == first
        for who in (OLD, NEW):
            durable.release(who)
    with open_checkpoint(path) as checkpoint:  # both cool
        with pytest.raises(NotRestoredError):
            DurableStore(small_store(), checkpoint).assign(sandbox(3))
        checkpoint.perform(ReadCheckpoint())  # a node has read it, and may not keep cooldowns
        assert DurableStore(small_store(), checkpoint).assign(sandbox(3))


def test_no_row_of_another_sandbox_is_written_over(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        mine = durable.assign(OLD)
        other = small_store().assign(NEW)
        assert other.address == mine.address
        for record in (checkpoint.record_assigned, checkpoint.record_released):
            with pytest.raises(NotRestoredError):
                record(other)
        assert [e.sandbox for e in checkpoint.entries()] == [OLD]
        checkpoint.record_released(mine)
        checkpoint.record_assigned(other)
        assert [e.sandbox for e in checkpoint.entries()] == [NEW]


# --- several network cards -----------------------------------------------------------


def test_all_cards_in_one_commit_with_the_number_of_interfaces(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        written, write = [], checkpoint._commits._write

        def note(changes):
            written.append(len(changes))
            write(changes)

        checkpoint._commits._write = note
        pods = DurableNode(four_cards(), checkpoint)
        taken = pods.add_pod_to_all_cards(NEW, "default/new")
        assert [a.address for a in taken] == [f"10.0.{card}.1" for card in range(4)]
        assert written == [4]
        assert rows(checkpoint) == [(card, f"10.0.{card}.1", NEW, 4) for card in range(4)]
        assert pods.add_pod_to_all_cards(NEW) == taken
        assert written == [4, 0]
        assert pods.remove_pod(NEW) == taken
        assert written == [4, 0, 4]
        assert rows(checkpoint) == []
        with pytest.raises(UnknownSandboxError):
            pods.remove_pod(NEW)


def test_all_cards_or_none(tmp_path):
    """By hand, card by card, the first card's address stayed assigned when a card was full."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        node = four_cards((2, 2, 2, 0))
        pods = DurableNode(node, checkpoint)
        with pytest.raises(PoolExhaustedError):
            pods.add_pod_to_all_cards(NEW, "default/new")
        assert [store.find(NEW) for store in node.stores] == [None] * 4
        assert checkpoint.entries() == []
        assert "default/new" in node.waiting

        node.stores[3].add_address("eni-3", "10.0.3.1")
        before = [state(store, 9 * SECOND) for store in node.stores]
        write, checkpoint._commits._write = checkpoint._commits._write, fail
        with pytest.raises(CheckpointWriteError):
            pods.add_pod_to_all_cards(NEW, "default/new")
        assert [state(store, 9 * SECOND) for store in node.stores] == before
        checkpoint._commits._write = write
        assert len(pods.add_pod_to_all_cards(NEW, "default/new")) == 4
        assert len(node.waiting) == 0


def test_what_a_refusal_takes_from_a_running_pod_is_released_on_disk_too(tmp_path):
    """The agent takes the other cards' addresses when a repeat is refused (pool-rules 1)."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        node = four_cards()
        pods = DurableNode(node, checkpoint)
        pods.add_pod_to_all_cards(OLD, "default/old")
        node.stores[1].remove_eni("eni-1", force=True)
        with pytest.raises(PoolExhaustedError):
            pods.add_pod_to_all_cards(OLD, "default/old")
        held = {(card, s.find(OLD).address) for card, s in enumerate(node.stores) if s.find(OLD)}
        on_disk = {(card, address) for card, address, *_ in rows(checkpoint) if card != 1}
        assert held == on_disk


def test_one_card_is_as_the_node_gives_it_and_restores(tmp_path):
    path = tmp_path / "ipam.db"
    with open_checkpoint(path) as checkpoint:
        pods = DurableNode(four_cards((1, 2, 0, 0)), checkpoint)
        assert [pods.add_pod(sandbox(n)).address for n in (1, 2)] == ["10.0.0.1", "10.0.1.1"]
        pods.save_layout()
    with open_checkpoint(path) as checkpoint:
        for card, holder in ((0, OLD), (1, NEW)):
            assert [a.sandbox for a in restore(checkpoint, network_card=card).adopted] == [holder]


# --- kept aside -----------------------------------------------------------------------


def test_what_is_kept_aside_comes_back_to_its_own_pod_and_goes_with_it(tmp_path):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        node = four_cards()
        for card, who in ((0, OLD), (1, NEW)):
            address = f"10.0.{card}.9"
            checkpoint.put(Entry(address=address, sandbox=who, assigned_ns=1, network_card=card))
            node.unattached.keep(address, Holder(who, None, 1))
        pods = DurableNode(node, checkpoint)
        node.stores[0].add_address("eni-0", "10.0.0.9")  # shown at last; the node has not looked
        others = [pods.add_pod(sandbox(n)).address for n in range(10, 13)]
        assert "10.0.0.9" not in others
        assert pods.add_pod(OLD).address == "10.0.0.9"
        assert list(node.unattached) == ["10.0.1.9"]

        write, checkpoint._commits._write = checkpoint._commits._write, fail
        with pytest.raises(CheckpointWriteError):
            pods.remove_pod(NEW)
        assert list(node.unattached) == ["10.0.1.9"]
        checkpoint._commits._write = write
        assert pods.remove_pod(NEW) == []
        assert node.unattached == {}
        assert NEW not in {e.sandbox for e in checkpoint.entries()}


# --- restore: all or nothing --------------------------------------------------------------


def test_restore_meets_a_cooldown_that_it_cannot_begin_before_it_changes_anything(tmp_path):
    now_ns = 1000 * SECOND
    store = small_store()
    store.assign(sandbox(7), None, now_ns)
    address = store.release(sandbox(7), now_ns).address  # it cools already
    with open_checkpoint(tmp_path / "ipam.db", wall_clock_ns=lambda: 10**18) as checkpoint:
        checkpoint.put(
            Entry(address=address, sandbox=None, assigned_ns=1, released_ns=10**18 - SECOND),
            Entry(address="10.0.0.2", sandbox=OLD, assigned_ns=1),
            Entry(address="10.0.0.3", sandbox=NEW, assigned_ns=1),
        )
        before = checkpoint.entries(), state(store, now_ns)
        with pytest.raises(CheckpointError, match="is cooling"):
            restore(checkpoint, store, live=[OLD], now_ns=now_ns)
        assert (checkpoint.entries(), state(store, now_ns)) == before


def test_restore_meets_an_ipv6_address_beyond_the_window_before_it_changes_anything(tmp_path):
    store = DataStore("ipv6")
    store.add_eni("eni-0", device_number=0)
    store.add_prefix("eni-0", "2001:db8::/80")
    with open_checkpoint(tmp_path / "ipam.db", wall_clock_ns=lambda: 10**18) as checkpoint:
        checkpoint.put(
            Entry(address="2001:db8::5:0", sandbox=None, assigned_ns=1, released_ns=10**18),
            Entry(address="2001:db8::2", sandbox=OLD, assigned_ns=1),
            Entry(address="2001:db8::3", sandbox=NEW, assigned_ns=1),
        )
        before = checkpoint.entries()
        with pytest.raises(CheckpointError, match="65536"):
            restore(checkpoint, store, live=[OLD])
        assert checkpoint.entries() == before
        assert list(store.assignments()) == []


@pytest.mark.parametrize(
    "bad",
    [
        Entry(address="10.0.0.2", sandbox=OLD, assigned_ns=-(1 << 63)),
        Entry(address="no address", sandbox=OLD, assigned_ns=1),
    ],
)
def test_restore_meets_any_value_that_a_store_refuses(tmp_path, bad):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        checkpoint.put(Entry(address="10.0.0.1", sandbox=NEW, assigned_ns=1), bad)
        before, store = checkpoint.entries(), small_store()
        with pytest.raises(CheckpointError):
            restore(checkpoint, store, live=[OLD])
        assert checkpoint.entries() == before
        assert list(store.assignments()) == []
