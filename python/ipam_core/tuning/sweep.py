"""Play a fleet under every combination of some values, under several seeds each.

A run depends on its fleet, variables, policy and seed alone: so the result is the same
whichever process plays what, in whichever order.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI
from ipam_core.quoting import nearest, quoted
from ipam_core.settings import Settings
from ipam_core.tuning.outcome import pooled
from ipam_core.tuning.trials import played
from ipam_core.variables import ADDRESS_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.tuning.outcome import Outcome

MOST_RUNS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """One combination: its values by variable, the policy, and the outcome of all seeds."""

    values: Mapping[str, str]
    policy: str
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"values": dict(self.values), "policy": self.policy, **self.outcome.to_dict()}


def sweep(
    spec: FleetSpec,
    grid: Mapping[str, Sequence[str]],
    *,
    policies: Sequence[Policy] = (VPC_CNI,),
    seeds: Sequence[int] = range(10),
    executor: Executor | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> list[SweepRow]:
    """Return the outcome of each combination of values, in the order of the grid, by policy.

    `grid` has the values to try of each variable; all other variables of the fleet stay. Any
    `concurrent.futures.Executor` may play the runs; without one they are played here. Cost:
    combinations x policies x seeds simulations of the fleet.

    Raises `InputError`: no values, groups whose variables differ, a value that the agent does
    not read as it is written, or more than 100,000 runs.
    """
    plan = list(_combinations(spec, grid))
    n_runs = len(plan) * len(policies) * len(seeds)
    if not n_runs:
        raise InputError("a sweep needs values, policies and seeds")
    if n_runs > MOST_RUNS:
        raise InputError(f"{n_runs:,} simulations; at most {MOST_RUNS:,} in one sweep")
    jobs = [(values, policy, seed) for values in plan for policy in policies for seed in seeds]
    env = spec.groups[0].env
    found: list[Outcome | None] = [None] * n_runs
    runs = [({**env, **values}, policy, seed) for values, policy, seed in jobs]
    for n_done, (number, outcome) in enumerate(played(spec, runs, executor), 1):
        found[number] = outcome
        on_progress(n_done / n_runs)
    rows = []
    for first in range(0, n_runs, len(seeds)):
        values, policy, _ = jobs[first]
        outcomes = [each for each in found[first : first + len(seeds)] if each is not None]
        rows.append(SweepRow(values=values, policy=policy.name, outcome=pooled(outcomes)))
    return rows


def _combinations(spec: FleetSpec, grid: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    if not spec.groups or len({tuple(sorted(group.env.items())) for group in spec.groups}) > 1:
        raise InputError("a sweep needs a fleet whose groups have the same variables")
    for name, values in grid.items():
        if name not in ADDRESS_VARIABLES:
            hint = nearest(name, ADDRESS_VARIABLES)
            raise InputError(f"{quoted(name)} decides nothing about addresses{hint}")
        for value in values:
            for warning in Settings.from_env({name: value}).warnings:
                raise InputError(str(warning))
    for combination in product(*grid.values()):
        yield dict(zip(grid, combination, strict=True))
