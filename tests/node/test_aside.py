"""What a checkpoint says is held, and is not attached: kept aside, or dropped, and said so."""

from __future__ import annotations

import logging

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Sandbox
from ipam_core.cloud import drive
from ipam_core.effects import AssignPrivateIps, CheckpointEntry, ForgetAssignments
from ipam_core.errors import CheckpointWriteError, PoolExhaustedError, UnknownSandboxError
from ipam_core.node import StartError
from support.node_world import SECOND, World

KEPT = Sandbox("kept")
LATE = "10.15.0.7"  # in the subnet, and given to nobody by it


def entry(address=LATE, container_id="kept"):
    return CheckpointEntry(
        container_id=container_id,
        ifname="eth0",
        network="aws-cni",
        address=address,
        pod="default/kept",
        assigned_ago_s=7.0,
    )


def restarted(*entries, policy=IPAM_CORE, **env):
    """Return a world whose node starts from a checkpoint."""
    world = World(policy=policy, **(env or {"WARM_IP_TARGET": "3"}))
    world.instance.checkpoint = list(entries)
    world.cloud = Noting(world)
    drive(world.node.start(), world.cloud, sleep=world.sleep)
    return world


class Noting:
    """The world's instance; notes what is to be forgotten, and fails that when told to."""

    def __init__(self, world):
        self.instance = world.instance
        self.forgotten = []
        self.full = False

    def perform(self, effect):
        if isinstance(effect, ForgetAssignments):
            if self.full:
                raise CheckpointWriteError("ipam.db", "not written: no space")
            self.forgotten += effect.held
        return self.instance.perform(effect)


def reconcile(world, after_s=61):
    world.sleep(after_s)
    drive(world.node.reconcile(), world.cloud, sleep=world.sleep)


def primary(world):
    return next(eni for eni in world.instance.attached() if eni.device_number == 0)


def fill(world):
    """Let pods come until there is nothing left; return their addresses."""
    given = []
    while True:
        sandbox = Sandbox(f"other-{len(given)}")
        try:
            given.append(world.node.add_pod(sandbox).address)
        except PoolExhaustedError:
            world.node.waiting.note_served(sandbox)  # it does not come again
            return given


def test_it_is_kept_reported_and_given_back_to_its_sandbox_alone(caplog):
    with caplog.at_level(logging.WARNING, "ipam_core"):
        world = restarted(entry())
    assert list(world.node.unattached) == [LATE]
    assert world.node.unattached[LATE].pod == "default/kept"
    assert [r.getMessage() for r in caplog.records] == [
        f"kept {LATE} of {KEPT!r}, pod default/kept: not attached"
    ]
    assert LATE not in fill(world)
    primary(world).addresses.append(LATE)
    started_ns = world.now_ns
    reconcile(world)
    found = world.node.store.find(KEPT)
    assert (found.address, found.pod) == (LATE, "default/kept")
    assert found.assigned_ns == started_ns - 7 * SECOND
    assert world.node.unattached == {}
    assert world.cloud.forgotten == []
    assert LATE not in fill(world)
    assert world.node.remove_pod(KEPT)[0].address == LATE
    world.node.store._check()


