"""A rule and a placement of one's own: used by nodes, scenarios, fleets, explain and tune alike."""

import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ipam_core import (
    IPAM_CORE,
    VPC_CNI,
    Goals,
    Node,
    PoolView,
    Sandbox,
    Settings,
    SimulatedCloud,
    drive,
    explain,
    instances,
    pool,
    simulate,
    tune,
)
from ipam_core.errors import PoolExhaustedError
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.fleet import Fleet

S = 1_000_000_000
STEPS = [{"op": "boot"}, {"op": "add_pods", "n": 14}, {"op": "settle"}]
SCENARIO = {"instance_type": "m5.large", "env": {"WARM_IP_TARGET": "3"}, "steps": STEPS}
FLEET = {
    "duration": "12m",
    "nodes": [
        {"name": "n", "instance_type": "m5.large", "count": 4, "env": {"WARM_IP_TARGET": "2"}}
    ],
    "workloads": [
        {"kind": "churn", "pods_per_node": 6, "lifetime": "2m"},
        {"kind": "cron_jobs", "pods": 12, "at": "4m", "every": "3m", "lifetime": "40s"},
    ],
}


def as_the_agent(view):
    return pool.decide(view, VPC_CNI)


def as_better(view):
    return pool.decide(view, IPAM_CORE)


def nothing(view):
    return replace(pool.decide(view), low=False, high=False, enis_to_spare=False)


def own(rule, base=VPC_CNI, *, name="own", **more):
    return replace(base, name=name, rule=rule, **more)


def node_of(policy, instance_type="m5.large", **env):
    cloud = SimulatedCloud(instance_type, seed=1)
    clock = [0]
    node = Node(cloud.limits, Settings.from_env(env), policy=policy, clock_ns=lambda: clock[0])
    drive(node.start(), cloud)
    return node, cloud, clock


# --- rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rule", "base"), [(as_the_agent, VPC_CNI), (as_better, IPAM_CORE)])
def test_a_rule_that_decides_as_the_policy_gives_the_same_fleet(rule, base, seed):
    """It is played in Python and the policy in C where it can be: the results are the same."""
    churn = {**FLEET, "workloads": FLEET["workloads"][:1]}
    for fleet in (FLEET, churn):
        mine = simulate(fleet, policy=own(rule, base, name=base.name), seed=seed).to_dict()
        assert mine == simulate(fleet, policy=base, seed=seed).to_dict()


@pytest.mark.parametrize("base", [VPC_CNI, IPAM_CORE])
def test_a_rule_with_a_memory_leaves_no_check_out_and_gives_the_same_fleet(base):
    (spec,) = [simulation_of([FLEET], Path())]
    rule = as_the_agent if base is VPC_CNI else as_better
    policy = own(rule, base, memory_s=60)
    runs = [
        Fleet(spec, policy=policy, seed=3, skip_idle=skip_idle).run().to_dict()
        for skip_idle in (True, False)
    ]
    assert runs[0] == runs[1]
    assert runs[0] | {"policy": base.name} == simulate(FLEET, policy=base, seed=3).to_dict()


def test_every_question_asks_the_rule():
    seen = []

    def rule(view):
        seen.append(view)
        return nothing(view)

    policy = own(rule)
    result = simulate({**SCENARIO, "expect": {}}, policy=policy)
    assert (result.timeline[-1].total, result.timeline[-1].waiting) == (0, 14)
    assert seen
    seen.clear()
    explained = explain("m5.large", {"WARM_IP_TARGET": "3"}, policy=policy)
    assert not explained.verdict.serves_all
    assert seen
    seen.clear()
    short = {
        **FLEET,
        "workloads": FLEET["workloads"][:1],
        "duration": "3m",
        "nodes": [{**FLEET["nodes"][0], "count": 1}],
    }
    tuning = tune(simulation_of([short], Path()), goals=Goals(), policy=policy, seeds=1)
    assert tuning
    assert seen


