"""What is compiled is made once: no second `__init__`, no pickle and no `__new__` breaks it."""

import copy
import pickle
import subprocess
import sys

import pytest

from ipam_core import DataStore, Sandbox, Subnet, errors

EVERY_METHOD = """
import importlib, pkgutil
import ipam_core
from ipam_core import _store, _subnet

met = 0
for module in pkgutil.iter_modules(ipam_core.__path__):
    if not module.name.startswith("_") or module.name == "__main__":
        continue
    loaded = importlib.import_module(f"ipam_core.{module.name}")
    if not loaded.__file__.endswith(".so"):
        continue
    for kind in vars(loaded).values():
        if not isinstance(kind, type) or kind.__module__ != loaded.__name__:
            continue
        for name in dir(kind):
            if name in ("__class__", "__init_subclass__", "__subclasshook__", "__new__"):
                continue
            for arguments in ((), (None,), (1,), ("a",), ((),), ((1, 2, 3),), ("a", "b"), (b"",)):
                blank = kind.__new__(kind)
                try:
                    getattr(blank, name)(*arguments)
                except Exception:
                    pass
                repr(blank)
                met += 1
print(met)
"""


def test_no_method_of_a_blank_object_crashes_the_interpreter():
    """`Assignment().__setstate__(())`, which Cython had made, read past the end of its tuple."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", EVERY_METHOD],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


def values():
    store = DataStore("prefix", given_time=True)
    store.add_eni("eni-1", device_number=3, primary=True, subnet_id="subnet-1", created_ns=5)
    store.add_prefix("eni-1", "10.0.0.16/28")
    given = store.assign(Sandbox("a", "eth1"), "default/a", 7)
    return [
        given,
        given.sandbox,
        Sandbox.from_digest(given.sandbox.digest),
        store.stats(7),
        store.eni_stats("eni-1", 7),
        store.eni("eni-1"),
        store.used_addresses("eni-1")[0],
        store.find_freeable_eni(warm_ip=0, minimum_ip=0, warm_prefix=0, now_ns=8),
    ]


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_a_value_that_was_pickled_or_copied_is_equal_and_of_whole_fields(value):
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert type(again) is type(value)
        assert again == value
        assert repr(again) == repr(value)


@pytest.mark.parametrize("kind", [DataStore, Subnet])
def test_what_was_not_made_is_not_pickled(kind):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="that was not made"):
            pickle.dumps(kind.__new__(kind), protocol)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"mode": "mixed"},
        {"cooldown_s": 0},
        {"seed": 1.5},
        {"given_time": True},
        {"mode": "ipv5"},
    ],
)
def test_a_store_that_is_made_is_not_made_again(arguments):
    """A second `__init__` once changed some of it, and left the rest, as it failed."""
    store = DataStore("prefix", cooldown_s=7, placement="spread", seed=3)
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "10.0.0.16/28")
    store.assign(Sandbox("a"), None, 1)
    before = store.snapshot()
    with pytest.raises((TypeError, ValueError)):
        store.__init__(**arguments)
    assert store.snapshot() == before
    store._check()


def test_a_store_that_is_refused_is_not_half_made():
    store = DataStore.__new__(DataStore)
    with pytest.raises(TypeError):
        store.__init__("prefix", seed=1.5)
    assert store.mode is None
    store.__init__("ipv6", cooldown_s=0)
    assert (store.mode, store.cooldown_ns) == ("ipv6", 0)
    blank = DataStore.__new__(DataStore)
    assert blank.stats(1).total == 0
    blank.add_eni("eni-1", device_number=0)
    blank.add_address("eni-1", "10.0.0.1")
    with pytest.raises(errors.PoolExhaustedError):
        blank.assign(Sandbox("a"), None, 1)
    blank._check()


def test_a_sandbox_that_is_made_by_its_own_names_stays_as_it_was_made_first():
    sandbox = Sandbox.__new__(Sandbox)
    sandbox.__init__("first")
    with pytest.raises(TypeError, match="cannot be changed"):
        sandbox.__init__("second")
    assert sandbox == Sandbox("first")
