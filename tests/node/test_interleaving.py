"""Whatever happens to the pods while a call is under way, the outcome is right.

Systematic, not sampled: for each kind of step and each of its effects, the step is
played again with something happening just before that effect is carried out, and the
node must end whole: no address twice, none lost, no ENI leaked, store equal to EC2.
"""

from __future__ import annotations

import pytest

from ipam_core import IPAM_CORE, VPC_CNI
from ipam_core.errors import NotReadyError, PoolExhaustedError
from support.node_world import World, replay


def filled(n_pods, **env):
    world = World(**env)
    world.drive(world.node.start())
    world.settle(8)
    for _ in range(n_pods):
        world.add_pod()
    return world


def grow_on_attached():
    world = filled(3, WARM_IP_TARGET="3")
    return world, world.node.adjust


def grow_by_eni():
    world = filled(9, WARM_IP_TARGET="3")
    world.settle(1)
    for _ in range(3):
        world.add_pod()
    return world, world.node.adjust


def grow_by_prefix():
    world = filled(12, ENABLE_PREFIX_DELEGATION="true", WARM_IP_TARGET="8")
    return world, world.node.adjust


def grow_with_refusals():
    world = filled(9, WARM_ENI_TARGET="1")
    world.subnet.set_free(addresses=0)
    return world, world.node.adjust


def shrink():
    world = filled(14, WARM_IP_TARGET="2")
    world.settle(12)
    for _ in range(9):
        world.remove_pod()
    world.sleep(31)
    return world, world.node.adjust


def shrink_prefixes():
    world = filled(40, ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
    world.settle(12)
    for _ in range(36):
        world.remove_pod()
    world.sleep(31)
    return world, world.node.adjust


def free_an_eni():
    world = filled(12, WARM_ENI_TARGET="0")
    world.settle(12)
    while world.pods:
        world.remove_pod()
    world.sleep(91)
    return world, world.node.adjust


def start_again(policy=VPC_CNI):
    world = filled(12, policy=policy, WARM_IP_TARGET="2")
    world.settle(4)
    old = world.node
    from ipam_core.effects import CheckpointEntry

    world.instance.checkpoint = [
        CheckpointEntry(
            container_id=a.sandbox.container_id,
            ifname=a.sandbox.ifname,
            network=a.sandbox.network,
            address=a.address,
            pod=a.pod,
        )
        for a in old.store.assignments()
    ]
    world.node = world.new_node()
    return world, world.node.start


def toggle_to_prefixes():
    world = filled(4, WARM_IP_TARGET="4")
    world.settle(2)
    world.pods.clear()
    world.env = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
    world.node = world.new_node()
    return world, world.node.start


def reconcile_a_lost_eni():
    world = filled(12, WARM_IP_TARGET="2")
    world.settle(4)
    world.detach_behind_its_back()
    world.sleep(61)
    return world, world.node.reconcile


def reconcile_new_addresses():
    world = filled(5, WARM_IP_TARGET="2")
    world.settle(4)
    (eni,) = (e for e in world.instance.attached() if e.device_number == 0)
    eni.addresses += world.subnet.take_addresses(1)
    world.sleep(61)
    return world, world.node.reconcile


def reconcile_what_was_kept_aside():
    world, start = start_again(policy=IPAM_CORE)
    (eni,) = (e for e in world.instance.attached() if e.device_number == 0)
    late = eni.addresses[2:5]  # pods are on them
    eni.addresses = [address for address in eni.addresses if address not in late]
    world.drive(start())
    assert sorted(world.node.unattached) == sorted(late)
    eni.addresses += late
    world.sleep(61)
    return world, world.node.reconcile


SITUATIONS = [
    grow_on_attached,
    grow_by_eni,
    grow_by_prefix,
    grow_with_refusals,
    shrink,
    shrink_prefixes,
    free_an_eni,
    start_again,
    toggle_to_prefixes,
    reconcile_a_lost_eni,
    reconcile_new_addresses,
    reconcile_what_was_kept_aside,
]


def nothing(world):
    del world


def one_pod(world):
    world.add_pod()


def many_pods(world):
    for _ in range(30):
        world.add_pod()


def one_leaves(world):
    world.remove_pod()


def all_leave(world):
    while world.remove_pod(newest=False):
        pass


def churn(world):
    world.remove_pod(newest=False)
    world.add_pod()


def an_eni_vanishes(world):
    world.detach_behind_its_back()


def all_cards(world):
    from ipam_core._store import Sandbox

    sandbox = Sandbox(f"wide-{world.n_pods}")
    try:
        taken = world.node.add_pod_to_all_cards(sandbox)
    except (PoolExhaustedError, NotReadyError):
        return
    world.pods[sandbox] = taken[0].address


HAPPENINGS = [
    nothing,
    one_pod,
    many_pods,
    one_leaves,
    all_leave,
    churn,
    an_eni_vanishes,
    all_cards,
]


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("happening", HAPPENINGS)
def test_outcome_is_right_at_every_point(situation, happening):
    at = 0
    while True:
        world, step = situation()
        n_effects = replay(world, step, at, lambda world=world: happening(world))
        world.check()
        world.node.ready = True
        world.subnet.set_free(addresses=10**6)
        world.settle(60)
        world.check_settled()
        at += 1
        if at >= n_effects:
            break
    assert at >= 1
