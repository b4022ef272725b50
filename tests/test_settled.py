"""States at rest, against nodes that are played from pool check to pool check.

Expectations come from the play of `explain`, which runs the node's own steps against a
simulated EC2, and from sums by hand; never from the code under test.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from ipam_core import instances, pool
from ipam_core.diagnosis.explain.play import NodeCase, Play, capacity_slots
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.settings import Settings
from support.soak import SOAK, examples

NAMES = instances.names()
KINDS = {
    (each.enis_per_network_card, each.ipv4_per_eni, each.nitro, each.trunking): name
    for name in NAMES
    for each in [instances.limits(name)]
}
"""One type of each kind that the rules can tell apart."""


def some_env(chance):
    """Return random variables of an agent, most of them sensible."""
    env = {}
    for name, share, values in (
        ("WARM_IP_TARGET", 0.5, (0, 1, 2, 5, 10, 16, 17, 40, 1000)),
        ("MINIMUM_IP_TARGET", 0.5, (0, 1, 2, 5, 10, 16, 25, 40, 1000)),
        ("WARM_ENI_TARGET", 0.5, (0, 1, 2, 3, 100)),
        ("WARM_PREFIX_TARGET", 0.5, (0, 1, 2, 3, 100)),
        ("MAX_ENI", 0.2, (0, 1, 2, 3, 100)),
        ("ENABLE_PREFIX_DELEGATION", 0.5, ("true",)),
        ("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", 0.2, ("true",)),
        ("ENABLE_POD_ENI", 0.2, ("true",)),
        ("ENABLE_MULTI_NIC", 0.3, ("true",)),
        ("DISABLE_NETWORK_RESOURCE_PROVISIONING", 0.05, ("true",)),
        ("ENABLE_IPv6", 0.1, ("true",)),
    ):
        if chance.random() < share:
            env[name] = str(chance.choice(values))
    if "ENABLE_IPv6" in env:
        env["ENABLE_IPv4"] = chance.choice(("true", "false"))
    return env


def some_policy(chance):
    """Return the agent's rules, the better ones, or the agent's with some switched."""
    switches = {
        name: chance.random() < 0.5
        for name in ("grow_when_exhausted", "cap_at_max_pods", "cooling_is_available", "pack")
    }
    mixed = replace(VPC_CNI, name="mixed", release_delay_s=chance.choice((0.0, 300.0)), **switches)
    return chance.choice((VPC_CNI, VPC_CNI, IPAM_CORE, mixed))


def some_case(chance, name, most_pods):
    """Return a node of a type to be played, with at most this number of pods."""
    limits, env = instances.limits(name), some_env(chance)
    usual = instances.max_pods(limits, Settings.from_env(env)).value
    max_pods = (
        usual if chance.random() < 0.6 and usual <= most_pods else chance.randint(1, most_pods)
    )
    return NodeCase(
        limits=limits,
        env=env,
        max_pods=max_pods,
        policy=some_policy(chance),
        seed=chance.randrange(100),
    )


def compare(case):
    """Compare the states at rest of a node with those that it has when played."""
    play, settings = Play(case), Settings.from_env(case.env)
    rules = {"max_pods": case.max_pods, "policy": case.policy}
    several = play.n_cards > 1
    flapped = by_chance = False
    for level in play.up:
        at = pool.settled(case.limits, settings, level.pods, **rules)
        assert at.served == level.pods, (case, level, at)
        if several and flapped:
            continue  # which card serves a pod depends on the moment
        assert at.flaps == (not level.settled), (case, level, at)
        flapped = flapped or at.flaps
        by_chance = by_chance or at.most_total > at.total
        if several and flapped:
            continue
        assert at.total <= level.total <= at.most_total, (case, level, at)
        if at.total == at.most_total:
            assert (at.enis, at.slots_used) == (level.enis, sum(level.per_eni)), (case, level, at)
    at = pool.settled(case.limits, settings, case.n_pods, **rules)
    assert (at.served, at.starts) == (play.served, not play.init_error), (case, at)
    climbed = pool.climb(case.limits, settings, **rules)
    assert climbed.full.served == play.served, (case, climbed)
    assert climbed.serves_all == play.serves_all, (case, climbed)
    assert (climbed.flaps_at is None) == (play.flap is None), (case, climbed)
    if play.flap is not None:
        assert climbed.flaps_at == play.flap.pods, (case, climbed)
    if not (flapped or by_chance):
        assert climbed.burst == play.burst, (case, climbed)
    if play.mode != "ipv6":
        assert climbed.capacity_slots == capacity_slots(case), (case, climbed)


@pytest.mark.parametrize("seed", range(examples(6, 400)))
def test_every_kind_of_type_with_random_settings_as_played(seed):
    chance = random.Random(seed)
    for name in chance.sample(sorted(KINDS.values()), len(KINDS) if SOAK else 40):
        compare(some_case(chance, name, most_pods=60))


@pytest.mark.skipif(not SOAK, reason="plays every instance type up to all its pods: minutes")
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"MINIMUM_IP_TARGET": "25"},
        {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "10"},
        {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
        {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "2"},
        {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "ENABLE_POD_ENI": "true"},
    ],
    ids=lambda env: "-".join(f"{name}={value}" for name, value in env.items()) or "defaults",
)
def test_every_type_as_played(env):
    for name in NAMES:
        limits = instances.limits(name)
        usual = instances.max_pods(limits, Settings.from_env(env)).value
        compare(NodeCase(limits=limits, env=env, max_pods=usual))


def test_a_pod_gets_the_last_address_of_a_card_before_one_of_the_next_card():
    for name in ("p4d.24xlarge", "c6in.32xlarge"):
        env = {"ENABLE_MULTI_NIC": "true", "MINIMUM_IP_TARGET": "5"}
        compare(NodeCase(limits=instances.limits(name), env=env, max_pods=20))


def test_an_agent_that_attaches_nothing_has_the_ipv6_prefix_of_one_card():
    env = {"ENABLE_IPv6": "true", "ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"}
    for more in ({}, {"DISABLE_NETWORK_RESOURCE_PROVISIONING": "true"}):
        env |= {"ENABLE_MULTI_NIC": "true"} | more
        compare(NodeCase(limits=instances.limits("c6in.32xlarge"), env=env, max_pods=5))


def test_the_incident_stalls_at_25():
    stuck = pool.settled("m8g.4xlarge", Settings(minimum_ip_target=25), 26)
    assert (stuck.served, stuck.total, stuck.available, stuck.enis) == (25, 25, 0, 1)
    climbed = pool.climb("m8g.4xlarge", Settings(minimum_ip_target=25))
    assert (climbed.stalled_at, climbed.unused_slots) == (26, 232 - 25)


def test_growth_that_max_pods_stops_is_that_of_pods_one_by_one():
    # 17 warm: pod 24 makes 41 addresses, and maxPods is 41, so that pod 25 makes no 42.
    limits = instances.parse_limits("enis=4,ips=15")
    assert pool.settled(limits, Settings(warm_ip_target=17), 25, max_pods=41).total == 41
    assert pool.settled(limits, Settings(), 39, max_pods=41).total == 42


def test_a_pool_that_never_rests_says_so_with_both_its_totals():
    limits = instances.parse_limits("enis=4,ips=15")
    at = pool.settled(limits, Settings(warm_eni_target=0), 14)
    assert (at.flaps, at.total, at.most_total, at.enis) == (True, 14, 28, 2)
    assert not pool.settled(limits, Settings(warm_eni_target=0), 13).flaps
    assert pool.climb(limits, Settings(warm_eni_target=0)).flaps_at == 14


def test_which_prefix_a_pod_is_on_is_chance_but_for_pods_that_are_packed():
    settings = Settings(enable_prefix_delegation=True, warm_prefix_target=3)
    spread = pool.settled("m5.large", settings, 40)
    assert (spread.total, spread.most_total > spread.total) == (16 * (3 + 3), True)
    packed = pool.settled("m5.large", settings, 40, policy=IPAM_CORE)
    assert packed.total == packed.most_total == 96


def test_an_agent_that_does_not_start_holds_nothing():
    neither = Settings(enable_ipv4=False)
    at = pool.settled("m5.large", neither, 5)
    assert (at.starts, at.served, at.enis, at.total) == (False, 0, 0, 0)
    climbed = pool.climb("m5.large", neither)
    assert (climbed.serves_all, climbed.stalled_at, climbed.unused_slots) == (False, None, 0)


def test_arrays_of_nodes_hold_what_each_node_does():
    chance = random.Random(7)
    for _ in range(10):
        names = [chance.choice(NAMES) for _ in range(30)]
        settings, policy = Settings.from_env(some_env(chance)), some_policy(chance)
        n_pods = np.array([chance.randrange(80) for _ in names], dtype=np.uint16)
        max_pods = np.array([chance.randrange(1, 90) for _ in names])
        rows = pool.settled_many(names, settings, n_pods, max_pods=max_pods, policy=policy)
        for number, name in enumerate(names):
            one = pool.settled(
                name, settings, int(n_pods[number]), max_pods=int(max_pods[number]), policy=policy
            )
            assert [getattr(rows, field)[number] for field in pool.Settled.__slots__] == [
                getattr(one, field) for field in pool.Settled.__slots__
            ]


def test_shapes_are_broadcast():
    square = pool.settled_many("m5.large", Settings(), np.arange(6).reshape(2, 3)[:, ::-1])
    assert square.total.shape == square.flaps.shape == (2, 3)
    assert square.served.tolist() == [[2, 1, 0], [5, 4, 3]]
    by_type = pool.settled_many(["m5.large", "m8g.4xlarge"], Settings(), [[0], [30]])
    assert by_type.total.tolist() == [[9, 29], [27, 87]]  # 27 is all that m5.large holds
    assert pool.settled_many([], Settings(), []).total.shape == (0,)
    assert pool.settled_many("m5.large", Settings(), 3).total.shape == ()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pool.settled("m5.large", Settings(), -1), "n_pods=-1"),
        (lambda: pool.settled("m5.large", Settings(), 1 << 60), "n_pods=1152921504606846976"),
        (lambda: pool.settled("m5.large", Settings(), 1, max_pods=0), "max_pods=0"),
        (lambda: pool.climb("m5.large", Settings(), max_pods=0), "max_pods=0"),
        (lambda: pool.settled_many("m5.large", Settings(), [3, -2]), "n_pods=-2"),
        (lambda: pool.settled_many("m5.large", Settings(), 1, max_pods=[0]), "max_pods=0"),
        (lambda: pool.settled_many(["m5.large"] * 2, Settings(), [1, 2, 3]), "broadcast"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_policy_with_a_rule_of_its_own_must_be_played():
    own = replace(VPC_CNI, name="own", rule=pool.decide)
    with pytest.raises(ValueError, match="policy 'own' has a rule of its own"):
        pool.settled("m5.large", Settings(), 3, policy=own)
    with pytest.raises(ValueError, match="policy 'own'"):
        pool.settled_many("m5.large", Settings(), 3, policy=own)


def test_numbers_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match="n_pods: integers, not float64"):
        pool.settled_many("m5.large", Settings(), [1.5])


@pytest.mark.parametrize("name", ["warm_ip_target", "minimum_ip_target", "warm_eni_target"])
def test_the_largest_targets_are_as_good_as_any_that_is_out_of_reach(name):
    huge = pool.settled("m5.large", Settings(**{name: (1 << 63) - 1}), 3)
    assert huge == pool.settled("m5.large", Settings(**{name: 100}), 3)


def test_the_largest_prefix_target_too():
    def at(target):
        settings = Settings(enable_prefix_delegation=True, warm_prefix_target=target)
        return pool.settled("m5.large", settings, 100)

    assert at((1 << 63) - 1) == at(1000)


def test_a_fleet_of_one_node_is_an_array_of_one():
    of_one = pool.settled_many(["m5.large"], Settings(), 10)
    assert of_one.total.shape == (1,)
    assert pool.settled_many("m5.large", Settings(), 10).total.shape == ()
