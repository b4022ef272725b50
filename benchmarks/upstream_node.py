"""Serve upstream's agent for `bench_agent.py`: python upstream_node.py AGENT FOLDER N_PODS.

AGENT is the path of `aws-k8s-agent`. It runs in a network and a mount namespace of its own,
against a served VPC and an API server that knows one node: so it needs root, `ip` and iptables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

from ipam_core.cloud.imds import Imds
from ipam_core.endpoint.server import VpcServer

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1", "resourceVersion": "1", "uid": "u"},
    "status": {"capacity": {"pods": "8000"}},
}
VERBS = ["get", "list", "watch"]
ANSWERS = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.1"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": name, "namespaced": kind == "Pod", "kind": kind, "verbs": VERBS}
            for name, kind in (("nodes", "Node"), ("pods", "Pod"))
        ],
    },
    "/api/v1/nodes/node-1": NODE,
}


class ApiServer(BaseHTTPRequestHandler):
    """Knows one node, and watches that never end."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, or begin a watch with what there is."""
        path, _, query = self.path.partition("?")
        if "watch=true" in query:
            kind = "Node" if path.endswith("nodes") else "Pod"
            mark = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
            events = [{"type": "ADDED", "object": NODE}] if kind == "Node" else []
            end = {"kind": kind, "apiVersion": "v1", "metadata": mark}
            self._begin(200, ("Transfer-Encoding", "chunked"))
            for event in (*events, {"type": "BOOKMARK", "object": end}):
                body = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            time.sleep(3600)
            return
        found = ANSWERS.get(path)
        body = json.dumps(found or {"kind": "Status", "status": "Failure", "code": 404}).encode()
        self._begin(200 if found else 404, ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Take what is reported, such as events."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._begin(201, ("Content-Length", "0"))

    do_PATCH = do_PUT = do_POST  # noqa: N815 - names that http.server wants

    def _begin(self, status: int, header: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header(*header)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def make_links(url: str) -> None:
    """Give the node a link for each ENI, as the hardware does."""
    metadata = Imds(url)
    made: set[str] = set()
    while True:
        for eni in metadata.attached_enis():
            if eni.mac in made:
                continue
            made.add(eni.mac)
            name = f"eth{eni.device_number}"
            ip("link", "add", name, "address", eni.mac, "type", "veth", "peer", f"{name}-peer")
            ip("link", "set", f"{name}-peer", "up")
            if name == "eth0":
                ip("link", "set", name, "up")
                ip("address", "add", f"{eni.primary_address}/16", "dev", name)
                ip("route", "add", "default", "via", "10.0.0.1", "dev", name)
        time.sleep(0.2)


def inside(agent: str, folder: Path, n_pods: int) -> None:
    """Serve, in the namespaces that `main` made."""
    ip("link", "set", "lo", "up")
    Path("/var/run/aws-node").mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", folder, "/var/run/aws-node"], check=True)
    api = ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    api.daemon_threads = True
    threading.Thread(target=api.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    cluster = {"server": f"http://127.0.0.1:{api.server_port}"}
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    wanted = n_pods + 64
    nodes = [{"name": "nodes", "instance_type": "m5.24xlarge", "count": 1}]
    spec = {"nodes": nodes, "ec2": {"latency": False, "throttling": False}}
    with VpcServer(spec) as server:
        (url,) = server.imds_urls.values()
        threading.Thread(target=make_links, args=(url,), daemon=True).start()
        time.sleep(2)
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL_EC2": server.endpoint_url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_REGION": "us-east-1",
            "ENABLE_IPv4": "true",
            "ENABLE_IPv6": "false",
            "ENABLE_PREFIX_DELEGATION": str(n_pods > 500).lower(),
            "WARM_IP_TARGET": str(wanted),
            "IP_COOLDOWN_PERIOD": "0",
            "MY_NODE_NAME": "node-1",
            "CLUSTER_NAME": "cluster",
            "KUBECONFIG": str(config),
            "AWS_VPC_K8S_CNI_LOG_FILE": str(folder / "ipamd.log"),
        }
        with (folder / "agent.out").open("w") as said:
            process = subprocess.Popen([agent], env=environment, stdout=said, stderr=said)
        try:
            while total() < wanted:
                time.sleep(0.5)
            print("ready", flush=True)
            sys.stdin.read()
        finally:
            process.kill()
            process.wait()


def total() -> int:
    """Return how many addresses the agent has."""
    try:
        with urlopen("http://127.0.0.1:61679/v1/enis", timeout=10) as reply:
            return json.load(reply)["0"]["TotalIPs"]
    except OSError:
        return 0


def main() -> None:
    """Make the namespaces, and serve in them."""
    agent, folder, n_pods = sys.argv[1:4]
    if "inside" in sys.argv:
        inside(agent, Path(folder), int(n_pods))
        return
    command = [sys.executable, __file__, agent, folder, n_pods, "inside"]
    sys.exit(subprocess.run(["unshare", "--net", "--mount", *command], check=False).returncode)


if __name__ == "__main__":
    main()
