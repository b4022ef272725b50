"""Old public names work for one release, and warn."""

import importlib
import sys

import pytest

from ipam_core._lazy import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_a_module_is_found_by_its_old_name(old):
    sys.modules.pop(old, None)
    new = importlib.import_module(MOVED[old])
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}"):
        found = importlib.import_module(old)
    assert found is new
    assert found.__spec__.name == found.__name__ == MOVED[old]


def test_what_was_a_module_and_is_a_package_gives_the_same_names():
    from ipam_core.diagnosis.doctor import diagnose
    from ipam_core.diagnosis.explain import Explanation, explain
    from ipam_core.simulation import fleet, scenario
    from ipam_core.simulation.fleet import Fleet, simulate_fleet, simulate_many
    from ipam_core.simulation.scenario import Scenario, parse_scenarios, scenario_of

    for name in (diagnose, Explanation, explain, Fleet, simulate_fleet, simulate_many, Scenario):
        assert callable(name)
    assert scenario.scenario_of is scenario_of
    assert callable(parse_scenarios)
    for package in (fleet, scenario):
        assert all(hasattr(package, name) for name in package.__all__)
        assert not hasattr(package, "no_such_name")


def test_a_renamed_workload():
    from ipam_core.simulation.fleet import workload_specs

    with pytest.warns(DeprecationWarning, match="Recorded is now"):
        assert workload_specs.Recorded is workload_specs.Trace
    assert not hasattr(workload_specs, "NoSuchName")


def test_a_renamed_method_of_a_simulated_instance(monkeypatch):
    from ipam_core.cloud.simulated import SimulatedInstance

    admitted = []
    monkeypatch.setattr(SimulatedInstance, "admit", lambda _, effect: admitted.append(effect))
    instance = SimulatedInstance.__new__(SimulatedInstance)
    with pytest.warns(DeprecationWarning, match="let_in is now SimulatedInstance.admit") as told:
        instance.let_in("a call")
    assert admitted == ["a call"]
    assert told[0].filename == __file__


def test_renamed_fields_of_the_change_of_a_fix():
    from ipam_core.diagnosis.fixes import Change

    change = Change(repair=({"op": "uncordon"},), from_start=True)
    with pytest.warns(DeprecationWarning, match=r"Change.mend is now Change.repair"):
        assert change.mend == change.repair
    with pytest.warns(DeprecationWarning, match=r"Change.anew is now Change.from_start"):
        assert change.anew is True


@pytest.fixture
def node():
    from ipam_core import Node, Settings
    from ipam_core.instances import limits

    return Node(limits("m5.large"), Settings())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("look", "adjust"),
        ("rests", "would_idle"),
        ("rests_for_long", "idles_until_pods_change"),
        ("aside", "unattached"),
    ],
)
def test_a_renamed_part_of_a_node(node, old, new):
    with pytest.warns(DeprecationWarning, match=f"Node.{old} is now Node.{new}") as told:
        found = getattr(node, old)
    assert found == getattr(node, new)
    assert told[0].filename == __file__
    assert not callable(found) or found.__func__ is getattr(type(node), new)


def test_renamed_assignments_whose_addresses_are_not_attached():
    from ipam_core.node import unattached

    with pytest.warns(DeprecationWarning, match="KeptAside is now"):
        assert unattached.KeptAside is unattached.UnattachedAssignments
    with pytest.warns(DeprecationWarning, match="Kept is now"):
        assert unattached.Kept is unattached.Holder


def test_a_durable_store_is_given_them_by_the_old_name(tmp_path):
    from ipam_core import DataStore
    from ipam_core.checkpoint import Checkpoint, DurableStore, restore
    from ipam_core.node.unattached import UnattachedAssignments

    with Checkpoint(tmp_path / "checkpoint.db") as checkpoint:
        store, kept = DataStore("secondary-ip"), UnattachedAssignments()
        with pytest.warns(DeprecationWarning, match="`aside` is now `unattached`") as told:
            durable = DurableStore(store, checkpoint, aside=kept)
        assert durable.unattached is kept
        assert told[0].filename == __file__
        with pytest.warns(DeprecationWarning, match="DurablePods.aside is now"):
            assert durable.aside is kept
        restored = restore(checkpoint, store)
        with pytest.warns(DeprecationWarning, match="Restored.aside is now Restored.unattached"):
            assert restored.aside is restored.unattached


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("FULL_SUBNET_WORDING", "ipam_core.policy"),
        ("START_ADDRESS_TWICE", "ipam_core.node.start"),
        ("START_CANNOT_GROW", "ipam_core.node.start"),
        ("START_NO_ENI", "ipam_core.node.start"),
    ],
)
def test_a_text_that_went_where_it_is_used(name, home):
    from ipam_core.ipamd import messages

    with pytest.warns(DeprecationWarning, match=f"messages.{name} is now {home}.{name}"):
        found = getattr(messages, name)
    assert found == getattr(importlib.import_module(home), name)


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ipam_core.no_such_module")