def test_a_prefix_that_comes_late_brings_all_its_pods():
    addresses = [f"10.15.1.{last}" for last in (16, 20, 31)]
    entries = [entry(address, f"kept-{address}") for address in addresses]
    world = restarted(*entries, ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
    assert len(world.node.unattached) == 3
    primary(world).prefixes.append("10.15.1.16/28")
    reconcile(world)
    assert {a.address: str(a.sandbox.container_id) for a in world.node.store.assignments()} == {
        address: f"kept-{address}" for address in addresses
    }
    assert not set(addresses) & set(fill(world))


def test_an_eni_that_comes_late_brings_its_pods():
    world = restarted(entry())
    eni = world.region.create_eni("primary", n_addresses=0)
    eni.addresses.append(LATE)
    world.instance.attach(eni, 1)
    reconcile(world)
    assert world.node.store.find(KEPT).address == LATE


def test_an_address_that_ec2_happens_to_assign_goes_to_its_sandbox():
    """The pod on it runs: whoever else got the address would share it."""
    world = restarted(entry())
    fill(world)
    perform = world.instance.perform

    def assigning(effect):
        reply = perform(effect)
        if not isinstance(effect, AssignPrivateIps):
            return reply
        primary(world).addresses[-1] = LATE
        return (*reply[:-1], LATE)

    world.instance.perform = assigning
    world.drive(world.node.adjust())
    assert world.node.store.find(KEPT).address == LATE
    assert LATE not in fill(world)


def test_a_sandbox_that_asks_again_gives_up_what_was_kept():
    world = restarted(entry())
    other = world.node.add_pod(KEPT)
    assert world.node.unattached == {}
    reconcile(world, after_s=0)  # not due, and the checkpoint is told all the same
    assert world.cloud.forgotten == [(LATE, KEPT)]
    primary(world).addresses.append(LATE)
    reconcile(world)
    assert world.node.store.find(KEPT).address == other.address
    assert world.node.store.find_address(LATE) is None
    assert LATE in fill(world)


def test_on_all_cards_it_gives_it_up_too():
    world = restarted(entry())
    world.node.add_pod_to_all_cards(KEPT)
    assert world.node.unattached == {}
    assert world.node.to_forget == [(LATE, KEPT)]


def test_a_pod_that_goes_meanwhile_is_forgotten():
    world = restarted(entry())
    assert world.node.remove_pod(KEPT) == []
    with pytest.raises(UnknownSandboxError):
        world.node.remove_pod(KEPT)
    reconcile(world, after_s=0)
    assert world.cloud.forgotten == [(LATE, KEPT)]
    primary(world).addresses.append(LATE)
    reconcile(world)
    assert LATE in fill(world)


def test_vpc_cni_drops_it_with_a_warning_and_from_the_checkpoint(caplog):
    with caplog.at_level(logging.WARNING, "ipam_core"):
        world = restarted(entry(), policy=VPC_CNI)
    assert world.node.unattached == {}
    assert [r.getMessage() for r in caplog.records] == [
        f"dropped {LATE} of {KEPT!r}, pod default/kept: not attached"
    ]
    assert world.cloud.forgotten == [(LATE, KEPT)]
    primary(world).addresses.append(LATE)
    reconcile(world)
    assert LATE in fill(world)


def test_two_entries_for_one_address_fail_the_start_unattached_too():
    with pytest.raises(StartError, match=LATE):
        restarted(entry(), entry(container_id="other"))


def test_what_cannot_be_struck_now_is_struck_later(caplog):
    """A full disk must not end the loop, nor leave a lost assignment in the checkpoint."""
    world = restarted()
    held = world.node.add_pod(KEPT)
    primary(world).addresses.remove(held.address)
    world.cloud.full = True
    with caplog.at_level(logging.WARNING, "ipam_core"):
        reconcile(world)
    assert world.node.store.find(KEPT) is None
    assert [r.getMessage() for r in caplog.records] == ["checkpoint ipam.db: not written: no space"]
    world.cloud.full = False
    reconcile(world, after_s=5)
    reconcile(world, after_s=5)
    assert world.cloud.forgotten == [(held.address, KEPT)]


def test_what_its_sandbox_holds_again_by_then_is_not_struck():
    world = restarted()
    held = world.node.add_pod(KEPT)
    fill(world)
    primary(world).addresses.remove(held.address)
    world.cloud.full = True
    reconcile(world)
    assert world.node.to_forget == [(held.address, KEPT)]
    primary(world).addresses.append(held.address)
    reconcile(world)
    assert world.node.add_pod(KEPT).address == held.address
    world.cloud.full = False
    reconcile(world, after_s=5)
    assert (world.cloud.forgotten, world.node.to_forget) == ([], [])
