"""The search: what it tries, the front, the choice and its checks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings
from ipam_core.simulation.files import read_simulation
from ipam_core.simulation.fleet.fleet import simulate_fleet
from ipam_core.simulation.fleet.spec import with_max_pods
from ipam_core.tuning import Goals, Outcome, trials, tune
from ipam_core.tuning import outcome as outcomes
from ipam_core.tuning import search as searching
from ipam_core.tuning.candidates import candidates, changes
from ipam_core.tuning.outcome import evaluate, pareto_front, pooled, with_env
from ipam_core.tuning.search import by_preference

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def spec():
    """A fleet of two nodes that a search tries in seconds."""
    whole = read_simulation(EXAMPLES / "workload.yaml")
    (group,) = whole.groups
    workloads = tuple(
        replace(each, pods=each.pods // 10) if hasattr(each, "pods") else each
        for each in whole.workloads
    )
    return replace(
        whole,
        groups=(replace(group, count=2),),
        workloads=workloads,
        duration_ns=whole.duration_ns // 2,
    )


def played_once(evaluate):
    """Return `evaluate` that plays a fleet once under the same settings, policy and seed."""
    outcomes_of = {}

    def of_memory(fleet, env, policy, seed):
        key = (repr(fleet), tuple(sorted(env.items())), policy, seed)
        if key not in outcomes_of:
            outcomes_of[key] = evaluate(fleet, env, policy, seed)
        return outcomes_of[key]

    return of_memory


@pytest.fixture(scope="module")
def played():
    """`evaluate` for searches of the same fleet: what one played, the others look up."""
    return played_once(outcomes.evaluate)


def search_by(monkeypatch, evaluate):
    monkeypatch.setattr(searching, "evaluate", evaluate)
    monkeypatch.setattr(trials, "evaluate", evaluate)


@pytest.fixture(scope="module")
def found(spec, played):
    with pytest.MonkeyPatch.context() as monkeypatch:
        search_by(monkeypatch, played)
        return tune(spec)


def outcome(idle, wait, calls, **env):
    return Outcome(
        env=env, idle=idle, wait_p99_s=wait, calls=calls, n_pods=10, n_waited=0, n_unserved=0
    )


COSTS = st.tuples(*[st.integers(0, 4).map(float)] * 3)


@given(st.lists(COSTS, min_size=1, max_size=12))
def test_the_front_is_just_what_nothing_beats(costs):
    every = [outcome(*each) for each in costs]
    best = {one.costs for one in pareto_front(every)}
    for each in every:
        beaten = any(
            all(a <= b for a, b in zip(other.costs, each.costs, strict=True))
            and other.costs != each.costs
            for other in every
        )
        assert (each.costs in best) != beaten
    assert len(pareto_front(every)) == len(best)


def test_limits_come_first_and_weights_decide_among_the_rest():
    best = [outcome(1, 90, 5), outcome(5, 30, 10), outcome(20, 5, 1), outcome(0, inf, 0)]

    def first(**goals):
        return by_preference(best, Goals(**goals))[0].costs

    assert first(max_wait_p99_s=40, weight_wait=0) == (5, 30, 10) or first(
        max_wait_p99_s=40, weight_wait=0
    ) == (20, 5, 1)
    assert first(max_wait_p99_s=10) == (20, 5, 1)
    assert first(weight_wait=0, weight_calls=0) == (1, 90, 5)
    assert first(weight_idle=0) == (20, 5, 1)
    assert by_preference(best, Goals(max_idle=0.5)) == []  # the only one serves not all pods


def test_a_missed_limit_is_told_with_both_numbers():
    goals = Goals(max_wait_p99_s=10, max_calls=4)
    assert goals.misses(outcome(1, 12.34, 5)) == (
        "99% of pods wait at most 12.3 s, limit 10",
        "5 EC2 calls a node and hour, limit 4",
    )
    assert goals.misses(outcome(1, 12.34, 5), slack=1.5) == ()


def test_candidates_change_only_the_targets():
    base = {"WARM_PREFIX_TARGET": "1", "IP_COOLDOWN_PERIOD": "10", "WARM_IP_TARGET": "2"}
    tried = candidates(base, typical_pods=6, peak_pods=9, prefixes=True)
    assert all(env["IP_COOLDOWN_PERIOD"] == "10" for env in tried)
    assert {"IP_COOLDOWN_PERIOD": "10", "WARM_ENI_TARGET": "1"} in tried
    assert len({tuple(sorted(env.items())) for env in tried}) == len(tried)
    prefix_mode = [env for env in tried if "ENABLE_PREFIX_DELEGATION" in env]
    assert prefix_mode
    without = candidates(base, typical_pods=6, peak_pods=9, prefixes=False)
    assert without == [env for env in tried if env not in prefix_mode]
    for env in tried:
        assert not Settings.from_env(env).warnings


def test_changes_lead_from_today_to_the_recommended():
    today = {"WARM_IP_TARGET": "1", "WARM_ENI_TARGET": "2", "IP_COOLDOWN_PERIOD": "10"}
    best = {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "9", "IP_COOLDOWN_PERIOD": "10"}
    to_do = changes(today, best)
    assert to_do == {"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "9", "WARM_ENI_TARGET": None}
    assert {k: v for k, v in {**today, **to_do}.items() if v is not None} == best


def test_the_front_and_the_numbers_are_those_of_simulations(spec, found):
    assert len(found.outcomes) > 25
    aside = [outcome.env for outcome, _ in found.put_aside]
    assert found.front == tuple(pareto_front(one for one in found.outcomes if one.env not in aside))
    seeds = range(spec.seed, spec.seed + 3)
    env = spec.groups[0].env
    assert found.today == pooled([evaluate(spec, env, VPC_CNI, seed) for seed in seeds])
    best = found.recommended
    spec = with_max_pods(spec, 29)  # today's, whatever is tried
    results = [simulate_fleet(with_env(spec, best.env), seed=seed) for seed in seeds]
    assert best.n_waited == sum(result.n_waited for result in results)
    assert best.wait_p99_s == fmean(result.wait_quantile_s(0.99) for result in results)
    assert best.idle == pytest.approx(fmean(result.mean("idle") / 2 for result in results))
    assert all(one.n_seeds == 3 for one in found.front)


def test_what_is_recommended_was_checked(spec, found):
    best = found.recommended
    assert explain("m5.large", best.env).verdict.serves_all
    longer = replace(with_max_pods(spec, 29), duration_ns=2 * spec.duration_ns)
    assert found.checked == evaluate(longer, best.env, VPC_CNI, spec.seed + 3)


def test_a_choice_that_stalls_is_put_aside(spec, monkeypatch):
    stalling = {"MINIMUM_IP_TARGET": "14"}
    monkeypatch.setattr(searching, "candidates", lambda *_, **__: [stalling])
    found = tune(spec, goals=Goals(weight_wait=0, weight_calls=0))
    assert found.recommended is None
    ((outcome, why),) = found.put_aside
    assert outcome.env == stalling
    assert "m5.large: stalls at pod 15 with 13 slots unused" in why


@pytest.mark.parametrize("under_a_seed", [False, True])
def test_a_choice_that_does_not_hold_elsewhere_is_put_aside(
    spec, played, monkeypatch, under_a_seed
):
    goals = Goals(max_wait_p99_s=200)
    search_by(monkeypatch, played)
    best = tune(spec, goals=goals).recommended

    def worse(fleet, env, policy, seed):
        one = played(fleet, env, policy, seed)
        is_check = fleet.duration_ns != spec.duration_ns
        wrong = seed == spec.seed + 2 if under_a_seed else is_check
        return replace(one, wait_p99_s=500.0) if wrong and env == best.env else one

    search_by(monkeypatch, worse)
    again = tune(spec, goals=goals)
    why = {tuple(outcome.env.items()): why for outcome, why in again.put_aside}
    where = "with seed 2" if under_a_seed else "in a longer simulation"
    said = why.get(tuple(best.env.items()))
    # Under several seeds the mean may break the limit, and then it is not preferred at all.
    assert said is None or f"{where}: 99% of pods wait at most 500 s" in said
    assert said is not None or under_a_seed
    assert again.recommended.env != best.env


def test_todays_stall_is_told(spec, monkeypatch):
    monkeypatch.setattr(searching, "candidates", lambda *_, **__: [{"WARM_IP_TARGET": "2"}])
    stalling = with_env(spec, {"MINIMUM_IP_TARGET": "8"})
    assert "stalls at pod 9" in tune(stalling).today_stalls


def test_any_executor_gives_the_same(spec, found):
    with ThreadPoolExecutor(3) as executor:
        there = tune(spec, executor=executor)
    assert there.outcomes == found.outcomes
    assert there.recommended == found.recommended


def test_an_interrupted_search_is_no_result(spec):
    def interrupt(share):
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(spec, on_progress=interrupt)
