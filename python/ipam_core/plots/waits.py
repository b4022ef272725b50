"""How long pods wait for an address, a curve for each run."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.plots.style import (
    GREY,
    as_written,
    line_style,
    longest_wait,
    new_figure,
    save,
    seconds_axis,
    tidy,
)

with extra("plot", "a picture"):
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


def plot_waits(
    waits_by_name: Mapping[str, ArrayLike], path: Path | None = None, *, title: str = ""
) -> Figure:
    """Draw how many pods wait longer than so many seconds, a curve for each named run.

    A wait is 0 for a pod served at once, infinite for one that never was. A dot is the
    wait that 99 of 100 pods do not exceed.

    Raises:
        ValueError: no run, a run without pods, or a wait that is negative or no number.
        InputError, MissingExtraError: as `check_path`.
    """
    figure = new_figure(8, 5)
    axis = figure.subplots()
    draw_waits(axis, waits_by_name)
    axis.set_title(as_written(title), fontsize=10, loc="left")
    figure.legend(loc="outside lower left", fontsize=9)
    return save(figure, path)


def draw_waits(axis: Any, waits_by_name: Mapping[str, ArrayLike]) -> None:
    """Draw what `plot_waits` writes. Raises `ValueError` as it does."""
    runs = {name: np.sort(np.asarray(waits, float)) for name, waits in waits_by_name.items()}
    if not runs or any(not waits.size for waits in runs.values()):
        raise ValueError("waits of at least one run, and of at least one pod in each")
    if any(not (waits >= 0).all() for waits in runs.values()):
        raise ValueError("a wait is 0 s or more")
    longest = max(longest_wait(waits) for waits in runs.values())
    for number, (name, waits) in enumerate(runs.items()):
        n_pods, n_served = waits.size, np.isfinite(waits).sum()
        p99 = waits[-(-99 * n_pods // 100) - 1]
        label = as_written(name)
        if not isinf(p99):
            label += f": 99% wait at most {p99:.3g} s"
        if n_served < n_pods:
            label += f", {n_pods - n_served} of {n_pods} pods for ever"
        left = np.arange(n_pods, n_pods - n_served - 1, -1) / n_pods
        served = waits[:n_served]
        style = line_style(number)
        axis.step([0, *served, 2 * longest], [*left, left[-1]], where="post", label=label, **style)
        if not isinf(p99):
            axis.plot(p99, 0.01, "o", color=style["color"], clip_on=False)
    if not any(waits.any() for waits in runs.values()):
        axis.text(0.5, 0.5, "no pod waits", transform=axis.transAxes, ha="center", va="center")
    seconds_axis(axis.xaxis, axis.set_xscale, longest)
    axis.set_xlim(0, 1.5 * longest)
    axis.set_yscale("log")
    axis.set_ylim(min(0.005, *(0.5 / waits.size for waits in runs.values())), 1.15)
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axis.axhline(0.01, color=GREY, linewidth=0.8)
    axis.set_xlabel("wait for an address, seconds")
    axis.set_ylabel("pods that wait longer")
    tidy(axis)
