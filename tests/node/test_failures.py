"""No failure of a cloud, metadata, Kubernetes or checkpoint leaves a step of the node's loop."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings
from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.cloud.host import HostNetwork, Recorder
from ipam_core.errors import (
    CapacityError,
    CheckpointWriteError,
    DeniedError,
    PoolExhaustedError,
    UnknownSandboxError,
    UnreachableError,
)
from ipam_core.instances import limits
from ipam_core.node import StartError
from ipam_core.node.attach import add_cidrs
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX, NODE_TAG
from support.node_world import Failing, World

KINDS = [
    kind
    for kind in vars(fx).values()
    if isinstance(kind, type)
    and issubclass(kind, fx.Effect)
    and kind not in (fx.Effect, fx.Sleep)
    and kind not in (fx.ReadCheckpoint, fx.AssignIpv6Prefix, fx.SetUpHost, fx.SetUpPodRules)
]
"""What the loop asks for; those left out are of the start."""
ENVS = [
    {"WARM_IP_TARGET": "2"},
    {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
    {"WARM_ENI_TARGET": "1"},
    {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "WARM_IP_TARGET": "2"},
]


def started(policy=IPAM_CORE, **env):
    world = World("m5.large", policy=policy, max_pods=29, host_network=True, **env)
    world.cloud = Failing(HostNetwork(world.instance, Recorder()))
    world.drive = lambda step: drive(step, world.cloud, sleep=world.sleep)
    world.drive(world.node.start())
    return world


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "error", [UnreachableError("x", "Timeout"), CheckpointWriteError("x.db", "full")], ids=str
)
def test_whatever_fails_the_loop_goes_on_and_its_state_is_intact(error, kind, policy):
    performed = set()
    for env in ENVS:
        world = started(policy, **env)
        world.cloud.fails[kind] = error
        live(world)
        performed |= {type(effect) for effect in world.cloud.performed}
    assert kind in performed


def live(world):
    """Let a node meet every effect: pods, ENIs from outside that come and go, a leaked one."""
    held = []
    for number in range(12):
        try:
            world.node.add_pod(Sandbox(f"c{number}"))
        except PoolExhaustedError:
            pass
        else:
            held.append(Sandbox(f"c{number}"))
        world.settle(1)
    outside = world.region.place_eni("eni-outside", "primary", n_addresses=2)
    world.instance.attach(outside, world.instance.free_device())
    world.settle(20)
    world.instance.metadata_hides_addresses = True
    world.settle(15)
    world.instance.metadata_hides_addresses = False
    world.region.enis["eni-primary"].addresses.clear()  # its pods go
    world.settle(20)
    for sandbox in held:
        try:
            world.drive(world.node.drain(world.node.remove_pod(sandbox)))
        except UnknownSandboxError:
            continue
    world.settle(80)
    leaked = [world.region.create_eni("primary") for _ in range(2)]
    for eni, tags in zip(leaked, ({}, {CREATED_AT_TAG: "2026-01-01T00:00:00Z"}), strict=True):
        eni.description = f"{DESCRIPTION_PREFIX}i-1"
        eni.tags = {NODE_TAG: "i-1", **tags}
    world.drive(world.node.clean_leaked(2e9))
    world.drive(world.node.follow_security_groups())
    for store in world.node.stores:
        store._check()


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
def test_a_node_whose_taints_cannot_be_read_counts_as_schedulable(policy):
    """As upstream's isNodeNonSchedulable has it; the failure is dated, logged and kept."""
    world = started(policy, WARM_IP_TARGET="3")
    world.cloud.fails[fx.ReadUnschedulable] = error = UnreachableError("node", "Timeout")
    world.add_pod()
    world.settle(1)
    assert world.node.store.stats().total == 4
    assert world.node.last_error is error
    assert world.node.last_error_ns == world.now_ns - 5 * 10**9 // 2


def test_a_failed_search_for_leaked_enis_finds_none():
    world = started(WARM_IP_TARGET="1")
    world.cloud.fails[fx.FindNodelessEnis] = error = DeniedError("x", "UnauthorizedOperation")
    cleanup = world.drive(world.node.clean_leaked(2e9))
    assert (cleanup.deleted, cleanup.tagged_created_at) == ((), ())
    assert world.node.last_error is error


@pytest.mark.parametrize(
    ("created_at", "dated_anew", "deleted"),
    [
        ("0001-01-01T00:00:00+14:00", False, True),  # the first time there is, and before it
        ("9999-12-31T23:59:59-14:00", False, False),  # the last, and after it
        ("0001-01-01T00:00:00", True, True),  # without a zone it is none
        ("2026-13-01T00:00:00Z", True, True),
        ("", True, True),
    ],
)
def test_a_date_at_the_edge_of_the_calendar_is_read_and_one_that_is_none_is_dated_anew(
    created_at, dated_anew, deleted
):
    world = started(WARM_IP_TARGET="1")
    eni = world.region.create_eni("primary")
    eni.description = f"{DESCRIPTION_PREFIX}i-1"
    eni.tags = {NODE_TAG: "i-1", CREATED_AT_TAG: created_at}
    cleanup = world.drive(world.node.clean_leaked(2e9))
    assert cleanup.tagged_created_at == ((eni.eni_id,) if dated_anew else ())
    assert cleanup.deleted == ((eni.eni_id,) if deleted else ())


