"""What deploy/ has fits the agent: its options, variables, ports, files and rights."""

import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from yamllint import linter
from yamllint.config import YamlLintConfig

from ipam_core.agent import cluster_reader, kubelet, places
from ipam_core.agent.config import AgentConfig
from ipam_core.agent.environment import AGENT_VARIABLES
from ipam_core.cli._app import app
from ipam_core.settings import Settings
from ipam_core.variables import ADDRESS_VARIABLES, OTHER_VARIABLES
from support.servers import serving

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
MANIFEST = DEPLOY / "agent.yaml"
RECIPE = DEPLOY / "Containerfile"
LINT = "{extends: default, rules: {line-length: {max: 100}, braces: {max-spaces-inside: 0}}}"


@pytest.fixture(scope="module")
def objects():
    found = {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}
    assert len(found) == 5
    return found


@pytest.fixture(scope="module")
def pod(objects):
    return objects["DaemonSet"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def containers(pod):
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


@pytest.fixture(scope="module")
def variables(containers):
    return {each["name"]: each.get("value", "a-value") for each in containers["agent"]["env"]}


def test_the_linter_finds_nothing():
    found = linter.run(MANIFEST.read_text("utf-8"), YamlLintConfig(LINT), str(MANIFEST))
    assert [f"{problem.line}: {problem.desc}" for problem in found] == []


def test_every_object_is_one_that_kubernetes_knows(objects):
    """Strictly: no field that is not in the schema. Not in the set-up: its schemas are large."""
    validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for each in objects.values():
        validate.validate(each, validate.latest_version(), strict=True)


def test_kubectl_takes_the_manifest(tmp_path):
    """Its dry run on the client asks an API server which kinds there are: one of the test's."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    with serving(Discovery()) as url:
        done = subprocess.run(
            ["kubectl", "create", "--dry-run=client", "--validate=false", "--output=name",
             f"--server={url}", f"--filename={MANIFEST}"],
            capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "serviceaccount/ipam-core",
        "clusterrole.rbac.authorization.k8s.io/ipam-core",
        "clusterrolebinding.rbac.authorization.k8s.io/ipam-core",
        "configmap/ipam-core",
        "daemonset.apps/ipam-core",
    ]


KINDS = {
    "v1": {"ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps"},
    "apps/v1": {"DaemonSet": "daemonsets"},
    "rbac.authorization.k8s.io/v1": {
        "ClusterRole": "clusterroles",
        "ClusterRoleBinding": "clusterrolebindings",
    },
}


class Discovery:
    """Answers which kinds an API server has."""

    def __call__(self, request):
        status, body = self.answer(request.path.partition("?")[0])
        headers = [("Content-Type", "application/json")]
        request.reply(status, json.dumps(body).encode(), headers=headers)

    def answer(self, path):
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [each for each in KINDS if "/" in each]
            return 200, {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": group.partition("/")[0],
                        "versions": [{"groupVersion": group, "version": "v1"}],
                        "preferredVersion": {"groupVersion": group, "version": "v1"},
                    }
                    for group in groups
                ],
            }
        group = path.removeprefix("/apis/").removeprefix("/api/")
        if group not in KINDS:
            return 404, {"kind": "Status", "status": "Failure", "code": 404}
        return 200, {
            "kind": "APIResourceList",
            "groupVersion": group,
            "resources": [
                {"name": name, "kind": kind, "namespaced": not kind.startswith("Cluster"),
                 "verbs": ["create", "get"]}
                for kind, name in KINDS[group].items()
            ],
        }  # fmt: skip


# --- it fits the agent ------------------------------------------------------------------------


def test_every_option_is_one_of_the_command(containers):
    command = get_command(app).commands["agent"]
    known = {option for each in command.params for option in each.opts}
    given = {argument.partition("=")[0] for argument in containers["agent"]["args"]}
    assert given <= known
    assert given


def test_every_variable_is_one_that_the_agent_reads(variables):
    known = ADDRESS_VARIABLES | OTHER_VARIABLES | AGENT_VARIABLES
    assert set(variables) <= known
    assert Settings.from_env(variables).warnings == ()
    AgentConfig.from_env(variables)


def test_the_paths_and_ports_are_those_of_the_agent(containers, variables):
    config = AgentConfig.from_env(variables)
    mounts = {each["mountPath"] for each in containers["agent"]["volumeMounts"]}
    options = dict(each.split("=", 1) for each in containers["agent"]["args"] if "=" in each)
    for path in (config.socket, Path(config.log), Path(options["--checkpoint"])):
        assert str(path.parent) in mounts
    assert config.introspection == places.INTROSPECTION
    host, _, port = places.INTROSPECTION.partition(":")
    for probe in ("livenessProbe", "readinessProbe"):
        asked = containers["agent"][probe]["httpGet"]
        assert (asked["host"], str(asked["port"])) == (host, port)
    assert f"http://{places.INTROSPECTION}/v1/enis" in containers["configuration"]["command"][2]


def test_the_runtime_is_told_what_the_agent_is_asked_with(objects):
    configured = json.loads(objects["ConfigMap"]["data"]["10-aws.conflist"])
    assert configured["name"] == kubelet.NETWORK
    assert [each["type"] for each in configured["plugins"]] == ["aws-cni", "portmap"]


def test_its_rights_are_those_that_it_uses_and_no_more(objects):
    rules = {
        (group, resource): each["verbs"]
        for each in objects["ClusterRole"]["rules"]
        for group in each["apiGroups"]
        for resource in each["resources"]
    }
    assert rules == {
        ("", "nodes"): ["get"],
        ("", "pods"): ["list"],
        (cluster_reader.ENI_CONFIGS.split("/")[2], "eniconfigs"): ["get"],
    }
    binding = objects["ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == objects["ClusterRole"]["metadata"]["name"]
    (subject,) = binding["subjects"]
    account = objects["ServiceAccount"]["metadata"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    template = objects["DaemonSet"]["spec"]["template"]["spec"]
    assert template["serviceAccountName"] == account["name"]


def test_every_volume_is_mounted_and_every_mount_is_a_volume(pod, containers):
    mounted = {m["name"] for each in containers.values() for m in each.get("volumeMounts", ())}
    assert mounted == {each["name"] for each in pod["volumes"]}


def test_every_container_is_locked_down_and_says_what_it_needs(containers):
    for name, each in containers.items():
        rights = each["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert rights["capabilities"].get("add", []) == (["NET_ADMIN"] if name == "agent" else [])
        assert set(each["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in each["resources"]["limits"]


def test_the_recipe_copies_what_is_there_and_installs_extras_that_exist():
    root = DEPLOY.parent
    recipe = RECIPE.read_text("utf-8")
    steps = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", recipe, flags=re.M)).splitlines()
    kinds = [step.split()[0] for step in steps if step.strip()]
    assert set(kinds) <= {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT"}
    assert kinds.index("ARG") < kinds.index("FROM")
    for step in steps:
        words = step.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            assert all((root / source).exists() for source in words[1:-1]), step
    with (root / "pyproject.toml").open("rb") as file:
        import tomllib

        extras = tomllib.load(file)["project"]["optional-dependencies"]
    (installed,) = re.findall(r'"\.\[(.*?)\]"', recipe)
    assert set(installed.split(",")) <= set(extras)
    assert {"agent", "aws", "cli", "host", "k8s"} == set(installed.split(","))
    (entry,) = [json.loads(step.split(maxsplit=1)[1]) for step in steps if "ENTRYPOINT" in step]
    assert entry[1:] == ["agent"]


def test_the_configuration_container_is_a_shell_that_parses(containers):
    script = containers["configuration"]["command"][2]
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "\n" not in script.rstrip("\n")
