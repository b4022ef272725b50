"""`ipam-core sweep`: a fleet under every combination of some values, and how sure each is."""

from __future__ import annotations

import re
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ipam_core.cli._given import LimitsOption, TypesFileOption, types_given
from ipam_core.cli._options import (
    JobsOption,
    JsonOption,
    PlotOption,
    SchedulerOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    policy_named,
)
from ipam_core.errors import InputError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.cli._tables import Table
    from ipam_core.tuning.sweep import SweepRow

_MOST_VALUES = 1000
_UNKNOWN = (inf, inf, inf)
"""The margins for one seed."""


def sweep(
    file: Annotated[Path, typer.Argument(help="A fleet.")],
    given: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUES", help="1..8, or 1,2,5; several: all pairs."),
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="vpc-cni, ipam-core, or MODULE:NAME, your own, which is imported; several: "
            "each.  [default: vpc-cni]"
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="The number of seeds for each combination.")
    ] = 10,
    seed: Annotated[int | None, typer.Option(min=0, help="The first; default: the file's.")] = None,
    limits: LimitsOption = None,
    instance_types: TypesFileOption = None,
    jobs: JobsOption = 0,
    scheduler: SchedulerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> int:
    """Simulate a fleet under every combination of values, each under several seeds.

    Prints idle addresses a node, the wait that 99% of pods do not exceed, and EC2 calls a node
    and hour: the means over the seeds, and after ± the margin of error at 95% confidence
    (Student's t). The result is the same for any number of processes. Exits 1 if there is a
    combination under which more than 1% of pods get no address.

    Example: ipam-core sweep examples/workload.yaml --set WARM_IP_TARGET=1..3 --seeds 5
    """
    from ipam_core.cli._out import print_json, print_table, print_text, progress_of
    from ipam_core.cli._processes import executor_of
    from ipam_core.simulation.files import read_simulation
    from ipam_core.tuning.sweep import sweep as play

    spec = read_simulation(file, types_given(limits, instance_types))
    if isinstance(spec, list):
        raise InputError(f"{file}: a scenario; sweep takes a fleet, with nodes and workloads")
    grid = dict(map(_values, given))
    if len(grid) < len(given):
        raise InputError("--set: a variable is given twice")
    policies = [policy_named(name, or_own=True) for name in dict.fromkeys(policy or ["vpc-cni"])]
    if plot is not None:
        from ipam_core.plots.style import check_path

        check_path(plot)
    first = spec.seed if seed is None else seed
    with (
        executor_of(jobs, scheduler, ca=tls_ca, cert=tls_cert, key=tls_key) as executor,
        progress_of(f"{spec.name}, {seeds} seeds") as on_progress,
    ):
        rows = play(
            spec,
            grid,
            policies=policies,
            seeds=range(first, first + seeds),
            executor=executor,
            on_progress=on_progress,
        )
    if plot is not None:
        _draw(rows, plot, what=", ".join(grid), title=f"{spec.name}, {seeds} seeds")
    if as_json:
        print_json({"first_seed": first, "n_seeds": seeds, "rows": [r.to_dict() for r in rows]})
    else:
        print_text((spec.name, "bold"), f": {len(rows)} combinations, {seeds} seeds each")
        print_table(_table(rows, with_policy=len(policies) > 1))
        if seeds == 1:
            print_text("One seed: the margin of error is not known (--seeds).")
    return 1 if any(isinf(row.outcome.wait_p99_s) for row in rows) else 0


def _values(text: str) -> tuple[str, list[str]]:
    """Return the variable and the values of NAME=VALUES. Raises `InputError`."""
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise InputError(f"--set {quoted(text)}: NAME=1..8, or NAME=1,2,5")
    span = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", values, re.ASCII)
    if span is None:
        found = list(dict.fromkeys(values.split(",")))
    else:
        first, last = map(int, span.groups())
        if not first <= last < first + _MOST_VALUES:
            raise InputError(f"--set {quoted(text)}: 1 to {_MOST_VALUES} values, the least first")
        found = [str(each) for each in range(first, last + 1)]
    if "" in found:
        raise InputError(f"--set {quoted(text)}: a value is empty")
    return name, found


def _draw(rows: Sequence[SweepRow], path: Path, *, what: str, title: str) -> None:
    from ipam_core.plots.sweep import SweepPoint, plot_sweep

    points = [
        SweepPoint(
            ",".join(row.values.values()),
            row.policy,
            row.outcome.costs,
            row.outcome.margin or _UNKNOWN,
        )
        for row in rows
    ]
    plot_sweep(points, path, what=what, title=title)


def _table(rows: Sequence[SweepRow], *, with_policy: bool) -> Table:
    from ipam_core.cli._outcomes import add_outcome, outcomes_table

    table = outcomes_table()
    for row in rows:
        label = " ".join(f"{name}={value}" for name, value in row.values.items())
        add_outcome(table, f"{row.policy}: {label}" if with_policy else label, row.outcome)
    return table
