"""Pictures of fleets: waits, addresses and EC2 calls over time, one column a run."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.plots.style import BLACK, VERMILLION, as_written, new_figure, save, tidy, time_unit
from ipam_core.plots.timeline import draw_pool
from ipam_core.plots.waits import draw_waits

with extra("plot", "a picture"):
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from ipam_core.simulation.fleet.result import FleetResult


def plot_fleets(
    results: Sequence[FleetResult], path: Path | None = None, *, title: str = ""
) -> Figure:
    """Draw the results of runs of a fleet, side by side on the same scales.

    From above: the fleet's addresses over time; its EC2 calls a minute and how many of
    them were throttled; the share of pods that waited longer than so many seconds, for
    all runs in one.

    Raises:
        ValueError: no result, or one without a sample or a pod.
        InputError, MissingExtraError: as `ipam_core.plots.check_path`.
    """
    if not results or any(not result.times_s or not result.n_pods for result in results):
        raise ValueError("at least one result, with at least one sample and one pod in each")
    n_runs = len(results)
    figure = new_figure(max(2.6 + 4.8 * n_runs, 9), 9)
    upper, lower = figure.subfigures(2, 1, height_ratios=[5, 3])
    rows = upper.subplots(2, n_runs, squeeze=False, sharey="row", sharex=True, height_ratios=[3, 2])
    for (pool, calls), result in zip(rows.T, results, strict=True):
        arrays = result.arrays()
        unit_s, unit = time_unit(arrays["times_s"][-1] - arrays["times_s"][0])
        times = arrays["times_s"] / unit_s
        draw_pool(pool, times, {"free" if name == "idle" else name: arrays[name] for name in _POOL})
        pool.set_title(f"policy {result.policy}", fontsize=10, loc="left")
        _draw_calls(calls, times, arrays)
        calls.set_xlabel(f"time, {unit}")
    for row in rows:
        row[0].set_ylim(0, max(1.05 * max(axis.dataLim.y1 for axis in row), 1))
        for axis in row[1:]:
            axis.set_ylabel("")
        handles, labels = row[-1].get_legend_handles_labels()
        row[-1].legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )
    axis = lower.subplots()
    draw_waits(
        axis,
        {
            result.policy: [*result.waits_s, *(inf for _ in result.still_waiting_s)]
            for result in results
        },
    )
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.suptitle(as_written(title, 60 * n_runs), fontsize=11)
    return save(figure, path)


_POOL = ("assigned", "cooling", "idle", "total", "pods")


def _draw_calls(axis: Any, times: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Draw calls a minute: each sample counts those since the one before."""
    minutes = np.diff(arrays["times_s"], prepend=np.nan) / 60
    for name, label, colour, dashes in (
        ("calls", "EC2 calls", BLACK, "-"),
        ("throttled", "of them throttled", VERMILLION, "--"),
    ):
        if arrays[name].any():
            a_minute = arrays[name] / minutes
            axis.step(times, a_minute, dashes, where="pre", c=colour, lw=1.3, label=label)
    axis.set_ylabel("calls a minute")
    tidy(axis)
