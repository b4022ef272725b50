"""None of the better rules does the harm that it could do."""

from __future__ import annotations

import os

import pytest

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.player import Player
from ipam_core.simulation.scenario import scenario_of
from lives.life import Living, life
from policy.replay import RULES, with_rule

N_LIVES = 2000 if os.environ.get("IPAM_CORE_SOAK") else 40
PREFIX = {"ENABLE_PREFIX_DELEGATION": "true"}
SETTINGS = [
    {"WARM_IP_TARGET": "2"},
    {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "10"},
    {"MINIMUM_IP_TARGET": "4"},
    {"WARM_ENI_TARGET": "1"},
    {"WARM_ENI_TARGET": "0"},
    {**PREFIX, "WARM_PREFIX_TARGET": "1"},
    {**PREFIX, "WARM_PREFIX_TARGET": "0"},
    {**PREFIX, "WARM_IP_TARGET": "5"},
]


def player(steps, policy=IPAM_CORE, *, instance_type="m5.large", max_pods=29, **env):
    raw = {"instance_type": instance_type, "env": env, "max_pods": max_pods, "steps": steps}
    return Player(scenario_of(raw), policy=policy)


def calls_of(steps, env, policy=IPAM_CORE, **more):
    """Play; return the EC2 calls since the last mark, by API."""
    played = player(steps, policy, **more, **env)
    played.play()
    return played.observe("ec2")


class Capped(Living):
    """A life in which no request goes beyond max pods; the last /28 may reach over it.

    As far as the node knows: see below.
    """

    def check_whole(self):
        super().check_whole()
        total = self.node.store.stats(self.now_ns).total
        most = self.max_pods + (15 if self.node.prefix_mode else 0)
        assert total <= most, f"{total} addresses for {self.max_pods} pods"


@pytest.mark.parametrize("seed", range(N_LIVES))
def test_lives_are_whole_under_all_rules(seed):
    raw = life(seed)
    raw["steps"] = [step for step in raw["steps"] if "env" not in step]  # a mode keeps what it has
    # A node that metadata misleads asks for what it has already.
    kind = Living if raw["node"]["metadata_lag_s"] else Capped
    kind(scenario_of(raw), policy=IPAM_CORE, seed=seed, record=False).live()


