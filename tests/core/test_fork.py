"""A child that is forked in the middle of a batch gets an error, not a wait without end."""

import os
import threading

import numpy as np
import pytest

from ipam_core import DataStore, Sandbox, errors
from support.forking import in_a_child

N = 40_000


@pytest.fixture
def store():
    store = DataStore("prefix", cooldown_s=0)
    for eni in range(64):
        store.add_eni(f"eni-{eni}", device_number=eni)
        for number in range(63):
            store.add_prefix(f"eni-{eni}", f"10.{eni}.{number // 16}.{number % 16 * 16}/28")
    return store


@pytest.fixture
def batches(store):
    """Run batches without end in another thread.

    One is run before: so none allocates memory, which a sanitizer cannot fork in the middle of.
    """
    rows = np.random.default_rng(1).integers(0, 2**63, (N, 2)).astype(np.uint64)
    store.assign_many(rows, 1)
    store.release_many(rows, 1)
    begun, over = threading.Event(), threading.Event()

    def work():
        begun.set()
        while not over.is_set():
            store.assign_many(rows, 1)
            store.release_many(rows, 1)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    yield
    over.set()
    thread.join()


CALLS = [
    lambda s: s.stats(1),
    lambda s: s.assign(Sandbox("new"), None, 1),
    lambda s: s.release(Sandbox("new"), 1),
    lambda s: s.unassign(Sandbox("new")),
    lambda s: s.assign_many(np.ones((1, 2), np.uint64), 1),
    lambda s: s.add_eni("new", device_number=1),
    lambda s: s.snapshot(),
    lambda s: s._check(),
]


@pytest.mark.usefixtures("batches")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_store_forked_in_the_middle_of_a_batch_refuses_every_call(store):
    """The child once waited for a thread of its parent, for ever, at its first call."""

    def every_call():
        answers = set()
        for call in CALLS:
            try:
                call(store)
            except errors.ForkedError as error:
                answers.add(f"ForkedError {error.pid}")
            except errors.IpamError:
                answers.add("answered")
            else:
                answers.add("answered")
        return sorted(answers)

    met = {in_a_child(every_call) for _ in range(12)}
    assert met <= {f"['ForkedError {os.getpid()}']", "['answered']"}
    assert f"['ForkedError {os.getpid()}']" in met


def test_a_child_may_use_its_copy_of_a_store_that_rests(store):
    store.assign(Sandbox("a"), None, 1)

    def go_on():
        rows = np.ones((1, 2), np.uint64)
        store.assign_many(rows, 2)
        store.release(Sandbox("a"), 2)
        store._check()
        return store.stats(2).assigned

    assert in_a_child(go_on) == "1"
    assert store.stats(2).assigned == 1
