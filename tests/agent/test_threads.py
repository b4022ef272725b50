"""Many threads ask an agent while its loop grows, shrinks and reconciles: nothing is torn.

Each step runs in the loop's thread, pods in gRPC's, pages in HTTP's. The stores lock
themselves; these tests look for what of a node's state beyond them would have to.
"""

import os
import random
import threading

import grpc
import pytest

from ipam_core import Sandbox
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.errors import UnknownEniError
from ipam_core.instances import limits
from ipam_core.node.excluded import note_released
from support.agents import (
    add_request,
    client_of,
    del_request,
    enis_of,
    log_of,
    metrics_of,
    running,
    wait_until,
)

N_THREADS = 16
N_ROUNDS = 400 if os.environ.get("IPAM_CORE_SOAK") else 15


class Caller(threading.Thread):
    """Starts and ends pods of its own, and notes who it was told has which address."""

    def __init__(self, agent, number, owners, *, exclusive):
        super().__init__()
        self.agent, self.number, self.owners = agent, number, owners
        self.exclusive = exclusive
        self.chance = random.Random(number)
        self.faults = []
        self.held = {}
        self.n_served = 0

    def run(self):
        with client_of(self.agent) as client:
            for round_ in range(N_ROUNDS):
                if self.held and self.chance.random() < 0.5:
                    self.remove(client, self.chance.choice(sorted(self.held)))
                else:
                    self.add(client, f"{self.number}-{round_}")
            for sandbox in sorted(self.held):
                self.remove(client, sandbox)

    def add(self, client, sandbox):
        reply = client.add_network(add_request(sandbox))
        if not reply.Success:
            return
        (metadata,) = reply.IPAllocationMetadata
        address = metadata.IPv4Addr
        self.held[sandbox] = address
        self.n_served += 1
        owner = self.owners.setdefault(address, sandbox)
        if self.exclusive and owner != sandbox:
            self.faults.append(f"{address} of {owner} was given to {sandbox}")

    def remove(self, client, sandbox):
        address = self.held.pop(sandbox)
        if self.owners.pop(address, sandbox) != sandbox and self.exclusive:
            self.faults.append(f"{address} of {sandbox} was another's")
        try:
            reply = client.del_network(del_request(sandbox))
        except grpc.RpcError as error:
            if self.exclusive:
                self.faults.append(f"{sandbox}: {error.details()}")
            return
        if [m.IPv4Addr for m in reply.IPAllocationMetadata] not in ([address], []):
            self.faults.append(f"{sandbox} released another address than {address}")


def churn(agent, *, exclusive):
    owners = {}
    callers = [Caller(agent, number, owners, exclusive=exclusive) for number in range(N_THREADS)]
    for caller in callers:
        caller.start()
    while any(caller.is_alive() for caller in callers):
        enis_of(agent)
        metrics_of(agent)
    for caller in callers:
        caller.join()
    assert [fault for caller in callers for fault in caller.faults] == []
    assert sum(caller.n_served for caller in callers) > N_THREADS
    assert not any("Traceback" in line["msg"] for line in log_of(agent))
    node = agent.loop.node
    for store in node.stores:
        store._check()
        assert list(store.assignments()) == []
    assert not node.to_forget


@pytest.mark.parametrize("mode", ["secondary", "prefix", "better", "durable"])
def test_no_two_pods_have_one_address_while_the_pool_comes_and_goes(tmp_path, mode):
    from ipam_core.policy import IPAM_CORE, VPC_CNI

    variables = {"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "2"}
    if mode != "secondary":
        variables |= {"ENABLE_PREFIX_DELEGATION": "true"}
    with running(
        tmp_path,
        "m5.large",
        variables=variables,
        policy=IPAM_CORE if mode == "better" else VPC_CNI,
        checkpoint=tmp_path / "checkpoint.db" if mode == "durable" else None,
        speed=2000,
    ) as agent:
        churn(agent, exclusive=True)


def test_nothing_breaks_when_enis_and_addresses_vanish_under_the_pods(tmp_path):
    host = SimulatedHost(limits("m5.xlarge"), seed=1)
    variables = {"WARM_IP_TARGET": "8", "IP_COOLDOWN_PERIOD": "1"}
    checkpoint = tmp_path / "checkpoint.db"
    over = threading.Event()

    def disturb():
        chance = random.Random(7)
        subnet = host.cloud.region.subnets["primary"]
        while not over.wait(0.02):
            with host._lock:
                enis = [eni for eni in host.cloud.attached() if eni.device_number > 0]
                subnet.tags["kubernetes.io/role/cni"] = chance.choice(["0", "1"])
                if enis and chance.random() < 0.5:
                    host.cloud.region.detach(chance.choice(enis))
                for eni in host.cloud.attached():
                    if eni.addresses and chance.random() < 0.5:
                        eni.addresses.remove(chance.choice(eni.addresses))

    with running(
        tmp_path, host=host, variables=variables, checkpoint=checkpoint, speed=3000
    ) as agent:
        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            churn(agent, exclusive=False)
        finally:
            over.set()
            thread.join()
        host.cloud.region.subnets["primary"].tags.clear()
        assert wait_until(lambda: enis_of(agent)["ENIs"].keys() == attached(host))


def attached(host):
    with host._lock:
        return {eni.eni_id for eni in host.cloud.attached()}


def test_a_release_whose_eni_is_removed_at_that_moment_is_one(tmp_path):
    """It was an error of the DEL: the ENI was in the store when asked, and gone when read."""

    class Vanishing:
        def eni(self, eni_id):
            raise UnknownEniError(eni_id)

    with running(tmp_path) as agent:
        node = agent.loop.node
        released = [node.add_pod(Sandbox("a"))]
        node.stores = [Vanishing()]
        note_released(node, released)
        assert list(node.emptied) == []
