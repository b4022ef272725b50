"""A call that finds no memory raises MemoryError, changes nothing, and works afterwards.

Of a batch the rows before it are assigned.
"""

import pytest

from ipam_core import DataStore, Sandbox

testcapi = pytest.importorskip("_testcapi", reason="this Python cannot refuse memory")

PODS = [Sandbox(f"pod-{number}") for number in range(6)]
CALLS = {
    "assign": lambda store: store.assign(PODS[0], "default/web", 2),
    "try_assign": lambda store: store.try_assign(PODS[0], None, 2),
    "adopt": lambda store: store.adopt(PODS[0], "10.0.1.5", None, 2),
    "cool": lambda store: store.cool("10.0.1.5", 2),
    "assign_from": lambda store: store.assign_from("10.0.1.5", PODS[0], None, 2),
    "assign_many": lambda store: store.assign_many(b"".join(pod.digest for pod in PODS), 2),
    "add_address": lambda store: store.add_address("eni-0", "10.0.9.9"),
    "add_prefix": lambda store: store.add_prefix("eni-0", "10.0.9.16/28"),
}

REMOVALS = {
    "remove_eni": lambda store: store.remove_eni("eni-0", force=True),
    "remove_prefix": lambda store: store.remove_prefix("eni-0", "10.0.1.0/28", force=True),
}


def new_store(placement, slots):
    """Return a store that is full up to arrays' ends, so that the next call must allocate."""
    store = DataStore("mixed", placement=placement, given_time=True)
    store.add_eni("eni-0", device_number=0)
    for number in range(slots):
        store.add_address("eni-0", f"10.0.1.{number}")
    return store


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("placement", "slots"), [("pack", 6), ("arbitrary", 8)])
@pytest.mark.parametrize("n_held", [0, 1])
def test_a_call_without_memory_changes_nothing(name, placement, slots, n_held):
    call = CALLS[name]
    n_refused = 0
    for n_given in range(200):  # allocations that succeed before all fail
        store = new_store(placement, slots)
        for number in range(n_held):
            store.adopt(PODS[5], f"10.0.1.{number}", None, 1)
        before = store.snapshot()
        testcapi.set_nomemory(n_given, 0)
        try:
            call(store)
            refused = False
        except MemoryError:
            refused = True
        finally:
            testcapi.remove_mem_hooks()
        store._check()
        if not refused:
            break
        n_refused += 1
        assert store.snapshot() == before or name == "assign_many"
        call(store)
        store._check()
    assert not refused
    assert n_refused > 0 or n_held  # nothing need be allocated for the second address


@pytest.mark.parametrize("name", REMOVALS)
def test_what_is_removed_without_memory_is_removed_wholly_or_not_at_all(name):
    for n_given in range(200):
        store = DataStore("prefix", given_time=True)
        store.add_eni("eni-0", device_number=0)
        store.add_prefix("eni-0", "10.0.1.0/28")
        store.assign_many(PODS[0].digest, 1)
        before = store.snapshot()
        testcapi.set_nomemory(n_given, 0)
        try:
            lost = REMOVALS[name](store)
        except MemoryError:
            lost = None
        finally:
            testcapi.remove_mem_hooks()
        store._check()
        if lost is not None:
            break
        assert store.snapshot() == before
    assert n_given > 0
    assert [one.sandbox for one in lost] == PODS[:1]
    assert store.find(PODS[0]) is None
