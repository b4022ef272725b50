"""The agent's loop: starts that fail, the pool, what SIGTERM leaves undone."""

import re
import threading
import time
import urllib.error

import pytest

from ipam_core import effects as fx
from ipam_core.agent.agent import Agent
from ipam_core.agent.clock import Clock
from ipam_core.agent.observed import TerminatingError
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.cloud.host import Recorder
from ipam_core.cloud.region import Fault
from ipam_core.errors import CheckpointError, InputError, UnreachableError
from ipam_core.instances import limits
from ipam_core.policy import IPAM_CORE
from support.agents import (
    add_request,
    client_of,
    config_in,
    del_request,
    log_of,
    metrics_of,
    page_of,
    running,
    wait_until,
)


def messages(agent):
    return [line["msg"] for line in log_of(agent)]


class Troubled:
    """A host that fails as it is told, each failure once."""

    def __init__(self, *failures, instance_type="m5.large"):
        self.host = SimulatedHost(limits(instance_type), seed=1)
        self.failures = list(failures)
        self.performed = []

    def read_facts(self):
        if self.failures and self.failures[0][0] == "facts":
            raise self.failures.pop(0)[1]
        return self.host.read_facts()

    def perform(self, effect):
        self.performed.append(effect)
        if self.failures and isinstance(effect, self.failures[0][0]):
            raise self.failures.pop(0)[1]
        return self.host.perform(effect)


def test_a_start_that_fails_is_tried_again_and_dated_in_the_log(tmp_path):
    gone = UnreachableError("instance metadata", "Timeout", "no answer")
    host = Troubled(("facts", gone), (fx.ReadAttachedEnis, gone), (fx.ReadAttachedEnis, gone))
    with running(tmp_path, host=host, speed=100) as agent:
        lines = log_of(agent)
        failed = [line for line in lines if line["msg"].startswith("Initialization failure: ")]
        assert len(failed) == 3
        assert {line["level"] for line in failed} == {"error"}
        assert failed[0]["ts"] < failed[-1]["ts"]
        counted = re.search(
            r'startup_duration_seconds_count{success="false",.*"node_initialization"} (.*)',
            metrics_of(agent),
        )
        assert counted[1] == "3.0"
        with client_of(agent) as client:
            assert client.add_network(add_request("a")).Success


def test_a_fault_of_this_package_does_not_end_it(tmp_path):
    host = Troubled((fx.ReadAttachedEnis, ZeroDivisionError("ours")))
    with running(tmp_path, host=host, speed=100) as agent:
        assert any("ZeroDivisionError" in message for message in messages(agent))
        node = agent.loop.node
        host.failures = [(fx.ReadUnschedulable, RuntimeError("ours"))]
        with client_of(agent) as client:
            assert client.add_network(add_request("a")).Success
            for number in range(9):
                client.add_network(add_request(f"b{number}"))
        assert wait_until(lambda: not host.failures)
        assert wait_until(lambda: node.store.stats().total > 9)  # and the loop goes on
        assert any("RuntimeError: ours" in message for message in messages(agent))


