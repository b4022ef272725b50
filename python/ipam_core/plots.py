"""Pictures of runs: a node's life, waits of pods, choices of settings. Extra `plot`.

They are told plain numbers, whoever found them. Every line and area is told apart by
more than its colour, by dashes, hatches or marks, and the colours are those of Okabe
and Ito (https://jfly.uni-koeln.de/color/), which the colour-blind tell apart.
"""

from __future__ import annotations

import textwrap
from math import inf, isinf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ipam_core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

DPI = 130
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
_GREY = "#777777"
_DASHES = ("-", "--", "-.", ":")
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK)
_AREAS = {
    "assigned": ("assigned to pods", BLUE, ""),
    "cooling": ("cooling", ORANGE, "xxxx"),
    "free": ("free to give", SKY, "...."),
}
"""What the addresses of a pool are, from the bottom up: label, colour, hatch."""
_LINES = {
    "total": ("addresses in all", BLACK, "-", 1.6),
    "pods": ("pods that want one", VERMILLION, "--", 1.8),
}
_FAR = 2000
"""What is closer than one of so many parts of a picture is one mark."""
_MANY = 5000
"""Areas with more corners are points in an SVG too."""


class Mark(NamedTuple):
    """Something at one time, marked in the row of its name: an EC2 call, a pod refused."""

    time_s: float
    name: str
    refused: bool = False


class Choice(NamedTuple):
    """What settings cost: idle addresses, the wait of 99 of 100 pods, EC2 calls.

    The wait is infinite where pods are never served.
    """

    idle: float
    wait_p99_s: float
    calls: float
    label: str = ""


def check_path(path: Path) -> None:
    """Raise unless a picture can be drawn and written there: to be asked before long work.

    Raises:
        InputError: the name ends in neither .png nor .svg, or its folder does not exist.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise InputError(f"picture {str(path)!r}: the name must end in .png or .svg")
    if not path.parent.is_dir():
        raise InputError(f"picture {str(path)!r}: no folder {str(path.parent)!r}")
    new_figure(1, 1)


def new_figure(width: float, height: float) -> Any:
    """Return a matplotlib figure, in inches, that needs no display and is known to nobody else.

    Raises `MissingExtraError`: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("plot", "a picture") from None
    return Figure(figsize=(width, height), layout="constrained")


def line_style(number: int) -> dict[str, Any]:
    """Return how the line of a number is told from the others: colour and dashes."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "linewidth": 1.8,
    }


def tidy(axis: Any) -> None:
    """Leave of an axis what is read: a light grid, and no box."""
    axis.grid(visible=True, color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG or SVG, by the name. Raises as `check_path`, and `OSError`."""
    check_path(path)
    figure.savefig(path, dpi=DPI)


