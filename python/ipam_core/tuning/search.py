"""Try settings on a workload, choose one of the Pareto front, and check the choice.

A choice is printed only if `explain` finds nothing wrong with it (the node is played from no
pod to maxPods), and if it is within the limits under every seed and in a simulation twice as
long with another seed.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf, isinf
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.html import html_of
from ipam_core.policy import VPC_CNI
from ipam_core.schemas import check_schema
from ipam_core.simulation.fleet.fleet import simulate_fleet
from ipam_core.tuning.candidates import candidates
from ipam_core.tuning.concerns import concerns_of
from ipam_core.tuning.outcome import Outcome, evaluate, pareto_front, with_env
from ipam_core.tuning.trials import Trials, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec, GroupSpec
    from ipam_core.tuning.concerns import Concern

SCHEMA = "tuning/1"
SLACK = 1.5
"""The share by which a check with other pods at other times may cost more than the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """The goal: limits that must not be exceeded, and weights for the numbers.

    A weight applies to the span between the least and the most on the front.
    """

    max_wait_p99_s: float = inf
    max_idle: float = inf
    max_calls: float = inf
    weight_idle: float = 1.0
    weight_wait: float = 1.0
    weight_calls: float = 1.0

    def misses(self, outcome: Outcome, *, slack: float = 1.0) -> tuple[str, ...]:
        """Return each limit, times `slack`, that an outcome exceeds, in words."""
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
    """The result of a search; `recommended` is None if nothing is within the limits.

    `checked` is the recommended one in the longer simulation. `put_aside` has the environments
    that were rejected, and the reasons. `today_stalls` says where a node with today's settings
    stalls, "" if they serve every pod, and `today_warnings` the other findings of `explain`.
    `reasons` are the problems of the recommended one that every other has too. For
    `n_agreeing` of the `n_seeds` seeds, each alone, the recommended one is also the best.
    """

    today: Outcome
    today_stalls: str
    today_warnings: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    front: tuple[Outcome, ...]
    recommended: Outcome | None
    checked: Outcome | None
    put_aside: tuple[tuple[Outcome, str], ...]
    reasons: tuple[str, ...]
    n_seeds: int
    n_agreeing: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, of schema `tuning/1`: what `tune --json` prints.

        Only variables that the agent knows are in it, and none whose name looks like a secret.
        """
        return {
            "schema": SCHEMA,
            "today": self.today.to_dict(),
            "today_stalls": self.today_stalls or None,
            "today_warnings": list(self.today_warnings),
            "front": [outcome.to_dict() for outcome in self.front],
            "recommended": self.recommended.to_dict() if self.recommended else None,
            "checked": self.checked.to_dict() if self.checked else None,
            "put_aside": [
                {"outcome": outcome.to_dict(), "why": why} for outcome, why in self.put_aside
            ],
            "reasons": list(self.reasons),
            "n_seeds": self.n_seeds,
            "n_agreeing": self.n_agreeing,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "interrupted": False,  # an interrupted search is no result
        }

    def _repr_html_(self) -> str:
        """Return what is recommended, and the choices that none beats, for notebooks."""

        def shown(outcome: Outcome) -> str:
            return " ".join(f"{name}={value}" for name, value in outcome.env.items()) or "defaults"

        best = shown(self.recommended) if self.recommended else "nothing is within the limits"
        columns = ("settings", "99% wait at most, s", "idle addresses a node", "calls a node and h")
        rows = [(shown(each), each.wait_p99_s, each.idle, each.calls) for each in self.front]
        return html_of(best, columns, rows)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Tuning:
        """Return the result of which these are the plain values.

        Raises `InputError`: not of schema `tuning/1`.
        """
        check_schema(given, SCHEMA)

        def outcome(found: Mapping[str, Any] | None) -> Outcome | None:
            return None if found is None else Outcome.from_dict(found)

        try:
            return cls(
                today=Outcome.from_dict(given["today"]),
                today_stalls=given["today_stalls"] or "",
                today_warnings=tuple(given["today_warnings"]),
                outcomes=tuple(map(Outcome.from_dict, given["outcomes"])),
                front=tuple(map(Outcome.from_dict, given["front"])),
                recommended=outcome(given["recommended"]),
                checked=outcome(given["checked"]),
                put_aside=tuple(
                    (Outcome.from_dict(each["outcome"]), each["why"]) for each in given["put_aside"]
                ),
                reasons=tuple(given["reasons"]),
                n_seeds=given["n_seeds"],
                n_agreeing=given["n_agreeing"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no result of tune: {error!r}") from error


def tune(
    spec: FleetSpec,
    *,
    goals: Goals | None = None,
    policy: Policy = VPC_CNI,
    seed: int | None = None,
    seeds: int = 3,
    prefixes: bool = True,
    executor: Executor | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tuning:
    """Search settings for a fleet's workload; today's are those of its first group.

    All are played under `seed`, and those of the Pareto front under `seeds` seeds, starting
    with it. Any `concurrent.futures.Executor` may play them; without one they are played here.
    Prefix mode is tried if `prefixes` is true and every type has it. `on_progress` gets the share
    that is done, 0 to 1.

    Raises `ValueError`: less than one seed.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least 1")
    goals = goals or Goals()
    first = spec.seed if seed is None else seed
    env = spec.groups[0].env
    # The kubelet's maxPods stays that of today's settings for all settings tried.
    spec = replace(spec, groups=tuple(_with_max_pods(group) for group in spec.groups))
    probe = simulate_fleet(with_env(spec, env), policy=policy, seed=first)
    pods = sorted(probe.series["pods"])
    n_nodes = max(probe.mean("nodes"), 1)
    tried = candidates(
        env,
        typical_pods=ceil(pods[len(pods) // 2] / n_nodes),
        peak_pods=ceil(pods[-1] / n_nodes),
        prefixes=prefixes
        and all(kind.limits.nitro for group in spec.groups for kind in group.pool),
    )
    trials = Trials(
        spec, policy, range(first, first + seeds), executor, on_progress, n_tried=len(tried)
    )
    trials.play(tried, n_seeds=1)
    search = _Search(trials, tried, goals)
    search.run()
    trials.play([env], n_seeds=seeds)
    against = concerns_of(spec, env, policy)
    on_progress(1.0)
    best = search.recommended
    return Tuning(
        today=trials.outcome(env),
        today_stalls=next((concern.text for concern in against if concern.stalls), ""),
        today_warnings=tuple(concern.text for concern in against if not concern.stalls),
        outcomes=tuple(trials.outcome(each) for each in tried),
        front=tuple(search.front),
        recommended=best,
        checked=search.checked,
        put_aside=tuple(search.put_aside),
        reasons=tuple(concern.text for concern in search.concerns(best.env)) if best else (),
        n_seeds=seeds,
        n_agreeing=search.n_agreeing() if best else 0,
    )


def _with_max_pods(group: GroupSpec) -> GroupSpec:
    """Return a group with today's maxPods; types of a pool keep their own."""
    return group if group.more_types else replace(group, max_pods=group.kubelet_max_pods)


class _Search:
    """The choice among the settings that were tried, from trial to trial."""

    def __init__(self, trials: Trials, tried: list[dict[str, str]], goals: Goals) -> None:
        self._trials = trials
        self._tried = tried
        self._goals = goals
        self._left = list(tried)
        self._concerns: dict[tuple[tuple[str, str], ...], tuple[Concern, ...]] = {}
        self._allowed: frozenset[tuple[str, str]] = frozenset()
        self._failed: list[Mapping[str, str]] = []
        self.front: list[Outcome] = []
        self.put_aside: list[tuple[Outcome, str]] = []
        self.recommended: Outcome | None = None
        self.checked: Outcome | None = None

    def run(self) -> None:
        """Find the best without a problem; else the best with only problems that all have."""
        self._choose()
        if self.recommended is not None:
            return
        common = self._common_concerns()
        if common:
            self._allowed = common
            self._left = [
                env for env in self._tried if env not in self._failed and not self._against(env)
            ]
            self._choose()

    def concerns(self, env: Mapping[str, str]) -> tuple[Concern, ...]:
        """Return what `explain` finds wrong with an environment."""
        key = key_of(env)
        if key not in self._concerns:
            self._concerns[key] = concerns_of(self._trials.spec, env, self._trials.policy)
        return self._concerns[key]

    def n_agreeing(self) -> int:
        """Return for how many seeds, each alone, the recommended one is the best of the front."""
        assert self.recommended is not None
        found = 0
        for n in range(len(self._trials.seeds)):
            alone = [self._trials.outcomes(each.env)[n] for each in self.front]
            order = by_preference(alone, self._goals)
            found += bool(order) and order[0].env == self.recommended.env
        return found

    def _against(self, env: Mapping[str, str]) -> str:
        """Return a problem of an environment that not all have, "" for none."""
        return "; ".join(
            concern.text for concern in self.concerns(env) if concern.key not in self._allowed
        )

    def _common_concerns(self) -> frozenset[tuple[str, str]]:
        """Return the problems that `explain` finds with every environment."""
        had = [
            {concern.key for concern in self.concerns(env) if not concern.avoidable}
            for env in self._tried
        ]
        return frozenset(set.intersection(*had)) if had else frozenset()

    def _choose(self) -> None:
        """Go through the front in order of preference; without failed choices the front changes."""
        while True:
            self._settle_front()
            order = by_preference(self.front, self._goals)
            if not order:
                return
            outcome = order[0]
            why, checked = self._check(outcome)
            if not why:
                self.recommended, self.checked = outcome, checked
                return
            self._failed.append(outcome.env)
            self._put_aside(outcome, why)

    def _settle_front(self) -> None:
        """Find the front of the rest, each without concerns and played with all seeds."""
        while True:
            best = pareto_front(self._trials.outcome(env) for env in self._left)
            bad = [(outcome, why) for outcome in best if (why := self._against(outcome.env))]
            for outcome, why in bad:
                self._put_aside(outcome, why)
            n_seeds = len(self._trials.seeds)
            unsure = [outcome.env for outcome in best if outcome.n_seeds < n_seeds]
            if not bad and not unsure:
                self.front = best
                return
            if not bad:
                self._trials.play(unsure, n_seeds=n_seeds)

    def _put_aside(self, outcome: Outcome, why: str) -> None:
        self.put_aside.append((outcome, why))
        self._left = [env for env in self._left if env != outcome.env]

    def _check(self, outcome: Outcome) -> tuple[str, Outcome | None]:
        """Return why a choice fails, "" if it does not; and the result of the longer check."""
        trials, goals = self._trials, self._goals
        for seed, alone in zip(trials.seeds, trials.outcomes(outcome.env), strict=True):
            if missed := goals.misses(alone, slack=SLACK):
                return f"with seed {seed}: {missed[0]}", None
        longer = replace(trials.spec, duration_ns=2 * trials.spec.duration_ns)
        checked = evaluate(longer, outcome.env, trials.policy, trials.seeds[-1] + 1)
        if missed := goals.misses(checked, slack=SLACK) or _unserved(checked):
            return f"in a longer simulation: {missed[0]}", checked
        return "", checked


def _unserved(outcome: Outcome) -> tuple[str, ...]:
    return ("pods are never served",) if isinf(outcome.wait_p99_s) else ()


def by_preference(best: list[Outcome], goals: Goals) -> list[Outcome]:
    """Return the outcomes that are within the limits and serve the pods, the best first.

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