def test_targets_of_the_moment_are_met():
    node, cloud, clock = node_of(own(lambda view: pool.aim(view, warm_ip=7)), WARM_IP_TARGET="1")
    for _ in range(3):
        clock[0] += 5 * S
        drive(node.adjust(), cloud)
    assert node.store.stats().available == 7
    decision = node.decide()
    assert decision.view.settings.warm_ip_target == 1  # the view stays what it was
    assert decision.growth_rule()[0] == "short = max(WARM_IP_TARGET 7 - available 7,"


@pytest.mark.parametrize(
    ("rule", "error", "said"),
    [
        (lambda view: None, TypeError, r"the rule of policy 'own' returned None, no Decision"),
        (lambda view: replace(nothing(view), want=-1), ValueError, r"want -1, at least 0"),
        (lambda view: pool.aim(view, warm_ip=-1), ValueError, r"warm_ip -1"),
    ],
)
def test_a_rule_that_returns_what_nobody_can_act_on_is_refused(rule, error, said):
    with pytest.raises(error, match=said):
        simulate(FLEET, policy=own(rule))
    with pytest.raises(error, match=said):
        node_of(own(rule))


def test_the_view_remembers_what_was_in_use_and_only_that_long():
    views = []

    def rule(view):
        views.append(view)
        return as_the_agent(view)

    node, cloud, clock = node_of(own(rule, memory_s=20), WARM_IP_TARGET="2")
    for n in range(8):
        if n < 3:
            node.add_pod(Sandbox(f"c{n}"))
        clock[0] += 5 * S
        drive(node.adjust(), cloud)
    assert views[-1].now_ns == clock[0]
    assert views[-1].recent_in_use == (3, 3, 3, 3, 3)  # 20 s: five checks, the oldest included
    assert next(view.recent_in_use for view in views if view.now_ns == 10 * S) == (1, 2)
    views.clear()
    policy = own(rule)  # without a memory it has no time: equal counts are one view
    simulate(FLEET, policy=policy, seed=1)
    assert {(view.now_ns, view.recent_in_use) for view in views} == {(0, ())}


def test_a_rule_may_change_its_mind_with_time_alone():
    def after_six_minutes(view):
        return pool.aim(view, warm_ip=8 if view.now_ns > 360 * S else 2)

    quiet = {**FLEET, "workloads": [{"kind": "daemon_set"}]}
    result = simulate(quiet, policy=own(after_six_minutes, memory_s=1), seed=1)
    total = result.series["total"]
    times = list(result.times_s)
    early = [n for n, at in zip(total, times, strict=True) if 120 < at < 350]
    late = [n for n, at in zip(total, times, strict=True) if at > 500]
    assert set(early) == {4 * 3}
    assert set(late) == {4 * 9}


def test_what_is_worked_out_without_playing_refuses_an_own_rule():
    limits, policy = instances.limits("m5.large"), own(as_the_agent)
    for work_out in (pool.settled, pool.settled_many):
        with pytest.raises(ValueError, match=r"policy 'own' has a rule of its own: play a node"):
            work_out(limits, Settings(), 5, policy=policy)
    with pytest.raises(ValueError, match=r"a rule of its own"):
        pool.climb(limits, Settings(), policy=policy)


