"""Upstream's own plugin, aws-cni, sets up and takes down pods through this agent.

IPAM_CORE_AWS_CNI is its path: `go build ./cmd/routed-eni-cni-plugin` of
aws/amazon-vpc-cni-k8s. Host and pods are network namespaces that the test makes.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Settings, instances
from ipam_core.agent.agent import Agent
from ipam_core.agent.config import AgentConfig
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.cloud.latency import Latencies
from support.namespaces import ip, ip_json, namespace

PLUGIN = os.environ.get("IPAM_CORE_AWS_CNI", "")
pytestmark = pytest.mark.skipif(not PLUGIN, reason="IPAM_CORE_AWS_CNI names no plugin")
N_PODS = 50
SOCKET = "/var/run/aws-node/ipamd.sock"
"""What the plugin dials, whatever its configuration says."""


class Host:
    """A node: its network namespace, an agent, and what runs the plugin there."""

    def __init__(self, netns, folder, stack):
        self.netns, self.folder, self.stack = netns, folder, stack
        self.took_s = {"ADD": [], "DEL": []}

    def pod(self, name):
        """Make a pod's namespace, as a runtime does before it calls the plugin."""
        return Pod(self, name, self.stack.enter_context(namespace()))

    def call(self, command, pod, *, sandbox=None):
        """Run the plugin; return its exit status and what it printed."""
        sandbox = sandbox or pod.sandbox
        names = (
            f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name};"
            f"K8S_POD_INFRA_CONTAINER_ID={sandbox};IgnoreUnknown=1"
        )
        config = {
            "cniVersion": "1.0.0",
            "name": "aws-cni",
            "type": "aws-cni",
            "vethPrefix": "eni",
            "mtu": "9001",
            "pluginLogFile": str(self.folder / "plugin.log"),
            "pluginLogLevel": "DEBUG",
        }
        # `ip netns exec` runs in a mount namespace of its own: the bind is seen by nobody else.
        bind = f'mount --bind "{self.folder}" {Path(SOCKET).parent} && exec "$0"'
        began_s = time.perf_counter()
        done = subprocess.run(
            ["ip", "netns", "exec", self.netns, "sh", "-c", bind, PLUGIN],
            input=json.dumps(config),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": sandbox,
                "CNI_NETNS": f"/var/run/netns/{pod.netns}",
                "CNI_IFNAME": "eth0",
                "CNI_PATH": str(Path(PLUGIN).parent),
                "CNI_ARGS": names,
            },
        )
        self.took_s[command].append(time.perf_counter() - began_s)
        return done.returncode, done.stdout

    def rules(self, address):
        """Return the rules about an address: (priority, table), by priority."""
        return [
            (rule["priority"], rule["table"])
            for rule in ip_json("-4", "rule", netns=self.netns)
            if address in (rule.get("src"), rule.get("dst"))
        ]

    def routes(self, address):
        return ip_json("-4", "route", "show", f"{address}/32", netns=self.netns)


class Pod:
    def __init__(self, host, name, netns):
        self.host, self.name, self.netns = host, name, netns
        self.sandbox = secrets.token_hex(32)

    def add(self):
        """Have the plugin set the pod up; return its address."""
        status, said = self.host.call("ADD", self)
        assert status == 0, said
        (given,) = json.loads(said)["ips"]
        return given["address"].removesuffix("/32")

    def delete(self, sandbox=None):
        status, said = self.host.call("DEL", self, sandbox=sandbox)
        assert status == 0, said

    def addresses(self):
        """Return the addresses that eth0 has in the pod's namespace."""
        shown = ip_json("-4", "address", "show", "dev", "eth0", netns=self.netns)
        return [each["local"] for link in shown for each in link["addr_info"]]


def _leave_no_folder():
    with suppress(OSError):  # a node's agent has it
        Path(SOCKET).parent.rmdir()


