"""Who owns an assignment: the store while it is held, its caller alone once it is released."""

import sys
import tracemalloc

import numpy as np
import pytest

from ipam_core import Assignment, DataStore, Sandbox
from ipam_core.errors import PoolExhaustedError, UnknownSandboxError


def _count_of_one():
    value = object()
    return sys.getrefcount(value)


ONE = _count_of_one()
"""What the interpreter counts for a value of one variable: 2, or 1 where calls borrow (3.14)."""


@pytest.fixture
def store():
    store = DataStore("prefix", cooldown_s=0, given_time=True)
    store.add_eni("eni-1", device_number=0, primary=True)
    store.add_prefix("eni-1", "10.0.0.16/28")
    return store


@pytest.mark.parametrize("release", ["release", "try_release"])
def test_a_released_assignment_is_its_caller_s_alone(store, release):
    sandbox, pod = Sandbox("0f3c"), f"default/web-{len(release)}"
    of_sandbox, of_pod = sys.getrefcount(sandbox), sys.getrefcount(pod)
    held = store.assign(sandbox, pod, 1)
    assert sys.getrefcount(held) == ONE + 1  # this variable, and the store
    released = getattr(store, release)(sandbox, 2)
    assert released is held
    assert sys.getrefcount(held) == ONE + 1  # two variables
    del held
    assert sys.getrefcount(released) == ONE
    del released
    assert (sys.getrefcount(sandbox), sys.getrefcount(pod)) == (of_sandbox, of_pod)


def test_nothing_is_left_of_refusals_and_of_asking_twice(store):
    pods = [Sandbox(f"pod-{number}") for number in range(17)]
    counts = [sys.getrefcount(pod) for pod in pods]
    for pod in pods[:16]:
        assert store.assign(pod, None, 1) is store.assign(pod, "again", 1)
    with pytest.raises(PoolExhaustedError):
        store.assign(pods[16], None, 1)
    assert store.try_assign(pods[16], None, 1) is None
    with pytest.raises(UnknownSandboxError) as refused:
        store.release(pods[16], 1)
    del refused
    assert store.try_release(pods[16], 1) is None
    for pod in pods[:16]:
        store.release(pod, 2)
    del pod
    assert [sys.getrefcount(pod) for pod in pods] == counts


def test_an_assignment_of_a_batch_is_made_at_its_release_and_owned_by_nobody_else(store):
    pods = [Sandbox(f"pod-{number}") for number in range(3)]
    digests = np.frombuffer(b"".join(pod.digest for pod in pods), dtype=np.uint64).reshape(-1, 2)
    store.assign_many(digests, 1)
    released = store.release(pods[0], 2)
    assert released.sandbox is pods[0]
    assert sys.getrefcount(released) == ONE
    named = store.assign(pods[1], "default/web", 3)  # the batch's digest takes a name
    assert sys.getrefcount(named) == ONE + 1
    store.release(pods[1], 4)
    assert sys.getrefcount(named) == ONE


def test_the_memory_of_dropped_assignments_is_filled_in_again_with_nothing_of_theirs():
    """More than are kept, so that some memory is given back to Python, and some is kept."""
    store = DataStore("prefix", cooldown_s=0, given_time=True)
    store.add_eni("eni-1", device_number=0)
    for number in range(8):
        store.add_prefix("eni-1", f"10.0.0.{16 * number}/28")
    count_of_type = sys.getrefcount(Assignment)
    for turn in range(3):
        pods = [Sandbox(f"pod-{turn}-{number}") for number in range(128)]
        names = [f"default/web-{turn}-{number}" for number in range(128)]
        counts = [sys.getrefcount(name) for name in names]
        held = [store.assign(pod, name, turn + 1) for pod, name in zip(pods, names, strict=True)]
        for pod, name, given in zip(pods, names, held, strict=True):
            assert given is store.find(pod)
            assert (given.sandbox, given.pod) == (pod, name)
            assert (given.eni_id, given.device_number, given.assigned_ns) == ("eni-1", 0, turn + 1)
        assert len({given.address for given in held}) == 128
        kept = store.release(pods[0], turn + 2)
        for pod in pods[1:]:
            store.release(pod, turn + 2)
        del given, held
        assert (kept.sandbox, kept.pod) == (pods[0], names[0])  # no other's memory
        del kept, name
        assert [sys.getrefcount(name) for name in names] == counts
    assert sys.getrefcount(Assignment) == count_of_type


@pytest.mark.parametrize("placement", ["pack", "arbitrary"])
def test_a_store_that_is_dropped_leaves_no_memory(placement):
    """Each array of an ENI is freed with it: of secondary IPs, their numbers, /28s and an /80."""

    def make_and_drop():
        store = DataStore("mixed", placement=placement, given_time=True)
        for eni in range(2):
            store.add_eni(f"eni-{eni}", device_number=eni)
            for number in range(12):  # past 8, under "arbitrary" all get new slots
                store.add_address(f"eni-{eni}", f"10.0.{eni}.{number}")
            store.add_prefix(f"eni-{eni}", f"10.1.{eni}.0/28")
            store.add_prefix(f"eni-{eni}", f"2001:db8:0:{eni}:1::/80")
            store.adopt(Sandbox(f"pod-{eni}"), f"10.0.{eni}.3", None, 1)
            store.adopt(Sandbox(f"pod-6-{eni}"), f"2001:db8:0:{eni}:1::7", None, 1)
        store.assign(Sandbox("pod"), None, 1)
        store.remove_eni("eni-1", force=True)

    make_and_drop()
    tracemalloc.start()
    try:
        make_and_drop()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            make_and_drop()
        assert tracemalloc.get_traced_memory()[0] - before < 20 * 40  # no array is smaller
    finally:
        tracemalloc.stop()
