"""An idle node: pool checks that are left out leave it as those that are made."""

import pytest

from ipam_core import Sandbox
from ipam_core.policy import IPAM_CORE, VPC_CNI
from support.node_world import SECOND, World

PERIOD_NS = 5 * SECOND


def idle_world(n_pods, policy=VPC_CNI):
    """Return a world whose pool has come to rest, at the time of a pool check just made."""
    world = World(policy=policy)
    world.drive(world.node.start())
    for _ in range(n_pods):
        world.add_pod()
    world.settle(60)
    world.remove_pod()  # its address is cooling
    world.sleep(2.5)
    world.drive(world.node.adjust())
    return world


def state(world):
    """Return what decides what the node does next."""
    node, timers = world.node, world.node.timers
    return (
        [store.snapshot() for store in node.stores],
        [timers.changed_ns, timers.shrunk_ns, timers.full_ns, timers.no_prefix_ns],
        [list(peaks) for peaks in timers.peaks],
        node.decide(),
    )


@pytest.mark.parametrize(
    ("n_pods", "policy", "n_periods"),
    [
        *((n_pods, VPC_CNI, n) for n_pods in (0, 2) for n in [*range(1, 30), 100]),
        *((2, IPAM_CORE, n) for n in range(1, 7)),  # once its address has cooled it looks again
    ],
)
def test_checks_left_out_leave_the_node_as_those_made(n_pods, policy, n_periods):
    """Prevents a fleet whose reconciles come at other times when idle checks are left out."""
    made, left_out = (idle_world(n_pods, policy) for _ in range(2))
    assert state(made) == state(left_out)
    checked_ns = last_ns = made.now_ns
    idle_until_ns = left_out.node.idle_until_ns()
    for _ in range(n_periods - 1):
        made.sleep(2.5)
        made.drive(made.node.reconcile())
        made.sleep(2.5)
        made.drive(made.node.adjust())
        last_ns = made.now_ns
    made.sleep(2.5)
    made.drive(made.node.reconcile())
    made.sleep(2.5)
    left_out.now_ns = made.now_ns
    assert idle_until_ns is None or last_ns < idle_until_ns
    assert left_out.node.catch_up(checked_ns, made.now_ns) == last_ns
    assert state(left_out) == state(made)


def test_reconciles_that_may_find_something_are_not_taken_for_made():
    world = idle_world(3)
    before_ns = world.node.timers.changed_ns
    checked_ns = world.now_ns
    world.now_ns += 100 * PERIOD_NS
    last_ns = world.node.catch_up(checked_ns, world.now_ns, reconciles=True)
    assert last_ns == world.now_ns - PERIOD_NS
    assert world.node.timers.changed_ns == before_ns


def test_a_reconcile_that_may_find_something_is_not_slept_through():
    """The check before it counts: it is half a period before the reconcile's first chance."""
    world = idle_world(3)
    assert world.node.idle_until_ns() is None
    due_ns = world.node.idle_until_ns(reconciles=True)
    changed_ns = world.node.timers.changed_ns
    assert due_ns == changed_ns + 60 * SECOND + 1 - PERIOD_NS // 2
    assert not world.node.may_reconcile(due_ns - 1 + PERIOD_NS // 2)
    assert world.node.may_reconcile(due_ns + PERIOD_NS // 2)


def test_what_the_checkpoint_must_forget_is_a_reason_to_reconcile():
    world = idle_world(3)
    assert not world.node.may_act_at_reconcile()
    world.node.to_forget.append(("10.0.0.9", Sandbox("gone")))
    assert world.node.may_act_at_reconcile()
    world.drive(world.node.reconcile())
    assert not world.node.may_act_at_reconcile()
    world.sleep(61)
    assert world.node.may_act_at_reconcile()


def test_a_node_that_never_changed_may_reconcile_at_once():
    world = World(WARM_ENI_TARGET="0")
    world.drive(world.node.start())
    world.node.timers.changed_ns = None
    assert world.node.idle_until_ns(reconciles=True) <= world.now_ns
