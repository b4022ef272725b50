"""`kubectl ipam`: found by kubectl, its arguments, and the manifest for Krew."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ipam_core.cli.kubectl import arguments_of
from ipam_core.testing.kubernetes import KubernetesServer, MockCluster, MockNodes

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], ["cluster"]),
        (["--no-aws", "-o", "wide"], ["cluster", "--no-aws", "-o", "wide"]),
        (["doctor", "NODE"], ["doctor", "NODE"]),
        (["record", "pods.csv", "--for", "1h"], ["record", "pods.csv", "--for", "1h"]),
        (["--help"], ["--help"]),
        (["--version"], ["--version"]),
    ],
)
def test_without_a_command_it_is_cluster(given, passed_on):
    assert arguments_of(given) == passed_on


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kubectl_itself_runs_the_plugin(tmp_path):
    module, _, function = SCRIPTS["kubectl-ipam"].partition(":")
    plugin = tmp_path / "kubectl-ipam"
    plugin.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
    plugin.chmod(0o755)
    with KubernetesServer() as server:
        groups = [MockNodes(name="web", instance_type="m5.large", count=2, pods=3)]
        MockCluster(groups=groups, env={"MINIMUM_IP_TARGET": "12"}).fill(server)
        environ = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "KUBECONFIG": str(server.write_kubeconfig(tmp_path / "kubeconfig")),
        }

        def kubectl(*arguments):
            return subprocess.run(
                ["kubectl", *arguments], env=environ, capture_output=True, text=True, check=False
            )

        listed = kubectl("plugin", "list")
        assert str(plugin) in listed.stdout
        done = kubectl("ipam", "--no-aws")
        assert done.returncode == 1, done.stderr  # both nodes will be stuck
        assert "stalls at pod 13" in re.sub(r"\s+", " ", done.stdout)
        assert kubectl("ipam", "instances", "m5.large").returncode == 0
        wrong = kubectl("ipam", "no-such-command")
        assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def rendered():
    """Return the manifest as krew-release-bot makes it of the template."""
    text = (ROOT / "deploy" / "krew" / "ipam.yaml").read_text("utf-8")
    text = text.replace("{{ .TagName }}", "v0.1.0")
    found = re.sub(
        r'\{\{addURIAndSha "([^"]+)" \.TagName \}\}', rf'uri: \1\n      sha256: "{"0" * 64}"', text
    )
    assert "{{" not in found
    return yaml.safe_load(found)


def test_the_krew_manifest_has_what_krew_asks_for():
    """As krew's own validation: names, lengths, one archive for each platform."""
    manifest = rendered()
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert manifest["kind"] == "Plugin"
    assert manifest["metadata"] == {"name": "ipam"}
    spec = manifest["spec"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert len(spec["shortDescription"]) <= 50
    assert "\n" not in spec["shortDescription"]
    assert spec["description"]
    selected = set()
    for platform in spec["platforms"]:
        labels = platform["selector"]["matchLabels"]
        selected.add((labels["os"], labels["arch"]))
        assert platform["uri"].startswith("https://")
        assert f"{labels['os']}-{labels['arch']}.tar.gz" in platform["uri"]
        assert re.fullmatch("[0-9a-f]{64}", platform["sha256"])
        assert platform["bin"] == f"kubectl-{manifest['metadata']['name']}"
        assert platform["bin"] in SCRIPTS
    assert len(selected) == len(spec["platforms"]) == 3
