"""A diagnosis as HTML, from its plain values (`Diagnosis.to_dict()`). Every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.doctor.diagnosis import Answer
from ipam_core.web.markup import text, text_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ipam_core.web.doctor.asked import Asked

_ROWS_AT_ONCE = 8
"""Lines of evidence that are shown at once; the others are a click away."""
_MOST_ROWS = 400
"""The most lines of evidence of one cause on the page; `--json` has all."""
_TONE = {Answer.FOUND: "bad", Answer.CANNOT_TELL: "doubt", Answer.HEALTHY: ""}

STYLE = """
.ipam p.hint[data-node]{margin-bottom:10px}
.ipam .verdict.doubt{border-color:var(--dim);color:var(--ink)}
.ipam .asked{display:grid;grid-template-columns:2fr 1fr 2fr;gap:0 14px}
.ipam .tag.certain{color:var(--bad)}.ipam .tag.likely{color:var(--bad);border-style:dashed}
.ipam .tag.possible{color:var(--dim);border-style:dotted}
.ipam .cause h2{font-size:17px}.ipam h3{font-size:13px;line-height:1.4;font-weight:650;
margin:14px 0 6px}
.ipam .cause td.place{white-space:nowrap;font-weight:600}
.ipam .cause time{white-space:nowrap;color:var(--dim)}
.ipam .command{display:flex;gap:10px;align-items:start}.ipam .command pre{flex:1;min-width:0}
.ipam details summary{display:list-item;cursor:pointer;font-weight:650;font-size:13px;padding:4px 0}
.ipam ul.plain{margin:0;padding-left:20px}.ipam ol.ways{margin:0;padding-left:24px}
@media(max-width:800px){.ipam .asked{grid-template-columns:minmax(0,1fr)}
.ipam .cause td.place{white-space:normal}
.ipam table.evidence,.ipam table.evidence tbody,.ipam table.evidence tr,
.ipam table.evidence td{display:block;border:0;padding:0}
.ipam table.evidence thead{display:none}
.ipam table.evidence tr{border-bottom:1px solid var(--line);padding:6px 0}}
"""


def fields(asked: Asked, words: Mapping[str, str]) -> str:
    """Return the fields for what the files may not show."""
    shown = "".join(
        f'<label>{words[name]}<input name="{name}" value="{text(value)}" maxlength="253" '
        f'autocomplete="off" spellcheck="false"{more}></label>'
        for name, value, more in (
            ("instance", asked.instance, ""),
            ("max_pods", asked.max_pods, ' inputmode="numeric"'),
            ("node", asked.node, ""),
        )
    )
    return f'<h2>{words["if_missing"]}</h2><div class="asked">{shown}</div>'


def diagnosis(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return a whole diagnosis."""
    tone = _TONE[found["answer"]]
    parts = [
        f'<p class="hint" data-node>{_node_line(found, words)}</p>',
        f'<p class="verdict {tone}" role="status">{text(found["verdict"])}</p>',
        _listed("contradictions", found["contradictions"], words),
        _cards(found["network_cards_not_judged"], words),
        *(_cause(number, each, words) for number, each in enumerate(found["found"])),
    ]
    if not found["found"]:
        rows = _evidence("refusals", found["refusals"], words)
        parts.append(f'<section class="card cause">{rows}</section>' if rows else "")
    if not found["healthy"]:
        doubts = found["doubts"] if not found["found"] else []
        parts.append(_listed("doubts", doubts, words))
        parts.append(_listed("give_too", found["give_too"], words))
    parts.append(
        _listed("not_read", [f"{e['file']}: {e['why']}" for e in found["not_read"]], words)
    )
    judged = "".join(_judged(name, found[name], words) for name in _JUDGED)
    parts.append(f'<section class="card">{judged}{_notes(found["notes"], words)}</section>')
    return "".join(parts)


_JUDGED = ("ruled_out", "covered", "not_judged")


