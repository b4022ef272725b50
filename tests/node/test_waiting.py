"""Who waits is a pod: not its sandboxes, and not for ever.

Prevents: a pod that a policy grows for was never served where the runtime deletes what was
refused, and one pod counted as 116 where it does not.
"""

import pytest

from ipam_core._store import Sandbox
from ipam_core.errors import NotReadyError, PoolExhaustedError, UnknownSandboxError
from ipam_core.node.waiting import WAITS_S, Waiting
from ipam_core.policy import IPAM_CORE
from support.node_world import SECOND, World


class Clock:
    def __init__(self):
        self.now_ns = 10**15

    def __call__(self):
        return self.now_ns

    def sleep(self, seconds):
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def waiting(clock):
    return Waiting(clock)


def test_a_pod_with_many_sandboxes_is_one_that_waits(waiting):
    for number in range(5):
        waiting.note_refused(Sandbox(f"try-{number}"), "default/one")
    assert len(waiting) == 1
    assert "default/one" in waiting
    assert Sandbox("try-4") not in waiting


def test_where_the_pod_is_unknown_its_sandbox_waits(waiting):
    for number in range(3):
        waiting.note_refused(Sandbox(f"c{number}"), None if number else "")
    assert len(waiting) == 3
    waiting.note_served(Sandbox("c0"))
    assert Sandbox("c0") not in waiting
    assert len(waiting) == 2


def test_success_ends_it_under_any_sandbox(waiting):
    waiting.note_refused(Sandbox("a"), "default/one")
    waiting.note_refused(Sandbox("b"), "default/two")
    waiting.note_served(Sandbox("c"), "default/one")
    assert len(waiting) == 1
    waiting.note_served(Sandbox("c"), "default/one")  # again: nothing more ends
    assert "default/two" in waiting


def test_a_minute_without_a_try_ends_it_and_each_try_begins_a_new_one(waiting, clock):
    waiting.note_refused(Sandbox("a"), "default/one")
    clock.sleep(1)
    waiting.note_refused(Sandbox("b"), "default/two")
    assert waiting.ends_ns() == clock.now_ns + (WAITS_S - 1) * SECOND
    clock.sleep(WAITS_S - 1.1)
    assert len(waiting) == 2
    waiting.note_refused(Sandbox("c"), "default/one")
    clock.sleep(1)
    assert "default/two" in waiting
    clock.sleep(0.1)  # the minute is over
    assert (len(waiting), "default/one" in waiting) == (1, True)
    clock.sleep(WAITS_S)
    assert (len(waiting), waiting.ends_ns()) == (0, None)


def runtime_asks(world, pod, n_try, *, deletes):
    """Ask for a pod as a container runtime does; return whether it was served."""
    sandbox = Sandbox(f"{pod}-{n_try}")
    try:
        world.node.add_pod(sandbox, pod)
    except PoolExhaustedError:
        if deletes:
            with pytest.raises(UnknownSandboxError):
                world.node.remove_pod(sandbox)
        return False
    return True


@pytest.mark.parametrize("deletes", [True, False])
def test_a_pod_that_comes_with_a_new_sandbox_each_time_is_served(deletes):
    world = World("m5.large", policy=IPAM_CORE, max_pods=29, MINIMUM_IP_TARGET="5")
    world.drive(world.node.start())
    for number in range(5):
        world.node.add_pod(Sandbox(f"c{number}"))
    for n_try in range(5):
        if runtime_asks(world, "default/late", n_try, deletes=deletes):
            break
        world.settle(3)  # the kubelet asks again after 15 s
    else:
        pytest.fail("never served")
    assert (n_try, world.node.store.stats().total) == (1, 6)
    assert len(world.node.waiting) == 0


def test_one_pod_counts_once_however_long_a_full_subnet_refuses_it():
    """Half an hour of tries made 116 that waited; the pool then grew for all of them."""
    world = World("m5.large", policy=IPAM_CORE, max_pods=29, WARM_IP_TARGET="3")
    world.drive(world.node.start())
    n_pods = world.node.store.stats().total
    for number in range(n_pods):
        world.node.add_pod(Sandbox(f"c{number}"))
    world.subnet.set_free(addresses=0)
    for n_try in range(120):
        assert not runtime_asks(world, "default/one", n_try, deletes=False)
        world.settle(3)
    assert len(world.node.waiting) == 1
    world.subnet.set_free(addresses=1000)
    world.settle(8)  # it asks no more; within the minute the node may still grow for it
    assert len(world.node.waiting) == 1
    world.settle(40)
    assert len(world.node.waiting) == 0
    assert world.node.store.stats().total == n_pods + 3


def test_a_pod_that_is_deleted_while_it_waits_keeps_addresses_for_a_minute_only():
    """The harm that the rule could do: nobody says that the pod is gone."""
    world = World("m5.large", policy=IPAM_CORE, max_pods=29, MINIMUM_IP_TARGET="4")
    world.drive(world.node.start())
    for number in range(4):
        world.node.add_pod(Sandbox(f"c{number}"))
    assert not runtime_asks(world, "default/one", 0, deletes=True)
    world.settle(2)
    assert world.node.store.stats().total == 5
    world.settle(120)  # the release delay is over too
    assert world.node.store.stats().total == 4


def test_a_refusal_may_be_an_answer_and_the_pod_waits_all_the_same():
    world = World("m5.large", policy=IPAM_CORE, max_pods=29, MINIMUM_IP_TARGET="4")
    world.drive(world.node.start())
    for number in range(4):
        assert world.node.try_add_pod(Sandbox(f"c{number}")) is not None
    one = Sandbox("one")
    assert world.node.try_add_pod(one, "default/one") is None
    assert "default/one" in world.node.waiting
    assert world.node.try_remove_pod(one) is None
    with pytest.raises(PoolExhaustedError, match="4 in all, 4 assigned, 0 cooling"):
        world.node.add_pod(one, "default/one")
    (released,) = world.node.try_remove_pod(Sandbox("c0"))
    assert released.sandbox == Sandbox("c0")
    world.node.ready = False
    with pytest.raises(NotReadyError):
        world.node.try_add_pod(one)
