"""ADD and DEL as a CNI plugin sees them: over the socket, of an agent in its own process.

The pods are held first. A round is pairs of ADD and DEL by 1 or 16 callers; what is shown is
a pair, and of the ADDs alone the median and the 99th percentile. The floor is gRPC itself: two
health checks of the same server in place of a pair. With IPAM_CORE_UPSTREAM_AGENT, the path of
`aws-k8s-agent`, upstream's agent is measured too (`upstream_node.py`; needs root).
"""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="needs the extra `agent`")

from grpc_health.v1 import health_pb2, health_pb2_grpc

from ipam_core.agent.protocol import rpc_pb2
from ipam_core.agent.protocol.client import Client

SHORT = bool(os.environ.get("BENCH_SHORT"))
UPSTREAM = os.environ.get("IPAM_CORE_UPSTREAM_AGENT", "")
HERE = Path(__file__).parent
PODS = [29] if SHORT else [29, 232, 3712]
SUBJECTS = ["floor", "ipam_core", "ipam_core, durable", *(["upstream"] if UPSTREAM else [])]


def request(kind, number):
    """Return what the plugin asks for a sandbox."""
    sandbox = f"{number:064x}"
    return kind(
        K8S_POD_NAME=f"web-{number}",
        K8S_POD_NAMESPACE="default",
        K8S_POD_INFRA_CONTAINER_ID=sandbox,
        ContainerID=sandbox,
        IfName="eth0",
        NetworkName="aws-cni",
    )


class Served:
    """An agent in its own process that holds pods, and callers of it."""

    def __init__(self, subject, n_pods):
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        arguments = [str(self.folder), str(n_pods)]
        if subject == "upstream":
            command = [sys.executable, HERE / "upstream_node.py", UPSTREAM, *arguments]
        else:
            durable = ["durable"] if "durable" in subject else []
            command = [sys.executable, HERE / "agent_server.py", *arguments, *durable]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert self.process.stdout.readline() == "ready\n"
            self.client = Client(self.folder / "ipamd.sock")
            with ThreadPoolExecutor(8) as pool:
                assert all(pool.map(self.hold, range(n_pods)))
        except BaseException:
            self.process.kill()
            raise
        self.health = health_pb2_grpc.HealthStub(self.client.channel)
        self.add_s = []
        self.ask = self.check_twice if subject == "floor" else self.pair

    def hold(self, number):
        return self.client.add_network(request(rpc_pb2.AddNetworkRequest, number)).Success

    def pair(self):
        """Add a pod and take it away again."""
        number = secrets.randbits(64) | 1 << 64
        began_s = time.perf_counter()
        reply = self.client.add_network(request(rpc_pb2.AddNetworkRequest, number))
        self.add_s.append(time.perf_counter() - began_s)
        assert reply.Success
        assert self.client.del_network(request(rpc_pb2.DelNetworkRequest, number)).Success

    def check_twice(self):
        began_s = time.perf_counter()
        self.health.Check(health_pb2.HealthCheckRequest())
        self.add_s.append(time.perf_counter() - began_s)
        self.health.Check(health_pb2.HealthCheckRequest())

    def pairs(self, pool, n_callers, n_pairs):
        def call(_):
            for _ in range(n_pairs // n_callers):
                self.ask()

        list(pool.map(call, range(n_callers)))

    def close(self):
        self.client.close()
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module", params=[(s, n) for n in PODS for s in SUBJECTS], ids=str)
def served(request):
    subject, n_pods = request.param
    served = Served(subject, n_pods)
    yield served, subject, n_pods
    served.close()


@pytest.mark.parametrize("n_callers", [1, 16])
def test_add(benchmark, served, n_callers):
    agent, subject, n_pods = served
    n_pairs = 32 if SHORT else 320
    benchmark.group = f"ADD and DEL, {n_pods} pods, {n_callers} callers"
    benchmark.extra_info.update(subject=subject, per_call=n_pairs)
    agent.add_s.clear()
    with ThreadPoolExecutor(n_callers) as pool:
        benchmark.pedantic(
            agent.pairs, (pool, n_callers, n_pairs), rounds=2 if SHORT else 8, warmup_rounds=1
        )
    cuts = statistics.quantiles(agent.add_s, n=100)
    benchmark.extra_info.update(add_p50_ms=cuts[49] * 1e3, add_p99_ms=cuts[98] * 1e3)
