"""`--policy MODULE:NAME`: a policy of one's own in every command that plays one."""

from __future__ import annotations

import json
import sys
from itertools import count

import pytest

from ipam_core.cli._app import run

RULES = """
from dataclasses import replace

from ipam_core import IPAM_CORE, pool


def many(view):
    return pool.aim(view, warm_ip=20)


def broken(view):
    raise ZeroDivisionError("of my rule")


class Kept:
    mine = replace(IPAM_CORE, name="mine", rule=many)


loose = replace(IPAM_CORE, name="loose", rule=lambda view: many(view))
number = 5
"""
FLEET = {
    "duration": "3m",
    "nodes": [{"name": "n", "instance_type": "m5.large", "count": 1, "env": {}}],
    "workloads": [{"kind": "churn", "pods_per_node": 3, "lifetime": "1m"}],
}
SCENARIO = {
    "id": "s",
    "instance_type": "m5.large",
    "steps": [{"op": "boot"}, {"op": "add_pods", "n": 1}, {"op": "settle"}],
    "expect": {"assigned_ips": 1, "total_ips": 27},
}
NUMBERS = count()


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """The name of a new module in the current folder, which is on no path."""
    name = f"own_rules_{NUMBERS.__next__()}"
    (tmp_path / f"{name}.py").write_text(RULES)
    (tmp_path / "fleet.json").write_text(json.dumps(FLEET))
    (tmp_path / "scenario.json").write_text(json.dumps(SCENARIO))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield name
    sys.modules.pop(name, None)


def printed(capsys, *arguments, status=0):
    assert run([*arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_explain_plays_a_rule_and_a_policy(rules, capsys):
    usual = printed(capsys, "explain", "m5.large")["nodes"][0]
    assert usual["up"][0]["addresses"] == 9
    for own, name in ((f"{rules}:many", f"{rules}:many"), (f"{rules}:Kept.mine", "mine")):
        (node,) = printed(capsys, "explain", "m5.large", "--policy", own)["nodes"]
        assert node["policy"] == name
        assert node["up"][0]["addresses"] == 20


def test_a_fleet_and_a_scenario_are_played_by_it(rules, capsys):
    own = ("--policy", f"{rules}:many")
    results = printed(capsys, "simulate", "fleet.json", "--compare", *own)
    assert [each["policy"] for each in results] == ["vpc-cni", "ipam-core", f"{rules}:many"]
    (alone,) = printed(capsys, "simulate", "fleet.json", *own)
    assert alone == results[2]
    assert alone != results[0]
    (played,) = printed(capsys, "simulate", "scenario.json", *own, status=1)
    assert played["policy"] == f"{rules}:many"
    assert played["mismatches"] == ["end: total_ips: expected 27, met 21"]
    assert run(["check", "scenario.json", *own]) == 1
    assert "21" in capsys.readouterr().out


def test_processes_get_it_too(rules, capsys):
    own = ("--policy", f"{rules}:many", "--jobs", "2")
    swept = printed(
        capsys, "sweep", "fleet.json", "--set", "WARM_IP_TARGET=1,9", "--seeds", "1", *own
    )
    assert {row["policy"] for row in swept["rows"]} == {f"{rules}:many"}
    idle = {row["idle"] for row in swept["rows"]}
    assert len(idle) == 1  # the rule does not read the settings
    tuned = printed(capsys, "tune", "fleet.json", *own)
    assert tuned["today"]["idle"] > 15  # the agent keeps 9 addresses for 3 pods


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{}:", "MODULE:NAME is needed, as Python imports it: my_rules:predict"),
        ("a/{}:many", "MODULE:NAME is needed"),
        ("nowhere.{}:many", "no module nowhere.{}, neither installed nor in "),
        ("{}:few", "module {} has no few"),
        ("{}:Kept.few", "module {} has no Kept.few"),
        ("{}:number", "a Policy or a rule, a function of a PoolView, is needed, not a int"),
        ("{}:Kept", "is needed, not a type"),
        ("{}:loose", "its functions must be of a module, for several processes: "),
    ],
)
def test_what_names_no_policy_is_refused_in_one_line(rules, capsys, own, said):
    given = own.format(rules)
    assert run(["explain", "m5.large", "--policy", given]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"ipam-core: --policy '{given}': ")
    assert said.format(rules) in line
    assert "\n" not in line


def test_a_module_that_does_not_load_says_why(rules, capsys, tmp_path):
    for text, said in (
        ("import nothing_such", "does not load: No module named 'nothing_such'"),
        ("1 / 0", "does not load: ZeroDivisionError: division by zero"),
        ("def many(", "does not load: SyntaxError: "),
    ):
        (tmp_path / f"{rules}.py").write_text(text)
        assert run(["simulate", "fleet.json", "--policy", f"{rules}:many"]) == 2
        assert f"{rules} {said}" in capsys.readouterr().err


def test_what_a_rule_raises_is_its_own(rules):
    with pytest.raises(ZeroDivisionError, match="of my rule"):
        run(["explain", "m5.large", "--policy", f"{rules}:broken"])


def test_the_current_folder_hides_no_installed_module(rules, capsys, tmp_path):
    (tmp_path / "colorsys.py").write_text("many = 1")
    assert run(["explain", "m5.large", "--policy", "colorsys:many"]) == 2
    assert "module colorsys has no many" in capsys.readouterr().err


def test_a_real_node_takes_the_built_in_policies_alone(rules, capsys):
    assert run(["agent", "--policy", f"{rules}:many"]) == 2
    said = f"ipam-core: unknown policy '{rules}:many'; known: vpc-cni, ipam-core\n"
    assert capsys.readouterr().err == said
