"""docs/cluster.md: what it shows is printed, and what it allows is enough and not more."""

import doctest
import json
from pathlib import Path

import pytest
import yaml

from ipam_core.cli._app import run
from ipam_core.endpoint.server import VpcServer
from ipam_core.k8s import watching
from ipam_core.testing.kubernetes import MockCluster, MockNodes, demo_cluster, rules_of
from support.commands import called
from support.kube import asked
from support.sessions import blocks, steps, tidy, words

PAGE = Path(__file__).parent.parent.parent / "docs" / "cluster.md"
CHECKER = doctest.OutputChecker()


@pytest.mark.parametrize("session", blocks(PAGE, "console"))
def test_session_prints_what_it_shows(session, server, kubeconfig, capsys, monkeypatch):
    demo_cluster().fill(server)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    status = None
    for command, expected in steps(session):
        if command == "echo $?":
            assert expected.strip() == str(status)
            continue
        status = run(words(command))
        printed = tidy(capsys.readouterr().out)
        if not CHECKER.check_output(tidy(expected), printed, doctest.ELLIPSIS):
            pytest.fail(f"{command} prints\n{printed}and the page shows\n{expected}")


# --- roles ------------------------------------------------------------------------------------


def roles():
    return list(yaml.safe_load_all(blocks(PAGE, "yaml")[0]))


def unread(server, kubeconfig, capsys):
    """Return what `cluster --metrics`, and then `--watch`, could not read."""
    where = ("--kubeconfig", kubeconfig, "--no-aws", "--metrics", "--json")
    status, out, err = called(capsys, "cluster", *where)
    found = [err] if status == 2 else json.loads(out)["unread"]

    async def watched(client):
        readings = watching.watch_cluster(client, every_s=0.3)
        try:
            await anext(readings)
            return list((await anext(readings)).unread)
        finally:
            await readings.aclose()

    server.state.compact()  # a change for the second reading is a list that begins again
    return [*found, *asked(kubeconfig, watched)]


def fill(server):
    nodes = MockNodes(name="web", instance_type="m5.large", count=2, pods=3)
    MockCluster(groups=[nodes], env={"WARM_IP_TARGET": "2"}).fill(server)


def test_the_roles_are_enough(server, kubeconfig, capsys, monkeypatch):
    monkeypatch.setattr(watching, "IDLE_S", 0.1)
    fill(server)
    server.rules = rules_of(roles())
    assert unread(server, kubeconfig, capsys) == []


def each_right():
    for role, document in enumerate(roles()):
        for number, rule in enumerate(document["rules"]):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield pytest.param(role, number, resource, verb, id=f"{verb} {resource}")


@pytest.mark.parametrize(("role", "number", "resource", "verb"), list(each_right()))
def test_each_right_is_needed(
    role, number, resource, verb, server, kubeconfig, capsys, monkeypatch
):
    monkeypatch.setattr(watching, "IDLE_S", 0.1)
    fill(server)
    documents = roles()
    rule = documents[role]["rules"].pop(number)
    for other in rule["resources"]:
        verbs = [each for each in rule["verbs"] if (other, each) != (resource, verb)]
        documents[role]["rules"].append({**rule, "resources": [other], "verbs": verbs})
    server.rules = rules_of(documents)
    said = f'cannot {verb} resource "{resource}"'
    assert any(said in line for line in unread(server, kubeconfig, capsys))


def test_the_iam_policy_is_what_is_called(server, kubeconfig, capsys, monkeypatch, tmp_path):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    trail = tmp_path / "trail.json"
    node = {"name": "web", "instance_type": "m5.large", "count": 2}
    spec = {"nodes": [node], "ec2": {"latency": False, "throttling": False}}
    with VpcServer(spec, trail=trail) as vpc:
        ids = list(vpc.imds_urls)
        nodes = MockNodes(name="web", instance_type="m5.large", count=2, pods=3, instance_ids=ids)
        MockCluster(groups=[nodes], env={"WARM_IP_TARGET": "2"}).fill(server)
        where = ("--kubeconfig", kubeconfig, "--endpoint-url", vpc.endpoint_url)
        status, out, _ = called(capsys, "cluster", *where)
        assert "Not read" not in out
        assert status == 0
    policy = json.loads(blocks(PAGE, "json")[0])
    (statement,) = policy["Statement"]
    called_apis = {record["eventName"] for record in json.loads(trail.read_text())["Records"]}
    assert {f"ec2:{api}" for api in called_apis} == set(statement["Action"])