def plot_timeline(
    times_s: ArrayLike,
    series: Mapping[str, ArrayLike],
    marks: Sequence[Mark],
    path: Path,
    *,
    title: str = "",
) -> None:
    """Write a pool's addresses over time, stacked by what they are, with marks below.

    Each series has a value for each time, which holds until the next; of equal times
    the last counts. `assigned`, `cooling` and `free` (to give now) are areas that add up
    to `total`, a line; `pods` is a line of all that want an address, and those above
    `assigned` wait. Any may be left out. Marks are in a row for each name, in the order
    met, a cross where `refused`.

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
    axes[0].set_title(textwrap.fill(title, 100), fontsize=10, loc="left")
    if rows:
        _draw_marks(axes[1], rows, [mark._replace(time_s=mark.time_s / unit_s) for mark in marks])
    axes[-1].set_xlabel(f"time, {unit}")
    for axis in axes[::-1]:
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )
    save(figure, path)


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


def _draw_marks(axis: Any, rows: Sequence[str], marks: Sequence[Mark]) -> None:
    """Mark what is done by a tick, and what is refused by a cross."""
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
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    tidy(axis)


def plot_waits(waits_by_name: Mapping[str, ArrayLike], path: Path, *, title: str = "") -> None:
    """Write how many pods wait longer than so many seconds, a curve for each named run.

    A wait is 0 for a pod served at once, infinite for one that never was. A dot is the
    wait that 99 of 100 pods do not exceed.

    Raises:
        ValueError: no run, a run without pods, or a wait that is negative or no number.
        InputError, MissingExtraError: as `check_path`.
    """
    figure = new_figure(8, 5)
    axis = figure.subplots()
    draw_waits(axis, waits_by_name)
    axis.set_title(textwrap.fill(title, 100), fontsize=10, loc="left")
    figure.legend(loc="outside lower left", fontsize=9)
    save(figure, path)


def draw_waits(axis: Any, waits_by_name: Mapping[str, ArrayLike]) -> None:
    """Draw what `plot_waits` writes. Raises `ValueError` as it does."""
    runs = {name: np.sort(np.asarray(waits, float)) for name, waits in waits_by_name.items()}
    if not runs or any(not waits.size for waits in runs.values()):
        raise ValueError("waits of at least one run, and of at least one pod in each")
    if any(not (waits >= 0).all() for waits in runs.values()):
        raise ValueError("a wait is 0 s or more")
    longest = max(_longest(waits) for waits in runs.values())
    for number, (name, waits) in enumerate(runs.items()):
        n_pods, n_served = waits.size, np.isfinite(waits).sum()
        p99 = waits[-(-99 * n_pods // 100) - 1]
        label = name if isinf(p99) else f"{name}: 99% wait at most {p99:.3g} s"
        if n_served < n_pods:
            label += f", {n_pods - n_served} of {n_pods} pods for ever"
        left = np.arange(n_pods, n_pods - n_served - 1, -1) / n_pods
        served = waits[:n_served]
        style = line_style(number)
        axis.step([0, *served, 2 * longest], [*left, left[-1]], where="post", label=label, **style)
        if not isinf(p99):
            axis.plot(p99, 0.01, "o", color=style["color"], clip_on=False)
    _seconds_axis(axis.xaxis, axis.set_xscale, longest)
    axis.set_xlim(0, 1.5 * longest)
    axis.set_yscale("log")
    axis.set_ylim(min(0.005, *(0.5 / waits.size for waits in runs.values())), 1.15)
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axis.axhline(0.01, color=_GREY, linewidth=0.8)
    axis.set_xlabel("wait for an address, seconds")
    axis.set_ylabel("pods that wait longer")
    tidy(axis)


def plot_pareto(
    points: Sequence[Choice], chosen: Choice, current: Choice | None, path: Path, *, title: str = ""
) -> None:
    """Write choices by idle addresses and wait, darker with more EC2 calls.

    The chosen one is a star; that of today, if any, a diamond. An infinite wait is at
    the upper edge, which is then labelled so.

    Raises `InputError` and `MissingExtraError` as `check_path`.
    """
    every = [*points, chosen, *([current] if current else [])]
    waits = np.array([each.wait_p99_s for each in every])
    longest = _longest(waits)
    edge = longest * (3 if np.isinf(waits).any() else 1.25)
    calls = [each.calls for each in every]
    figure = new_figure(8.5, 5.5)
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

    drawn = draw(points, "o", 45, "the front: none is better in all three")
    draw([chosen], "*", 330, _named("recommended", chosen))
    if current:
        draw([current], "D", 110, _named("today", current))
    figure.colorbar(drawn, ax=axis, label="EC2 calls")
    _seconds_axis(axis.yaxis, axis.set_yscale, longest, shortest=float(waits.min()))
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
    axis.set_xlabel("idle addresses")
    axis.set_ylabel("99% of pods wait at most, seconds")
    axis.set_title(textwrap.fill(title, 100), fontsize=10, loc="left")
    tidy(axis)
    figure.legend(loc="outside lower left", fontsize=9, markerscale=0.6)
    save(figure, path)


def _longest(waits: np.ndarray) -> float:
    """Return the longest wait that ends, 1 s at least."""
    return float(waits.max(initial=1.0, where=waits < inf))


def _named(role: str, choice: Choice) -> str:
    return f"{role}: {choice.label}" if choice.label else role


def _seconds_axis(axis: Any, set_scale: Any, longest: float, shortest: float = 0) -> None:
    """Let an axis of seconds hold 0 and, if they differ much, be logarithmic above 1."""
    if longest > 20 * max(shortest, 1):
        set_scale("symlog", linthresh=1, linscale=0.5)
    axis.set_major_formatter(lambda seconds, _: f"{seconds:g}")


def time_unit(span_s: float) -> tuple[float, str]:
    """Return the unit that suits a span of time: its seconds and its name."""
    if span_s > 3 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if span_s > 600 else (1.0, "seconds")
