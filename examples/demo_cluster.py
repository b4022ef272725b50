"""A cluster of 40 nodes on two mock servers, and every command that reads one: make demo-cluster.

Needs the extras cli, exporter and vpc. Nothing outside this machine is asked. One node, of type
m8g.4xlarge, is stalled. Exits 1 if a command does not end as it should.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from ipam_core.endpoint.server import VpcServer
from ipam_core.k8s.client import PODS
from ipam_core.testing.kubernetes import KubernetesServer, MockCluster, MockNodes, pod_document

PROGRAM = Path(sys.executable).parent / "ipam-core"
SUBNET_A, SUBNET_B = "subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"
ENV = {"MINIMUM_IP_TARGET": "25"}
GROUPS = (
    # Instance type, nodes, pods of each with an address, pods of each without one.
    ("m8g.4xlarge", 1, 25, 3),
    ("m5.xlarge", 11, 20, 0),
    ("c5.large", 12, 14, 0),
    ("t3.medium", 16, 9, 0),
)
SUBNETS = [
    {"id": SUBNET_A, "cidr": "10.0.0.0/21", "zone": "a", "used": 300},
    {"id": SUBNET_B, "cidr": "10.0.8.0/23", "zone": "b", "used": 200},
]
NODES = [
    {
        "name": kind.replace(".", "-"),
        "instance_type": kind,
        "count": count,
        "subnets": [SUBNET_B if kind == "c5.large" else SUBNET_A],
    }
    for kind, count, _, _ in GROUPS
]
VPC = {"subnets": SUBNETS, "nodes": NODES, "ec2": {"latency": False, "throttling": False}}


def main() -> int:
    """Serve both, run the commands, and return the exit status."""
    with (
        tempfile.TemporaryDirectory(prefix="demo-cluster-") as name,
        KubernetesServer() as server,
        VpcServer(VPC) as vpc,
    ):
        folder = Path(name)
        fill(server, list(vpc.imds_urls))
        environ = os.environ | {
            "KUBECONFIG": str(server.write_kubeconfig(folder / "kubeconfig")),
            "AWS_ENDPOINT_URL": vpc.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        stuck = "ip-10-0-0-4.eu-west-1.compute.internal"
        ended = threading.Event()
        pods = threading.Thread(target=come_and_go, args=(server, ended))
        pods.start()
        try:
            fine = [
                run(folder, environ, "cluster", "--metrics", status=1),
                run(folder, environ, "doctor", f"node/{stuck}", status=1),
                run(folder, environ, "record", "pods.csv", "--for", "6s"),
            ]
        finally:
            ended.set()
            pods.join()
        shown = r"ipam_core_(subnet_|node_stall_risk.* 1\.0).*"
        fleet = ("fleet.yaml", "--recording", "pods.csv", "--warm-up", "2m")
        tune = ("--seeds", "1", "--jobs", "2", "--no-prefixes")
        fine += [
            run(folder, environ, "fleet", "from-cluster", *fleet),
            run(folder, environ, "tune", "fleet.yaml", *tune, status=1),
            run(
                folder,
                environ,
                "exporter",
                "--once",
                only=shown,
            ),
        ]
    return 0 if all(fine) else 1


def fill(server: KubernetesServer, instance_ids: list[str]) -> None:
    """Put the cluster of the VPC's instances into the API."""
    groups = []
    for kind, count, n_pods, n_waiting in GROUPS:
        own, instance_ids = instance_ids[:count], instance_ids[count:]
        zone = "us-east-1b" if kind == "c5.large" else "us-east-1a"
        groups.append(
            MockNodes(
                name=kind.replace(".", "-"),
                instance_type=kind,
                zone=zone,
                count=count,
                pods=n_pods,
                waiting=n_waiting,
                instance_ids=tuple(own),
            )
        )
    MockCluster(groups=groups, env=ENV, introspection=True).fill(server)


def come_and_go(server: KubernetesServer, ended: threading.Event) -> None:
    """Let jobs come and go on the nodes, until it is ended."""
    for number in range(1000):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        node = f"ip-10-0-0-{5 + number % 35}.eu-west-1.compute.internal"
        server.state.put(PODS, pod_document(f"job-{number}", node=node, created=now))
        if number >= 20:
            server.state.remove(PODS, f"job-{number - 20}", "default")
        if ended.wait(0.1):
            return


def run(
    folder: Path, environ: dict[str, str], *arguments: str, status: int = 0, only: str = ""
) -> bool:
    """Run a command and show it; return whether it ended as it should."""
    sys.stdout.write(f"\n$ ipam-core {' '.join(arguments)}\n")
    began_s = time.monotonic()
    done = subprocess.run(
        [PROGRAM, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines(keepends=True)
    shown = [line for line in lines if not only or re.match(only, line)]
    sys.stdout.write("".join(shown) + done.stderr)
    sys.stdout.write(f"(exit status {done.returncode}, {time.monotonic() - began_s:.1f} s)\n")
    sys.stdout.flush()
    return done.returncode == status


if __name__ == "__main__":
    raise SystemExit(main())
