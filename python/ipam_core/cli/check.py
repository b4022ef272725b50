"""`ipam-core check`: play scenarios and compare them with what they expect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core._dataclass import dataclass
from ipam_core.cli._options import JobsOption, JsonOption, OwnPolicyOption, policy_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam_core.policy import Policy
    from ipam_core.simulation.scenario.checking import Mismatch
    from ipam_core.simulation.scenario.spec import Scenario

WORTH_A_PROCESS = 200
"""A smaller number of plays is finished before a second process has started."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A scenario under all its seeds: the first seed that fails, and its mismatches."""

    scenario_id: str
    failing_seed: int | None
    mismatches: tuple[Mismatch, ...]


def check(
    files: Annotated[list[Path], typer.Argument(help="Scenario files: JSON or YAML.")],
    seeds: Annotated[int, typer.Option(min=1, help="The number of seeds for each scenario.")] = 1,
    policy: OwnPolicyOption = "vpc-cni",
    jobs: JobsOption = 0,
    as_json: JsonOption = False,
) -> int:
    """Play scenarios and compare every value that they expect.

    Prints a line for each, with every mismatch, and exits 1 if any fails.

    Example: ipam-core check --seeds 50 tests/conformance/*.json
    """
    from ipam_core.cli._out import print_json, print_text, progress_of
    from ipam_core.simulation.files import read_scenarios

    scenarios = [scenario for file in files for scenario in read_scenarios(file)]
    chosen = policy_named(policy, or_own=True)
    verdicts: list[Verdict] = []
    with progress_of("scenarios") as report:

        def on_progress(share: float) -> None:
            report((len(verdicts) + share) / len(scenarios))

        for verdict in _verdicts(scenarios, seeds, chosen, jobs, on_progress):
            verdicts.append(verdict)
            on_progress(0)
            if not as_json:
                _print(verdict, seeds)
    failed = sum(verdict.failing_seed is not None for verdict in verdicts)
    if as_json:
        print_json(
            [
                {
                    "id": verdict.scenario_id,
                    "seeds": seeds,
                    "passed": verdict.failing_seed is None,
                    "failing_seed": verdict.failing_seed,
                    "mismatches": [str(mismatch) for mismatch in verdict.mismatches],
                }
                for verdict in verdicts
            ]
        )
    else:
        print_text(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _verdicts(
    scenarios: list[Scenario],
    seeds: int,
    policy: Policy,
    jobs: int,
    on_progress: Callable[[float], None],
) -> Iterator[Verdict]:
    """Judge every scenario, in order, in several processes if that is faster.

    In this process `on_progress` gets the share of the scenario that is played.
    """
    n_jobs = jobs or os.cpu_count() or 1
    if n_jobs == 1 or len(scenarios) * seeds < WORTH_A_PROCESS:
        for scenario in scenarios:
            yield judge(scenario, seeds, policy, on_progress)
        return
    from ipam_core.cli._processes import processes

    with processes(n_jobs) as pool:
        n = len(scenarios)
        yield from pool.map(judge, scenarios, [seeds] * n, [policy] * n)


def judge(
    scenario: Scenario,
    seeds: int,
    policy: Policy,
    on_progress: Callable[[float], None] | None = None,
) -> Verdict:
    """Play one scenario under seeds 0 to `seeds` - 1, up to the first that fails."""
    from ipam_core.simulation.scenario.player import play

    for seed in range(seeds):
        result = play(
            scenario,
            policy=policy,
            seed=seed,
            record=False,
            on_progress=on_progress and (lambda share: on_progress((seed + share) / seeds)),  # noqa: B023
        )
        if not result.passed:
            return Verdict(scenario.scenario_id, seed, tuple(result.mismatches))
    return Verdict(scenario.scenario_id, None, ())


def _print(verdict: Verdict, seeds: int) -> None:
    from ipam_core.cli._out import print_text

    if verdict.failing_seed is None:
        print_text(("ok", "green"), f"    {verdict.scenario_id}  ({seeds} seeds)")
        return
    print_text(("FAIL", "red"), f"  {verdict.scenario_id}  (seed {verdict.failing_seed})")
    for mismatch in verdict.mismatches:
        print_text(str(mismatch), indent="      ")
