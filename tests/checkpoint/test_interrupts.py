"""An interrupt at every line of every durable call: all or nothing, and nobody hangs.

After each: other threads go on, the store and the file agree, a crash would lose nothing
that was acknowledged, and the interrupt was raised in the thread that it was meant for.
"""

from __future__ import annotations

import gc
import itertools
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from ipam_core import IPAM_CORE, Node, Settings
from ipam_core.checkpoint import DurableNode, DurableStore, group_commit, restore
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError
from ipam_core.instances import limits
from support.checkpointing import open_checkpoint, sandbox, store_of
from support.interrupting import MOMENTS, Interrupt, at_each_moment, in_thread

OLD, NEW, OTHER = sandbox(1), sandbox(2), sandbox(3)
# What is cut off right after SQLite opened a file is closed by the collector alone, as in a process
# that ends: Python 3.13 and later say so.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left_to_collect():
    yield
    gc.collect()


def held_in_memory(*stores):
    return {(a.sandbox, a.address) for store in stores for a in store.assignments()}


def held_on_disk(checkpoint):
    return {(e.sandbox, e.address) for e in checkpoint.entries() if e.sandbox}


class Life:
    """A checkpoint with a store of which the sandbox OLD holds an address."""

    def __init__(self, path):
        self.checkpoint = open_checkpoint(path)
        self.store = store_of(16)
        self.stores = [self.store]
        self.pods = DurableStore(self.store, self.checkpoint)
        self.pods.assign(OLD, "default/old")

    def assign(self, who):
        return [self.pods.assign(who, "default/web")]

    def release(self, who):
        self.pods.release(who)


class NodeLife:
    """The same with a node of four network cards, which have 16 addresses each."""

    def __init__(self, path):
        self.checkpoint = open_checkpoint(path)
        settings = Settings(enable_multi_nic=True, cooldown_s=0)
        node = Node(limits("p4d.24xlarge"), settings, policy=IPAM_CORE)
        for card, store in enumerate(node.stores):
            store.add_eni(f"eni-{card}", device_number=0, network_card=card)
            for number in range(16):
                store.add_address(f"eni-{card}", f"10.0.{card}.{number}")
        node.ready = True
        self.stores = node.stores
        self.pods = DurableNode(node, self.checkpoint)
        self.pods.add_pod_to_all_cards(OLD, "default/old")

    def assign(self, who):
        return self.pods.add_pod_to_all_cards(who, "default/web")

    def release(self, who):
        self.pods.remove_pod(who)


CALLS = {
    "assign": lambda life: life.assign(NEW),
    "assign again": lambda life: life.assign(OLD),
    "release": lambda life: life.release(OLD),
    "release of nothing": lambda life: life.release(NEW),
    "save_layout": lambda life: life.pods.save_layout(),
    "entries": lambda life: life.checkpoint.entries(),
}
CASES = [(kind, name) for kind in (Life, NodeLife) for name in CALLS]
CASES.remove((NodeLife, "save_layout"))  # four times the same, and long


def look_at(life, path):
    """Look at what an interrupt left: of this process, and of what a kill would leave."""
    memory = held_in_memory(*life.stores)
    assert memory == held_on_disk(life.checkpoint)
    for store in life.stores:
        store._check()
    for file in ("ipam.db", "ipam.db-wal"):
        shutil.copy(path / file, path / f"left-{file}")
    with open_checkpoint(path / "left-ipam.db") as crashed:
        assert held_on_disk(crashed) == memory
    return memory


