"""Pictures of fleets: waits, addresses and EC2 calls over time, one column a run."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ipam_core.plots import BLACK, VERMILLION, draw_pool, new_figure, save, tidy, time_unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ipam_core.simulation.fleet_result import FleetResult


def plot_fleets(results: Sequence[FleetResult], path: Path, *, title: str = "") -> None:
    """Write what runs of a fleet found, side by side on the same scales.

    From above: the fleet's addresses over time; its EC2 calls a minute, the throttled
    ones filled; how many pods waited longer than so many seconds.

    Raises:
        ValueError: no result, or one without a sample.
        InputError, MissingExtraError: as `ipam_core.plots.check_path`.
    """
    if not results or any(not result.times_s for result in results):
        raise ValueError("at least one result, with at least one sample")
    n_runs = len(results)
    figure = new_figure(1.8 + 5.2 * n_runs, 8.2)
    rows = figure.subplots(3, n_runs, squeeze=False, sharey="row", height_ratios=[3, 1.6, 2])
    for (pool, calls, waits), result in zip(rows.T, results, strict=True):
        arrays = result.arrays()
        unit_s, unit = time_unit(arrays["times_s"][-1])
        times = arrays["times_s"] / unit_s
        draw_pool(
            pool,
            times,
            {"free" if name == "idle" else name: arrays[name] for name in _POOL},
        )
        pool.set_title(f"policy {result.policy}", fontsize=10, loc="left")
        _draw_calls(calls, times, arrays)
        for axis in (pool, calls):
            axis.set_xlabel(f"time, {unit}")
        _draw_waits(waits, result)
    for row in rows:
        row[0].yaxis.set_tick_params(labelleft=True)
        for axis in row[1:]:
            axis.set_ylabel("")
        handles, labels = row[-1].get_legend_handles_labels()
        row[-1].legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), frameon=False,
            fontsize=8,
        )  # fmt: skip
    figure.suptitle(textwrap.fill(title, 60 * n_runs), fontsize=11)
    save(figure, path)


_POOL = ("assigned", "cooling", "idle", "total", "pods")


def _draw_calls(axis: Any, times: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Draw calls a minute: each sample counts those since the one before."""
    minutes = np.diff(arrays["times_s"], prepend=np.nan) / 60
    for name, label, colour, dashes in (
        ("calls", "EC2 calls a minute", BLACK, "-"),
        ("throttled", "of them throttled", VERMILLION, "--"),
    ):
        axis.step(times, arrays[name] / minutes, dashes, where="pre", c=colour, lw=1.3, label=label)
    axis.set_ylabel("calls a minute")
    axis.set_ylim(bottom=0)
    tidy(axis)


def _draw_waits(axis: Any, result: FleetResult) -> None:
    waits = result.waits()
    if len(waits):
        left = np.arange(len(waits), 0, -1)
        axis.step([0, *waits], [*left, 0], where="post", c=BLACK, lw=1.5, label="pods served late")
    if n_waiting := len(result.still_waiting_s):
        axis.axhline(n_waiting, color=VERMILLION, ls="--", lw=1.3, label="never served")
    axis.set_xlabel("wait for an address, seconds")
    axis.set_ylabel("pods that waited longer")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    tidy(axis)