@pytest.mark.parametrize(
    ("variables", "type_", "why"),
    [
        ({"ENABLE_IPv6": "true"}, "m5.large", "exactly one of ENABLE_IPv4 and ENABLE_IPv6"),
        (
            {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"},
            "t2.medium",
            "neither nitro nor bare metal",
        ),
    ],
)
def test_settings_with_which_no_start_succeeds_end_it(tmp_path, variables, type_, why):
    ended = threading.Event()
    host = SimulatedHost(limits(type_))
    agent = Agent(config_in(tmp_path, variables=variables), host, clock=Clock(100))
    agent.on_end = ended.set
    with agent:
        assert ended.wait(20)
        assert isinstance(agent.failure, InputError)
        assert why in str(agent.failure)
        assert any(why in message for message in messages(agent))


def test_host_networking_with_ipv6_is_refused_and_not_tried_for_ever(tmp_path):
    variables = {
        "ENABLE_IPv6": "true",
        "ENABLE_IPv4": "false",
        "ENABLE_PREFIX_DELEGATION": "true",
    }
    ended = threading.Event()
    agent = Agent(
        config_in(tmp_path, variables=variables),
        SimulatedHost(limits("m5.large")),
        clock=Clock(100),
        host=Recorder(),
    )
    agent.on_end = ended.set
    with agent:
        assert ended.wait(20)
        assert str(agent.failure) == "--host-network: only with IPv4, not with ENABLE_IPv6"


# --- the pool ------------------------------------------------------------------------------


def test_under_better_rules_the_26th_pod_gets_its_address_within_ten_seconds(tmp_path):
    """The incident: MINIMUM_IP_TARGET=25 alone. The pod asks every second, by a new sandbox."""
    speed = 20.0
    with (
        running(
            tmp_path,
            "m8g.4xlarge",
            variables={"MINIMUM_IP_TARGET": "25"},
            policy=IPAM_CORE,
            speed=speed,
        ) as agent,
        client_of(agent) as client,
    ):
        for number in range(25):
            assert client.add_network(add_request(f"a{number}")).Success
        began = time.monotonic()
        tries = 0
        while not client.add_network(add_request(f"try{tries}", "late")).Success:
            tries += 1
            assert (time.monotonic() - began) * speed < 10
            time.sleep(1 / speed)
        assert tries > 0
        assert len(agent.loop.node.waiting) == 0


def test_a_layout_that_could_not_be_saved_is_saved_later(tmp_path, monkeypatch):
    with running(tmp_path, speed=100, checkpoint=tmp_path / "checkpoint.db") as agent:
        loop = agent.loop
        checkpoint = loop.gate.running.pods.checkpoint
        save, full, saved = checkpoint.save_layout, threading.Event(), threading.Event()
        failures = []
        full.set()

        def save_layout(store, *more):
            if full.is_set():
                failures.append(store.stats().total)
                raise CheckpointError("disk full")
            save(store, *more)
            saved.set()

        monkeypatch.setattr(checkpoint, "save_layout", save_layout)
        with client_of(agent) as client:
            for number in range(9):
                assert client.add_network(add_request(f"a{number}")).Success
        # the pool grows by one ENI, which is one change; each later look tries again
        assert wait_until(lambda: len(failures) > 9), failures
        full.clear()
        assert saved.wait(20)
    assert any("disk full" in line["msg"] or "disk full" in str(line) for line in log_of(agent))


def test_under_the_agents_own_rules_it_never_does(tmp_path):
    variables = {"MINIMUM_IP_TARGET": "25"}
    host = Troubled(instance_type="m8g.4xlarge")
    with (
        running(tmp_path, host=host, variables=variables, speed=200) as agent,
        client_of(agent) as client,
    ):
        for number in range(25):
            assert client.add_network(add_request(f"a{number}")).Success
        host.performed.clear()
        checks = sum(message.startswith("IP stats") for message in messages(agent))
        for number in range(10):
            assert not client.add_network(add_request(f"try{number}", "late")).Success
            time.sleep(0.05)
        assert sum(m.startswith("IP stats") for m in messages(agent)) > checks + 5
        assert [effect for effect in host.performed if effect.api] == []


def test_a_prefix_that_pods_left_is_given_back_in_secondary_ip_mode(tmp_path):
    """Prefix delegation was switched off: the exit of the last pod frees the prefix at once."""
    path = tmp_path / "checkpoint.db"
    host = SimulatedHost(limits("m5.large"), seed=1)
    on = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
    with running(tmp_path, host=host, variables=on, checkpoint=path) as agent:
        with client_of(agent) as client:
            assert client.add_network(add_request("a")).Success
        assert wait_until(lambda: agent.loop.node.store.stats().prefixes == 2)
    with running(tmp_path, host=host, checkpoint=path) as agent, client_of(agent) as client:
        (eni, *_) = host.cloud.attached()
        assert len(eni.prefixes) == 1  # the start gave back the other
        assert client.del_network(del_request("a")).Success
        assert wait_until(lambda: not eni.prefixes)


def test_leaked_enis_are_deleted_in_the_background(tmp_path):
    host = SimulatedHost(limits("m5.large"), seed=1)
    region = host.cloud.region
    leaked = region.create_eni("primary")
    leaked.description = "aws-K8S-i-gone"
    leaked.tags = {
        "node.k8s.amazonaws.com/instance_id": "i-gone",
        "node.k8s.amazonaws.com/createdAt": "2026-01-01T00:00:00Z",
    }
    with running(tmp_path, host=host, speed=1000):
        assert wait_until(lambda: leaked.eni_id not in region.enis)


def test_a_leaked_eni_that_cannot_be_deleted_is_in_the_log_as_upstream_has_it(tmp_path):
    host = SimulatedHost(limits("m5.large"), seed=1)
    region = host.cloud.region
    leaked = region.create_eni("primary")
    leaked.description = "aws-K8S-i-gone"
    leaked.tags = {"node.k8s.amazonaws.com/createdAt": "2026-01-01T00:00:00Z"}
    leaked.tags["node.k8s.amazonaws.com/instance_id"] = "i-gone"
    region.faults.append(Fault("DeleteNetworkInterface", "UnauthorizedOperation"))
    said = f"Failed to clean up leaked ENI {leaked.eni_id}: operation error EC2: DeleteNetwork"
    with running(tmp_path, host=host, speed=1000) as agent:
        assert wait_until(lambda: any(line.startswith(said) for line in messages(agent)))
    assert leaked.eni_id in region.enis


def test_leaked_enis_stay_where_that_is_switched_off(tmp_path):
    variables = {"DISABLE_LEAKED_ENI_CLEANUP": "true"}
    host = Troubled()
    with running(tmp_path, host=host, variables=variables, speed=2000) as agent:
        assert wait_until(lambda: agent.loop.node.clock_ns() - agent.loop._began_ns > 600e9)
        assert not any(isinstance(effect, fx.FindNodelessEnis) for effect in host.performed)


def test_what_somebody_else_changes_is_taken_over_and_counted(tmp_path):
    host = SimulatedHost(limits("m5.large"), seed=1)
    with running(tmp_path, host=host, speed=100) as agent:
        (eni, *_) = host.cloud.attached()
        node = agent.loop.node
        eni.addresses.remove(gone := eni.addresses[0])
        assert wait_until(lambda: gone not in node.store.addresses(eni.eni_id))
        counted = 'reconcile_count{fn="eniIPPoolReconcileDel"} 1'
        assert wait_until(lambda: counted in metrics_of(agent))
        assert "Successfully Reconciled ENI/IP pool" in messages(agent)


class LateKubernetes:
    """Kubernetes that answers from the second question on."""

    def __init__(self):
        self.n_asked = 0

    def max_pods(self):
        self.n_asked += 1
        if self.n_asked == 1:
            raise UnreachableError("Kubernetes", "Unreachable", "no answer yet")
        return 11


def test_a_capacity_that_kubernetes_is_late_with_is_taken_then(tmp_path):
    cluster = LateKubernetes()
    with running(tmp_path, cluster=cluster, speed=200) as agent:
        node = agent.loop.node
        assert wait_until(lambda: node.max_pods == 11)
        assert node.decide().view.max_pods == 11
        told = messages(agent)
        assert "Updated maxPods from 29 to 11 based on node capacity" in told
        assert any(message.startswith("Failed to get node, ") for message in told)


# --- the end -------------------------------------------------------------------------------


class Slow:
    """A host on which one kind of call takes until it is let go on."""

    def __init__(self, kind):
        self.host = SimulatedHost(limits("m5.large"), seed=1)
        self.kind = kind
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.performed = []

    def read_facts(self):
        return self.host.read_facts()

    def perform(self, effect):
        self.performed.append(type(effect))
        if isinstance(effect, self.kind) and not self.entered.is_set():
            self.entered.set()
            assert self.go_on.wait(20)
        return self.host.perform(effect)


def test_at_the_end_the_call_under_way_ends_and_no_other_is_made(tmp_path):
    host = Slow(fx.CreateEni)
    agent = Agent(config_in(tmp_path), host, clock=Clock(100))
    agent.start()
    assert agent.ready.wait(20)
    with client_of(agent) as client:
        for number in range(9):
            client.add_network(add_request(f"a{number}"))
        assert host.entered.wait(20)
        stop = threading.Thread(target=agent.stop)
        stop.start()
        assert wait_until(lambda: agent.loop.node.terminating)
        host.go_on.set()
        stop.join()
    assert host.performed[-1] is fx.CreateEni
    assert len(host.host.cloud.region.available_enis()) == 1  # one for the leaked-ENI task
    assert not (tmp_path / "ipamd.sock").exists()


def test_a_wait_of_a_step_ends_with_the_agent(tmp_path):
    host = SimulatedHost(limits("m5.large"), seed=1)
    host.cloud.region.faults.append(Fault("CreateTags", "InternalError"))
    agent = Agent(config_in(tmp_path), host, clock=Clock(1.0))
    agent.start()
    assert wait_until(lambda: any("Failed to add tag" in m for m in messages(agent)))
    began = time.monotonic()
    agent.stop()
    assert time.monotonic() - began < 5


def test_the_end_is_no_error_that_a_step_could_catch():
    from ipam_core.errors import IpamError

    assert not issubclass(TerminatingError, IpamError)


def test_stopping_twice_or_before_it_is_ready_is_fine(tmp_path):
    host = Slow(fx.ReadAttachedEnis)
    agent = Agent(config_in(tmp_path), host)
    agent.start()
    assert host.entered.wait(20)
    with pytest.raises(urllib.error.HTTPError) as early:
        page_of(agent)  # the pool is not what it will be: the checkpoint was not read
    with early.value:
        assert early.value.code == 503
    host.go_on.set()
    agent.stop()
    agent.stop()
    assert "Received shutdown signal, setting 'terminating' to true" in messages(agent)
