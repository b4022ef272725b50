"""`ipam-core simulate`: play scenarios and show their timelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipam_core.cli._options import (
    JsonOption,
    PlotOption,
    PolicyOption,
    SeedOption,
    policy_named,
)
from ipam_core.errors import InputError


def simulate(
    file: Annotated[Path, typer.Argument(help="A scenario, or a list of them: JSON or YAML.")],
    seed: SeedOption = 0,
    policy: PolicyOption = "vpc-cni",
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> int:
    """Play a scenario file and print its timeline; draw it too, if asked.

    Exits 1 when something that the file expects is not met.

    Example: ipam-core simulate examples/stall.yaml
    """
    from ipam_core.cli._out import console, print_json
    from ipam_core.cli._timeline import heading, plot_result, timeline_json, timeline_table
    from ipam_core.simulation.player import play
    from ipam_core.simulation.scenario import read_scenarios

    chosen = policy_named(policy)
    scenarios = read_scenarios(file)
    if plot is not None:
        from ipam_core.plots import check_path

        check_path(plot)
        if len(scenarios) != 1:
            raise InputError(f"{file}: {len(scenarios)} scenarios; a picture shows one")
    results = [play(scenario, policy=chosen, seed=seed) for scenario in scenarios]
    if plot is not None:
        plot_result(results[0], plot)
    if as_json:
        print_json(
            [
                {
                    "id": result.scenario.scenario_id,
                    "policy": policy,
                    "seed": seed,
                    "passed": result.passed,
                    "mismatches": [str(mismatch) for mismatch in result.mismatches],
                    "timeline": timeline_json(result.timeline),
                }
                for result in results
            ]
        )
    else:
        for result in results:
            scenario = result.scenario
            console().print(
                f"[bold]{scenario.scenario_id}[/bold]: {heading(scenario)}, "
                f"max pods {scenario.max_pods}, policy {policy}"
            )
            console().print(timeline_table(result.timeline))
            for mismatch in result.mismatches:
                console().print(f"not met: {mismatch}", style="red", markup=False)
    return 0 if all(result.passed for result in results) else 1
