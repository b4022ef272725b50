"""Addresses of pods that run are not given away, though no checkpoint knows them."""

import time

import pytest

from ipam_core._store import Sandbox
from ipam_core.agent.cluster_pods import ClusterPods
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.agent.surroundings import ClusterPod
from ipam_core.effects import CheckpointEntry, ForgetAssignments, ReadCheckpoint
from ipam_core.errors import UnreachableError
from ipam_core.instances import limits
from support.agents import add_request, client_of, running


class Cluster:
    """What Kubernetes knows, as a test says it."""

    def __init__(self, *pods):
        self.known = pods
        self.down = False

    def pods(self):
        if self.down:
            raise UnreachableError("Kubernetes", "Unreachable")
        return self.known

    def max_pods(self):
        return 29

    def unschedulable(self):
        return False

    def eni_config_name(self):
        return "default"


def pod(name, address):
    return ClusterPod(namespace="shop", name=name, address=address)


class Checkpoint:
    def __init__(self, *entries):
        self.entries, self.forgot = entries, []

    def perform(self, effect):
        if isinstance(effect, ReadCheckpoint):
            return self.entries
        self.forgot.append(effect)
        return None


def entry(address, released_ago_s=None):
    return CheckpointEntry(container_id="c0", ifname="eth0", network="aws-cni", address=address,
                           released_ago_s=released_ago_s)  # fmt: skip


def test_an_agent_without_a_checkpoint_gives_no_running_pods_address_away(tmp_path):
    host = SimulatedHost(limits("m5.large"), seed=1)
    variables = {"WARM_IP_TARGET": "2", "MAX_ENI": "1", "IP_COOLDOWN_PERIOD": "0"}
    with running(tmp_path, host=host, variables=variables) as agent, client_of(agent) as client:
        given = client.add_network(add_request("c0", "web-1")).IPAllocationMetadata[0].IPv4Addr
    cluster = Cluster(pod("web-1", given))
    with (
        running(tmp_path, host=host, variables=variables, cluster=cluster) as agent,
        client_of(agent) as client,
    ):
        store = agent.loop.node.store
        assert [(held.address, held.pod) for held in store.assignments()] == [(given, "shop/web-1")]
        others = set()
        deadline_s = time.monotonic() + 30
        while len(others) < 8 and time.monotonic() < deadline_s:  # the ENI holds nine
            reply = client.add_network(add_request(f"d{len(others)}"))
            others |= {each.IPv4Addr for each in reply.IPAllocationMetadata}
            time.sleep(0 if reply.Success else 0.05)
        assert len(others) == 8
        assert given not in others
        assert not client.add_network(add_request("d8")).Success
        cluster.down = True
        time.sleep(1.5)  # 75 s of the agent's
        assert len(list(store.assignments())) == 9, "what is known goes on"
        cluster.down, cluster.known = False, ()
        while store.find(Sandbox("shop/web-1", "eth0", "kubernetes")):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert client.add_network(add_request("d8")).IPAllocationMetadata[0].IPv4Addr == given


def test_a_pod_that_the_checkpoint_knows_is_not_held_twice():
    checkpoint = Checkpoint(entry("10.0.0.7"), entry("10.0.0.8", released_ago_s=1.0))
    known = (pod("a", "10.0.0.7"), pod("b", "10.0.0.8"), pod("c", "10.0.0.9"))
    port = ClusterPods(Cluster(*known), checkpoint)
    read = port.perform(ReadCheckpoint())
    assert read[:2] == checkpoint.entries
    assert [(each.pod, each.address) for each in read[2:]] == [
        ("shop/b", "10.0.0.8"),
        ("shop/c", "10.0.0.9"),
    ]
    forget = ForgetAssignments(())
    port.perform(forget)
    assert checkpoint.forgot == [forget]


@pytest.mark.parametrize("checkpoint", [None, Checkpoint(entry("10.0.0.7"))])
def test_without_an_answer_of_kubernetes_there_is_what_the_checkpoint_has(checkpoint):
    cluster = Cluster(pod("a", "10.0.0.9"))
    cluster.down = True
    port = ClusterPods(cluster, checkpoint)
    assert port.perform(ReadCheckpoint()) == (checkpoint.entries if checkpoint else ())
    assert port.perform(ForgetAssignments(())) is None


def test_one_that_could_not_be_held_is_forgotten():
    class NoPods:
        def remove_pod(self, sandbox):
            raise UnreachableError("x", "y")

    cluster = Cluster(pod("a", "10.0.0.9"))
    port = ClusterPods(cluster, None)
    port.perform(ReadCheckpoint())
    cluster.known = ()
    port.release_gone(NoPods())
    port.release_gone(None)  # nothing is left to release
