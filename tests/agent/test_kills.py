"""An agent with a checkpoint that is killed at random moments: no address twice, none lost.

The VPC is served by this process and outlives the agent. Pods come and go all the while; what
an agent acknowledged must hold for the next one. Of a request that the kill cut off either may
be true.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc

from ipam_core.agent.protocol.client import UNKNOWN_POD, Client
from ipam_core.testing import TestVpc
from support import python
from support.agents import add_request, del_request

N_KILLS = int(os.environ.get("IPAM_CORE_KILLS") or (50 if os.environ.get("IPAM_CORE_SOAK") else 2))
N_CALLERS = 4
VPC = {
    "subnets": [{"id": "subnet-0a", "cidr": "10.0.0.0/22"}],
    "nodes": [{"name": "web", "instance_type": "m5.xlarge", "count": 1}],
    "ec2": {"latency": False, "throttling": False, "metadata_lag": 0},
}
"""Metadata is never late: under vpc-cni an agent that starts before metadata shows an address
drops the pod that has it, as upstream's does (aws/amazon-vpc-cni-k8s#3824)."""
SETTINGS = ("-e", "WARM_IP_TARGET=12", "-e", "IP_COOLDOWN_PERIOD=0")


class Process:
    """An agent in a process of its own; `kind` starts it."""

    def __init__(self, folder, *options, environ=None, kind=python.Process):
        self.socket = folder / "ipamd.sock"
        command = ["-m", "ipam_core", "agent", "--json", *options]
        command += ["--socket", str(self.socket), "--log", str(folder / "ipamd.log")]
        command += ["--checkpoint", str(folder / "checkpoint.db")]
        command += ["--introspection", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        self.process = kind(*command, env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE)

    def places(self):
        """Return where it is asked, once it says so."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line == b"}\n":
                return json.loads(b"".join(lines))
        raise AssertionError(f"it ended: {b''.join(lines)!r}, status {self.process.wait()}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self):
        """End it as Kubernetes does; return its status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


class Caller(threading.Thread):
    """Adds and deletes pods of its own, again after each kill; knows what it was told."""

    def __init__(self, socket, number, over):
        super().__init__()
        self.socket, self.number, self.over = socket, number, over
        self.chance = random.Random(number)
        self.held = {}
        self.uncertain = {}  # sandbox: whether a DEL of it was cut off, else an ADD
        self.faults = []
        self.n_acknowledged = 0

    def run(self):
        with Client(self.socket, timeout_s=5) as client:
            number = 0
            while not self.over.is_set():
                number += 1
                try:
                    if self.held and (len(self.held) > 8 or self.chance.random() < 0.5):
                        self.delete(client, self.chance.choice(sorted(self.held)))
                    else:
                        self.add(client, f"{self.number}-{number}")
                except grpc.RpcError:
                    time.sleep(0.02)

    def add(self, client, sandbox):
        self.uncertain[sandbox] = False
        reply = client.add_network(add_request(sandbox))
        del self.uncertain[sandbox]
        if reply.Success:
            self.held[sandbox] = reply.IPAllocationMetadata[0].IPv4Addr
            self.n_acknowledged += 1

    def delete(self, client, sandbox):
        address = self.held.pop(sandbox)
        self.uncertain[sandbox] = True
        try:
            reply = client.del_network(del_request(sandbox))
        except grpc.RpcError as error:
            if error.details() == UNKNOWN_POD:
                del self.uncertain[sandbox]
                self.faults.append(f"{sandbox} had lost {address}")
            raise
        del self.uncertain[sandbox]
        if [m.IPv4Addr for m in reply.IPAllocationMetadata] != [address]:
            self.faults.append(f"{sandbox} released another address than {address}")
        self.n_acknowledged += 1


def verify(client, callers):
    """Check what all were told against an agent; what was cut off is settled by a DEL."""
    addresses = {}
    for caller in callers:
        for sandbox in sorted(caller.uncertain):
            try:
                client.del_network(del_request(sandbox))
            except grpc.RpcError as error:
                assert error.details() == UNKNOWN_POD
        caller.uncertain.clear()
        for sandbox, address in caller.held.items():
            reply = client.add_network(add_request(sandbox))
            assert [m.IPv4Addr for m in reply.IPAllocationMetadata] == [address], sandbox
            assert addresses.setdefault(address, sandbox) == sandbox


def wait_ready(client):
    for _ in range(3000):
        try:
            client.add_network(add_request("ready"))
            client.del_network(del_request("ready"))
            return
        except grpc.RpcError:
            time.sleep(0.01)
    raise AssertionError("the agent does not answer pods")


def live_and_be_killed(folder, *options, environ=None, n_kills=N_KILLS):
    chance = random.Random(n_kills)
    callers = []
    n_acknowledged = 0
    for number in range(n_kills + 1):
        agent = Process(folder, *options, environ=environ)
        try:
            with Client(agent.socket, timeout_s=5) as client:
                wait_ready(client)
                verify(client, callers)
                if number == n_kills:
                    break
                over = threading.Event()
                new = [Caller(agent.socket, f"{number}.{n}", over) for n in range(N_CALLERS)]
                for caller, old in zip(new, callers, strict=False):
                    caller.held = old.held
                callers = new
                for caller in callers:
                    caller.start()
                time.sleep(chance.random() * 0.6)
                agent.kill()
                over.set()
                for caller in callers:
                    caller.join()
                    assert caller.faults == []
                    n_acknowledged += caller.n_acknowledged
        except BaseException:
            agent.kill()
            raise
    assert agent.end() == 0
    assert n_acknowledged > n_kills
    assert not agent.socket.exists()


def test_what_an_agent_acknowledged_holds_for_the_next_one(tmp_path):
    with TestVpc(VPC, held=False) as vpc:
        (imds_url,) = vpc.imds_urls.values()
        options = ("--endpoint-url", vpc.endpoint_url, "--imds-url", imds_url, *SETTINGS)
        live_and_be_killed(tmp_path, *options, environ=vpc.environ)


def test_better_rules_keep_addresses_that_late_metadata_does_not_show(tmp_path):
    """Under vpc-cni the next agent drops such pods, and may give their addresses to others."""
    late = VPC | {"ec2": VPC["ec2"] | {"metadata_lag": "1h"}}
    with TestVpc(late, held=False) as vpc:
        (imds_url,) = vpc.imds_urls.values()
        options = ("--endpoint-url", vpc.endpoint_url, "--imds-url", imds_url, *SETTINGS)
        options += ("--policy", "ipam-core")
        agent = Process(tmp_path, *options, environ=vpc.environ)
        with Client(agent.socket, timeout_s=5) as client:
            wait_ready(client)
            held = {name: served(client, name) for name in "abcdefgh"}
            agent.kill()
        agent = Process(tmp_path, *options, environ=vpc.environ)
        try:
            with Client(agent.socket, timeout_s=5) as client:
                wait_ready(client)
                others = {served(client, f"other-{number}") for number in range(6)}
                assert len(others) == 6
                assert not others & set(held.values())
                for name in held:  # each is known still
                    assert client.del_network(del_request(name)).Success
        finally:
            agent.kill()


def served(client, sandbox):
    """Return a pod's address, asked for until the agent has one."""
    for _ in range(1500):
        reply = client.add_network(add_request(sandbox))
        if reply.Success:
            return reply.IPAllocationMetadata[0].IPv4Addr
        time.sleep(0.01)
    raise AssertionError(f"{sandbox} gets no address")


def test_a_simulated_vpc_outlives_its_agent_with_the_checkpoint(tmp_path):
    live_and_be_killed(tmp_path, "--simulate", "m5.xlarge", *SETTINGS, n_kills=1)


def test_a_killed_agents_socket_is_replaced_and_a_live_ones_is_not(tmp_path):
    """And no thread can be ended by the signals that the agent waits for.

    A VPC that was read again once loaded NumPy, whose threads let SIGTERM kill the agent.
    """
    agent = Process(tmp_path, "--simulate", "m5.large")
    agent.places()
    with Client(agent.socket) as client:
        wait_ready(client)
    second = Process(tmp_path, "--simulate", "m5.large")
    assert second.process.wait(20) == 2
    second.process.stdout.close()
    agent.kill()
    assert agent.socket.exists()
    third = Process(tmp_path, "--simulate", "m5.large", kind=interpreter)
    third.places()
    threads, maps = signals_held_by(third.process.pid)
    assert third.end() == 0
    assert len(threads) > 5
    assert all(threads)
    assert "numpy" not in maps


def interpreter(*arguments, **options):
    """Start an interpreter that has loaded nothing."""
    return subprocess.Popen([sys.executable, *arguments], **options)


def signals_held_by(pid):
    """Return whether each thread but the first holds the signals, and what the process maps."""
    mask = sum(1 << (number - 1) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    texts = [
        (task / "status").read_text()
        for task in Path(f"/proc/{pid}/task").iterdir()
        if task.name != str(pid)
    ]
    held = [int(re.search(r"SigBlk:\t(\w+)", text)[1], 16) & mask == mask for text in texts]
    return held, Path(f"/proc/{pid}/maps").read_text()


def test_a_signal_ends_it_with_status_0_and_a_hangup_reloads_nothing(tmp_path):
    agent = Process(tmp_path, "--simulate", "m5.large")
    agent.places()
    agent.process.send_signal(signal.SIGHUP)
    log = tmp_path / "ipamd.log"
    for _ in range(1000):
        if "SIGHUP: settings are read at the start" in log.read_text():
            break
        time.sleep(0.01)
    assert agent.process.poll() is None
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(30) == 0
    agent.process.stdout.close()
    assert "Received shutdown signal, setting 'terminating' to true" in log.read_text()
    assert "SIGHUP" in log.read_text()
