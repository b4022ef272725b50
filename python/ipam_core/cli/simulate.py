"""`ipam-core simulate`: play scenarios and show their timelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ipam_core.cli._options import JsonOption, PolicyOption, SeedOption, policy_named


def simulate(
    file: Annotated[Path, typer.Argument(help="A scenario, or a list of them: JSON or YAML.")],
    seed: SeedOption = 0,
    policy: PolicyOption = "vpc-cni",
    as_json: JsonOption = False,
) -> int:
    """Play a scenario file and print its timeline.

    Exits 1 when something that the file expects is not met.

    Example: ipam-core simulate examples/stall.yaml
    """
    from ipam_core.cli._out import console, print_json
    from ipam_core.cli._timeline import timeline_json, timeline_table
    from ipam_core.simulation.player import play
    from ipam_core.simulation.scenario import read_scenarios

    chosen = policy_named(policy)
    results = [play(scenario, policy=chosen, seed=seed) for scenario in read_scenarios(file)]
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
                f"[bold]{scenario.scenario_id}[/bold]: {scenario.instance_type}, "
                f"{' '.join(f'{k}={v}' for k, v in scenario.env.items()) or 'default settings'}, "
                f"max pods {scenario.max_pods}, policy {policy}"
            )
            console().print(timeline_table(result.timeline))
            for mismatch in result.mismatches:
                console().print(f"not met: {mismatch}", style="red", markup=False)
    return 0 if all(result.passed for result in results) else 1