def on_cooling(view):
    return pool.aim(view, warm_ip=2 + view.cooling // 2)


def on_waiting(view):
    return pool.aim(view, warm_ip=1 + 2 * view.waiting)


@pytest.mark.parametrize("rule", [on_cooling, on_waiting])
def test_no_check_is_left_out_that_matters_to_a_rule_without_a_memory(rule):
    spec = simulation_of([FLEET], Path())
    runs = [
        Fleet(spec, policy=own(rule), seed=seed, skip_idle=skip_idle).run().to_dict()
        for seed in range(3)
        for skip_idle in (True, False)
    ]
    assert runs[::2] == runs[1::2]


def test_an_idle_node_wakes_when_what_its_rule_sees_changes_with_time():
    def when_cooled(view):
        grows = view.cooling == 0 and view.total < 6
        return replace(nothing(view), low=grows, want=3 * grows)

    node, cloud, clock = node_of(own(when_cooled))
    node.add_pod(Sandbox("c1"))
    clock[0] = 100 * S
    drive(node.adjust(), cloud)
    node.remove_pod(Sandbox("c1"))
    assert node.would_idle()
    assert not node.idles_until_pods_change()
    assert node.idle_until_ns() == node.store.next_cool_ns(clock[0]) == 130 * S + 1

    node, _, clock = node_of(own(nothing))
    clock[0] = 100 * S
    assert node.try_add_pod(Sandbox("c1"), "ns/a") is None
    assert node.idle_until_ns() == node.waiting.ends_ns() == 160 * S


def test_a_policy_of_functions_of_a_module_goes_to_other_processes():
    policy = own(as_the_agent, memory_s=5)
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.in_python
    assert not VPC_CNI.in_python
    assert hash(policy) == hash(own(as_the_agent, memory_s=5))


# --- placements ------------------------------------------------------------------------------


def pack(free):
    """The core's own placement `pack`, of secondary IPs and prefixes, in Python."""
    lowest = [slot for slot in free if slot.device_number == free[0].device_number]
    return min(lowest, key=lambda slot: (slot.n_free, "/" not in slot.cidr))


def addresses_of(policy, env, seed):
    node, cloud, clock = node_of(policy, "m5.xlarge", **env)
    chance = random.Random(seed)
    for n in range(150):
        clock[0] += 5 * S
        if chance.random() < 0.6:
            node.try_add_pod(Sandbox(f"c{n}"))
        else:
            node.try_remove_pod(Sandbox(f"c{chance.randrange(n + 1)}"))
        drive(node.adjust(), cloud)
        node.store._check()
    return sorted((a.address, a.sandbox.container_id) for a in node.store.assignments())


@pytest.mark.parametrize("prefixes", ["false", "true"])
@pytest.mark.parametrize("seed", range(2))
def test_a_placement_in_python_does_what_the_core_does(prefixes, seed):
    env = {"ENABLE_PREFIX_DELEGATION": prefixes, "WARM_IP_TARGET": "5"}
    base = replace(IPAM_CORE, fallback_to_addresses=False)  # which would mix the kinds
    assert addresses_of(replace(base, placement=pack), env, seed) == addresses_of(base, env, seed)


def test_the_placement_chooses_and_a_fleet_asks_it():
    asked = []

    def last(free):
        asked.append(len(free))
        return free[-1]

    node, _, _ = node_of(replace(VPC_CNI, placement=last))
    expected = node.store.free_slots()[-1].cidr
    assert node.add_pod(Sandbox("c1"), "ns/a").address == expected
    assert node.add_pod(Sandbox("c1"), "ns/a").address == expected  # asked again: the same
    assert asked == [9]
    for n in range(8):
        node.add_pod(Sandbox(f"d{n}"))
    with pytest.raises(PoolExhaustedError):
        node.add_pod(Sandbox("e"))
    asked.clear()
    simulate(FLEET, policy=replace(VPC_CNI, placement=last))
    assert asked


def test_a_placement_serves_all_cards_or_none():
    node, _, _ = node_of(
        replace(VPC_CNI, placement=lambda free: free[0]), "p4d.24xlarge", ENABLE_MULTI_NIC="true"
    )
    given = node.add_pod_to_all_cards(Sandbox("c1"))
    assert [a.eni_id for a in given] == [store.enis()[0].eni_id for store in node.served]


def test_a_placement_that_returns_none_of_the_slots_is_refused_and_changes_nothing():
    node, _, _ = node_of(replace(VPC_CNI, name="own", placement=lambda free: "10.0.0.1"))
    before = node.store.snapshot()
    with pytest.raises(ValueError, match=r"placement of policy 'own' returned '10\.0\.0\.1'"):
        node.add_pod(Sandbox("c1"))
    assert node.store.snapshot() == before


def test_a_view_counts_what_is_available():
    view = PoolView(settings=Settings(), slots=9, max_pods=29, total=9, assigned=4, cooling=2)
    assert view.available == 5