def _node_line(found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    max_pods = found["max_pods"]
    origin = f" ({found['max_pods_from']})" if found["max_pods_from"] else ""
    parts = [
        found["node"] or words["unknown_node"],
        found["instance_type"],
        found["agent_version"] and f"{words['agent']} {found['agent_version']}",
        f"maxPods {max_pods}{origin}" if max_pods else "",
        found["pool"] and _filled("pool", found["pool"], words),
    ]
    return ", ".join(text(part) for part in parts if part)


def _filled(name: str, values: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return words[name].format_map(values)


def _cards(cards: Mapping[str, Any], words: Mapping[str, str]) -> str:
    lines = [
        f"{_filled('card', {'n': card}, words)}: {_filled('pool', pool, words)}"
        for card, pool in cards.items()
    ]
    return _listed("cards", lines, words)


def _listed(name: str, lines: Iterable[str], words: Mapping[str, str]) -> str:
    """Return a card with a list, "" for an empty one."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    if not items:
        return ""
    return (
        f'<section class="card" data-list="{name}"><h2>{words[name]}</h2>'
        f'<ul class="plain">{items}</ul></section>'
    )


def _cause(number: int, found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    certainty = found["certainty"]
    rule = text_lines(found["rule"])
    colon = ":" if rule else ""
    return "".join((
        f'<section class="card cause" data-cause="{text(found["cause"])}">',
        f'<h2><span class="tag {certainty}">{words[certainty]}</span>{text(found["title"])}</h2>',
        f"<p>{text(found['why'])}{colon}</p>",
        f'<pre class="why">{rule}</pre>' if rule else "",
        _evidence("evidence", found["evidence"], words),
        _fix(number, found, words),
        "</section>",
    ))  # fmt: skip


def _evidence(name: str, rows: list[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{words[each]}</th>" for each in ("place", "says", "when"))

    def table(some: list[Mapping[str, Any]]) -> str:
        lines = "".join(
            f'<tr><td class="place">{text(_place(row))}</td><td>{text(row["value"])}</td>'
            f"<td><time>{text(row['time'] or '')}</time></td></tr>"
            for row in some
        )
        return (
            f'<table class="evidence"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
        )

    more = ""
    if hidden := rows[_ROWS_AT_ONCE:_MOST_ROWS]:
        summary = _filled("more", {"n": len(rows) - _ROWS_AT_ONCE}, words)
        more = f"<details><summary>{summary}</summary>{table(hidden)}</details>"
    return f"<h3>{words[name]}</h3>{table(rows[:_ROWS_AT_ONCE])}{more}"


def _place(row: Mapping[str, Any]) -> str:
    return row["file"] if row["line"] is None else f"{row['file']}:{row['line']}"


def _fix(number: int, found: Mapping[str, Any], words: Mapping[str, str]) -> str:
    fix = found["fix"]
    if fix is None:
        return ""
    parts = [f"<h3>{words['fix']}</h3>"]
    ids = (f"command-{number}-{n}" for n in range(10_000))
    if fix["options"]:
        ways = "".join(
            f"<li><p>{text(option['title'])}</p>{_commands(option['commands'], ids, words)}</li>"
            for option in fix["options"]
        )
        parts.append(f'<p>{words["one_of"]}</p><ol class="ways">{ways}</ol>')
    else:
        parts.append(_commands(fix["commands"], ids, words))
    if fix["note"]:
        parts.append(f"<p>{text(fix['note'])}</p>")
    if found["prognosis"]:
        simulated = [n for n, each in enumerate(fix["options"], 1) if each["simulated"]]
        parts.append(_outlook(found["prognosis"], simulated, words))
    elif found["not_simulated"]:
        parts.append(
            f'<p class="hint">{words["not_simulated"]}: {text(found["not_simulated"])}</p>'
        )
    return "".join(parts)


def _commands(commands: Iterable[str], ids: Iterable[str], words: Mapping[str, str]) -> str:
    return "".join(
        f'<div class="command"><pre id="{name}">{text_lines(command.splitlines())}</pre>'
        f'<button type="button" data-copy="{name}" data-copied="{words["copied"]}">{words["copy"]}'
        "</button></div>"
        for command, name in zip(commands, ids, strict=False)
    )


def _outlook(prognosis: Mapping[str, Any], option: list[int], words: Mapping[str, str]) -> str:
    before, after = prognosis["as_it_is"], prognosis["with_fix"]
    with_it = _filled("with_option", {"n": option[0]}, words) if option else words["with_fix"]
    rows: list[tuple[str, Callable[[Mapping[str, Any]], object]]] = [
        ("pods_waiting", lambda one: one["waiting"]),
        ("pods_running", lambda one: one["running"]),
        ("served_after", lambda one: _seconds(one["served_after_s"], words)),
        ("addresses", lambda one: one["total"]),
        ("ENIs", lambda one: one["enis"]),
        ("calls", lambda one: ", ".join(one["requests"]) or "-"),
    ]
    body = "".join(
        f"<tr><th>{words.get(name, name)}</th><td>{text(value(before))}</td>"
        f"<td>{text(value(after))}</td></tr>"
        for name, value in rows
    )
    if after["waiting"] == 0:
        body += f"<tr><th>{words['serves']}</th><td></td><td>{prognosis['serves']}</td></tr>"
    return (
        f"<h3>{words['outlook']}</h3><table><thead><tr><td></td><th>{words['as_it_is']}</th>"
        f"<th>{with_it}</th></tr></thead><tbody>{body}</tbody></table>"
    )


def _seconds(served_after_s: float | None, words: Mapping[str, str]) -> str:
    return words["never"] if served_after_s is None else f"{served_after_s:.3g} s"


def _judged(name: str, causes: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Return causes that are not found, together where the reason is the same."""
    if not causes:
        return ""
    by_reason: dict[str, list[str]] = {}
    for cause, why in causes.items():
        by_reason.setdefault(why, []).append(cause)
    items = "".join(
        f"<li><b>{text(', '.join(named))}</b>: {text(why)}</li>" for why, named in by_reason.items()
    )
    return (
        f'<details data-judged="{name}"><summary>{words[name]} ({len(causes)})</summary>'
        f'<ul class="plain">{items}</ul></details>'
    )


def _notes(notes: list[str], words: Mapping[str, str]) -> str:
    items = "".join(f"<li>{text(note)}</li>" for note in notes)
    return (
        f'<details open data-list="notes"><summary>{words["notes"]}</summary>'
        f'<ul class="plain">{items}</ul></details>'
    )
