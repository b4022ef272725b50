"""Choices of settings: idle addresses, waits of pods, EC2 calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._extras import extra
from ipam_core.plots.style import (
    BLACK,
    VERMILLION,
    as_written,
    longest_wait,
    new_figure,
    save,
    seconds_axis,
    tidy,
)

with extra("plot", "a picture"):
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure


class Choice(NamedTuple):
    """The cost of settings: idle addresses, the wait of 99 of 100 pods, EC2 calls.

    The wait is infinite if pods are never served.
    """

    idle: float
    wait_p99_s: float
    calls: float
    label: str = ""


def plot_pareto(
    points: Sequence[Choice],
    chosen: Choice,
    current: Choice | None,
    path: Path | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw choices by idle addresses and wait, darker with more EC2 calls.

    The chosen one is a star; that of today, if any, a diamond. An infinite wait is at
    the upper edge, which is then labelled so.

    Raises `InputError` and `MissingExtraError` as `check_path`.
    """
    every = [*points, chosen, *([current] if current else [])]
    waits = np.array([each.wait_p99_s for each in every])
    longest = longest_wait(waits)
    edge = longest * (3 if np.isinf(waits).any() else 1.25)
    calls = [each.calls for each in every]
    figure = new_figure(8.5, 5.5 + 0.2 * sum(1 for each in points if each.label))
    axis = figure.subplots()

    def draw(choices: Sequence[Choice], marker: str, size: float, label: str) -> Any:
        return axis.scatter(
            [each.idle for each in choices],
            [min(each.wait_p99_s, edge) for each in choices],
            size,
            [each.calls for each in choices],
            marker=marker,
            label=label,
            cmap="cividis_r",
            vmin=min(calls),
            vmax=max([*calls, min(calls) + 1]),
            edgecolors=BLACK,
            clip_on=False,
            zorder=3,
        )

    drawn = draw(points, "o", 45, "the front: none is better in all three (numbers below)")
    _number(axis, points, edge)
    draw([chosen], "*", 330, _named("recommended", chosen))
    if current:
        draw([current], "D", 110, _named("today", current))
    figure.colorbar(drawn, ax=axis, label="EC2 calls a node and hour")
    seconds_axis(axis.yaxis, axis.set_yscale, longest, shortest=float(waits.min()))
    axis.set_ylim(0, edge)
    if np.isinf(waits).any():
        axis.annotate(
            "for ever",
            (0, 1),
            xycoords="axes fraction",
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=VERMILLION,
        )
    axis.set_xlim(left=0)
    axis.set_xlabel("idle addresses a node")
    axis.set_ylabel("99% of pods wait at most, seconds")
    axis.set_title(as_written(title), fontsize=10, loc="left")
    tidy(axis)
    figure.legend(loc="outside lower left", fontsize=9, markerscale=0.6)
    return save(figure, path)


def _number(axis: Any, points: Sequence[Choice], edge: float) -> None:
    """Write a number at each choice, from left to right, and its meaning into the legend."""
    named = sorted((each for each in points if each.label), key=lambda each: each.idle)
    for number, each in enumerate(named, 1):
        axis.annotate(
            str(number),
            (each.idle, min(each.wait_p99_s, edge)),
            xytext=(7, 5) if number % 2 else (7, -11),
            textcoords="offset points",
            fontsize=8,
            zorder=4,
        )
        axis.plot([], [], " ", label=f"{number}: {as_written(each.label)}")


def _named(role: str, choice: Choice) -> str:
    return f"{role}: {as_written(choice.label)}" if choice.label else role
