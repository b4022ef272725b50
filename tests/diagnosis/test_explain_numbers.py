"""The numbers in what `explain` says: worked out from limits and rules, or played another way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipam_core import IPAM_CORE, instances
from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.diagnosis.explain.play import NodeCase, PlayedNode
from ipam_core.diagnosis.explain.rolling import rolling_update
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player
from ipam_core.simulation.scenario.spec import ScenarioStep

M8G = "m8g.4xlarge"  # 8 ENIs x 29 slots
PREFIX = {"ENABLE_PREFIX_DELEGATION": "true"}
BOOT = [{"op": "boot"}]


def why(identifier, explained):
    (found,) = [each for each in explained.findings if each.kind.identifier == identifier]
    return " ".join(found.why)


def test_a_long_cooldown_is_waited_for_between_two_pods():
    """An ENI goes once nothing on it cools: the last level is then that of a fresh node."""
    env = {"IP_COOLDOWN_PERIOD": "300"}
    assert explain("t3.small", env).play.back[-1].per_eni == (3,)


def test_addresses_that_cool_longer_than_is_waited_for_are_not_free():
    level = explain("t3.small", {"IP_COOLDOWN_PERIOD": "1000000"}).play.back[-1]
    assert (level.pods, level.total, level.free) == (0, 9, 0)


def test_calls_of_a_pool_that_flaps_are_those_of_an_hour():
    explained = explain(M8G, PREFIX)
    steps = [*BOOT, {"op": "run", "seconds": 600}, {"op": "mark"}]
    player = Player(
        scenario_of(
            {
                "instance_type": M8G,
                "env": PREFIX,
                "steps": [*steps, {"op": "run", "seconds": 3600}],
            }
        ),
        record=False,
    )
    player.play()
    assert explained.play.flap.pods == 0
    assert explained.play.flap.calls_per_hour == pytest.approx(len(player.calls), rel=0.1)


@pytest.mark.parametrize("env", [{}, {"WARM_IP_TARGET": "5"}, PREFIX], ids=str)
def test_a_rolling_update_is_what_the_simulator_makes_of_it(env):
    """A quarter at a time, as maxSurge of a Deployment is; ready 10 s after an address."""
    met = rolling_update(NodeCase(limits=instances.limits("m5.large"), env=env, max_pods=29))
    assert (met.pods, met.surge) == (13, 4)
    player = Player(scenario_of({"instance_type": "m5.large", "env": env, "steps": BOOT}))

    def play(op, **arguments):
        getattr(player, op)(ScenarioStep(op=op, arguments=arguments))

    player.play()
    play("add_pods", n=13, each_settled=True)
    longest_s = 0
    for wave in (4, 4, 4, 1):
        play("add_pods", n=wave)
        waited_s = 0
        while player.waiting:
            play("run", seconds=5)
            waited_s += 5
        longest_s = max(longest_s, waited_s)
        play("run", seconds=10)
        play("del_pods", n=wave)
    assert met.longest_wait_s == pytest.approx(longest_s, abs=5)


def test_a_wait_while_none_cools_is_not_for_cooldown():
    """The one pod's replacement waits for a look; nothing was released before."""
    case = NodeCase(
        limits=instances.limits("m5.large"),
        env={"MINIMUM_IP_TARGET": "1"},
        max_pods=4,
        policy=IPAM_CORE,
    )
    met = rolling_update(case)
    assert met.longest_wait_s > 0
    assert (met.most_waiting, met.cooling, met.available) == (0, 0, 0)


def test_no_update_rolls_on_a_node_that_cannot_hold_half_its_pods():
    env = {"MINIMUM_IP_TARGET": "5"}
    case = NodeCase(limits=instances.limits("m5.large"), env=env, max_pods=29)
    assert explain("m5.large", env).verdict.stalled_at == 6
    assert rolling_update(case) is None


def test_a_pod_that_waits_for_a_cooling_address_is_served_by_the_time_the_pool_settles():
    """The pool checks do nothing meanwhile: cooling addresses count as a warm ENI."""
    played = PlayedNode(NodeCase(limits=instances.limits("m5.large"), env={}, max_pods=29))
    assert played.fill(9)
    assert all(played.ask() for _ in range(9))
    for _ in range(9):
        played.remove_oldest()
    assert not played.ask()
    assert played.world.node.idles_until_pods_change()
    assert played.settle()
    assert not played.waiting


def test_idle_addresses_count_the_primary_of_each_eni():
    """29 and a primary on the first ENI; 8 ENIs of 30 in the end."""
    told = why("idle-addresses", explain(M8G, subnet_free=1000))
    assert "takes 30 addresses before its first pod, 29 of them for pods; 240 with 232" in told
    assert f"enough for {1000 // 30} idle or {1000 // 240} full" in told


def test_a_subnet_that_is_too_small_lacks_what_the_full_node_takes():
    """232 pod addresses and the primaries of 7 more ENIs."""
    told = why("subnet-too-small", explain(M8G, subnet_free=50))
    assert "the node takes 239 of the subnet's addresses, and 50 are free" in told


def test_a_subnet_without_any_address_is_too_small_where_the_agent_cannot_ask_for_an_eni():
    """The last look then ends without an error of its own; what EC2 said is older."""
    limits = replace(instances.limits("m5.large"), max_enis=1, enis_per_network_card=(1,))
    explained = explain(limits, max_pods=5, subnet_free=0)
    assert explained.verdict.stalled_at == 1
    assert "AssignPrivateIpAddresses: Insufficient" in why("subnet-too-small", explained)


def test_maxpods_to_set_counts_the_pods_of_the_host_network():
    (found,) = explain(M8G, max_pods=300).findings[:1]
    assert found.kind.identifier == "max-pods-above-capacity"
    only_xen = explain("m4.large", max_pods=100).findings[0]  # 2 x 9 slots, no prefixes
    assert only_xen.fix.note == "set the kubelet's maxPods to 20"
    assert only_xen.outcome == "serves all 18 pods"


def test_a_target_is_stopped_by_maxpods_at_exactly_as_many_addresses():
    explained = explain(M8G, {"WARM_IP_TARGET": "60"}, max_pods=29)
    assert "holds 29 addresses on 1 ENI; it stops at maxPods 29" in why(
        "target-out-of-reach", explained
    )


def test_capacity_is_that_of_every_card_that_the_agent_manages():
    limits = instances.limits("p5.48xlarge")
    one = explain("p5.48xlarge", max_pods=20)
    every = explain("p5.48xlarge", {"ENABLE_MULTI_NIC": "true"}, max_pods=20)
    assert one.capacity_slots == limits.enis_per_network_card[0] * limits.slots
    assert every.capacity_slots == sum(limits.enis_per_network_card) * limits.slots


def test_growth_without_the_brake_is_told_even_where_the_node_would_not_start():
    """Without maxPods this one asks for more than the subnet has."""
    env = {"WARM_IP_TARGET": "9", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"}
    explained = explain("m5.large", env, max_pods=5, subnet_free=7, policy=IPAM_CORE)
    assert "agents up to v1.16.0: Failed to attach" in why("max-pods-stops-growth", explained)
