"""Scenarios and fleets ask as a container runtime and the kubelet do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.fleet.agent import Agent
from ipam_core.simulation.fleet.fleet import Fleet
from ipam_core.simulation.fleet.workload_specs import Arrivals
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player
from support.fleets import S, fleet

GROWING = replace(VPC_CNI, name="growing", grow_when_exhausted=True)


def recorded(node, told, clock_ns):
    """Have a node tell of what it is asked: ("add", pod, sandbox, served) and ("del", sandbox)."""
    add_pod, remove_pod = node.try_add_pod, node.try_remove_pod

    def add(sandbox, pod=None):
        held = add_pod(sandbox, pod)
        told.append((clock_ns(), "add", pod, sandbox.container_id, held is not None))
        return held

    def remove(sandbox):
        told.append((clock_ns(), "del", sandbox.container_id))
        return remove_pod(sandbox)

    node.try_add_pod, node.try_remove_pod = add, remove


def check(told):
    """Assert that each try is of a new sandbox, which is deleted at once where it is refused.

    Returns the times of the tries of each pod.
    """
    tries: dict[str, list[int]] = {}
    sandboxes = set()
    for number, (now_ns, what, *rest) in enumerate(told):
        if what == "del":
            continue
        pod, sandbox, served = rest
        assert sandbox not in sandboxes
        sandboxes.add(sandbox)
        tries.setdefault(pod, []).append(now_ns)
        if not served:
            assert told[number + 1] == (now_ns, "del", sandbox)
    return tries


def test_a_scenario_asks_with_a_new_sandbox_each_time_and_deletes_what_was_refused():
    steps = [
        {"op": "boot"},
        {"op": "add_pods", "n": 3},
        {"op": "run", "seconds": 30},
        {"op": "del_pods", "n": 3},
    ]
    raw = {"instance_type": "m5.large", "env": {"MINIMUM_IP_TARGET": "2"}, "steps": steps}
    player = Player(scenario_of(raw))
    told = []
    new_node = player._new_node

    def watched():
        node = new_node()
        recorded(node, told, lambda: player.now_ns)
        return node

    player._new_node = watched
    player.node = watched()
    player.play()
    tries = check(told)
    assert {pod: len(times) for pod, times in tries.items()} == {
        "default/p1": 1,
        "default/p2": 1,
        "default/p3": 7,
    }
    # At the end the two that run go, by the sandboxes that hold their addresses.
    assert [sandbox for _, what, sandbox, *_ in told[-2:]] == ["p1-sandbox", "p2-sandbox"]


def test_each_waiting_pod_asks_whatever_became_of_the_one_before():
    steps = [
        {"op": "boot"},
        {"op": "add_pods", "n": 30},
        {"op": "run", "seconds": 10},
    ]
    raw = {"instance_type": "t3.small", "env": {"WARM_IP_TARGET": "1"}, "steps": steps}
    player = Player(scenario_of(raw), policy=IPAM_CORE)
    player.play()
    assert len(player.node.waiting) == len(player.waiting) > 1


@pytest.mark.parametrize(
    ("policy", "n_served"), [(VPC_CNI, 8), (GROWING, 9), (IPAM_CORE, 9)], ids=str
)
def test_a_fleet_asks_again_after_10_to_15_s_with_a_new_sandbox(policy, n_served, monkeypatch):
    spec = fleet(Arrivals(pods=9, at_ns=60 * S), minutes=4, env={"MINIMUM_IP_TARGET": "4"})
    told = []
    new_node = Agent._new_node

    def watched(agent):
        node = new_node(agent)
        recorded(node, told, lambda: agent._engine.now_ns)
        return node

    monkeypatch.setattr(Agent, "_new_node", watched)
    result = Fleet(spec, policy=policy, seed=1, in_c=False).run()
    tries = check(told)
    assert len(tries) == result.n_pods == 9
    pauses = [later - earlier for times in tries.values() for earlier, later in pairwise(times)]
    assert pauses
    assert all(10 * S <= pause <= 15 * S for pause in pauses)
    assert result.n_pods - len(result.still_waiting_s) == n_served
