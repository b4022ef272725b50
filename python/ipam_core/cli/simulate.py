"""`ipam-core simulate`: play a node's scenarios, or a fleet, and show what happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._given import LimitsOption, TypesFileOption, types_given
from ipam_core.cli._options import (
    JsonOption,
    PlotOption,
    PolicyOption,
    policy_named,
)
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.simulation.scenario.timeline import Result


def simulate(
    file: Annotated[Path, typer.Argument(help="A scenario, a list of them, or a fleet.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Decides every random choice.")] = None,
    policy: PolicyOption = "vpc-cni",
    compare: Annotated[bool, typer.Option(help="Simulate a fleet under both policies.")] = False,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    max_pods: Annotated[
        int | None,
        typer.Option(min=1, help="The kubelet's maxPods on every node of a fleet."),
    ] = None,
    plot: PlotOption = None,
    cloudtrail: Annotated[
        Path | None, typer.Option(help="Write a fleet's EC2 calls as CloudTrail records them.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Play a file, JSON or YAML, and print what happens; draw it too, if asked.

    A scenario is one node and prints a timeline; exits 1 if an expected value is not met. A
    fleet is many nodes with a workload and prints waits, refusals and EC2 calls, its mean and
    maximum addresses, and the free addresses of each subnet; exits 1 if at its end pods wait
    without an address, or requested nodes have not joined.

    Examples: ipam-core simulate examples/stall.yaml

    ipam-core simulate examples/rolling-update.yaml --compare --plot out.png
    """
    from ipam_core.simulation.files import read_simulation
    from ipam_core.simulation.fleet.spec import with_max_pods

    found = read_simulation(file, types_given(limits, instance_types))
    chosen = policy_named(policy)
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    if isinstance(found, list):
        given = {"--compare": compare, "--cloudtrail": cloudtrail, "--max-pods": max_pods}
        for option, value in given.items():
            if value:
                raise InputError(f"{file}: {option} is for fleets; this is a scenario")
        if plot is not None and len(found) != 1:
            raise InputError(f"{file}: {len(found)} scenarios; a picture shows one")
        return _play_scenarios(found, chosen, seed or 0, plot, as_json=as_json)
    if compare and cloudtrail is not None:
        raise InputError("--cloudtrail writes the calls of one policy, --compare simulates two")
    if max_pods is not None:
        found = with_max_pods(found, max_pods)
    return _play_fleet(found, chosen, seed, compare, plot, cloudtrail, as_json=as_json)


def _play_scenarios(
    scenarios: list[Scenario], policy: Policy, seed: int, plot: Path | None, *, as_json: bool
) -> int:
    from ipam_core.cli._out import print_json, print_table, print_text, progress_of
    from ipam_core.cli._timeline import heading, plot_result, timeline_json, timeline_table
    from ipam_core.simulation.scenario.player import play

    results: list[Result] = []
    with progress_of("Playing") as report:
        for scenario in scenarios:
            results.append(
                play(
                    scenario,
                    policy=policy,
                    seed=seed,
                    on_progress=lambda share: report((len(results) + share) / len(scenarios)),
                )
            )
    if plot is not None:
        plot_result(results[0], plot)
    if as_json:
        print_json(
            [
                {
                    "id": result.scenario.scenario_id,
                    "policy": policy.name,
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
            print_text(
                (scenario.scenario_id, "bold"),
                f": {heading(scenario)}, max pods {scenario.max_pods}, policy {policy.name}",
            )
            print_table(timeline_table(result.timeline))
            for mismatch in result.mismatches:
                print_text(f"not met: {mismatch}", style="red")
    return 0 if all(result.passed for result in results) else 1


def _play_fleet(
    spec: FleetSpec,
    policy: Policy,
    seed: int | None,
    compare: bool,
    plot: Path | None,
    cloudtrail: Path | None,
    *,
    as_json: bool,
) -> int:
    import json

    from ipam_core.cli._fleet import heading, max_pods_lines, results_table
    from ipam_core.cli._out import print_json, print_table, print_text, progress_of
    from ipam_core.cloud.cloudtrail import trail
    from ipam_core.policy import IPAM_CORE, VPC_CNI
    from ipam_core.simulation.fleet.fleet import simulate_fleet

    chosen_seed = spec.seed if seed is None else seed
    results = []
    for each in (VPC_CNI, IPAM_CORE) if compare else (policy,):
        with progress_of(f"{spec.name}, {each.name}") as on_progress:
            results.append(
                simulate_fleet(
                    spec,
                    policy=each,
                    seed=chosen_seed,
                    keep_calls=cloudtrail is not None,
                    on_progress=on_progress,
                )
            )
    if cloudtrail is not None:
        cloudtrail.write_text(json.dumps(trail(results[0].calls), indent=1) + "\n", "utf-8")
    if plot is not None:
        from ipam_core.plots.fleet import plot_fleets

        plot_fleets(results, plot, title=f"{spec.name}: {heading(spec, chosen_seed)}")
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        print_text((spec.name, "bold"), f": {heading(spec, chosen_seed)}")
        for line in max_pods_lines(spec):
            print_text(line, indent="  ")
        print_table(results_table(results))
    return 1 if any(result.has_failed for result in results) else 0
