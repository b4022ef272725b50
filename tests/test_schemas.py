"""Results as plain values: back again, through pickles, and valid by their JSON Schemas."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from ipam_core import (
    IPAM_CORE,
    VPC_CNI,
    Diagnosis,
    Explanation,
    Goals,
    Node,
    Sandbox,
    Settings,
    SimulatedCloud,
    Tuning,
    diagnose,
    drive,
    explain,
    read_case,
    tune,
)
from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.instances import limits
from ipam_core.policy import Policy
from ipam_core.schemas import SCHEMAS, check_schema, schema
from ipam_core.simulation.files import simulation_of
from ipam_core.variables import shown_variables

ROOT = Path(__file__).parent.parent
CASES = [
    ("m8g.4xlarge", {"MINIMUM_IP_TARGET": "25"}, {}),
    ("m5.large", {}, {}),
    ("m5.large", {"WARM_IP_TARGET": "3"}, {"policy": IPAM_CORE, "seed": 7}),
    ("m5.xlarge", {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}, {}),
    ("m5.large", {"WARM_ENI_TARGET": "0", "MAX_ENI": "2"}, {"max_pods": 60, "version": "v1.20.1"}),
    ("m5.large", {"WARM_IP_TARGET": "2"}, {"subnet_free": 9}),
    ("t3.micro", {"ENABLE_IPv6": "true"}, {}),  # does not start
    ("c5.large", {"WARM_ENI_TARGET": "1", "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"}, {}),
]


def valid(document, name):
    checker = jsonschema.Draft202012Validator(schema(name))
    assert [error.message for error in checker.iter_errors(document)] == []
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema"] == name


def test_every_schema_is_one():
    for name in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(schema(name))
        assert schema(name)["properties"]["schema"] == {"const": name}
    with pytest.raises(InputError, match="schema 'node/2': one of explanation/1"):
        schema("node/2")


@pytest.mark.parametrize(("instance", "env", "more"), CASES)
def test_an_explanation_comes_back(instance, env, more):
    explained = explain(instance, env, **more)
    document = explained.to_dict()
    valid(document, "explanation/1")
    again = Explanation.from_dict(json.loads(json.dumps(document)))
    assert again.to_dict() == document
    assert again.case == replace(explained.case, env=shown_variables(env))
    for name in ("verdict", "findings", "capacity_slots", "version", "max_pods_rule"):
        assert getattr(again, name) == getattr(explained, name), name
    assert (again.play.up, again.play.back) == (explained.play.up, explained.play.back)
    assert again.play.flap == explained.play.flap
    assert pickle.loads(pickle.dumps(explained)).to_dict() == document


def test_an_explanation_of_limits_by_hand_and_with_secrets():
    env = {"WARM_IP_TARGET": "2", "MY_TOKEN": "secret"}
    document = explain(limits("m5.large"), env).to_dict()
    assert "secret" not in json.dumps(document)
    assert Explanation.from_dict(document).to_dict() == document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "explanation/2"}, "schema 'explanation/2': this needs 'explanation/1'"),
        ({"schema": None}, "schema None"),
        ({"policy": "own"}, "policy 'own': only vpc-cni and ipam-core can be read"),
        ({"max_pods": "many"}, "no explanation"),
        ({"limits": {}}, "no explanation: KeyError"),
        ({"up": []}, "rules that this version does not have"),
        ({"env": {"WARM_IP_TARGET": "9"}}, "rules that this version does not have"),
        ({"findings": [{}]}, "no explanation: KeyError"),
    ],
)
def test_what_is_no_explanation_is_refused(change, said):
    document = explain("m5.large", {"WARM_IP_TARGET": "2"}).to_dict()
    with pytest.raises(InputError, match=said):
        Explanation.from_dict(document | change)
    with pytest.raises(InputError, match="schema None"):
        check_schema([document], "explanation/1")


def test_an_own_policy_is_written_and_not_read():
    document = explain("m5.large", policy=Policy(name="own")).to_dict()
    valid(document, "explanation/1")
    with pytest.raises(InputError, match="policy 'own'"):
        Explanation.from_dict(document)


@pytest.fixture(scope="module")
def tuned():
    fleet = {
        "duration": "4m",
        "nodes": [{"name": "n", "instance_type": "m5.large", "count": 1, "env": {}}],
        "workloads": [{"kind": "churn", "pods_per_node": 5, "lifetime": "1m"}],
    }
    spec = simulation_of([fleet], Path())
    return [
        tune(spec, seeds=seeds, goals=Goals(max_idle=goal)) for seeds, goal in [(1, 0), (2, 99)]
    ]


def test_a_tuning_comes_back(tuned):
    for found in tuned:
        document = found.to_dict()
        valid(document, "tuning/1")
        again = Tuning.from_dict(json.loads(json.dumps(document)))
        assert again == found
        assert pickle.loads(pickle.dumps(found)) == found
    assert tuned[0].recommended is None
    assert tuned[1].recommended is not None
    document = tuned[0].to_dict()
    with pytest.raises(InputError, match="schema 'tuning/2'"):
        Tuning.from_dict(document | {"schema": "tuning/2"})
    with pytest.raises(InputError, match="no result of tune: KeyError"):
        Tuning.from_dict({"schema": "tuning/1"})
    with pytest.raises(InputError, match="no result of tune: TypeError"):
        Tuning.from_dict(document | {"today": document["today"] | {"colour": 1}})


DOCTOR_CASES = sorted((ROOT / "tests" / "doctor" / "cases").iterdir())[::4]


@pytest.mark.parametrize(
    "folder", [ROOT / "examples" / "stuck-node", *DOCTOR_CASES], ids=lambda path: path.name
)
def test_a_diagnosis_comes_back(folder):
    diagnosis = diagnose(read_case([folder]))
    document = diagnosis.to_dict()
    valid(document, "diagnosis/1")
    again = pickle.loads(pickle.dumps(diagnosis))
    assert again == diagnosis
    assert again.to_dict() == document
    read = Diagnosis.from_dict(json.loads(json.dumps(document)))
    assert read.to_dict() == document
    for name in ("verdict", "notes", "gives"):
        assert getattr(read, name)() == getattr(diagnosis, name)(), name
    assert (read.answer, read.doubts) == (diagnosis.answer, diagnosis.doubts)
    assert read.ruled_out == diagnosis.ruled_out
    for mine, theirs in zip(read.found, diagnosis.found, strict=True):
        assert mine.prognosis == theirs.prognosis
        assert (mine.fix is None) == (theirs.fix is None)
        assert mine.fix is None or mine.fix.options == theirs.fix.options
    with pytest.raises(InputError, match="read from JSON has no facts"):
        _ = read.facts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "diagnosis/2"}, "schema 'diagnosis/2': this needs 'diagnosis/1'"),
        ({"found": [{}]}, "no diagnosis: KeyError"),
        ({"found": []}, "no diagnosis: answer 'found', and what was found says"),
        ({"answer": "fine"}, "no diagnosis: answer 'fine', and what was found says found"),
        ({"agent": "sleeps"}, "no diagnosis: ValueError"),
        ({"ruled_out": []}, "no diagnosis: AttributeError"),
        ({"refusals": [{"file": "a", "line": 1, "value": "", "time": "noon"}]}, "no diagnosis"),
    ],
)
def test_what_is_no_diagnosis_is_refused(change, said):
    document = diagnose(read_case([ROOT / "examples" / "stuck-node"])).to_dict()
    with pytest.raises(InputError, match=said):
        Diagnosis.from_dict(document | change)


def test_the_command_prints_the_same(capsys):
    env = {"MINIMUM_IP_TARGET": "25"}
    run(["explain", "m8g.4xlarge", "-e", "MINIMUM_IP_TARGET=25", "--json"])
    printed = json.loads(capsys.readouterr().out)["nodes"]
    assert printed == [explain("m8g.4xlarge", env).to_dict()]
    run(["doctor", str(ROOT / "examples" / "stuck-node"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == diagnose(read_case([ROOT / "examples" / "stuck-node"])).to_dict()


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE])
def test_a_node_between_two_steps_pickles_and_goes_on_alike(policy):
    cloud = SimulatedCloud("m5.large", seed=1)
    node = Node(cloud.limits, Settings(warm_ip_target=2), policy=policy)
    drive(node.start(), cloud)
    for n in range(5):
        node.try_add_pod(Sandbox(f"c{n}"), f"ns/{n}")
    drive(node.adjust(), cloud)
    again = pickle.loads(pickle.dumps(node))
    assert again.served[0] is again.stores[0]
    assert again.stores == node.stores
    assert len(again.waiting) == len(node.waiting)
    assert again.decide() == node.decide()
    for each in (node, again):
        each.try_remove_pod(Sandbox("c0"))
    assert again.try_add_pod(Sandbox("x")) == node.try_add_pod(Sandbox("x")) or (
        again.store.find(Sandbox("x")).address == node.store.find(Sandbox("x")).address
    )
    again.waiting.note_refused(Sandbox("y"))  # its lock is its own
    assert len(again.waiting) == len(node.waiting) + 1
