"""What settings give under a workload, in three numbers, and which of many are best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from ipam_core.simulation.fleet.fleet import simulate_fleet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.result import FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one environment gives: each number the less the better.

    `idle` is the mean of idle addresses a node, `wait_p99_s` the wait that 99 of 100 pods
    do not exceed (infinite where more than one of 100 was not served at the end), `calls`
    EC2 calls a node and hour.
    """

    env: Mapping[str, str]
    idle: float
    wait_p99_s: float
    calls: float
    n_pods: int
    n_waited: int
    n_unserved: int

    @property
    def costs(self) -> tuple[float, float, float]:
        """The three numbers."""
        return self.idle, self.wait_p99_s, self.calls

    def beats(self, other: Outcome) -> bool:
        """Return whether it is nowhere worse, and somewhere better."""
        return self.costs != other.costs and all(
            mine <= theirs for mine, theirs in zip(self.costs, other.costs, strict=True)
        )


def with_env(spec: FleetSpec, env: Mapping[str, str]) -> FleetSpec:
    """Return a fleet whose nodes all have these variables."""
    return replace(spec, groups=tuple(replace(group, env=env) for group in spec.groups))


def evaluate(spec: FleetSpec, env: Mapping[str, str], policy: Policy, seed: int) -> Outcome:
    """Play a fleet with these variables on every node and return what it gives."""
    return outcome_of(env, simulate_fleet(with_env(spec, env), policy=policy, seed=seed))


def outcome_of(env: Mapping[str, str], result: FleetResult) -> Outcome:
    """Return the outcome that a result shows."""
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


def front(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that none other beats, by idle addresses; of equals the first."""
    every = list({outcome.costs: outcome for outcome in reversed(list(outcomes))}.values())
    best = [one for one in every if not any(other.beats(one) for other in every)]
    return sorted(best, key=lambda outcome: outcome.costs)