def attempt_on(path, kind, call):
    """Return what interrupts a call, looks at what is left, and makes all as it was."""
    life = kind(path / "ipam.db")

    def attempt(interrupter):
        if interrupter.in_writer:
            life.checkpoint._commits.exclusively(interrupter.watch)
        raised = []
        try:
            with interrupter.arm():
                call(life)
        except (Interrupt, UnknownSandboxError) as error:
            raised.append(type(error))
        if interrupter.fired and not interrupter.in_writer:
            assert raised == [Interrupt]  # raised here
        else:
            assert Interrupt not in raised
        memory = look_at(life, path)
        given = {a.address for a in in_thread(lambda: life.assign(OTHER))}
        assert not given & {address for _, address in memory}
        in_thread(lambda: life.assign(OLD))
        for who in (NEW, OTHER):
            with suppress(UnknownSandboxError):
                life.release(who)
        assert {who for who, _ in held_in_memory(*life.stores)} == {OLD}

    return attempt


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_interrupted_caller(tmp_path, kind, name, moment):
    attempt = attempt_on(tmp_path, kind, CALLS[name])
    stride = 1 if name in ("assign", "release") else 2  # the others have most lines in common
    assert at_each_moment(attempt, moment, stride=stride) > 10


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_interrupted_caller_that_writes_itself(tmp_path, kind, name, moment, monkeypatch):
    """A thread other than the main one writes for itself. A debugger may interrupt it."""
    monkeypatch.setattr(group_commit, "PATIENCE_S", 0.02)
    attempt = attempt_on(tmp_path, kind, CALLS[name])
    stride = 5 if kind is Life else 11
    assert in_thread(lambda: at_each_moment(attempt, moment, stride=stride), hangs_s=600) > 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_whatever_cuts_off_the_writer_nobody_notices(tmp_path, kind, name, moment, monkeypatch):
    """No signal handler runs there; a debugger or the lack of memory may all the same."""
    monkeypatch.setattr(group_commit, "PATIENCE_S", 0.02)
    attempt = attempt_on(tmp_path, kind, CALLS[name])
    # The writer's lines are the same for all calls, which share the moments.
    stride = 4 if kind is Life else 9
    first = 1 + CASES.index((kind, name)) % stride
    moments = at_each_moment(attempt, moment, in_writer=True, stride=stride, first=first)
    assert moments > 10


@pytest.fixture
def place(tmp_path):
    """A directory in memory, where there is one: these tests make a file at each moment."""
    shm = Path("/dev/shm")
    if not shm.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shm) as directory:
        yield Path(directory)


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_restore_is_all_or_nothing(place, moment):
    numbers = itertools.count()

    def attempt(interrupter):
        with open_checkpoint(place / f"{next(numbers)}.db") as checkpoint:
            first = DurableStore(store_of(16), checkpoint)
            for who in (OLD, NEW):
                first.assign(who)
            before, store = held_on_disk(checkpoint), store_of(16)
            with suppress(Interrupt), interrupter.arm():
                restore(checkpoint, store, live=[OLD])
            memory, disk = held_in_memory(store), held_on_disk(checkpoint)
            assert memory == disk or (memory, disk) == (set(), before)
            store._check()
            in_thread(lambda: restore(checkpoint, store_of(16), live=[OLD]))

    assert at_each_moment(attempt, moment) > 10


@pytest.mark.parametrize("exists", [False, True])
def test_interrupted_open_leaves_no_lock(place, exists, quick_collections):
    numbers = itertools.count()

    def attempt(interrupter):
        path = place / f"{next(numbers)}.db"
        if exists:
            open_checkpoint(path).close()
        opened = []
        with suppress(Interrupt), interrupter.arm():
            opened.append(open_checkpoint(path))
        opened.clear()
        gc.collect()
        open_checkpoint(path).close()

    assert at_each_moment(attempt, "line", stride=61) > 10


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_close_closes(place, moment):
    def attempt(interrupter):
        checkpoint = open_checkpoint(place / "ipam.db")
        try:
            with interrupter.arm():
                checkpoint.close()
        except Interrupt:
            checkpoint.close()

    assert at_each_moment(attempt, moment) > 10


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_call_that_is_refused(tmp_path, moment):
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(store_of(1), checkpoint)
        durable.assign(OLD)

        def attempt(interrupter):
            with pytest.raises((Interrupt, PoolExhaustedError)) as raised, interrupter.arm():
                durable.assign(NEW, "default/web")
            assert interrupter.fired == (raised.type is Interrupt)
            assert held_in_memory(durable.store) == held_on_disk(checkpoint)
            assert in_thread(lambda: durable.assign(OLD)).address == "10.0.0.1"

        assert at_each_moment(attempt, moment) > 10
