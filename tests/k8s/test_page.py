"""docs/cluster.md: what it shows is printed, and what it allows is enough and not more."""

import doctest
import json
from pathlib import Path

import pytest
import yaml

from ipam_core.cli._app import run
from ipam_core.endpoint.server import VpcServer
from ipam_core.k8s import watching
from ipam_core.k8s.client import PODS
from ipam_core.testing.kubernetes import MockCluster, MockNodes, demo_cluster, rules_of
from support.commands import called
from support.kube import asked
from support.sessions import blocks, steps, tidy, words

PAGE = Path(__file__).parent.parent.parent / "docs" / "cluster.md"
LOG = PAGE.parent.parent / "examples" / "stuck-node" / "ipamd.log"
NODE = "node/ip-10-0-0-4.eu-west-1.compute.internal"
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


def roles(*numbers):
    """Return the documents of the page's blocks of roles."""
    return [each for n in numbers for each in yaml.safe_load_all(blocks(PAGE, "yaml")[n])]


def of_cluster(server, kubeconfig, capsys):
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


def of_doctor(server, kubeconfig, capsys, *options):
    """Return what `doctor NODE` could not read, or change."""

    def run(document):
        document["status"] = {"phase": "Succeeded"}
        server.state.put(PODS, document)

    server.created = run
    server.pod_log = lambda *_: LOG.read_bytes()
    where = ("--kubeconfig", kubeconfig, "--json", *options)
    status, out, err = called(
        capsys, "doctor", "node/ip-10-0-0-4.eu-west-1.compute.internal", *where
    )
    return [err] if status == 2 else [each["why"] for each in json.loads(out)["not_read"]]


def of_debug_pod(server, kubeconfig, capsys):
    return of_doctor(server, kubeconfig, capsys, "--debug-pod")


COMMANDS = [
    (of_cluster, (0,), (0,)),
    (of_doctor, (1,), (1,)),
    (of_debug_pod, (1, 2), (2,)),
]
"""What is run, under the roles of which blocks, and the blocks whose rights are taken away."""


def fill(server):
    nodes = MockNodes(name="web", instance_type="m5.large", count=2, pods=3)
    MockCluster(groups=[nodes], env={"WARM_IP_TARGET": "2"}).fill(server)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "IDLE_S", 0.1)


@pytest.mark.parametrize(("command", "given", "_"), COMMANDS)
def test_the_roles_are_enough(command, given, _, server, kubeconfig, capsys):
    fill(server)
    server.rules = rules_of(roles(*given))
    assert command(server, kubeconfig, capsys) == []


def each_right():
    for command, given, taken in COMMANDS:
        for document in roles(*taken):
            for rule in document["rules"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        name = f"{command.__name__}: {verb} {resource}"
                        yield pytest.param(
                            command, given, document["metadata"]["name"], resource, verb, id=name
                        )


@pytest.mark.parametrize(("command", "given", "role", "resource", "verb"), list(each_right()))
def test_each_right_is_needed(command, given, role, resource, verb, server, kubeconfig, capsys):
    fill(server)
    documents = roles(*given)
    for document in documents:
        if document["metadata"]["name"] == role:
            document["rules"] = [
                {**rule, "resources": [each], "verbs": [one]}
                for rule in document["rules"]
                for each in rule["resources"]
                for one in rule["verbs"]
                if (each, one) != (resource, verb)
            ]
    server.rules = rules_of(documents)
    said = f'cannot {verb} resource "{resource}"'
    assert any(said in line for line in command(server, kubeconfig, capsys))


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
