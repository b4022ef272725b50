"""The outcome of settings under a workload, in three numbers, and which of many are best."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, replace
from math import inf, isinf, sqrt
from operator import itemgetter
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.simulation.fleet.fleet import simulate_fleet
from ipam_core.variables import shown_variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.result import FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec


_COSTS = ("idle", "wait_p99_s", "calls")


def _finite(value: float) -> float | None:
    return None if isinf(value) else value


def _infinite(value: float | None) -> float:
    return inf if value is None else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one environment: smaller numbers are better.

    `idle` is the mean of idle addresses a node, `wait_p99_s` the wait that 99 of 100 pods
    do not exceed (infinite where more than one of 100 was not served at the end), `calls`
    EC2 calls a node and hour. For several seeds they are the means, and the pods are those of
    all; each number is within its `margin` in 95 of 100 cases. The margin is None for one
    seed.
    """

    env: Mapping[str, str]
    idle: float
    wait_p99_s: float
    calls: float
    n_pods: int
    n_waited: int
    n_unserved: int
    n_seeds: int = 1
    margin: tuple[float, float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; None is an infinite wait, and a margin that is not known."""
        margins = self.margin or (inf, inf, inf)
        return asdict(self) | {
            "env": shown_variables(self.env),
            "wait_p99_s": _finite(self.wait_p99_s),
            "margin": dict(zip(_COSTS, map(_finite, margins), strict=True)),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Outcome:
        """Return the outcome of which these are the plain values."""
        margins = [_infinite(given["margin"][name]) for name in _COSTS]
        return cls(
            **{
                **given,
                "env": dict(given["env"]),
                "wait_p99_s": _infinite(given["wait_p99_s"]),
                "margin": None if given["n_seeds"] == 1 else tuple(margins),
            }
        )

    @property
    def costs(self) -> tuple[float, float, float]:
        """The three numbers."""
        return self.idle, self.wait_p99_s, self.calls

    def beats(self, other: Outcome) -> bool:
        """Return whether it is worse in no number, and better in one."""
        return self.costs != other.costs and all(
            mine <= theirs for mine, theirs in zip(self.costs, other.costs, strict=True)
        )


def with_env(spec: FleetSpec, env: Mapping[str, str]) -> FleetSpec:
    """Return a fleet whose nodes all have these variables."""
    return replace(spec, groups=tuple(replace(group, env=env) for group in spec.groups))


def evaluate(spec: FleetSpec, env: Mapping[str, str], policy: Policy, seed: int) -> Outcome:
    """Play a fleet with these variables on every node and return the outcome."""
    return outcome_of(env, simulate_fleet(with_env(spec, env), policy=policy, seed=seed))


def outcome_of(env: Mapping[str, str], result: FleetResult) -> Outcome:
    """Return the outcome of a result."""
    n_nodes = max(result.mean("nodes"), 1e-9)
    hours = max(result.duration_s - result.times_s[0], 1.0) / 3600
    n_unserved = len(result.still_waiting_s)
    return Outcome(
        env=dict(env),
        idle=result.mean("idle") / n_nodes,
        wait_p99_s=inf if n_unserved > 0.01 * result.n_pods else result.wait_quantile_s(0.99),
        calls=result.n_calls / n_nodes / hours,
        n_pods=result.n_pods,
        n_waited=result.n_waited,
        n_unserved=n_unserved,
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of several seeds together: means, and the margins of Student's t."""
    if len(outcomes) == 1:
        return outcomes[0]
    n_seeds = len(outcomes)
    columns = list(zip(*(outcome.costs for outcome in outcomes), strict=True))
    idle, wait_p99_s, calls = (fmean(column) for column in columns)
    t = _STUDENT_T[bisect_right(_STUDENT_T, n_seeds, key=itemgetter(0)) - 1][1]
    margins = [inf if inf in column else t * stdev(column) / sqrt(n_seeds) for column in columns]
    return Outcome(
        env=outcomes[0].env,
        idle=idle,
        wait_p99_s=wait_p99_s,
        calls=calls,
        n_pods=sum(outcome.n_pods for outcome in outcomes),
        n_waited=sum(outcome.n_waited for outcome in outcomes),
        n_unserved=sum(outcome.n_unserved for outcome in outcomes),
        n_seeds=n_seeds,
        margin=(margins[0], margins[1], margins[2]),
    )


_STUDENT_T = (
    (2, 12.71), (3, 4.303), (4, 3.182), (5, 2.776), (6, 2.571), (7, 2.447), (8, 2.365), (9, 2.306),
    (10, 2.262), (12, 2.201), (15, 2.145), (20, 2.093), (30, 2.045), (60, 2.001), (120, 1.980),
)  # fmt: skip
"""Two-sided 95% points of Student's t, by the number of seeds from which on it is used."""


def pareto_front(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that no other beats, by idle addresses; of equals the first."""
    every = list({outcome.costs: outcome for outcome in reversed(list(outcomes))}.values())
    best = [one for one in every if not any(other.beats(one) for other in every)]
    return sorted(best, key=lambda outcome: outcome.costs)