@contextmanager
def node(**more):
    """Give a host whose agent has these settings."""
    folder = Path(tempfile.mkdtemp(prefix="cni-"))
    Path(SOCKET).parent.mkdir(parents=True, exist_ok=True)
    config = AgentConfig(
        socket=folder / "ipamd.sock",
        log=str(folder / "ipamd.log"),
        introspection=None,
        metrics=None,
        checkpoint=folder / "ipam.db",
        **more,
    )
    with ExitStack() as stack:
        stack.callback(_leave_no_folder)
        stack.callback(shutil.rmtree, folder)
        netns = stack.enter_context(namespace())
        ip("netns", "exec", netns, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        limits = instances.limits("m8g.4xlarge")
        simulated = SimulatedHost(limits, latencies=Latencies())
        agent = stack.enter_context(Agent(config, simulated))
        assert agent.ready.wait(20)
        host = Host(netns, folder, stack)
        host.agent = agent
        yield host


@pytest.fixture
def host():
    with node(settings=Settings(warm_ip_target=8, cooldown_s=0)) as host:
        yield host


def held(host):
    """Return what the agent says that pods hold."""
    (store,) = host.agent.loop.node.stores
    return {each.address: each.pod for each in store.assignments()}


def test_add_a_second_add_del_and_del_of_an_unknown(host):
    pod = host.pod("web-1")
    address = pod.add()
    assert pod.addresses() == [address]
    assert host.rules(address) == [(512, "main")]
    (route,) = host.routes(address)
    assert (route["scope"], route["dev"][:3]) == ("link", "eni")
    assert held(host) == {address: "default/web-1"}

    assert pod.add() == address  # the same sandbox again: the same address
    assert pod.addresses() == [address]
    assert held(host) == {address: "default/web-1"}

    pod.delete()
    assert (host.rules(address), host.routes(address), held(host)) == ([], [], {})
    pod.delete()  # it holds nothing any more
    pod.delete(secrets.token_hex(32))  # nobody ever heard of it
    assert held(host) == {}


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
def test_pod_26_waits_for_ever_or_less_than_ten_seconds(policy):
    """The incident: MINIMUM_IP_TARGET=25 alone, on a node of 232 addresses."""
    with node(settings=Settings(minimum_ip_target=25), policy=policy) as host:
        for number in range(25):
            host.pod(f"web-{number}").add()
        last = host.pod("web-25")
        refused_s = time.monotonic()
        while True:
            status, said = host.call("ADD", last)
            waited_s = time.monotonic() - refused_s
            if status == 0 or waited_s > 10:
                break
            last.delete()
            last.sandbox = secrets.token_hex(32)
            time.sleep(1)
        print(f"{policy.name}: pod 26 {'served' if status == 0 else 'waits'}, {waited_s:.1f} s")
        assert (status == 0) == (policy is IPAM_CORE), said


def test_fifty_pods_on_two_enis_reach_each_other_and_leave_nothing(host, record_property):
    pods = [host.pod(f"web-{number}") for number in range(N_PODS)]
    addresses = {}
    deadline_s = time.monotonic() + 120
    for pod in pods:
        while True:  # as the kubelet: again, with a new sandbox
            status, said = host.call("ADD", pod)
            if status == 0:
                break
            assert time.monotonic() < deadline_s, said
            assert "failed to assign an IP address to container" in said
            pod.delete()
            pod.sandbox = secrets.token_hex(32)
            time.sleep(0.5)
        addresses[pod] = json.loads(said)["ips"][0]["address"].removesuffix("/32")
    assert len(set(addresses.values())) == N_PODS
    assert held(host) == {address: f"default/{pod.name}" for pod, address in addresses.items()}
    store = host.agent.loop.node.store
    tables = {eni.eni_id: eni.route_table for eni in store.enis()}
    table_of = {each.address: tables[each.eni_id] for each in store.assignments()}
    assert set(table_of.values()) == {254, 2}
    for pod, address in addresses.items():
        assert pod.addresses() == [address]
        wanted = [(512, "main")] + ([(1536, "2")] if table_of[address] == 2 else [])
        assert host.rules(address) == wanted
    if shutil.which("ping"):  # pods of both ENIs, through the host
        primary = [pod for pod in pods if table_of[addresses[pod]] == 254][:3]
        second = [pod for pod in pods if table_of[addresses[pod]] == 2][:3]
        for one, other in itertools.product(primary, second):
            ip("netns", "exec", one.netns, "ping", "-c1", "-W2", addresses[other])
    for pod in pods:
        pod.delete()
    assert held(host) == {}
    assert [rule["priority"] for rule in ip_json("-4", "rule", netns=host.netns)] == [
        0, 32766, 32767,
    ]  # fmt: skip
    for command, times_s in host.took_s.items():
        cuts = statistics.quantiles(times_s, n=100)
        record_property(f"{command}_ms", [round(1000 * cuts[49], 1), round(1000 * cuts[98], 1)])
        print(f"{command}: median {1000 * cuts[49]:.1f} ms, p99 {1000 * cuts[98]:.1f} ms")
