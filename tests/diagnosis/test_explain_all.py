"""`explain --all`: every type's verdict is that of a node that is played, in one short table."""

from __future__ import annotations

import json
import random
from functools import partial

import pytest

from ipam_core import instances
from ipam_core.diagnosis.explain import explain, survey
from ipam_core.policy import IPAM_CORE
from support.commands import called

STALLS = ["-e", "MINIMUM_IP_TARGET=25"]


@pytest.fixture
def command(capsys):
    """Explain in this process; return (status, standard output, error output)."""
    return partial(called, capsys, "explain")


@pytest.mark.parametrize(
    ("env", "policy"),
    [
        ({"MINIMUM_IP_TARGET": "25"}, "vpc-cni"),
        ({"WARM_IP_TARGET": "2", "MAX_ENI": "2"}, "vpc-cni"),
        ({"WARM_ENI_TARGET": "0"}, "vpc-cni"),
        ({"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}, "vpc-cni"),
        ({"MINIMUM_IP_TARGET": "25"}, "ipam-core"),
        ({"ENABLE_IPv6": "true", "ENABLE_IPv4": "false"}, "vpc-cni"),
        ({"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "MAX_ENI": "1"}, "vpc-cni"),
    ],
)
def test_the_verdicts_are_those_of_explain(env, policy):
    rules = {"policy": IPAM_CORE} if policy == "ipam-core" else {}
    names = random.Random(str(env)).sample(instances.names(), 6)
    for found in survey(names, env, max_pods=60, **rules):
        played = explain(found.limits, env, max_pods=60, advise=False, **rules)
        assert str(found.verdict) == str(played.verdict)
        if not found.flaps:  # then it is that of the moment
            assert found.verdict.burst == played.verdict.burst
        assert found.flaps == (played.play.flap is not None)
        assert found.verdict.serves_all == played.verdict.serves_all


def test_every_type_is_counted_in_rows_of_80_columns(command):
    status, out, err = command("--all", *STALLS)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{len(instances.names())} instance types: ")
    surveyed = survey(instances.names(), {"MINIMUM_IP_TARGET": "25"})
    n_stall = sum(each.verdict.stalled_at is not None for each in surveyed)
    assert f"{n_stall} do not serve all" in lines[0]
    assert "stalls at pod 26 with 2 slots" in out
    assert len(lines) < 200  # folded: not a row for each type


def test_many_types_that_are_simulated_one_by_one_are_not_without_a_hint(command, monkeypatch):
    monkeypatch.setattr("ipam_core.cli.explain.MANY_TYPES", 2)
    few = ("--max-pods", "3", "--format", "json")
    status, out, err = command("m5.large", "m5.xlarge", *few)
    assert (status, len(json.loads(out)["nodes"])) == (0, 2)
    assert err == (
        "ipam-core: 2 types are simulated one by one, for their findings; --all gives a verdict "
        "for each in seconds\n"
    )
    assert command("m5.large", *few)[2] == ""
    assert command("m5.large", "m5.xlarge", *few, "--subnet-free", "100")[2] == ""  # not by --all


def test_each_type_is_there_as_json_with_its_states(command):
    status, out, _ = command("--all", *STALLS, "--json")
    told = json.loads(out)
    assert (status, told["healthy"]) == (1, False)
    assert [each["instance_type"] for each in told["types"]] == list(instances.names())
    (m8g,) = (each for each in told["types"] if each["instance_type"] == "m8g.4xlarge")
    assert m8g["verdict"]["text"] == "stalls at pod 26 with 207 slots unused"
    assert (m8g["full"]["served"], m8g["full"]["total"], m8g["idle"]["enis"]) == (25, 25, 1)


def test_patterns_narrow_it_and_a_pool_that_does_not_rest_is_a_warning(command):
    status, out, _ = command("m5.*large", "--all", "-e", "WARM_ENI_TARGET=0")
    assert status == 1
    assert "serve all but do not rest" in out
    assert "does not rest with 9 pods" in out
    assert command("m5.*large", "--all", "-e", "WARM_ENI_TARGET=0", "--fail-on", "error")[0] == 0
    status, out, _ = command("m5.*large", "--all")
    assert status == 0
    assert "instance types" in out.splitlines()[0]


def test_a_type_that_does_not_start_is_told_with_the_reason(command):
    status, out, _ = command("m5.large", "--all", "-e", "ENABLE_IPv4=false")
    assert status == 1
    assert out.startswith("1 instance type: 1 does not start")
    assert "both disabled" in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--subnet-free", "9"], "--all plays no node, and takes no --subnet-free"),
        (["--compare-env", "WARM_IP_TARGET=1"], "takes no --compare-env"),
        (["--format", "sarif"], "--all prints text or json, not sarif"),
    ],
)
def test_what_needs_a_played_node_is_refused(command, options, said):
    status, out, err = command("--all", *options)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