@pytest.mark.parametrize("rule", RULES)
def test_lives_are_whole_under_each_rule(rule):
    for seed in range(N_LIVES // 4):
        Living(scenario_of(life(seed)), policy=with_rule(rule), seed=seed, record=False).live()


@pytest.mark.parametrize("env", SETTINGS)
def test_pods_that_come_and_go_within_the_delay_cost_no_call(env):
    """Nothing is given back and asked for again: after two rounds the pool is large enough."""
    rounds = [
        {"op": "del_pods", "n": 5},
        {"op": "run", "seconds": 60},
        {"op": "add_pods", "n": 5},
        {"op": "run", "seconds": 60},
    ]
    steps = [{"op": "boot"}, {"op": "add_pods", "n": 8}, {"op": "run", "seconds": 120}, *rounds * 2]
    again = [*steps, {"op": "mark"}, *rounds * 6]
    assert not calls_of(again, env)
    if "WARM_IP_TARGET" in env and "MINIMUM_IP_TARGET" not in env and not PREFIX.keys() & env:
        assert calls_of(again, env, VPC_CNI)["UnassignPrivateIpAddresses"] >= 6


@pytest.mark.parametrize("env", SETTINGS)
def test_a_pool_left_alone_comes_to_rest(env):
    """No ENI or prefix comes and goes in a node whose pods stay."""
    for n_pods in (0, 1, 9, 17, 26):
        steps = [
            {"op": "boot"},
            *([{"op": "add_pods", "n": n_pods}] if n_pods else []),
            {"op": "run", "seconds": 900},
            {"op": "mark"},
            {"op": "run", "seconds": 1800},
        ]
        assert not calls_of(steps, env), n_pods


@pytest.mark.parametrize("env", SETTINGS)
def test_what_is_over_goes_once_the_delay_is_over(env):
    """The delay is no excuse to keep addresses for ever."""
    steps = [{"op": "boot"}, {"op": "add_pods", "n": 26}, {"op": "run", "seconds": 300}]
    played = player(steps, **env)
    played.play()
    full = played.observe("total_ips")
    emptied = player([*steps, {"op": "del_pods", "n": 26}, {"op": "run", "seconds": 1500}], **env)
    emptied.play()
    at_rest = player([{"op": "boot"}, {"op": "run", "seconds": 900}], **env)
    at_rest.play()
    assert emptied.observe("total_ips") < full
    # No more than an ENI, or a prefix, above a node that never had a pod.
    size = 16 if "ENABLE_PREFIX_DELEGATION" in env else 9
    assert emptied.observe("total_ips") <= at_rest.observe("total_ips") + size


@pytest.mark.parametrize("env", SETTINGS[:5])
def test_pods_that_cannot_be_served_cost_no_call_on_a_full_node(env):
    steps = [
        {"op": "boot"},
        {"op": "add_pods", "n": 20},
        {"op": "run", "seconds": 300},
        {"op": "mark"},
        {"op": "run", "seconds": 600},
    ]
    assert not calls_of(steps, env, instance_type="t3.small", max_pods=50)


def test_pods_that_wait_for_a_full_subnet_cost_a_few_calls_every_two_minutes():
    steps = [
        {"op": "boot"},
        {"op": "subnet", "free_ips": 0},
        {"op": "add_pods", "n": 20},
        {"op": "run", "seconds": 300},
        {"op": "mark"},
        {"op": "run", "seconds": 1200},
    ]
    for env in SETTINGS[:3]:
        calls = calls_of(steps, env)
        assert calls["CreateNetworkInterface"] <= 10, env
        assert calls["AssignPrivateIpAddresses"] <= 20, env


def test_a_node_that_fell_back_returns_to_prefixes_and_gives_its_addresses_back():
    env = {**PREFIX, "WARM_IP_TARGET": "1"}
    played = player(
        [
            {"op": "subnet", "free_ips": 100, "free_prefixes": 1},
            {"op": "boot"},
            {"op": "add_pods", "n": 20},
            {"op": "run", "seconds": 60},
            {"op": "expect", "pending_pods": 0, "prefixes": 1, "ips_per_eni": [5]},
            {"op": "subnet", "free_ips": 400, "free_prefixes": 20},
            {"op": "run", "seconds": 120},
            {"op": "add_pods", "n": 3},
            {"op": "run", "seconds": 30},
            {"op": "expect", "pending_pods": 0, "prefixes": 2},
            # The first 16 pods are on the prefix, the next five on the addresses.
            {"op": "del_pods", "which": [16, 17, 18, 19, 20]},
            {"op": "run", "seconds": 900},
            {"op": "expect", "prefixes": 2, "ips_per_eni": [0], "assigned_ips": 18},
            {"op": "mark"},
            {"op": "run", "seconds": 1800},
        ],
        **env,
    )
    result = played.play()
    assert [str(mismatch) for mismatch in result.mismatches] == []
    assert not played.observe("ec2"), "it flaps between the two kinds"


def test_a_kept_cooldown_keeps_an_address_from_new_pods_and_no_longer():
    """The only address of a full subnet: at once after a restart without the rule."""
    steps = [
        {"op": "subnet", "free_ips": 1},
        {"op": "boot"},
        {"op": "add_pods", "n": 1},
        {"op": "subnet", "free_ips": 0},
        {"op": "del_pods", "n": 1},
        {"op": "run", "seconds": 10},
        {"op": "restart"},
        {"op": "add_pods", "n": 1},
    ]
    for policy, waits in ((VPC_CNI, 0), (with_rule("keep_cooldown"), 1)):
        played = player(steps, policy, WARM_IP_TARGET="1")
        played.play()
        assert played.observe("pending_pods") == waits
    played = player([*steps, {"op": "run", "seconds": 25}], with_rule("keep_cooldown"),
                    WARM_IP_TARGET="1")  # fmt: skip
    played.play()
    assert played.observe("pending_pods") == 0
