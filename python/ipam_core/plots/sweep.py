"""A sweep: what each combination of values costs, with its margin of error."""

from __future__ import annotations

from math import isinf, nan
from typing import TYPE_CHECKING, NamedTuple

from ipam_core.plots.style import as_written, line_style, new_figure, save, tidy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

_LABELS = (
    "idle addresses a node",
    "99% of pods wait at most, seconds",
    "EC2 calls a node and hour",
)
_UPRIGHT = 8
"""From so many combinations on their names stand upright."""


class SweepPoint(NamedTuple):
    """One combination under one policy: idle addresses, wait and EC2 calls, and their margins.

    A wait without end is infinite, and so is a margin that is not known.
    """

    label: str
    policy: str
    costs: tuple[float, float, float]
    margins: tuple[float, float, float]


def plot_sweep(
    points: Sequence[SweepPoint], path: Path | None = None, *, what: str = "", title: str = ""
) -> Figure:
    """Draw idle addresses, waits and EC2 calls of each combination, a line for each policy.

    Bars are margins of error at 95% confidence. A wait without end is left out of its line.
    `what` says what the labels are.

    Raises `InputError` and `MissingExtraError` as `check_path`.
    """
    policies = list(dict.fromkeys(point.policy for point in points))
    ticks = list(dict.fromkeys(point.label for point in points))
    figure = new_figure(max(7.0, 2.0 + 0.3 * len(ticks)), 8.5)
    axes = figure.subplots(3, 1, sharex=True)
    for number, policy in enumerate(policies):
        drawn = [point for point in points if point.policy == policy]
        for which, axis in enumerate(axes):
            margins = [point.margins[which] for point in drawn]
            costs = [point.costs[which] for point in drawn]
            axis.errorbar(
                range(len(ticks)),
                [nan if isinf(cost) else cost for cost in costs],
                yerr=[0.0 if isinf(margin) else margin for margin in margins],
                capsize=3,
                marker="os^D"[number % 4],
                label=as_written(policy),
                **line_style(number),
            )
    for axis, label in zip(axes, _LABELS, strict=True):
        axis.set_ylabel(label, fontsize=8)
        axis.set_ylim(bottom=0)
        tidy(axis)
    axes[-1].set_xticks(range(len(ticks)), [as_written(tick) for tick in ticks])
    if len(ticks) > _UPRIGHT:
        axes[-1].tick_params(axis="x", labelrotation=90)
    axes[-1].set_xlabel(as_written(what))
    axes[0].set_title(as_written(title), fontsize=10, loc="left")
    axes[0].legend(fontsize=8)
    return save(figure, path)
