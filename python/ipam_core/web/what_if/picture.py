"""The stairs: addresses, ENIs and EC2 calls against pods, as SVG; a stall is a wall."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core.diagnosis.explain.finding import Verdict

WIDTH, HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP = 52, 16, 26
_STAIRS, _CALLS = 262, 320
"""Where the axes of the two parts are: addresses, and calls below."""


def stairs(
    levels: Sequence[Mapping[str, Any]], verdict: Verdict, name: str, words: Mapping[str, str]
) -> str:
    """Return the picture of a node's levels, given as plain values; `name` is its type's."""
    n_pods: int = max(verdict.n_pods, 1)
    most: int = max([n_pods, *(each["addresses"] for each in levels)])

    def x(pods: float) -> float:
        return round(_LEFT + pods / n_pods * (WIDTH - _LEFT - _RIGHT), 1)

    def y(addresses: float) -> float:
        return round(_STAIRS - addresses / most * (_STAIRS - _TOP), 1)

    parts = [_axes(n_pods, most, x, y, words)]
    if levels:
        path = [f"M{x(0)},{_STAIRS}"]
        for each in levels:
            start, end = max(each["pods"][0] - 1, 0), each["pods"][1]
            path.append(f"L{x(start)},{y(each['addresses'])}L{x(end)},{y(each['addresses'])}")
        served = levels[-1]["pods"][1]
        parts.append(f'<path class="area" d="{"".join(path)}L{x(served)},{_STAIRS}Z"/>')
        parts.append(f'<path class="pods" d="M{x(0)},{y(0)}L{x(served)},{y(served)}"/>')
        parts += _enis(levels, x, y)
        parts += _calls(levels, x)
    if verdict.stalled_at is not None:
        parts.append(_wall(verdict, x, f"brick-{name}", words))
    label = f"{name}: {words['picture']}: {verdict}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _axes(n_pods: int, most: int, x: Any, y: Any, words: Mapping[str, str]) -> str:
    parts = []
    for part in range(5):
        value = round(most * part / 4)
        parts.append(f'<path class="grid" d="M{_LEFT},{y(value)}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y(value) + 4}">{value}</text>')
        at = round(n_pods * part / 4)
        parts.append(f'<text class="mid" x="{x(at)}" y="{_CALLS + 20}">{at}</text>')
    parts.append(f'<text x="{_LEFT}" y="16">{escape(words["addresses"])}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_STAIRS + 18}">{escape(words["calls"])}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT},{_CALLS}H{WIDTH - _RIGHT}"/>')
    parts.append(
        f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT - 8}">{escape(words["pods"])}</text>'
    )
    return "".join(parts)


def _enis(levels: Any, x: Any, y: Any) -> list[str]:
    """Mark where an ENI is attached."""
    parts, enis, drawn = [], 0, -100.0
    for each in levels:
        if each["enis"] <= enis:
            continue
        enis = each["enis"]
        at, top = x(max(each["pods"][0] - 1, 0)), y(each["addresses"])
        title = f"<title>{enis} ENI, {each['addresses']} IP, pod {each['pods'][0]}</title>"
        parts.append(f'<circle class="eni" cx="{at}" cy="{top}" r="4">{title}</circle>')
        if at - drawn > 40:
            parts.append(f'<text x="{at + 4}" y="{top - 7}">{enis} ENI</text>')
            drawn = at
    return parts


def _calls(levels: Any, x: Any) -> list[str]:
    counted = [(each["pods"], sum(each["ec2_calls"].values())) for each in levels]
    most = max([1, *(calls for _, calls in counted)])
    room = _CALLS - _STAIRS - 24
    parts = []
    for pods, calls in counted:
        if calls:
            high = round(calls / most * room, 1)
            place = f'x="{x(max(pods[0] - 0.5, 0))}" y="{_CALLS - high}" width="2" height="{high}"'
            title = f"<title>pod {pods[0]}: {calls}</title>"
            parts.append(f'<rect class="call" {place}>{title}</rect>')
    return parts


def _wall(verdict: Verdict, x: Any, pattern: str, words: Mapping[str, str]) -> str:
    at = x(verdict.served)
    width = max(WIDTH - _RIGHT - at, 3)
    text = words["wall"].format(verdict.stalled_at)
    middle = min(max(at + width / 2, _LEFT + 112), WIDTH - 114)
    return (
        f'<defs><pattern id="{pattern}" width="10" height="10" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="brick" width="4" height="10"/>'
        "</pattern></defs>"
        f'<rect fill="url(#{pattern})" x="{at}" y="{_TOP}" width="{width}" '
        f'height="{_CALLS - _TOP}"/>'
        f'<path class="wall" d="M{at},{_TOP}V{_CALLS}"/>'
        f'<rect class="plate" x="{middle - 112}" y="124" width="224" height="28" rx="6"/>'
        f'<text class="mid stall" x="{middle}" y="143">{escape(text)}</text>'
    )
