"""A sweep: every combination, the same whoever plays it, and margins that hold."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.files import read_simulation
from ipam_core.tuning import sweep
from ipam_core.tuning.outcome import evaluate, pooled

FLEET = """
name: small
duration: 10m
subnets: [{id: subnet-a, cidr: 10.0.0.0/22}]
nodes: [{name: app, instance_type: m5.large, count: 2, env: {WARM_ENI_TARGET: "0"}}]
workloads: [{kind: churn, pods_per_node: 6, lifetime: 2m}]
"""
GRID = {"WARM_IP_TARGET": ["1", "5"], "MINIMUM_IP_TARGET": ["0", "8"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "small.yaml"
    path.write_text(FLEET)
    return path


@pytest.fixture(scope="module")
def spec(file):
    return read_simulation(file)


@pytest.fixture(scope="module")
def rows(spec):
    return sweep(spec, GRID, policies=(VPC_CNI, IPAM_CORE), seeds=range(3, 6))


def test_each_combination_is_that_of_its_seeds_alone(spec, rows):
    assert [(*row.values.values(), row.policy) for row in rows] == [
        (warm, least, policy)
        for warm in ("1", "5")
        for least in ("0", "8")
        for policy in ("vpc-cni", "ipam-core")
    ]
    row = rows[3]
    env = {"WARM_ENI_TARGET": "0", "WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "8"}
    alone = [evaluate(spec, env, IPAM_CORE, seed) for seed in (3, 4, 5)]
    assert row.outcome == pooled(alone)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_who_plays_it_changes_nothing(spec, rows, n_workers):
    done = []
    with ThreadPoolExecutor(n_workers) as executor:
        again = sweep(
            spec,
            GRID,
            policies=(VPC_CNI, IPAM_CORE),
            seeds=range(3, 6),
            executor=executor,
            on_progress=done.append,
        )
    assert again == rows
    assert done == [pytest.approx(n / 24) for n in range(1, 25)]


@pytest.mark.parametrize(
    ("grid", "why"),
    [
        ({"WARM_IP_TARGT": ["1"]}, "'WARM_IP_TARGT' decides nothing .*; nearest: WARM_IP_TARGET"),
        ({"WARM_IP_TARGET": ["many"]}, "WARM_IP_TARGET='many': "),
        ({"WARM_IP_TARGET": []}, "needs values"),
        ({"WARM_IP_TARGET": ["1"] * 50_000}, "150,000 simulations; at most 100,000"),
    ],
)
def test_what_cannot_be_swept_is_refused(spec, grid, why):
    with pytest.raises(InputError, match=why):
        sweep(spec, grid, seeds=range(3))


def test_groups_with_other_variables_are_refused(spec):
    (group,) = spec.groups
    other = replace(group, name="other", env={"WARM_IP_TARGET": "2"})
    with pytest.raises(InputError, match="the same variables"):
        sweep(replace(spec, groups=(group, other)), GRID)


# --- the command --------------------------------------------------------------------------


def test_processes_give_the_same_bytes(file, capsys):
    words = ["sweep", str(file), "--set", "WARM_IP_TARGET=5..6", "--seeds", "2", "--json"]
    said = []
    for jobs in ("1", "2"):
        assert run([*words, "--jobs", jobs]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    found = json.loads(said[0])
    assert (found["first_seed"], found["n_seeds"]) == (0, 2)
    assert [row["values"] for row in found["rows"]] == [
        {"WARM_IP_TARGET": "5"},
        {"WARM_IP_TARGET": "6"},
    ]
    assert found["rows"][0]["margin"]["idle"] >= 0


def test_the_table_fits_and_the_picture_is_drawn(file, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs the extra `plot`")
    picture = tmp_path / "sweep.svg"
    words = ["--set", "WARM_IP_TARGET=5,8", "--set", "MINIMUM_IP_TARGET=0,9", "--seeds", "2"]
    both = ["--policy", "vpc-cni", "--policy", "ipam-core", "--jobs", "1"]
    assert run(["sweep", str(file), *words, *both, "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "8 combinations, 2 seeds each" in out
    assert "ipam-core: WARM_IP_TARGET=8" in out
    assert "±" in out
    assert picture.read_text("utf-8").count("<svg") == 1


def test_a_stall_is_never_and_exits_1(tmp_path, capsys):
    path = tmp_path / "stall.yaml"
    fleet = FLEET.replace('{WARM_ENI_TARGET: "0"}', "{}")
    path.write_text(fleet.replace("pods_per_node: 6", "pods_per_node: 12"))
    words = ["--set", "MINIMUM_IP_TARGET=9", "--seeds", "1", "--jobs", "1"]
    assert run(["sweep", str(path), *words]) == 1
    out = capsys.readouterr().out
    assert "never" in out
    assert "One seed: the margin of error is not known" in out


@pytest.mark.parametrize(
    "given", ["WARM_IP_TARGET", "WARM_IP_TARGET=", "WARM_IP_TARGET=8..1", "WARM_IP_TARGET=1,,2",
              "WARM_IP_TARGET=0..5000", "=1"],
)  # fmt: skip
def test_values_that_are_none_are_refused_in_one_line(file, given, capsys):
    assert run(["sweep", str(file), "--set", given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert repr(given) in line


def test_a_variable_that_is_given_twice_and_a_scenario_are_refused(file, capsys):
    twice = ["--set", "WARM_IP_TARGET=1", "--set", "WARM_IP_TARGET=2"]
    assert run(["sweep", str(file), *twice]) == 2
    assert "given twice" in capsys.readouterr().err
    assert run(["sweep", "examples/stall.yaml", "--set", "WARM_IP_TARGET=1"]) == 2
    assert "sweep takes a fleet" in capsys.readouterr().err
