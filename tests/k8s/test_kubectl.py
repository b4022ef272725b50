"""kubectl itself at the served API: what it prints is what was put there."""

import json
import shutil
import subprocess

import pytest

from ipam_core.k8s.client import DAEMONSETS, NODES, PODS
from ipam_core.testing.kubernetes import (
    KubernetesServer,
    agent_pod_document,
    daemonset_document,
    node_document,
    pod_document,
    rules_of,
)

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture
def server():
    with KubernetesServer(tls=True) as served:
        yield served


@pytest.fixture
def kubectl(server, kubeconfig, tmp_path):
    """Run kubectl with a home of its own; return its answer."""

    def run(*arguments):
        return subprocess.run(
            ["kubectl", "--kubeconfig", kubeconfig, "--cache-dir", tmp_path / "cache", *arguments],
            capture_output=True,
            text=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/local/bin"},
            timeout=60,
            check=False,
        )

    return run


def test_kubectl_reads_what_is_served(server, kubectl):
    server.state.put(DAEMONSETS, daemonset_document({"WARM_IP_TARGET": "3"}))
    server.state.put(NODES, node_document("node-1", instance_type="m5.large", max_pods=29))
    server.state.put(PODS, agent_pod_document("node-1", suffix="x"))
    server.state.put_all(PODS, (pod_document(f"web-{n:03}", node="node-1") for n in range(1200)))
    server.pod_log = lambda *given: f"log of {given[:3]}\n".encode()
    server.serve_pod = lambda *given: f"page of {given}\n".encode()

    found = json.loads(kubectl("get", "pods", "-o", "json", "--chunk-size=500").stdout)
    assert len(found["items"]) == 1200
    node = kubectl("get", "node", "node-1", "-o", "jsonpath={.status.allocatable.pods}")
    assert node.stdout == "29", node.stderr
    env = kubectl("-n", "kube-system", "set", "env", "ds/aws-node", "--list")
    assert "WARM_IP_TARGET=3" in env.stdout, env.stderr
    log = kubectl("-n", "kube-system", "logs", "aws-node-x", "-c", "aws-node")
    assert log.stdout == "log of ('kube-system', 'aws-node-x', 'aws-node')\n", log.stderr
    path = "/api/v1/namespaces/kube-system/pods/aws-node-x:61678/proxy/metrics"
    page = kubectl("get", "--raw", path)
    assert page.stdout == "page of ('kube-system', 'aws-node-x', 61678, 'metrics')\n", page.stderr


def test_kubectl_is_refused_as_roles_say(server, kubectl):
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    server.rules = rules_of([{"kind": "ClusterRole", "metadata": {}, "rules": [rule]}])
    assert kubectl("get", "nodes").returncode == 0
    said = kubectl("get", "pods", "-A").stderr
    assert said.startswith("Error from server (Forbidden): pods is forbidden: User"), said
