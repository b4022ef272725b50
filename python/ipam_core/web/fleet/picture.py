"""The charts of a fleet's results as SVG: pure functions of plain values; every text is escaped.

What differs by colour differs by pattern, dashes or place too.
"""

from __future__ import annotations

from html import escape
from math import log10
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, FLOOR = 52, 12, 12, 196
HATCH = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="stripe" width="2.4" height="5"/></pattern></defs>'
)


class Frame(NamedTuple):
    """Where the values of a chart are."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    ticks: str


def svg(label: str, content: str, *, height: int = HEIGHT, more: str = "") -> str:
    """Return a picture with its name, for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}"{more}>'
        f"{content}</svg>"
    )


def frame(times: Sequence[float], most: float) -> Frame:
    """Return the frame of a chart over time, in minutes, that has room for a value."""
    first, last = times[0], max(times[-1], times[0] + 1)
    top = 4 * nice(most / 4)

    def x(time_s: float) -> float:
        return round(LEFT + (time_s - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(FLOOR - value / top * (FLOOR - TOP), 1)

    parts = []
    for part in range(5):
        value = top * part / 4
        parts.append(f'<path class="grid" d="M{LEFT},{y(value)}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y(value) + 4}">{short(value)}</text>')
        time_s = first + (last - first) * part / 4
        side = "end" if part == 4 else "mid" if part else ""
        text = short(time_s / 60)
        parts.append(f'<text class="{side}" x="{x(time_s)}" y="{FLOOR + 18}">{text}</text>')
    return Frame(x, y, "".join(parts))


def nice(step: float) -> float:
    """Return the least of 1, 2, 2.5 and 5 times a power of ten that is no smaller; at least 1."""
    power = 1.0
    while True:
        for times in (1, 2, 2.5, 5):
            if times * power >= step and (times * power).is_integer():
                return times * power
        power *= 10


def short(value: float) -> str:
    """Return a number in few letters."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def addresses(result: Mapping[str, Any], most: float, words: Mapping[str, str]) -> str:
    """Return a fleet's addresses over time: held, cooling and idle, stacked; pods a line."""
    times, series = result["times_s"], result["series"]
    at = frame(times, most)
    below = [0] * len(times)
    parts = [HATCH, at.ticks]
    for name, css in (("assigned", "held"), ("cooling", "cooling"), ("idle", "free")):
        above = [low + value for low, value in zip(below, series[name], strict=True)]
        there = _steps(times, above, at)
        back = "".join(
            f"L{at.x(time)},{at.y(value)}"
            for time, value in reversed(_corners(times, below))
        )  # fmt: skip
        parts.append(f'<path class="{css}" d="M{there}{back}Z"/>')
        below = above
    parts.append(f'<path class="pods" d="M{_steps(times, series["pods"], at)}"/>')
    parts.append(f'<path class="cursor" d="M{LEFT},{TOP}V{FLOOR}"/>')
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT - 4}">{words["time"]}</text>')
    label = f"{words['addresses']}, {result['policy']}"
    places = " ".join(str(at.x(time)) for time in times)
    return svg(label, "".join(parts), more=f' data-places="{places}"')


def calls(result: Mapping[str, Any], most: float, words: Mapping[str, str]) -> str:
    """Return EC2 calls a minute over time, and those that were throttled."""
    times = result["times_s"]
    at = frame(times, most)
    parts = [at.ticks]
    for name, css in (("calls", "line-1"), ("throttled", "line-2")):
        if any(result["series"][name]):
            path = "L".join(
                f"{at.x(time)},{at.y(value)}" for time, value in a_minute(times, result, name)
            )
            parts.append(f'<path class="{css}" d="M{path}"/>')
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT - 4}">{words["time"]}</text>')
    return svg(f"{words['calls_chart']}, {result['policy']}", "".join(parts))


def a_minute(
    times: Sequence[float], result: Mapping[str, Any], name: str
) -> list[tuple[float, float]]:
    """Return a count since the sample before as a rate a minute, from the second sample on."""
    values = result["series"][name]
    return [
        (time, value * 60 / max(time - before, 1e-9))
        for before, time, value in zip(times, times[1:], values[1:], strict=False)
    ]


def waits(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """Return the share of pods that wait longer than so many seconds, a line for each result."""
    curves = [each["curve"] for each in results]
    longest = max([60.0, *(wait_s for curve in curves for wait_s, _ in curve)])
    least = min([0.01, *(left for curve in curves for _, left in curve if left > 0)])

    def x(wait_s: float) -> float:
        share = log10(1 + wait_s) / log10(1 + longest)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(left: float) -> float:
        share = 1 - log10(max(left, least / 2)) / log10(least / 2)
        return round(FLOOR - share * (FLOOR - TOP), 1)

    parts = []
    left = 1.0
    while left > least / 2:
        parts.append(f'<path class="grid" d="M{LEFT},{y(left)}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y(left) + 4}">{left * 100:g}%</text>')
        left = round(left / 10, 12)
    parts += [
        f'<text class="mid" x="{x(seconds)}" y="{FLOOR + 18}">{seconds}</text>'
        for seconds in (0, 1, 10, 60, 600, 3600, 36000)
        if seconds <= longest
    ]
    for number, curve in enumerate(curves, 1):
        if len(curve) > 1 or (curve and curve[0][1] > 0):
            path, before = f"M{x(0)},{y(curve[0][1])}", curve[0][1]
            for wait_s, share in curve[1:]:
                path += f"L{x(wait_s)},{y(before)}L{x(wait_s)},{y(share)}"
                before = share
            rest = f"H{WIDTH - RIGHT}" if before > 0 else ""
            parts.append(f'<path class="line-{number}" d="{path}{rest}"/>')
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT - 4}">{words["seconds"]}</text>')
    return svg(f"{words['waits']}: {words['longer']}", "".join(parts))


def _corners(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the corners of steps: each value lasts until the next time."""
    found = []
    for number, (time, value) in enumerate(zip(times, values, strict=True)):
        if number:
            found.append((time, values[number - 1]))
        found.append((time, value))
    return found


def _steps(times: Sequence[float], values: Sequence[float], at: Frame) -> str:
    return "L".join(f"{at.x(time)},{at.y(value)}" for time, value in _corners(times, values))
