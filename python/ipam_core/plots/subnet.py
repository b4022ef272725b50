"""Pictures: the blocks of a subnet as a heat map, a forecast as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core._subnet import BLOCK_STATES
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.plots.style import as_written, line_style, new_figure, save, tidy
from ipam_core.subnet.blockmap import BLOCKS_PER_ROW, MARKS, rows

with extra("plot", "a picture"):
    import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from ipam_core.subnet.forecast import Forecast
    from ipam_core.subnet.report import SubnetReport

_COLOURS = {
    "aws-reserved": "#bdbdbd",
    "prefix-allocated": "#6baed6",
    "prefix-reserved": "#c6dbef",
    "explicit-reserved": "#dadaeb",
}
"""The colour of blocks without a number of used addresses; marks distinguish them in print."""


def plot_blocks(reports: list[SubnetReport], path: Path | None = None) -> Figure:
    """Draw a map of each subnet: a cell for each /28, darker with more of it in use; PNG or SVG.

    A free block is white, and blocks of other states have the terminal map's marks, so that
    it can be read without colours.

    Raises `MissingExtraError`: matplotlib is not installed.
    """
    labels = [[label for label, _ in rows(report.subnet)] for report in reports]
    heights = [max(len(starts) * 0.13, 0.3) + 0.4 for starts in labels]
    figure = new_figure(10, sum(heights) + 0.8)
    from matplotlib.colors import to_rgb  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    axes = figure.subplots(len(reports), 1, squeeze=False, height_ratios=heights)[:, 0]
    warm = _colour_map()
    for report, axis, starts in zip(reports, axes, labels, strict=True):
        n_rows = len(starts)
        width = min(report.subnet.n_blocks, BLOCKS_PER_ROW)
        states = report.subnet.block_states()
        used = ADDRESSES_PER_PREFIX - report.subnet.free_counts().astype(int)
        colours = warm(used / ADDRESSES_PER_PREFIX)[:, :3]
        for state, colour in _COLOURS.items():
            (cells,) = np.nonzero(states == BLOCK_STATES.index(state))
            colours[cells] = to_rgb(colour)
            axis.scatter(
                cells % width,
                cells // width,
                marker=f"${MARKS[state]}$",
                s=24,
                color="black",
                linewidths=0,
            )
        axis.imshow(colours.reshape(n_rows, width, 3), aspect="auto", interpolation="nearest")
        found = report.fragmentation
        axis.set_title(
            f"{as_written(report.subnet_id)}  {report.subnet.cidr}  "
            f"score {found.score} ({found.band}), {report.subnet.n_free} free, "
            f"{report.subnet.n_free_prefixes} free /28s",
            fontsize=9,
            loc="left",
        )
        axis.set_xticks([])
        ticks = range(0, n_rows, max(n_rows // 8, 1))
        axis.set_yticks(list(ticks), [starts[row] for row in ticks], fontsize=7)
    legend = [
        Patch(
            facecolor=warm(used / ADDRESSES_PER_PREFIX),
            edgecolor="grey",
            linewidth=0.5,
            label=f"{used} of 16 used",
        )
        for used in (0, 1, 8, 16)
    ]
    legend += [
        Patch(color=colour, label=f"{MARKS[state]}  {state}") for state, colour in _COLOURS.items()
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=4, fontsize=7)
    return save(figure, path)


def plot_forecast(forecast: Forecast, path: Path | None = None) -> Figure:
    """Draw free /28s and the score over time, a curve for each placement; PNG or SVG."""
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
    return save(figure, path)


def _colour_map() -> Any:
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

    # Each step is darker, so that it survives printing; the first address in a block matters
    # most, so the first step is the largest.
    return LinearSegmentedColormap.from_list(
        "used", [(0, "#ffffff"), (1 / 16, "#fdbb84"), (0.6, "#d7301f"), (1, "#5c0000")]
    )
