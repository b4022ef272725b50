"""Shared by the pictures: colours, marks, figures, axes. Extra `plot`.

Every line and area differs by more than its colour, by dashes, hatches or marks. The colours
are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can
distinguish.
"""

from __future__ import annotations

import textwrap
import warnings
from math import inf
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.quoting import cut, visible

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure

DPI = 130
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
GREY = "#777777"
_DASHES = ("-", "--", "-.", ":")
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK)


def check_path(path: Path) -> None:
    """Raise unless a picture can be drawn and written there: to be called before long work.

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
    """Return a matplotlib figure, in inches, without a display and without global state.

    Raises `MissingExtraError`: matplotlib is not installed.
    """
    with extra("plot", "a picture"):
        from matplotlib.figure import Figure  # noqa: PLC0415
    return Figure(figsize=(width, height), layout="constrained")


def as_written(text: str, width: int = 100) -> str:
    """Return text from outside for a picture, in lines of so many letters, without a formula.

    matplotlib draws text between two dollar signs as a formula, or fails to.
    """
    return textwrap.fill(cut(visible(text), 5 * width), width).replace("$", r"\$")


def line_style(number: int) -> dict[str, Any]:
    """Return what distinguishes the line of a number from the others: colour and dashes."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "linewidth": 1.8,
    }


def tidy(axis: Any) -> None:
    """Leave a light grid of an axis, without a box."""
    axis.grid(visible=True, color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path | None) -> Figure:
    """Return a figure; write it as PNG or SVG first, by the name, if there is one.

    Raises as `check_path`, and `OSError`.
    """
    if path is None:
        return figure
    check_path(path)
    with warnings.catch_warnings():
        # A letter that the font does not have is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(path, dpi=DPI)
    return figure


def longest_wait(waits: np.ndarray) -> float:
    """Return the longest wait that ends, 1 s at least."""
    return float(waits.max(initial=1.0, where=waits < inf))


def seconds_axis(axis: Any, set_scale: Any, longest: float, shortest: float = 0) -> None:
    """Let an axis of seconds hold 0 and, if they differ much, be logarithmic above 1."""
    if longest > 20 * max(shortest, 1):
        set_scale("symlog", linthresh=1, linscale=0.5)
    axis.set_major_formatter(lambda seconds, _: f"{seconds:g}")


def time_unit(span_s: float) -> tuple[float, str]:
    """Return the unit that suits a span of time: its seconds and its name."""
    if span_s > 3 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if span_s > 600 else (1.0, "seconds")
