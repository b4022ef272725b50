"""A cluster of 5,000 nodes and 100,000 pods: what reading it takes."""

import json
import os
import subprocess
import sys

import pytest

from ipam_core.testing.kubernetes import MockCluster, MockNodes

pytestmark = pytest.mark.skipif(
    not os.environ.get("IPAM_CORE_SOAK"), reason="a soak: a minute of CPU (IPAM_CORE_SOAK=1)"
)
TYPES = {"m5.large": 15, "m5.xlarge": 20, "t3.medium": 9, "m8g.4xlarge": 26, "c6i.4xlarge": 30}
PROGRAM = """
import sys, time
from ipam_core.cli._app import run
began_s = time.process_time()
status = run(sys.argv[1:])
print("cpu_s", time.process_time() - began_s, file=sys.stderr)
print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
raise SystemExit(status)
"""


def large(server):
    """Fill a server with the cluster."""
    groups = [
        MockNodes(name=name.replace(".", "-"), instance_type=name, count=1000, pods=pods)
        for name, pods in TYPES.items()
    ]
    MockCluster(groups=groups, env={"WARM_IP_TARGET": "2"}).fill(server)


def measured(kubeconfig, *words):
    """Run a command; return it when it is done, and print its CPU and its most memory."""
    command = [sys.executable, "-c", PROGRAM, *words, "--kubeconfig", kubeconfig]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (line.replace(":", "").split() for line in done.stderr.splitlines())
    figures = {words[0]: words[1] for words in lines if len(words) > 1}
    print(words, figures)
    assert int(figures["VmHWM"]) < 300_000, "kB"
    return done


@pytest.mark.slow
def test_a_large_cluster_is_read_in_little_memory(server, kubeconfig):
    large(server)
    for options in ((), ("--metrics",)):
        done = measured(kubeconfig, "cluster", "--no-aws", "--json", *options)
        found = json.loads(done.stdout)
        assert (found["counts"]["nodes"], found["counts"]["pods"]) == (5000, 100_000)
        assert found["unread"] == []
        assert done.returncode == 0


@pytest.mark.slow
def test_a_large_cluster_is_exported_and_recorded_in_little_memory(server, kubeconfig, tmp_path):
    large(server)
    done = measured(kubeconfig, "exporter", "--once", "--no-aws")
    assert done.returncode == 0
    assert done.stdout.count("\nipam_core_node_stall_risk{") == 5000
    pods = tmp_path / "pods.csv"
    done = measured(kubeconfig, "record", str(pods), "--for", "60s")
    assert done.returncode == 0, done.stderr
    assert pods.read_text().count(",add\n") == 100_000
