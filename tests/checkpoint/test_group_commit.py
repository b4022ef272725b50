"""Group commit: one write at a time, those who come meanwhile share the next."""

from __future__ import annotations

import threading
import time

from ipam_core import DataStore
from ipam_core.checkpoint import DurableStore
from ipam_core.checkpoint.group_commit import GroupCommit
from ipam_core.errors import CheckpointWriteError, IpamError, PoolExhaustedError
from support.checkpointing import open_checkpoint, sandbox, small_store


def in_threads(*actions):
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    return threads


def wait_until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "waited for 30 s"
        time.sleep(0.001)


class Gate:
    """A write that waits for the test."""

    def __init__(self):
        self.groups, self.errors = [], []
        self.open = threading.Event()
        self.n_inside = 0

    def write(self, changes):
        self.n_inside += 1
        assert self.n_inside == 1, "two writes at a time"
        self.groups.append(list(changes))
        self.open.wait(30)
        self.n_inside -= 1
        if self.errors:
            raise self.errors.pop()


def test_those_who_come_during_a_write_share_the_next():
    gate = Gate()
    commits = GroupCommit(gate.write)
    done = []

    def submit(change):
        commits.submit(change)
        done.append(change)

    threads = in_threads(lambda: submit("first"))
    wait_until(lambda: gate.groups)
    threads += in_threads(*[lambda n=n: submit(n) for n in range(7)])
    wait_until(lambda: len(commits._waiting) == 7)
    assert done == []
    gate.open.set()
    for thread in threads:
        thread.join(30)
    assert gate.groups[0] == ["first"]
    assert sorted(gate.groups[1]) == list(range(7))
    assert len(gate.groups) == 2
    assert len(done) == 8


def test_all_of_a_group_hear_of_its_failure_and_the_next_goes_on():
    gate = Gate()
    commits = GroupCommit(gate.write)
    heard = {}

    def submit(change):
        try:
            commits.submit(change)
        except OSError as error:
            heard[change] = error

    threads = in_threads(lambda: submit("first"))
    wait_until(lambda: gate.groups)
    threads += in_threads(*[lambda n=n: submit(n) for n in range(3)])
    wait_until(lambda: len(commits._waiting) == 3)
    gate.errors = [OSError("second write"), OSError("first write")]
    gate.open.set()
    for thread in threads:
        thread.join(30)
    assert str(heard.pop("first")) == "first write"
    assert {change: str(error) for change, error in heard.items()} == dict.fromkeys(
        range(3), "second write"
    )
    assert len(set(map(id, heard.values()))) == 3  # each its own: a traceback is of one thread
    commits.submit("later")
    assert gate.groups[-1] == ["later"]


def test_nothing_to_write_writes_nothing():
    gate = Gate()
    GroupCommit(gate.write).submit()
    assert gate.groups == []


def test_threads_keep_every_change(tmp_path):
    """8 threads, each with its own pods, a shared pool; the file agrees with the store."""
    path, n_threads = tmp_path / "ipam.db", 8
    with open_checkpoint(path) as checkpoint:
        store = small_store(n_prefixes=16)
        durable = DurableStore(store, checkpoint)
        failures = []

        def run(thread):
            try:
                for step in range(60):
                    who = sandbox(thread * 1000 + step)
                    durable.assign(who, f"default/{thread}-{step}")
                    if step % 3:
                        durable.release(who)
            except BaseException as error:
                failures.append(error)
                raise

        for thread in in_threads(*[lambda n=n: run(n) for n in range(n_threads)]):
            thread.join(120)
        assert failures == []
        store._check()
        held = {(a.sandbox, a.address, a.pod) for a in store.assignments()}
        assert len(held) == n_threads * 20
    with open_checkpoint(path) as checkpoint:
        assert {(e.sandbox, e.address, e.pod) for e in checkpoint.entries() if e.sandbox} == held


def test_no_second_call_for_a_sandbox_hears_of_what_is_not_durable(tmp_path):
    """A caller who asks again while the first call is being written must wait for it."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        gate = Gate()
        gate.errors = [CheckpointWriteError("ipam.db", "no space")]
        write = checkpoint._commits._write
        checkpoint._commits._write = gate.write
        heard = {}

        def assign(name):
            try:
                heard[name] = durable.assign(sandbox(1)).address
            except CheckpointWriteError:
                heard[name] = None

        threads = in_threads(lambda: assign("first"))
        wait_until(lambda: gate.groups)
        threads += in_threads(lambda: assign("again"))
        time.sleep(0.05)
        assert heard == {}  # the address is in the store, but not in the file
        checkpoint._commits._write = write
        gate.open.set()
        for thread in threads:
            thread.join(30)
        assert heard["first"] is None
        assert heard["again"] is not None
        assert [e.address for e in checkpoint.entries()] == [heard["again"]]


def test_release_gives_the_address_to_nobody_before_it_is_durable(tmp_path):
    """Even without a cooldown: the release may fail yet, and then its pod has it still."""
    store = DataStore(cooldown_s=0)
    store.add_eni("eni-0", device_number=0)
    store.add_address("eni-0", "10.0.0.1")
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(store, checkpoint)
        durable.assign(sandbox(1), now_ns=1)
        gate = Gate()
        checkpoint._commits._write = gate.write
        gate.errors = [CheckpointWriteError("ipam.db", "no space")]
        heard = {}

        def run(action, *arguments):
            try:
                heard[action.__name__] = action(*arguments).address
            except IpamError as error:
                heard[action.__name__] = type(error)

        threads = in_threads(lambda: run(durable.release, sandbox(1), 2))
        wait_until(lambda: gate.groups)
        assert store.find(sandbox(1)) is not None
        threads += in_threads(lambda: run(durable.assign, sandbox(2), None, 3))
        gate.open.set()
        for thread in threads:
            thread.join(30)
        assert heard == {"release": CheckpointWriteError, "assign": PoolExhaustedError}
        assert durable.release(sandbox(1), 4).address == "10.0.0.1"
        assert durable.assign(sandbox(2), now_ns=5).address == "10.0.0.1"


def test_changes_of_one_sandbox_follow_each_other_though_they_come_together(tmp_path):
    """In one commit the second would answer out of what the first is about to change."""
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        durable = DurableStore(small_store(), checkpoint)
        durable.assign(sandbox(1))
        written, write = [], checkpoint._commits._write

        def note(changes):
            written.append(len(changes))
            write(changes)

        checkpoint._commits._write = note
        threads = []

        def come_together():
            actions = (durable.release, durable.assign, durable.release, durable.assign)
            for place, action in enumerate(actions):
                threads.extend(in_threads(lambda action=action: action(sandbox(1))))
                wait_until(lambda place=place: len(checkpoint._commits._waiting) > place)

        checkpoint._commits.exclusively(come_together)
        for thread in threads:
            thread.join(30)
        assert written == [1, 1, 1, 1]
        held = durable.store.find(sandbox(1))
        assert held is not None
        assert {e.address for e in checkpoint.entries() if e.sandbox} == {held.address}
