"""A result of tune: the Pareto front to click, the settings of each point and their command."""

from __future__ import annotations

import shlex
from html import escape
from math import log10, sqrt
from typing import TYPE_CHECKING, Any

from ipam_core.tuning.candidates import changes, targets_of
from ipam_core.web.fleet.picture import LEFT, RIGHT, WIDTH
from ipam_core.web.markup import copied, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEIGHT, TOP, FLOOR = 340, 14, 300
_EDGE = 34
"""The height above the longest wait where settings are that leave pods without an address."""
_ROUND = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_MOST_PUT_ASIDE = 20


def tuned(found: Mapping[str, Any], command: str, words: Mapping[str, str]) -> str:
    """Return a result of tune: the front, the chosen point, and what was excluded."""
    tuning = found["tuning"]
    points = points_of(tuning)
    best = next((n for n, each in enumerate(points) if each["role"] == "recommended"), 0)
    said = "".join(f'<p class="hint">{text(line)}</p>' for line in found["max_pods"])
    notes = words["n_tried"].format(len(tuning["outcomes"]))
    if tuning["recommended"] and tuning["n_seeds"] > 1:
        notes += "; " + words["agreeing"].format(tuning["n_agreeing"], tuning["n_seeds"])
    panels = "".join(
        _panel(number, each, tuning["today"], words, hidden=number != best)
        for number, each in enumerate(points)
    )
    parts = [
        f'<section class="card"><h2 id="heading">{text(found["heading"])}</h2>{said}',
        f'<p class="hint">{text(notes)}</p>{_warnings(tuning, words)}</section>',
        '<div class="two front"><section class="card">',
        f"<h2>{words['front']}</h2>{front(points, tuning['outcomes'], best, words)}",
        _legend(words),
        _table(points, best, words),
        f'</section><div id="panels">{panels}</div></div>',
        _put_aside(tuning["put_aside"], words),
    ]
    if command:
        parts.append(
            f'<section class="card"><h2>{words["same"]}</h2><pre>{text(command)}</pre></section>'
        )
    return "".join(parts)


def points_of(tuning: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the points to click: those of the front, by idle addresses, and today's last."""
    best = tuning["recommended"]
    points = [
        {**each, "role": "recommended" if best and each["env"] == best["env"] else "front"}
        for each in tuning["front"]
    ]
    return [*points, {**tuning["today"], "role": "today"}]


def kubectl(today: Mapping[str, str], env: Mapping[str, str]) -> str:
    """Return the command that turns today's variables into others; "" where none differs."""
    words = [
        shlex.quote(f"{name}-" if value is None else f"{name}={value}")
        for name, value in changes(today, env).items()
    ]
    return f"kubectl -n kube-system set env ds/aws-node {' '.join(words)}" if words else ""


def settings(env: Mapping[str, str]) -> str:
    """Return the targets of an environment in one line."""
    return " ".join(f"{name}={value}" for name, value in targets_of(env).items()) or "defaults"


def front(
    points: Sequence[Mapping[str, Any]],
    tried: Sequence[Mapping[str, Any]],
    chosen: int,
    words: Mapping[str, str],
) -> str:
    """Return the picture of the front; a point is a button."""
    every = [*points, *tried]
    finite = [each["wait_p99_s"] for each in every if each["wait_p99_s"] is not None]
    longest, most = max([1.0, *finite]), max([1.0, *(each["idle"] for each in every)])
    most_calls = max([1e-9, *(each["calls"] for each in every)])
    top = TOP + (_EDGE if len(finite) < len(every) else 12)

    def x(idle: float) -> float:
        return round(LEFT + 10 + log10(1 + idle) / log10(1 + most) * (WIDTH - LEFT - RIGHT - 40), 1)

    def y(wait_s: float | None) -> float:
        if wait_s is None:
            return TOP + 8
        return round(FLOOR - log10(1 + wait_s) / log10(1 + longest) * (FLOOR - top), 1)

    def radius(calls: float) -> float:
        return round(4 + 7 * sqrt(calls / most_calls), 1)

    parts = []
    for value in _ROUND:
        if value <= most:
            parts.append(f'<path class="grid" d="M{x(value)},{TOP}V{FLOOR}"/>')
            parts.append(f'<text class="mid" x="{x(value)}" y="{FLOOR + 18}">{value}</text>')
    for seconds in _ROUND:
        if seconds <= longest:
            parts.append(f'<path class="grid" d="M{LEFT},{y(seconds)}H{WIDTH - RIGHT}"/>')
            parts.append(f'<text class="end" x="{LEFT - 6}" y="{y(seconds) + 4}">{seconds}</text>')
    if len(finite) < len(every):
        parts.append(f'<path class="edge" d="M{LEFT},{TOP + 8}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT + 4}" y="{TOP + 4}">{words["for_ever"]}</text>')
    for each in tried:
        at = x(each["idle"]), y(each["wait_p99_s"])
        parts.append(f'<circle class="tried" cx="{at[0]}" cy="{at[1]}" r="2.5"/>')
    for number, each in enumerate(points):
        at = x(each["idle"]), y(each["wait_p99_s"])
        label = f"{words['point']} {number + 1}, {_role(each, words)}: {settings(each['env'])}"
        pressed = "true" if number == chosen else "false"
        below = -8 if number % 2 else 16
        parts.append(
            f'<g class="point {each["role"]}" role="button" tabindex="0" data-point="{number}" '
            f'aria-pressed="{pressed}" aria-label="{escape(label)}">'
            f"{_mark(each['role'], *at, radius(each['calls']))}"
            f'<text x="{at[0] + 14}" y="{at[1] + below}">{number + 1}</text></g>'
        )
    parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT - 4}">{words["x"]}</text>')
    return (
        f'<p class="hint">{words["y"]}</p>'
        f'<svg id="front" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{escape(words["front_label"])}">{"".join(parts)}</svg>'
    )