def test_a_failed_call_is_not_warned_of_twice(caplog):
    """Whoever makes the calls has warned of it; nonsense and checkpoints are the node's to tell."""
    world = started(WARM_IP_TARGET="1")
    with caplog.at_level(logging.INFO, "ipam_core.node"):
        world.node.note_failure(UnreachableError("x", "Timeout"))
        world.node.note_failure(CheckpointWriteError("x.db", "full"))
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert levels == [("INFO", "x: Timeout"), ("WARNING", "checkpoint x.db: full")]


IPV6 = {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"}


@pytest.mark.parametrize(
    "error", [UnreachableError("x", "Timeout"), CheckpointWriteError("x.db", "full")], ids=str
)
def test_an_ipv6_prefix_that_is_refused_is_had_at_the_next_start(error):
    world = World("m5.large", policy=IPAM_CORE, **IPV6)
    world.cloud = Failing(world.instance)
    world.cloud.fails[fx.AssignIpv6Prefix] = error
    with suppress(StartError):
        drive(world.node.start(), world.cloud, sleep=world.sleep)
    world.cloud.fails.clear()
    world.node = world.new_node()
    drive(world.node.start(), world.cloud, sleep=world.sleep)
    assert world.node.add_pod(Sandbox("c0")).address.startswith("2001:db8:")


# --- what the checkpoint shall forget -------------------------------------------------


def lost_two():
    """Return a world whose node lost two pods' addresses, and the pairs to be forgotten."""
    world = started(WARM_IP_TARGET="3")
    held = [world.node.add_pod(Sandbox(f"c{number}")) for number in range(2)]
    primary = world.region.enis["eni-primary"]
    primary.addresses = [a for a in primary.addresses if a not in {h.address for h in held}]
    return world, [(h.address, h.sandbox) for h in held]


def reconcile_until_forgetting(world):
    """Return a reconcile at the moment when it asks the checkpoint to forget, and that ask."""
    world.sleep(61)
    step = world.node.reconcile()
    effect = next(step)
    while not isinstance(effect, fx.ForgetAssignments):
        effect = step.send(world.cloud.perform(effect))
    return step, effect


def test_what_shall_be_forgotten_is_kept_until_it_is_struck():
    world, pairs = lost_two()
    step, effect = reconcile_until_forgetting(world)
    assert set(effect.held) == set(world.node.to_forget) == set(pairs)
    with pytest.raises(StopIteration):
        step.send(None)
    assert world.node.to_forget == []


@pytest.mark.parametrize(
    "error", [UnreachableError("x", "Timeout"), CheckpointWriteError("x.db", "full")], ids=str
)
def test_what_could_not_be_struck_is_tried_again(error):
    world, pairs = lost_two()
    step, _ = reconcile_until_forgetting(world)
    with pytest.raises(StopIteration):
        step.throw(error)
    assert set(world.node.to_forget) == set(pairs)
    assert world.node.last_error is error
    world.drive(world.node.reconcile())
    assert set(world.cloud.performed[-1].held) == set(pairs)
    assert world.node.to_forget == []


def test_a_step_that_ends_early_forgets_nothing():
    """An agent that is stopped while the checkpoint is written: both pairs were lost."""
    world, pairs = lost_two()
    step, _ = reconcile_until_forgetting(world)
    step.close()
    assert set(world.node.to_forget) == set(pairs)


def test_what_comes_meanwhile_stays_for_the_next_time():
    world, _ = lost_two()
    step, _ = reconcile_until_forgetting(world)
    late = ("10.0.9.9", Sandbox("late"))
    world.node.to_forget.append(late)
    with pytest.raises(StopIteration):
        step.send(None)
    assert world.node.to_forget == [late]


def test_an_eni_takes_what_fits_and_the_rest_is_noted(caplog):
    """Beyond 63 slots nothing ends the step: a reconcile finds the rest when others have gone."""
    node = Node(limits("m5.large"), Settings(), clock_ns=lambda: 0)
    node.store.add_eni("eni-1", device_number=0)
    addresses = [f"10.0.0.{number}" for number in range(1, 71)]
    add_cidrs(node, node.store, "eni-1", [addresses[0], *addresses], ["10.0.1.0/28"])
    assert set(node.store.addresses("eni-1")) == set(addresses[:63])
    assert node.store.prefixes("eni-1") == []
    assert isinstance(node.last_error, CapacityError)
    assert len(caplog.records) == 2  # once for each kind
