"""What is missing is named with the extra that brings it, in one line."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from importlib.machinery import PathFinder
class Missing(PathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{missing}":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Missing())
from ipam_core.cli import _app, pods
pods._refuse_unserved = lambda path: None
{run}
"""
RUN = "sys.exit(_app.run({arguments}))"
READ = """
from pathlib import Path
from ipam_core.agent.cluster_reader import ClusterConfig
from ipam_core.agent.kubernetes import Kubernetes
from ipam_core.errors import IpamError
import importlib.util
importlib.util.find_spec = lambda name: None  # what it asks before kr8s is needed
try:
    Kubernetes.of(ClusterConfig(node_name="n", kubeconfig=Path("k")))
except IpamError as error:
    sys.exit("ipam-core: " + str(error))
"""


@pytest.mark.parametrize(
    ("missing", "run", "extra"),
    [
        ("grpc", RUN.format(arguments=["pods", "add", "1"]), "agent"),
        ("grpc", RUN.format(arguments=["demo", "--live"]), "agent"),
        (
            "pyroute2",
            RUN.format(arguments=["agent", "--simulate", "m5.large", "--host-network", "apply"]),
            "host",
        ),
        ("kr8s", READ, "k8s"),
    ],
    ids=["pods", "demo", "host", "k8s"],
)
def test_a_missing_extra_is_named(missing, run, extra, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(missing=missing, run=run)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert f"needs the extra '{extra}': pip install 'ipam-core[{extra}]'" in line
