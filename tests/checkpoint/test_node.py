"""A node whose pods' addresses are durable: node, checkpoint and DurableStore together."""

from __future__ import annotations

import threading

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, DurableStore
from ipam_core.checkpoint import Entry
from ipam_core.cloud import drive
from ipam_core.effects import ForgetAssignments, ReadCheckpoint
from ipam_core.errors import CheckpointWriteError, PoolExhaustedError, UnknownSandboxError
from ipam_core.node.unattached import Holder, UnattachedAssignments
from support.checkpointing import open_checkpoint, sandbox
from support.node_world import World

STARTED = []


class Driver:
    """A node in a simulated region, its checkpoint a real one."""

    def __init__(self, path, policy=IPAM_CORE, **env):
        STARTED.append(self)
        self.world = World(policy=policy, **env)
        self.path = path
        self.checkpoint = None
        self.start()

    def start(self):
        """Start the node, again after a restart."""
        if self.checkpoint is not None:
            self.checkpoint.close()
        self.checkpoint = open_checkpoint(self.path, wall_clock_ns=lambda: self.world.now_ns)
        self.node = self.world.node = self.world.new_node()
        self.drive(self.node.start())
        self.pods = DurableStore(
            self.node.store,
            self.checkpoint,
            unattached=self.node.unattached,
            waiting=self.node.waiting,
        )

    def perform(self, effect):
        if isinstance(effect, ReadCheckpoint | ForgetAssignments):
            return self.checkpoint.perform(effect)
        return self.world.instance.perform(effect)

    def drive(self, step):
        return drive(step, self, sleep=self.world.sleep)

    def run(self, seconds):
        for _ in range(0, seconds, 5):
            self.world.sleep(5)
            self.drive(self.node.adjust())
            self.drive(self.node.reconcile())

    def assign(self, number):
        return self.pods.assign(sandbox(number), f"default/web-{number}", self.world.now_ns)

    def primary(self):
        return next(e for e in self.world.instance.attached() if e.device_number == 0)

    def on_disk(self):
        return {e.address: e.sandbox for e in self.checkpoint.entries() if e.sandbox}


@pytest.fixture
def path(tmp_path):
    yield tmp_path / "ipam.db"
    while STARTED:
        STARTED.pop().checkpoint.close()


def test_an_address_that_is_shown_late_outlives_two_restarts(path):
    driver = Driver(path, WARM_IP_TARGET="4")
    late = driver.assign(1).address
    other = driver.assign(2).address
    driver.primary().addresses.remove(late)
    for _ in range(2):
        driver.start()
        assert list(driver.node.unattached) == [late]
        assert driver.on_disk() == {late: sandbox(1), other: sandbox(2)}
    for number in range(10, 15):
        driver.run(5)
        assert driver.assign(number).address != late
    driver.primary().addresses.append(late)
    driver.run(130)
    assert driver.pods.unattached == {}
    assert driver.node.store.find(sandbox(1)).address == late
    assert driver.pods.release(sandbox(1), driver.world.now_ns).address == late


def test_vpc_cni_strikes_it_from_the_file(path):
    driver = Driver(path, VPC_CNI, WARM_IP_TARGET="4")
    late = driver.assign(1).address
    driver.primary().addresses.remove(late)
    driver.start()
    assert driver.on_disk() == {}
    driver.primary().addresses.append(late)
    driver.start()
    assert driver.node.store.find(sandbox(1)) is None


def test_a_lost_address_is_struck_and_a_full_disk_does_not_end_the_loop(path):
    driver = Driver(path, WARM_IP_TARGET="4")
    lost = driver.assign(1).address
    driver.primary().addresses.remove(lost)
    write = driver.checkpoint._commits._write

    def full(changes):
        raise CheckpointWriteError("ipam.db", "not written: no space")

    driver.checkpoint._commits._write = full
    driver.run(130)
    assert driver.node.store.find(sandbox(1)) is None
    assert driver.on_disk() == {lost: sandbox(1)}
    driver.checkpoint._commits._write = write
    driver.run(5)
    assert driver.on_disk() == {}


def test_a_pod_on_two_cards_goes_with_what_is_kept_aside_on_one(path):
    driver = Driver(path, WARM_IP_TARGET="4")
    held = driver.assign(1)
    driver.checkpoint.put(
        Entry(address="10.15.0.9", sandbox=sandbox(1), network_card=1, assigned_ns=1)
    )
    driver.node.unattached.keep("10.15.0.9", Holder(sandbox(1), None, 1))
    assert driver.pods.release(sandbox(1), driver.world.now_ns).address == held.address
    assert driver.on_disk() == driver.node.unattached == {}
    with pytest.raises(UnknownSandboxError):
        driver.pods.release(sandbox(1), driver.world.now_ns)


def test_striking_leaves_the_next_holder_alone(path):
    driver = Driver(path, WARM_IP_TARGET="4")
    held = driver.assign(1).address
    driver.perform(ForgetAssignments(((held, sandbox(2)),)))
    assert driver.on_disk() == {held: sandbox(1)}
    driver.perform(ForgetAssignments(((held, sandbox(1)),)))
    assert driver.on_disk() == {}


def test_a_node_grows_for_pods_that_the_durable_store_refused(path):
    """MINIMUM_IP_TARGET alone: without hearing of those that wait, it stops at the 5th pod."""
    driver = Driver(path, MINIMUM_IP_TARGET="5")
    driver.run(10)
    for number in range(5):
        driver.assign(number)
    with pytest.raises(PoolExhaustedError):
        driver.assign(5)
    driver.run(5)
    assert driver.assign(5).pod == "default/web-5"
    assert len(driver.node.waiting) == 0


def test_a_pod_whose_refused_sandbox_is_deleted_goes_on_waiting(path):
    """Runtimes delete what was refused at once: the node grew for nobody."""
    driver = Driver(path, MINIMUM_IP_TARGET="5", DISABLE_NETWORK_RESOURCE_PROVISIONING="true")
    with pytest.raises(PoolExhaustedError):
        driver.assign(5)
    assert "default/web-5" in driver.node.waiting
    with pytest.raises(UnknownSandboxError):
        driver.pods.release(sandbox(5))
    assert len(driver.node.waiting) == 1


def test_while_a_prefix_comes_nobody_else_gets_what_is_kept_aside(path, monkeypatch):
    """A pod asks after the prefix is in the store and before its pods have it again."""
    driver = Driver(path, ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
    driver.run(10)
    held = []
    for number in range(20):
        held.append(driver.assign(number))
        driver.run(5)
    late = held[0].prefix
    mine = {a.address: a.sandbox for a in held if a.prefix == late}
    driver.primary().prefixes.remove(late)
    driver.start()
    assert set(driver.node.unattached) == set(mine)
    with pytest.raises(PoolExhaustedError):  # what is free then is of the late prefix alone
        [driver.assign(number) for number in range(50, 99)]
    asked, give_back = [], UnattachedAssignments.give_back

    def ask():
        with pytest.raises(PoolExhaustedError):
            driver.assign(99)
        asked.append(99)

    def others_first(aside, store):
        """Another thread is quicker than the node."""
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join(30)
        return give_back(aside, store)

    driver.primary().prefixes.append(late)
    driver.world.sleep(61)
    with monkeypatch.context() as patch:
        patch.setattr(UnattachedAssignments, "give_back", others_first)
        driver.drive(driver.node.reconcile())
    assert asked == [99]
    on_disk = driver.on_disk()
    assert {address: on_disk[address] for address in mine} == mine
    assert {a.address: a.sandbox for a in driver.node.store.assignments()} == on_disk
