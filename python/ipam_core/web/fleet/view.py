"""Results of simulate as HTML; every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cli._fleet import CAUSES
from ipam_core.web.fleet import picture
from ipam_core.web.markup import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

AT_A_MOMENT = ("nodes", "pods", "waiting", "enis", "total", "assigned", "cooling", "idle",
               "refusals", "calls")  # fmt: skip
"""The series whose values at the moment of the cursor are shown."""
_COUNTS = ("pods", "pods_waited", "pods_still_waiting", "pods_not_placed", "nodes_not_joined")
_ALWAYS = _COUNTS[:3]
_AVERAGES = ("nodes", "enis", "total", "assigned", "cooling", "idle")


def progress(what: str, share: float) -> str:
    """Return how far a run is."""
    percent = round(100 * share)
    return (
        f'<label class="progress"><span>{text(what)}: {percent}%</span>'
        f'<progress max="100" value="{percent}"></progress></label>'
    )


def simulated(found: Mapping[str, Any], command: str, words: Mapping[str, str]) -> str:
    """Return the results of a fleet, next to each other."""
    results = found["results"]
    most = max(
        [1]
        + [
            max(map(max, zip(each["series"]["total"], each["series"]["pods"], strict=True)))
            for each in results
        ]
    )
    fastest = max(
        [1.0]
        + [
            rate
            for each in results
            for _, rate in picture.a_minute(each["times_s"], each, "calls")
        ]
    )  # fmt: skip
    said = "".join(f'<p class="hint">{text(line)}</p>' for line in found["max_pods"])
    parts = [
        f'<section class="card"><h2 id="heading">{text(found["heading"])}</h2>{said}</section>',
        _pairs(
            words["addresses"],
            results,
            lambda each: picture.addresses(each, most, words),
            _legend(words) + _moment(results, words),
        ),
        '<div class="two">',
        _card(words["figures"], _figures(results, words), "whole"),
        "<div>",
        _card(words["causes"], _causes(results, words), "causes"),
        _card(words["waits"], _waits(results, words), "waits"),
        "</div></div>",
        _pairs(
            words["calls_chart"],
            results,
            lambda each: picture.calls(each, fastest, words),
            f'<ul class="legend"><li><span class="stroke one"></span>{words["calls"]}</li>'
            f'<li><span class="stroke other"></span>{words["throttled"]}</li></ul>',
        ),
    ]
    if command:
        parts.append(_card(words["same"], f"<pre>{text(command)}</pre>", "same"))
    return "".join(parts)


def _card(heading: str, content: str, name: str) -> str:
    return f'<section class="card" id="{name}"><h2>{heading}</h2>{content}</section>'


def _pairs(
    heading: str,
    results: Sequence[Mapping[str, Any]],
    draw: Callable[[Mapping[str, Any]], str],
    below: str,
) -> str:
    charts = "".join(
        f"<figure><figcaption>{text(each['policy'])}</figcaption>{draw(each)}</figure>"
        for each in results
    )
    return (
        f'<section class="card"><h2>{heading}</h2><div class="pair">{charts}</div>{below}</section>'
    )


def _legend(words: Mapping[str, str]) -> str:
    states = (("held", "assigned"), ("cooling", "cooling"), ("free", "idle"))
    items = "".join(f'<li><i class="{css}"></i>{words[name]}</li>' for css, name in states)
    return f'<ul class="legend">{items}<li><span class="line"></span>{words["pods_line"]}</li></ul>'


def _moment(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """Return the control of the moment, and a table that is filled as it is moved."""
    last = max(len(each["times_s"]) for each in results) - 1
    names = {"pods": "pods_line", "calls": "calls_since"}
    rows = "".join(
        f'<tr data-series="{name}"><th scope="row">{words[names.get(name, name)]}</th>'
        + '<td class="number"></td>' * len(results)
        + "</tr>"
        for name in AT_A_MOMENT
    )
    return (
        f'<div class="moment">{words["moment"]} <output id="moment-time"></output>'
        f'<input type="range" id="moment" min="0" max="{last}" value="{last // 2}" '
        f'aria-label="{words["moment"]}"></div>'
        f'<table id="at-moment">{_head(results, words)}<tbody>{rows}</tbody></table>'
    )


def _head(results: Iterable[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    policies = "".join(f'<th class="number" scope="col">{text(r["policy"])}</th>' for r in results)
    return f'<thead><tr><th scope="col">{words["what"]}</th>{policies}</tr></thead>'


def _figures(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    rows = [
        (words[name], [f"{each[name]:,}" for each in results])
        for name in _COUNTS
        if name in _ALWAYS or any(each[name] for each in results)
    ]
    rows += [
        (words[f"wait_{name}"], [f"{each['wait_s'][name]:.1f}" for each in results])
        for name in ("p50", "p90", "p99", "max")
    ]
    sums = [
        (sum(each["calls"].values()), sum(each["throttled"].values())) for each in results
    ]  # fmt: skip
    rows.append((words["calls"], [f"{n:,}" for n, _ in sums]))
    if any(n for _, n in sums):
        rows.append((words["throttled"], [f"{n:,}" for _, n in sums]))
    rows += [
        (f"  {api}", [f"{each['calls'].get(api, 0):,}" for each in results])
        for api in dict.fromkeys(api for each in results for api in each["calls"])
    ]
    for name in _AVERAGES:
        values = [f"{each['mean'][name]:,.1f} / {each['peak'][name]:,}" for each in results]
        rows.append((f"{words[name]}, {words['mean_peak']}", values))
    for subnet in dict.fromkeys(name for each in results for name in each["subnets"]):
        for series, word in (("free", "free_least"), ("free_prefixes", "prefixes_least")):
            values = [_least(each["subnets"].get(subnet, {}).get(series)) for each in results]
            rows.append((words[word].format(subnet), values))
    return f"<table>{_head(results, words)}<tbody>{''.join(map(_row, rows))}</tbody></table>"


def _least(series: Sequence[int] | None) -> str:
    return f"{min(series):,}" if series else "-"


def _row(row: tuple[str, list[str]]) -> str:
    label, values = row
    css = ' class="inner"' if label.startswith(" ") else ""
    cells = "".join(f'<td class="number">{text(value)}</td>' for value in values)
    return f'<tr><th scope="row"{css}>{text(label.strip())}</th>{cells}</tr>'


def _causes(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """Return the refusals by cause: a bar and a number for each policy."""
    causes = list(dict.fromkeys(cause for each in results for cause in each["refusals"]))
    if not causes:
        return f"<p>{words['none']}</p>"
    most = max(max(each["refusals"].values(), default=0) for each in results)
    rows = []
    for cause in causes:
        cells = ""
        for number, each in enumerate(results, 1):
            count = each["refusals"].get(cause, 0)
            width = round(100 * count / max(most, 1), 1)
            cells += (
                f'<td class="number">{count:,}<span class="bar-{number}" '
                f'style="width:{width}%"></span></td>'
            )
        rows.append(f'<tr><th scope="row">{text(CAUSES.get(cause, cause))}</th>{cells}</tr>')
    return f"<table>{_head(results, words)}<tbody>{''.join(rows)}</tbody></table>"


def _waits(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    if not any(len(each["curve"]) > 1 or each["pods_still_waiting"] for each in results):
        return f"<p>{words['no_wait']}</p>"
    lines = []
    for number, each in enumerate(results):
        never = each["pods_still_waiting"]
        more = f": {never:,} {words['never']}" if never else ""
        css = ("one", "other")[number]
        lines.append(f'<li><span class="stroke {css}"></span>{text(each["policy"])}{more}</li>')
    return (
        f'<p class="hint">{words["longer"]}</p>{picture.waits(results, words)}'
        f'<ul class="legend">{"".join(lines)}</ul>'
    )
