"""Fleets and scenarios of types that no table has: limits by hand and as EC2 prints them."""

import json

import pytest

from ipam_core import instances
from ipam_core.cli._app import run
from ipam_core.instances import parse_limits
from ipam_core.simulation.files import read_simulation
from ipam_core.simulation.given_types import ANY_TYPE, with_types

NEW = "z9x.large"
FLEET = """
name: new-type
duration: 6m
nodes: [{count: 2, instance_type: z9x.large}]
workloads: [{kind: burst, pods: 8, at: 1m}]
"""
SCENARIO = """
id: new-node
instance_type: z9x.large
steps: [{op: boot}, {op: add_pods, n: 3}]
"""
DESCRIBED = {
    "InstanceTypes": [
        {
            "InstanceType": NEW,
            "Hypervisor": "nitro",
            "BareMetal": False,
            "VCpuInfo": {"DefaultVCpus": 2},
            "NetworkInfo": {"MaximumNetworkInterfaces": 2, "Ipv4AddressesPerInterface": 5},
        }
    ]
}
BY_HAND = "enis=2,ips=5,vcpus=2"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "fleet.yaml").write_text(FLEET, "utf-8")
    (tmp_path / "scenario.yaml").write_text(SCENARIO, "utf-8")
    (tmp_path / "types.json").write_text(json.dumps(DESCRIBED), "utf-8")
    return tmp_path


def ways(folder):
    return [
        ("--instance-types", str(folder / "types.json")),
        ("--limits", BY_HAND),
        ("--limits", f"{BY_HAND},name={NEW}"),
    ]


@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("command", ["simulate", "tune --seeds 1 --jobs 1"])
def test_a_fleet_of_a_type_that_no_table_has(files, way, command, capsys):
    path = str(files / "fleet.yaml")
    assert run([*command.split(), path]) == 2
    assert f"unknown instance type '{NEW}'" in capsys.readouterr().err
    assert run([*command.split(), path, *ways(files)[way]]) in (0, 1)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"2 {NEW}" in printed.out
    assert f"{NEW}: maxPods 10, AWS's number for the type with secondary IPs" in printed.out


@pytest.mark.parametrize("way", range(3))
def test_a_scenario_of_a_type_that_no_table_has(files, way, capsys):
    path = str(files / "scenario.yaml")
    assert run(["simulate", path]) == 2
    assert "or give limits" in capsys.readouterr().err
    assert run(["simulate", path, *ways(files)[way]]) == 0
    assert f"{NEW}, default settings, max pods 10" in " ".join(capsys.readouterr().out.split())


def test_limits_that_are_given_win_over_the_table(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET.replace(NEW, "m5.large"), "utf-8")
    given = parse_limits(BY_HAND)
    (group,) = read_simulation(path, {"m5.large": given}).groups
    assert group.kubelet_max_pods == 2 * 4 + 2
    (group,) = read_simulation(path, {"m5.xlarge": given}).groups
    assert group.limits == instances.limits("m5.large")
    (group,) = read_simulation(path, {ANY_TYPE: given}).groups
    assert (group.name, group.type_names, group.kubelet_max_pods) == ("m5.large", ("m5.large",), 10)


def test_other_types_to_tune_may_be_given_ones(files, capsys):
    arguments = ["tune", str(files / "fleet.yaml"), "--seeds", "1", "--jobs", "1"]
    assert run([*arguments, "--instance", "m5.large"]) == 2
    capsys.readouterr()
    run([*arguments, "--instance", NEW, "--instance-types", str(files / "types.json")])
    assert f"2 {NEW}" in capsys.readouterr().out


def test_what_a_scenario_says_of_its_own_node_stays():
    raw = {"instance_type": NEW, "node": {"nitro": False}}
    given = {NEW: parse_limits("enis=2,ips=5,cards=2+2,trunk=false")}
    assert with_types(raw, given) == {
        "instance_type": NEW,
        "limits": {"max_enis": 2, "ipv4_per_eni": 5},
        "node": {"nitro": False, "trunk_compatible": False, "enis_per_card": [2, 2]},
    }
    assert with_types(raw, {"m5.large": given[NEW]}) == raw


@pytest.mark.parametrize("raw", [None, 3, [], {"nodes": 3}, {"nodes": [3]}, {"instance_type": 3}])
def test_what_is_of_no_form_is_left_for_its_reader(raw):
    assert with_types(raw, {ANY_TYPE: parse_limits(BY_HAND)}) == raw


def test_limits_of_no_form_are_refused_in_a_line(files, capsys):
    assert run(["simulate", str(files / "fleet.yaml"), "--limits", "enis=2"]) == 2
    assert "ips= is missing" in capsys.readouterr().err
