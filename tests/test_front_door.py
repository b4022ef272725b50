"""The top of the package: what it offers is there, loads late, and needs no extra."""

import subprocess
import sys

import pytest

import ipam_core
from ipam_core import IPAM_CORE, Node, Sandbox, Settings, SimulatedCloud, drive, simulate
from ipam_core.errors import InputError, UnknownInstanceTypeError
from ipam_core.instances import limits

EXTRAS = (
    *("boto3", "botocore", "dask", "distributed", "grpc", "kr8s", "matplotlib", "numpy"),
    *("pyroute2", "rich", "scipy", "typer", "yaml"),
)
STALL = {
    "instance_type": "m5.large",
    "env": {"MINIMUM_IP_TARGET": "5"},
    "steps": [{"op": "boot"}, {"op": "add_pods", "n": 6}, {"op": "settle"}],
    "expect": {"assigned_ips": 5},
}
FLEET = {
    "duration": "10m",
    "nodes": [{"name": "n", "instance_type": "m5.large", "count": 1}],
    "workloads": [{"kind": "daemon_set"}],
}


def in_python(code):
    """Run code in an interpreter that has no extra installed; return what it prints."""
    blocked = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in EXTRAS)
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_is_there_and_no_other_is_promised():
    for name in ipam_core.__all__:
        assert getattr(ipam_core, name) is getattr(ipam_core, name)
    homes = {name for names in ipam_core._HOMES.values() for name in names}
    assert set(ipam_core.__all__) == homes | ipam_core._MODULES
    assert ipam_core.__all__ == sorted(
        ipam_core.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n)
    )
    assert not hasattr(ipam_core, "no_such_name")


def test_star_help_and_hasattr_work_without_extras():
    printed = in_python(
        "from ipam_core import *\n"
        "import ipam_core, pydoc\n"
        "assert all(hasattr(ipam_core, name) for name in ipam_core.__all__)\n"
        "print(pydoc.render_doc(ipam_core, renderer=pydoc.plaintext))\n"
    )
    assert "class DataStore" in printed
    assert "simulate(" in printed


def test_importing_loads_nothing_heavy():
    printed = in_python(
        "import ipam_core, sys\n"
        "print([name for name in ('numpy', 'yaml', 'rich', 'typer') if sys.modules.get(name)])"
    )
    assert printed == "[]\n"


def test_a_simulated_cloud_is_one_line():
    cloud = SimulatedCloud("m5.large", seed=1)
    node = Node(cloud.limits, Settings(), clock_ns=lambda: 0)
    drive(node.start(), cloud)
    assert node.store.stats().total == 9
    assert node.add_pod(Sandbox("0f3c"), "default/web-1").address
    again = SimulatedCloud(limits("m5.large"), seed=1)
    assert again.attached()[0].primary_address == cloud.attached()[0].primary_address
    other = SimulatedCloud("m5.large", seed=2)
    assert other.attached()[0].primary_address != cloud.attached()[0].primary_address


def test_a_simulated_cloud_refuses_what_is_no_type():
    with pytest.raises(UnknownInstanceTypeError, match=r"m5\.larg"):
        SimulatedCloud("m5.larg")


def test_simulate_takes_values_mappings_and_files(tmp_path):
    from ipam_core.simulation.scenario.file import scenario_of

    value = simulate(scenario_of(STALL))
    mapping = simulate(STALL)
    assert value.passed
    assert mapping.timeline == value.timeline
    assert simulate(STALL, policy=IPAM_CORE).mismatches  # it serves the sixth pod too
    import json

    file = tmp_path / "stall.json"
    file.write_text(json.dumps(STALL))
    assert simulate(file).timeline == simulate(str(file)).timeline == value.timeline
    file.write_text(json.dumps([STALL, STALL]))
    assert [each.passed for each in simulate(file)] == [True, True]


def test_simulate_plays_a_fleet():
    result = simulate(FLEET, seed=3)
    assert result.n_pods == 1
    assert simulate(FLEET, seed=3).calls_by_api == result.calls_by_api


def test_simulate_refuses_what_is_neither():
    with pytest.raises(InputError):
        simulate({"neither": 1})