def _mark(role: str, x: float, y: float, radius: float) -> str:
    """Return a point: round, a star if it is recommended, a diamond for today's."""
    if role == "today":
        half = radius + 3
        return f'<path d="M{x},{y - half}l{half},{half}l{-half},{half}l{-half},{-half}Z"/>'
    if role == "recommended":
        ring = f'<circle class="ring" cx="{x}" cy="{y}" r="{radius + 5}"/>'
        return f'{ring}<circle cx="{x}" cy="{y}" r="{radius}"/>'
    return f'<circle cx="{x}" cy="{y}" r="{radius}"/>'


def _role(point: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return words["on_front"] if point["role"] == "front" else words[point["role"]]


def _legend(words: Mapping[str, str]) -> str:
    marks = (
        ("recommended", _mark("recommended", 14, 14, 6), words["recommended"]),
        ("front", _mark("front", 14, 14, 6), words["on_front"]),
        ("today", _mark("today", 14, 14, 6), words["today"]),
        ("", '<circle class="tried" cx="14" cy="14" r="3"/>', words["tried"]),
    )
    items = "".join(
        f'<li><svg viewBox="0 0 28 28" aria-hidden="true"><g class="point {css}">{mark}</g></svg>'
        f"{label}</li>"
        for css, mark, label in marks
    )
    return f'<ul class="legend marks">{items}<li>{words["legend_size"]}</li></ul>'


def _table(points: Sequence[Mapping[str, Any]], chosen: int, words: Mapping[str, str]) -> str:
    """Return the points as a table; the number of each is a button, as in the picture."""
    heads = "".join(
        f'<th scope="col" class="number">{words[name]}</th>'
        for name in ("idle", "wait_short", "calls")
    )
    rows = []
    for number, each in enumerate(points):
        pressed = "true" if number == chosen else "false"
        role = "" if each["role"] == "front" else f"{words[each['role']]}: "
        costs = "".join(
            f'<td class="number">{_cost(each[name], None, words)}</td>'
            for name in ("idle", "wait_p99_s", "calls")
        )
        rows.append(
            f'<tr><td><button type="button" data-point="{number}" aria-pressed="{pressed}" '
            f'aria-label="{words["point"]} {number + 1}">{number + 1}</button></td>'
            f"<td>{role}{text(settings(each['env']))}</td>{costs}</tr>"
        )
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{words["settings"]}"><table id="points"><thead><tr>'
        f'<th scope="col">{words["point"]}</th><th scope="col">{words["settings"]}</th>{heads}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _panel(
    number: int,
    point: Mapping[str, Any],
    today: Mapping[str, Any],
    words: Mapping[str, str],
    *,
    hidden: bool,
) -> str:
    """Return the settings of a point, its numbers next to today's, and the command that sets it."""
    margin = point["margin"]
    rows = "".join(
        f'<tr><th scope="row">{words[word]}</th>'
        f'<td class="number">{_cost(point[name], margin[name], words)}</td>'
        f'<td class="number">{_cost(today[name], today["margin"][name], words)}</td></tr>'
        for name, word in (
            ("idle", "idle_node"),
            ("wait_p99_s", "wait_p99"),
            ("calls", "calls_node"),
        )
    )
    shares = "".join(
        f'<td class="number">{each["n_waited"] / max(each["n_pods"], 1):.1%}</td>'
        for each in (point, today)
    )
    rows += f'<tr><th scope="row">{words["refused"]}</th>{shares}</tr>'
    env = "".join(f"<li>{text(name)}={text(v)}</li>" for name, v in point["env"].items())
    command = kubectl(today["env"], point["env"])
    how = (
        copied(f"set-{number}", f"{words['set_it']} ({number + 1})", command, words)
        if command
        else f"<p>{words['is_today']}</p>"
    )
    return (
        f'<section class="card" id="point-{number}"{" hidden" if hidden else ""}>'
        f"<h2>{words['point']} {number + 1}: {_role(point, words)}</h2>"
        f'<ul class="env">{env or "<li>defaults</li>"}</ul>'
        f'<table><thead><tr><th scope="col">{words["what"]}</th><th class="number" scope="col">'
        f'{words["point"]} {number + 1}</th><th class="number" scope="col">{words["today"]}</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>{how}</section>"
    )


def _cost(value: float | None, margin: float | None, words: Mapping[str, str]) -> str:
    if value is None:
        return words["for_ever"]
    return f"{value:.1f}" + ("" if margin is None else f" ±{margin:.1f}")


def _warnings(tuning: Mapping[str, Any], words: Mapping[str, str]) -> str:
    lines = []
    if not tuning["recommended"]:
        lines.append(words["nothing_fits"])
    if tuning["today_stalls"]:
        lines.append(f"{words['stalls']}: {tuning['today_stalls']}")
    lines += [f"{words['warns']}: {each}" for each in tuning["today_warnings"]]
    lines += [f"{words['as_all']}: {each}" for each in tuning["reasons"]]
    return "".join(f'<p class="problem">{text(line)}</p>' for line in lines)


def _put_aside(found: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    if not found:
        return ""
    items = "".join(
        f"<li>{text(settings(each['outcome']['env']))}: {text(each['why'])}</li>"
        for each in found[:_MOST_PUT_ASIDE]
    )
    return (
        f'<details class="card"><summary>{words["put_aside"]}: {len(found)}</summary>'
        f"<ul>{items}</ul></details>"
    )
