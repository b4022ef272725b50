"""`ipam-core tune`: which settings suit a workload, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipam_core.cli._given import LimitsOption, TypesFileOption, types_given, variable
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
    from collections.abc import Mapping, Sequence

    from ipam_core.instances import InstanceLimits
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.tuning import Goals, Outcome, Tuning

_LIMIT = "a limit"


def tune(
    file: Annotated[Path, typer.Argument(help="A fleet; its nodes' variables are today's.")],
    instance: Annotated[
        list[str] | None, typer.Option(help="Other instance types, one for each group in turn.")
    ] = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    env: Annotated[
        list[str] | None,
        typer.Option("-e", "--env", help="NAME=VALUE: today's settings, if not the file's."),
    ] = None,
    max_wait_p99: Annotated[
        float | None, typer.Option(min=0, help=f"Seconds 99% of pods wait: {_LIMIT}.")
    ] = None,
    max_idle: Annotated[
        float | None, typer.Option(min=0, help=f"Idle addresses a node: {_LIMIT}.")
    ] = None,
    max_calls: Annotated[
        float | None, typer.Option(min=0, help=f"EC2 calls a node and hour: {_LIMIT}.")
    ] = None,
    weight_idle: Annotated[float, typer.Option(min=0, help="How much idle addresses count.")] = 1,
    weight_wait: Annotated[float, typer.Option(min=0, help="How much waits count.")] = 1,
    weight_calls: Annotated[float, typer.Option(min=0, help="How much EC2 calls count.")] = 1,
    prefixes: Annotated[bool, typer.Option(help="Try prefix mode too.")] = True,
    max_pods: Annotated[
        int | None,
        typer.Option(min=1, help="The kubelet's maxPods; default: the file's, or the usual one."),
    ] = None,
    policy: OwnPolicyOption = "vpc-cni",
    seed: Annotated[int | None, typer.Option(min=0, help="Decides every random choice.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=50, help="The number of seeds to check a recommendation with.")
    ] = 3,
    jobs: JobsOption = 0,
    scheduler: SchedulerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> int:
    """Search settings for a workload: idle addresses, pod waits and EC2 calls of each.

    Prints those that no other beats in all three, one recommendation next to today's settings,
    and the command that sets it. The recommendation never stalls within maxPods, has no
    warning of explain that other settings avoid, and is checked under several seeds and in a
    longer simulation. Exits 1 if no settings are within the limits, or if today's settings
    stall, have such a warning, or exceed the limits.

    Example: ipam-core tune examples/workload.yaml --instance m5.large
    """
    from ipam_core.cli._out import print_json, progress_of
    from ipam_core.cli._processes import executor_of
    from ipam_core.simulation.files import read_simulation
    from ipam_core.simulation.fleet.spec import with_max_pods
    from ipam_core.tuning import Goals
    from ipam_core.tuning import tune as search

    given = types_given(limits, instance_types)
    spec = read_simulation(file, given)
    if isinstance(spec, list):
        raise InputError(f"{file}: a scenario; tune takes a fleet, with nodes and workloads")
    spec = with_given(spec, str(file), _types(instance or [], given), env or [])
    if max_pods is not None:
        spec = with_max_pods(spec, max_pods)
    chosen = policy_named(policy, or_own=True)
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    if not (weight_idle or weight_wait or weight_calls):
        raise InputError("the weights are all 0: nothing would be better; give one above 0")
    goals = Goals(
        max_wait_p99_s=inf if max_wait_p99 is None else max_wait_p99,
        max_idle=inf if max_idle is None else max_idle,
        max_calls=inf if max_calls is None else max_calls,
        weight_idle=weight_idle,
        weight_wait=weight_wait,
        weight_calls=weight_calls,
    )
    with (
        executor_of(jobs, scheduler, ca=tls_ca, cert=tls_cert, key=tls_key) as executor,
        progress_of(f"settings for {spec.name}") as on_progress,
    ):
        found = search(
            spec,
            goals=goals,
            policy=chosen,
            seed=seed,
            seeds=seeds,
            prefixes=prefixes,
            executor=executor,
            on_progress=on_progress,
        )
    if plot is not None and found.recommended is not None:
        _draw(found, found.recommended, plot, spec.name)
    if as_json:
        print_json(found.to_dict())
    else:
        _print_tuning(found, goals, spec)
    wrong = (
        found.recommended is None
        or found.today_stalls
        or set(found.today_warnings) - set(found.reasons)
        or goals.misses(found.today)
    )
    return 1 if wrong else 0


def with_given(
    spec: FleetSpec, file: str, types: Sequence[str] = (), env: Sequence[str] = ()
) -> FleetSpec:
    """Return the fleet with other types and settings. Raises `InputError`: not to be tuned."""
    if not spec.groups:
        raise InputError(f"{file}: nodes is empty")
    if not spec.workloads:
        raise InputError(f"{file}: no workloads; tune needs pods to try settings with")
    groups = spec.groups
    if types:
        groups = tuple(
            replace(group, instance_type=types[n % len(types)], more_types=(), max_pods=None)
            for n, group in enumerate(groups)
        )
    if len({tuple(sorted(group.env.items())) for group in groups}) > 1 and not env:
        raise InputError(f"{file}: the groups' variables differ; give today's with -e")
    if env:
        variables = dict(groups[0].env)
        variables |= dict(map(variable, env))
        groups = tuple(replace(group, env=variables) for group in groups)
    return replace(spec, groups=groups)


def _types(names: list[str], given: Mapping[str, InstanceLimits]) -> list[str]:
    """Return types as a fleet names them: limits if they are given. Raises `InputError`."""
    from ipam_core import instances
    from ipam_core.simulation.given_types import limits_of

    found = []
    for name in names:
        limits = limits_of(name, given)
        found.append(name if limits is None else instances.as_text(limits))
        instances.limits(found[-1])
    return found


# --- output -------------------------------------------------------------------------------


def _settings(env: Any) -> str:
    """Return the targets of an environment in one line."""
    from ipam_core.tuning.candidates import targets_of

    return " ".join(f"{name}={value}" for name, value in targets_of(env).items()) or "defaults"


def _at_most(outcome: Outcome) -> str:
    """Return how long 99% of pods wait, in words: not "never s" if some are never served."""
    wait_s = outcome.wait_p99_s
    return "without end" if isinf(wait_s) else f"at most {wait_s:.1f} s"


def _print_tuning(found: Tuning, goals: Goals, spec: FleetSpec) -> None:
    from ipam_core.cli._fleet import heading, max_pods_lines
    from ipam_core.cli._out import print_table, print_text
    from ipam_core.cli._outcomes import add_outcome, outcomes_table, share_refused
    from ipam_core.diagnosis.fixes import set_env
    from ipam_core.tuning.candidates import changes

    table = outcomes_table()

    def add(label: str, outcome: Outcome, style: str = "") -> None:
        add_outcome(table, f"{label}{_settings(outcome.env)}", outcome, style)

    for outcome in found.front:
        chosen = outcome is found.recommended
        add("* " if chosen else "", outcome, "bold" if chosen else "")
    add("today: ", found.today)
    print_text((spec.name, "bold"), f": {heading(spec, spec.seed)}")
    for line in max_pods_lines(spec):
        print_text(line, indent="  ")
    print_text(f"{len(found.outcomes)} settings tried; none beats these in all three:")
    print_table(table)
    _tell_put_aside(found)
    if found.today_stalls:
        print_text(f"Today's settings stall: {found.today_stalls}.", style="red")
    for warning in found.today_warnings:
        print_text(f"Today, explain warns: {warning}.", style="yellow")
    for missed in goals.misses(found.today):
        print_text(f"Today: {missed}.", style="red")
    best, checked = found.recommended, found.checked
    if best is None or checked is None:
        print_text("No settings are within the limits.", style="red", before=True)
        return
    print_text(f"Recommended: {_settings(best.env)}", style="bold", before=True)
    print_text(
        f"Idle addresses a node: {best.idle:.1f}, today {found.today.idle:.1f}.", indent="  "
    )
    print_text(
        f"99% of pods wait {_at_most(best)}, today {_at_most(found.today)}; "
        f"{share_refused(best)} are refused at first, today {share_refused(found.today)}.",
        indent="  ",
    )
    print_text(
        f"EC2 calls a node and hour: {best.calls:.1f}, today {found.today.calls:.1f}.", indent="  "
    )
    print_text(
        f"Checked in twice the time with another seed: {checked.idle:.1f} idle, wait "
        f"{_at_most(checked)}, {checked.calls:.1f} calls.",
        indent="  ",
    )
    if found.n_seeds > 1:
        print_text(
            f"The best under {found.n_agreeing} of {found.n_seeds} seeds alone. After ±: the "
            "margin of error, at 95% confidence.",
            indent="  ",
        )
    else:
        print_text("One seed: the margin of error is not known (--seeds).", indent="  ")
    if found.reasons:
        for reason in found.reasons:
            print_text(f"As with all settings, explain warns: {reason}.", indent="  ")
    else:
        print_text(
            "Explain warns of nothing: it serves every pod up to maxPods on each type.", indent="  "
        )
    to_do = changes(found.today.env, best.env)
    if to_do:
        for command in set_env(**to_do).commands:
            print_text(command, before=True, whole=True)
    else:
        print_text("These are today's settings.", before=True)


_MOST_NAMED = 3


def _tell_put_aside(found: Tuning) -> None:
    """Print the rejected settings, one line for all with the same first reason."""
    from ipam_core.cli._out import print_text

    by_reason: dict[str, list[tuple[str, str]]] = {}
    for outcome, why in found.put_aside:
        by_reason.setdefault(why.partition("; ")[0], []).append((_settings(outcome.env), why))
    for first, all_of_it in by_reason.items():
        named = ", ".join(settings for settings, _ in all_of_it[:_MOST_NAMED])
        n_more = len(all_of_it) - _MOST_NAMED
        more = f" and {n_more} more (--json)" * (n_more > 0)
        why = all_of_it[0][1] if len(all_of_it) == 1 else first
        print_text(f"Excluded: {named}{more}: {why}.")


def _draw(found: Tuning, best: Outcome, path: Path, name: str) -> None:
    from ipam_core.plots.pareto import Choice, plot_pareto

    def choice(outcome: Outcome) -> Choice:
        return Choice(
            idle=outcome.idle,
            wait_p99_s=outcome.wait_p99_s,
            calls=outcome.calls,
            label=_settings(outcome.env),
        )

    points = [choice(outcome) for outcome in found.front]
    title = f"{name}: idle addresses a node, pod waits, EC2 calls a node and hour"
    plot_pareto(points, choice(best), choice(found.today), path, title=title)
