"""A pool's addresses over time, with the EC2 calls and refused pods below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._extras import extra
from ipam_core.plots.style import (
    BLACK,
    BLUE,
    ORANGE,
    SKY,
    VERMILLION,
    as_written,
    new_figure,
    save,
    tidy,
    time_unit,
)

with extra("plot", "a picture"):
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

_AREAS = {
    "assigned": ("assigned to pods", BLUE, ""),
    "cooling": ("cooling", ORANGE, "xxxx"),
    "free": ("free to give", SKY, "...."),
}
"""The states of a pool's addresses, from the bottom up: label, colour, hatch."""
_LINES = {
    "total": ("addresses in all", BLACK, "-", 1.6),
    "pods": ("pods that want one", VERMILLION, "--", 1.8),
}
_FAR = 2000
"""Marks closer than the width of the picture divided by this are drawn as one."""
_MANY = 5000
"""Areas with more corners are points in an SVG too."""


class Mark(NamedTuple):
    """Something at one time, marked in the row of its name: an EC2 call, a pod refused.

    With `until_s` it lasts until then, as the refusals of a pod that asks repeatedly.
    """

    time_s: float
    name: str
    refused: bool = False
    until_s: float | None = None


def plot_timeline(
    times_s: ArrayLike,
    series: Mapping[str, ArrayLike],
    marks: Sequence[Mark],
    path: Path | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw a pool's addresses over time, stacked by state, with marks below.

    Each series has a value for each time, which holds until the next; of equal times
    the last counts. `assigned`, `cooling` and `free` (to give now) are areas that add up
    to `total`, a line; `pods` is a line of all that want an address, and those above
    `assigned` wait. Any may be left out. Marks are in a row for each name, in order of
    appearance, a cross where `refused`, with a line as long as it lasts.

    Raises:
        ValueError: no time, times that go back, another name, or another length.
        InputError, MissingExtraError: as `check_path`.
    """
    times = np.asarray(times_s, float)
    if unknown := series.keys() - _AREAS.keys() - _LINES.keys():
        raise ValueError(f"series {sorted(unknown)}: known are {[*_AREAS, *_LINES]}")
    if not times.size or (np.diff(times) < 0).any():
        raise ValueError("at least one time, and none before the one before it")
    values = {name: np.asarray(each, float) for name, each in series.items()}
    if any(each.shape != times.shape for each in values.values()):
        raise ValueError("a series has a value for each time")
    last = np.append(np.diff(times) > 0, True)
    unit_s, unit = time_unit(times[-1] - times[0])
    rows = list(dict.fromkeys(mark.name for mark in marks))
    figure = new_figure(9.5, 4.4 + 0.24 * len(rows))
    axes = figure.subplots(
        2 if rows else 1,
        1,
        sharex=True,
        squeeze=False,
        height_ratios=[4.4, 0.2 + 0.24 * len(rows)] if rows else [1],
    )[:, 0]
    draw_pool(axes[0], times[last] / unit_s, {name: each[last] for name, each in values.items()})
    axes[0].set_title(as_written(title), fontsize=10, loc="left")
    if rows:
        _draw_marks(axes[1], rows, [_in_unit(mark, unit_s) for mark in marks])
    axes[-1].set_xlabel(f"time, {unit}")
    for axis in axes[::-1]:
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )
    return save(figure, path)


def draw_pool(axis: Any, times: np.ndarray, series: Mapping[str, np.ndarray]) -> None:
    """Draw a pool's addresses over time; series and their meaning as in `plot_timeline`."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    area = {"step": "post", "linewidth": 0, "rasterized": times.size > _MANY}
    below = np.zeros(times.size)
    for name, (label, colour, hatch) in _AREAS.items():
        if name in series:
            above = below + series[name]
            axis.fill_between(
                times, below, above, fc=colour, ec="white", hatch=hatch, label=label, **area
            )
            below = above
    for name, (label, colour, dashes, width) in _LINES.items():
        if name in series:
            casing = [withStroke(linewidth=width + 1.6, foreground="white")]
            axis.step(
                times,
                series[name],
                dashes,
                where="post",
                c=colour,
                lw=width,
                label=label,
                path_effects=casing,
            )
    if "pods" in series and "assigned" in series:
        axis.fill_between(
            times,
            series["assigned"],
            np.maximum(series["pods"], series["assigned"]),
            fc="none",
            ec=VERMILLION,
            hatch="////",
            label="pods that wait",
            **area,
        )
    axis.set_ylabel("addresses")
    axis.set_ylim(bottom=0)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.margins(x=0.01)
    tidy(axis)


def _in_unit(mark: Mark, unit_s: float) -> Mark:
    until = None if mark.until_s is None else mark.until_s / unit_s
    return mark._replace(time_s=mark.time_s / unit_s, until_s=until)


def _draw_marks(axis: Any, rows: Sequence[str], marks: Sequence[Mark]) -> None:
    """Mark calls by a tick, and refusals by a cross."""
    part = (max(mark.time_s for mark in marks) or 1.0) / _FAR
    for refused, marker, colour in ((False, "|", BLACK), (True, "x", VERMILLION)):
        seen = {
            (round(mark.time_s / part), mark.name): (mark.time_s, rows.index(mark.name))
            for mark in marks
            if mark.refused is refused
        }
        if seen:
            places = zip(*seen.values(), strict=True)
            label = "refused" if refused else "done"
            axis.plot(*places, marker, c=colour, ms=7, mew=1.4, label=label)
    for mark in marks:
        if mark.until_s is not None:
            row, colour = rows.index(mark.name), VERMILLION if mark.refused else BLACK
            axis.plot([mark.time_s, mark.until_s], [row, row], c=colour, lw=2.5)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    tidy(axis)
