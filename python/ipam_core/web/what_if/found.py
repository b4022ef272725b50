"""What is found, and what a change does, as HTML: every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cli._explain_compare import changes
from ipam_core.cli._explain_machine import plain_together
from ipam_core.diagnosis.explain.plain import plain_finding
from ipam_core.diagnosis.explain.together import worse
from ipam_core.web.markup import text, text_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.together import Together
    from ipam_core.web.what_if.state import State


def findings(
    found: Sequence[Explanation], one: Together | None, state: State, words: Mapping[str, str]
) -> str:
    """Return the findings, each with its fix, and the one change for all of them."""
    parts = [f'<section class="card" id="findings"><h2>{words["findings"]}</h2>']
    grouped = _by_finding(found)
    if not grouped:
        parts.append(f"<p>{words['none']}</p>")
    for each, types in grouped:
        named = f" <span>{text(', '.join(types))}</span>" if len(found) > 1 else ""
        parts.append(
            f'<div class="finding"><p><span class="tag {each["severity"]}">{each["severity"]}'
            f"</span><b>{text(each['identifier'])}</b>{named}</p><p>{text(each['rule'])}</p>"
            f'<pre class="why">{text_lines(each["why"])}</pre>'
        )
        if each["fix"]:
            parts.append(_fix(each["fix"], each["identifier"], state, words))
        else:
            parts.append(f'<p class="hint">{words["change"]}: {text(each["change"])}</p>')
        parts += [
            f'<p class="hint">{words["or"]}: {text(other)}</p>' for other in each["alternatives"]
        ]
        parts.append("</div>")
    together = plain_together(one, found)
    if together is not None:
        parts.append(
            f'<div class="finding" id="together"><p><b>{words["together"]}</b>: '
            f"{text(', '.join(together['fixes']))}</p>{_fix(together, 'together', state, words)}"
        )
        if together["left"]:
            left = text(", ".join(together["left"]))
            parts.append(f'<p class="hint">{words["left"]}: {left}</p>')
        parts.append("</div>")
    return "".join([*parts, "</section>"])


def _by_finding(found: Sequence[Explanation]) -> list[tuple[dict[str, Any], list[str]]]:
    """Return each finding as plain values, with the types that have it."""
    grouped: list[tuple[dict[str, Any], list[str]]] = []
    for each in found:
        name = each.case.limits.instance_type
        for finding in map(plain_finding, each.findings):
            types = next((types for same, types in grouped if same == finding), None)
            if types is None:
                grouped.append((finding, [name]))
            else:
                types.append(name)
    return grouped


def _fix(fix: Mapping[str, Any], name: str, state: State, words: Mapping[str, str]) -> str:
    parts = [f"<pre>{text(command)}</pre>" for command in fix["commands"]]
    if fix.get("note"):
        parts.append(f"<p>{text(fix['note'])}</p>")
    if fix["outcome"]:
        parts.append(f'<p class="hint">{words["outcome"]}: {text(fix["outcome"])}</p>')
    if fix["env"] or fix.get("max_pods"):
        link = state.with_fix(fix["env"] or {}, fix.get("max_pods")).query
        parts.append(
            f'<p><a class="button" href="?{text(link)}" data-fix="{text(name)}">'
            f"{words['apply']}</a></p>"
        )
    return "".join(parts)


def compared(
    before: Sequence[Explanation] | None,
    found: Sequence[Explanation],
    state: State,
    words: Mapping[str, str],
) -> str:
    """Return what changed, a table for each type; without `before`, how to compare."""
    if before is None:
        link = text(state.pinned().query)
        return (
            f'<section class="card row" id="pin"><p class="hint">{words["pin_what"]}</p>'
            f'<a class="button" href="?{link}">{words["pin"]}</a></section>'
        )
    was = state.before
    assert was is not None
    back = text(was.in_language(state.lang).query)
    parts = [f'<section class="card" id="compared"><h2>{words["compare"]}</h2>']
    parts += [_changes(old, new, words) for old, new in zip(before, found, strict=False)]
    parts.append(
        f'<p class="buttons"><a class="button" href="?{back}">{words["undo"]}</a> '
        f'<a class="button" href="?{text(state.unpinned().query)}">{words["unpin"]}</a></p>'
    )
    return "".join([*parts, "</section>"])


def _changes(old: Explanation, new: Explanation, words: Mapping[str, str]) -> str:
    names = dict.fromkeys(each.case.limits.instance_type for each in (old, new))
    bad = f' <span class="tag error">{words["worse"]}</span>' if worse(old, new) else ""
    name = f"<p><b>{text(' → '.join(names))}</b>{bad}</p>"
    rows = [
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>"
        for row in changes((old, new))
    ]
    if not rows:
        return f"{name}<p>{words['same']}</p>"
    head = "".join(f"<th>{words[each]}</th>" for each in ("what", "as_it_was", "as_it_is"))
    return f"{name}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
