"""`make demo-cluster`: 40 nodes of four types, and what docs/cluster.md shows of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipam_core.endpoint.server import VpcServer
from ipam_core.k8s.client import NODES
from ipam_core.testing.kubernetes import KubernetesServer
from support.loading import loaded

ROOT = Path(__file__).parents[2]
PATH = ROOT / "examples" / "demo_cluster.py"
PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")


def demo():
    return loaded(PATH)


def test_both_servers_have_the_same_40_nodes_of_four_types():
    module = demo()
    with KubernetesServer() as server, VpcServer(module.VPC) as vpc:
        module.fill(server, list(vpc.imds_urls))
        assert server.state.count(NODES) == len(vpc.imds_urls) == 40
        names = [f"ip-10-0-0-{number + 4}.eu-west-1.compute.internal" for number in range(40)]
        found = [server.state.document(NODES, name) for name in names]
    ids = [each["spec"]["providerID"].rpartition("/")[2] for each in found]
    assert sorted(ids) == sorted(vpc_id for vpc_id in ids if vpc_id.startswith("i-"))
    kinds = {each["metadata"]["labels"]["node.kubernetes.io/instance-type"] for each in found}
    assert len(kinds) == 4


@pytest.mark.skipif(not os.environ.get("IPAM_CORE_SOAK"), reason="11 s of a processor")
def test_every_command_ends_as_it_should_and_prints_what_the_page_shows():
    done = subprocess.run([sys.executable, PATH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.sub(r"\s+", " ", done.stdout)
    section = PAGE.split("## Try it without a cluster")[1]
    lines = re.findall(r"^    (.*)$", section.split("\n## ")[0], re.M)
    fixed = [line for line in lines if line.strip() and not line.startswith("make")]
    assert len(fixed) > 12
    for line in fixed:
        pattern = re.escape(re.sub(r"\s+", " ", line.strip())).replace(r"\.\.\.", ".*?")
        assert re.search(pattern, printed), line
