"""Pictures: the blocks of a subnet as a heat map, a forecast as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ipam_core._subnet import BLOCK_STATES
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.plots import line_style, new_figure, save, tidy
from ipam_core.subnet.report import BLOCKS_PER_ROW

if TYPE_CHECKING:
    from pathlib import Path

    from ipam_core.subnet.forecast import Forecast
    from ipam_core.subnet.report import SubnetReport

_COLOURS = {
    "aws-reserved": "#555555",
    "prefix-allocated": "#7b3294",
    "prefix-reserved": "#008837",
    "explicit-reserved": "#b08030",
}


def plot_blocks(reports: list[SubnetReport], path: Path) -> None:
    """Write one map a subnet: a cell a /28, darker the more of it is in use; PNG or SVG.

    Raises `MissingExtraError`: matplotlib is not installed.
    """
    labels = [[label for label, _ in report.rows()] for report in reports]
    heights = [max(len(rows) * 0.13, 0.3) + 0.9 for rows in labels]
    figure = new_figure(10, sum(heights) + 0.6)
    from matplotlib.colors import to_rgb  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    axes = figure.subplots(len(reports), 1, squeeze=False, height_ratios=heights)[:, 0]
    warm = _colour_map()
    for report, axis, rows in zip(reports, axes, labels, strict=True):
        n_rows = len(rows)
        states = report.subnet.block_states()
        used = ADDRESSES_PER_PREFIX - report.subnet.free_counts().astype(int)
        colours = np.ones((n_rows * BLOCKS_PER_ROW, 3))
        colours[: len(used)] = warm(used / ADDRESSES_PER_PREFIX)[:, :3]
        for state, colour in _COLOURS.items():
            colours[: len(used)][states == BLOCK_STATES.index(state)] = to_rgb(colour)
        axis.imshow(
            colours.reshape(n_rows, BLOCKS_PER_ROW, 3), aspect="auto", interpolation="nearest"
        )
        found = report.fragmentation
        axis.set_title(
            f"{report.subnet_id}  {report.subnet.cidr}  score {found.score} ({found.band}), "
            f"{report.subnet.n_free} free, {report.subnet.n_free_prefixes} free /28s",
            fontsize=9,
            loc="left",
        )
        axis.set_xticks([])
        ticks = range(0, n_rows, max(n_rows // 8, 1))
        axis.set_yticks(list(ticks), [rows[row] for row in ticks], fontsize=7)
    legend = [
        Patch(color=warm(used / ADDRESSES_PER_PREFIX), label=f"{used} of 16 used")
        for used in (0, 1, 8, 16)
    ]
    legend += [Patch(color=colour, label=state) for state, colour in _COLOURS.items()]
    figure.legend(handles=legend, loc="outside lower center", ncols=4, fontsize=7)
    save(figure, path)


def plot_forecast(forecast: Forecast, path: Path) -> None:
    """Write free /28s and the score over time, a curve for each placement; PNG or SVG."""
    figure = new_figure(9, 6)
    blocks, score = figure.subplots(2, 1, sharex=True)
    for number, (placement, samples) in enumerate(forecast.samples.items()):
        hours = [sample.hour for sample in samples]
        style = {"label": placement, "clip_on": False, **line_style(number)}
        blocks.plot(hours, [sample.free_prefixes for sample in samples], **style)
        score.plot(hours, [sample.score for sample in samples], **style)
    for axis in (blocks, score):
        tidy(axis)
        axis.margins(x=0)
    blocks.set_title(f"{forecast.cidr}: placement of single addresses", fontsize=10, loc="left")
    blocks.set_ylabel("free /28s")
    blocks.set_ylim(bottom=0)
    blocks.legend()
    score.set_ylabel("fragmentation score")
    score.set_ylim(0, 100)
    score.set_xlabel("hours")
    save(figure, path)


def _colour_map() -> Any:
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

    # One address in a block matters most: the first step is the largest.
    return LinearSegmentedColormap.from_list(
        "used", [(0, "#d9f0d3"), (1 / 16, "#fee08b"), (0.6, "#f46d43"), (1, "#a50026")]
    )
