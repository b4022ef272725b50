"""One life, in the simulator and in an agent: the same EC2 calls, in the same order.

The agent runs as it is, threads and socket and all; its clock moves when the test says so, in
the simulator's steps.
"""

import random
import threading

import pytest

from ipam_core.agent.agent import Agent
from ipam_core.agent.clock import Clock
from ipam_core.agent.simulated_host import SimulatedHost
from ipam_core.cloud.simulated import CHANGING_APIS
from ipam_core.instances import limits
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.scenario.timeline import request
from ipam_core.simulation.simulate import simulate
from ipam_core.units import NS
from support.agents import add_request, client_of, config_in, del_request, enis_of

APIS = CHANGING_APIS | {"CreateNetworkInterface", "DeleteNetworkInterface"}


class SteppedClock(Clock):
    """A clock that stands until it is moved; then whoever waits long enough goes on."""

    def __init__(self):
        super().__init__()
        self._now_ns = 0
        self.now_ns = lambda: self._now_ns
        self._moved = threading.Condition()
        self._until_ns = None

    def wait(self, event, seconds):
        """Wait as the loop's thread does, the only one that waits here."""
        with self._moved:
            self._until_ns = self._now_ns + round(seconds * NS)
            self._moved.notify_all()
            while self._now_ns < self._until_ns and not event.is_set():
                self._moved.wait(0.01)
            self._until_ns = None
        return event.is_set()

    def move(self, seconds):
        """Move on, and return when the loop waits again."""
        with self._moved:
            self._rest()
            self._now_ns += round(seconds * NS)
            self._moved.notify_all()
            self._rest()

    def _rest(self):
        assert self._moved.wait_for(
            lambda: self._until_ns is not None and self._until_ns > self._now_ns, 20
        )


class Life:
    """Plays the steps of a scenario on an agent, as `simulation.scenario.player` does."""

    def __init__(self, agent, clock, client):
        self.agent, self.clock, self.client = agent, clock, client
        self.running, self.waiting = [], []
        self.number = 0

    def play(self, steps):
        for step in steps:
            getattr(self, step["op"])(step)

    def boot(self, _):
        assert self.agent.ready.wait(20)

    def add_pods(self, step):
        for _ in range(step["n"]):
            self.number += 1
            pod = f"pod-{self.number}"
            (self.running if self.ask(pod) else self.waiting).append(pod)

    def ask(self, pod):
        return self.client.add_network(add_request(pod, pod)).Success

    def del_pods(self, step):
        n = min(step["n"], len(self.running))
        gone = self.running[-n:] if step.get("order") == "newest" else self.running[:n]
        self.running = [pod for pod in self.running if pod not in gone]
        for pod in gone:
            assert self.client.del_network(del_request(pod, pod)).Success

    def run(self, step):
        for _ in range(step["seconds"] // 5):
            self.clock.move(2.5)
            for pod in list(self.waiting):
                if self.ask(pod):
                    self.waiting.remove(pod)
                    self.running.append(pod)
            self.clock.move(2.5)


def random_steps(seed):
    chance = random.Random(seed)
    steps = [{"op": "boot"}, {"op": "run", "seconds": 60}]
    for _ in range(12):
        if chance.random() < 0.55:
            steps.append({"op": "add_pods", "n": chance.randrange(1, 12)})
        else:
            order = chance.choice(["oldest", "newest"])
            steps.append({"op": "del_pods", "n": chance.randrange(1, 12), "order": order})
        steps.append({"op": "run", "seconds": chance.choice([5, 10, 35, 65, 150])})
    return steps


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE], ids=lambda policy: policy.name)
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WARM_IP_TARGET": "3", "MINIMUM_IP_TARGET": "6"},
        {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
        {"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "5"},
    ],
    ids=["warm-eni", "ip-targets", "warm-prefix", "prefixes-by-ip-targets"],
)
def test_the_same_life_in_the_simulator_makes_the_same_calls(tmp_path, variables, policy):
    steps = random_steps(len(str(variables)))
    scenario = {
        "id": "life",
        "instance_type": "m5.large",
        "max_pods": 60,
        "env": variables,
        "steps": steps,
    }
    result = simulate(scenario, policy=policy, seed=3)
    expected = [call for moment in result.timeline for call in moment.calls]
    clock = SteppedClock()
    host = SimulatedHost(limits("m5.large"), seed=3)
    calls = []
    host.cloud.on_call = calls.append
    config = config_in(
        tmp_path, variables=variables, policy=policy, max_pods=60, clean_leaked=False, seed=3
    )
    with Agent(config, host, clock=clock) as agent, client_of(agent) as client:
        life = Life(agent, clock, client)
        life.play(steps)
        made = [request(call) for call in calls if call.api in APIS]
        assert made == [call for call in expected if call.split("(")[0] in APIS]
        last = result.timeline[-1]
        enis = enis_of(agent)
        assert (len(life.running), len(life.waiting)) == (last.running, last.waiting)
        assert (enis["AssignedIPs"], len(enis["ENIs"])) == (last.assigned, last.enis)
        assert agent.loop.node.store.stats(clock.now_ns()).total == last.total
    assert len(made) >= 3
