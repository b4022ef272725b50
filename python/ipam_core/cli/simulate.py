"""`ipam-core simulate`: play a node's scenarios, or a fleet, and show what happens."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._given import LimitsOption, TypesFileOption, types_given
from ipam_core.cli._options import (
    JobsOption,
    JsonOption,
    OwnPolicyOption,
    PlotOption,
    SchedulerOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    policy_named,
)
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.simulation.scenario.timeline import Result


def simulate(
    file: Annotated[Path, typer.Argument(help="A scenario, a list of them, or a fleet.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Decides every random choice.")] = None,
    policy: OwnPolicyOption = "vpc-cni",
    compare: Annotated[
        bool, typer.Option(help="Simulate a fleet under both policies, and your own.")
    ] = False,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    max_pods: Annotated[
        int | None,
        typer.Option(min=1, help="The kubelet's maxPods on every node of a fleet."),
    ] = None,
    jobs: JobsOption = 0,
    scheduler: SchedulerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
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
    without an address, or requested nodes have not joined. Regions that no workload joins are
    shared by --jobs processes, or by the workers of --scheduler; the result is the same.

    Examples: ipam-core simulate examples/stall.yaml

    ipam-core simulate examples/rolling-update.yaml --compare --plot out.png
    """
    from ipam_core.policy import IPAM_CORE, VPC_CNI
    from ipam_core.simulation.files import read_simulation
    from ipam_core.simulation.fleet.spec import with_max_pods

    found = read_simulation(file, types_given(limits, instance_types))
    chosen = policy_named(policy, or_own=True)
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    if isinstance(found, list):
        given = {
            "--compare": compare,
            "--cloudtrail": cloudtrail,
            "--max-pods": max_pods,
            "--jobs": jobs,
            "--scheduler": scheduler,
        }
        for option, value in given.items():
            if value:
                raise InputError(f"{file}: {option} is for fleets; this is a scenario")
        if plot is not None and len(found) != 1:
            raise InputError(f"{file}: {len(found)} scenarios; a picture shows one")
        return _play_scenarios(found, chosen, seed or 0, plot, as_json=as_json)
    if compare and cloudtrail is not None:
        raise InputError("--cloudtrail writes the calls of one policy, --compare simulates several")
    if max_pods is not None:
        found = with_max_pods(found, max_pods)
    chosen_seed = found.seed if seed is None else seed
    policies = dict.fromkeys([VPC_CNI, IPAM_CORE, chosen] if compare else [chosen])
    runs = [(found, each, chosen_seed) for each in policies]
    executor = _executor_for(runs, jobs, scheduler, ca=tls_ca, cert=tls_cert, key=tls_key)
    return _play_fleet(runs, executor, plot, cloudtrail, as_json=as_json)


@contextmanager
def _executor_for(
    runs: list[tuple[FleetSpec, Policy, int]],
    n_jobs: int,
    scheduler: str | None,
    **certificates: Path | None,
) -> Iterator[Executor | None]:
    """Give what plays the parts of all runs: no more processes than there are parts."""
    from ipam_core.cli._out import print_error
    from ipam_core.cli._processes import executor_of
    from ipam_core.simulation.fleet.independent import parts_of, why_one_part

    n_parts = sum(len(parts_of(spec, seed)) for spec, _, seed in runs)
    in_vain = n_parts == 1 and (n_jobs > 1 or scheduler is not None)
    n_jobs = min(n_jobs or os.cpu_count() or 1, n_parts)
    with executor_of(n_jobs, scheduler, **certificates) as executor:
        if in_vain:
            print_error(f"the fleet is played as one part: {why_one_part(runs[0][0])}")
        yield executor


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
    runs: list[tuple[FleetSpec, Policy, int]],
    played_by: AbstractContextManager[Executor | None],
    plot: Path | None,
    cloudtrail: Path | None,
    *,
    as_json: bool,
) -> int:
    import json

    from ipam_core.cli._fleet import heading, max_pods_lines, results_table
    from ipam_core.cli._out import print_json, print_table, print_text, progress_of
    from ipam_core.cloud.cloudtrail import trail
    from ipam_core.simulation.fleet.fleet import simulate_many

    spec, _, seed = runs[0]
    shown = ", ".join([spec.name, *(policy.name for _, policy, _ in runs)])
    with played_by as executor, progress_of(shown) as on_progress:
        results = list(
            simulate_many(
                runs, executor, keep_calls=cloudtrail is not None, on_progress=on_progress
            )
        )
    if cloudtrail is not None:
        cloudtrail.write_text(json.dumps(trail(results[0].calls), indent=1) + "\n", "utf-8")
    if plot is not None:
        from ipam_core.plots.fleet import plot_fleets

        plot_fleets(results, plot, title=f"{spec.name}: {heading(spec, seed)}")
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        print_text((spec.name, "bold"), f": {heading(spec, seed)}")
        for line in max_pods_lines(spec):
            print_text(line, indent="  ")
        print_table(results_table(results))
    return 1 if any(result.has_failed for result in results) else 0
