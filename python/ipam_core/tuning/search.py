"""Try settings on a workload, choose among those that none beats, and check the choice.

A choice is printed only when it never stalls within max pods (the node is played from
no pod to all, as `explain` does) and holds its promises in a simulation twice as long
with another seed.
"""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from math import ceil, inf, isinf
from typing import TYPE_CHECKING

from ipam_core.diagnosis.explain.explanation import explain
from ipam_core.policy import VPC_CNI
from ipam_core.simulation.fleet.fleet import simulate_fleet
from ipam_core.tuning.candidates import candidates
from ipam_core.tuning.outcome import Outcome, evaluate, front, outcome_of, with_env

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec

SLACK = 1.5
"""A check with other pods at other times may cost so much more than what was searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """What matters: limits that must hold, and the weights of what remains.

    A weight is for the whole span between the least and the most on the front.
    """

    max_wait_p99_s: float = inf
    max_idle: float = inf
    max_calls: float = inf
    weight_idle: float = 1.0
    weight_wait: float = 1.0
    weight_calls: float = 1.0

    def misses(self, outcome: Outcome, *, slack: float = 1.0) -> tuple[str, ...]:
        """Return each limit that an outcome does not hold, in words."""
        found = []
        for what, value, limit in (
            ("99% of pods wait at most {} s", outcome.wait_p99_s, self.max_wait_p99_s),
            ("{} idle addresses a node", outcome.idle, self.max_idle),
            ("{} EC2 calls a node and hour", outcome.calls, self.max_calls),
        ):
            if value > limit * slack:
                found.append(what.format(f"{value:.3g}") + f", limit {limit:g}")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a search found; `recommended` is None where nothing holds the limits.

    `checked` is the recommended one in the longer simulation. `stalls` names environments
    that were put aside because a node stalls, with the verdict; `today_stalls` is that of
    today's settings, "" where they serve every pod.
    """

    today: Outcome
    today_stalls: str
    outcomes: tuple[Outcome, ...]
    front: tuple[Outcome, ...]
    recommended: Outcome | None
    checked: Outcome | None
    put_aside: tuple[tuple[Outcome, str], ...]


def tune(
    spec: FleetSpec,
    *,
    goals: Goals | None = None,
    policy: Policy = VPC_CNI,
    seed: int | None = None,
    prefixes: bool = True,
    executor: Executor | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tuning:
    """Search settings for a fleet's workload; today's are those of its first group.

    Any `concurrent.futures.Executor` may play the candidates; without one they are played
    here. Prefix mode is tried where `prefixes` and every type has it.
    """
    goals = goals or Goals()
    seed = spec.seed if seed is None else seed
    env = spec.groups[0].env
    # The kubelet's maxPods stays that of today's settings, whatever is tried.
    kept = tuple(replace(group, max_pods=group.kubelet_max_pods) for group in spec.groups)
    spec = replace(spec, groups=kept)
    probe = simulate_fleet(with_env(spec, env), policy=policy, seed=seed)
    today = outcome_of(env, probe)
    pods = sorted(probe.series["pods"])
    n_nodes = max(probe.mean("nodes"), 1)
    tried = candidates(
        env,
        typical_pods=ceil(pods[len(pods) // 2] / n_nodes),
        peak_pods=ceil(pods[-1] / n_nodes),
        prefixes=prefixes and all(group.limits.nitro for group in spec.groups),
    )
    outcomes = _evaluate_all(spec, tried, policy, seed, executor, on_progress)
    best = front(outcomes)
    recommended, checked, put_aside = _choose(spec, best, goals, policy, seed)
    return Tuning(
        today=today,
        today_stalls=_stall(spec, env, policy),
        outcomes=tuple(outcomes),
        front=tuple(best),
        recommended=recommended,
        checked=checked,
        put_aside=tuple(put_aside),
    )


def _evaluate_all(
    spec: FleetSpec,
    tried: list[dict[str, str]],
    policy: Policy,
    seed: int,
    executor: Executor | None,
    on_progress: Callable[[float], None],
) -> list[Outcome]:
    """Return the outcomes in the order of what was tried."""
    found: dict[int, Outcome] = {}
    if executor is None:
        for n, env in enumerate(tried):
            found[n] = evaluate(spec, env, policy, seed)
            on_progress(len(found) / len(tried))
        return list(found.values())
    futures = {executor.submit(evaluate, spec, env, policy, seed): n for n, env in enumerate(tried)}
    try:
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            on_progress(len(found) / len(tried))
    finally:
        for future in futures:
            future.cancel()
    return [found[n] for n in sorted(found)]


def _choose(
    spec: FleetSpec, best: list[Outcome], goals: Goals, policy: Policy, seed: int
) -> tuple[Outcome | None, Outcome | None, list[tuple[Outcome, str]]]:
    """Return the first in order of preference that stands every check, and its check."""
    longer = replace(spec, duration_ns=2 * spec.duration_ns)
    put_aside = []
    for outcome in by_preference(best, goals):
        if verdict := _stall(spec, outcome.env, policy):
            put_aside.append((outcome, verdict))
            continue
        checked = evaluate(longer, outcome.env, policy, seed + 1)
        if missed := goals.misses(checked, slack=SLACK) or _unserved(checked):
            put_aside.append((outcome, f"in a longer simulation: {missed[0]}"))
            continue
        return outcome, checked, put_aside
    return None, None, put_aside


def _unserved(outcome: Outcome) -> tuple[str, ...]:
    return ("pods are never served",) if isinf(outcome.wait_p99_s) else ()


def by_preference(best: list[Outcome], goals: Goals) -> list[Outcome]:
    """Return the outcomes that hold the limits and serve the pods, the best first.

    Each number counts as its share of the span between the least and the most of these.
    """
    held = [one for one in best if not goals.misses(one) and not isinf(one.wait_p99_s)]
    weights = (goals.weight_idle, goals.weight_wait, goals.weight_calls)
    spans = [(min(values), max(values)) for values in zip(*(o.costs for o in held), strict=True)]

    def cost(outcome: Outcome) -> float:
        return sum(
            weight * ((value - least) / (most - least) if most > least else 0.0)
            for weight, value, (least, most) in zip(weights, outcome.costs, spans, strict=True)
        )

    return sorted(held, key=cost)


def _stall(spec: FleetSpec, env: Mapping[str, str], policy: Policy) -> str:
    """Return the verdict on the first type that stalls with slots unused, else ""."""
    for group in {group.instance_type: group for group in spec.groups}.values():
        verdict = explain(
            group.instance_type, env, max_pods=group.kubelet_max_pods, policy=policy
        ).verdict
        if verdict.init_error or verdict.unused_slots:
            return f"{group.instance_type}: {verdict}"
    return ""
