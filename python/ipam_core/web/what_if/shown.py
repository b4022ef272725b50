"""An explanation as HTML: what is read from its plain values; every text is escaped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.settings import Settings
from ipam_core.variables import VARIABLES
from ipam_core.web.markup import copied, text, text_lines
from ipam_core.web.what_if.forms import addon, helm, kubectl
from ipam_core.web.what_if.picture import stairs
from ipam_core.web.what_if.state import OTHERS, SWITCHES, TARGETS, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def controls(state: State, words: Mapping[str, str]) -> str:
    """Return the controls, with the agent's defaults next to them."""
    env = dict(state.env)
    types = "".join(f'<option value="{text(name)}"></option>' for name in instances.names())
    parts = [
        f'<section class="card"><h2>{words["node"]}</h2>',
        _field("instance", words["instance"], state.instance, "", 'list="types"'),
        f'<datalist id="types">{types}</datalist>',
        _field("maxPods", "maxPods", state.max_pods, usual_pods(state, words), _NUMBER),
        f'</section><section class="card"><h2>{words["targets"]}</h2>',
    ]
    defaults = Settings()
    for name in TARGETS:
        default = f"{words['default']} {getattr(defaults, VARIABLES[name])}"
        parts.append(_field(name, f"<code>{name}</code>", env.get(name, ""), default, _NUMBER))
    more = [name for name in OTHERS if name in env]
    parts += [_field(name, f"<code>{name}</code>", env[name], "", "") for name in more]
    parts.append(f'</section><section class="card"><h2>{words["switches"]}</h2>')
    for name in SWITCHES:
        checked = " checked" if name in env else ""
        parts.append(
            f'<label class="check"><input type="checkbox" name="{name}" value="true"{checked}>'
            f"<code>{name}</code></label>"
        )
    parts.append("</section>")
    hidden = (("lang", state.lang), ("was", state.was))
    parts += [f'<input type="hidden" name="{name}" value="{text(v)}">' for name, v in hidden]
    return "".join(parts)


_NUMBER = 'inputmode="numeric"'


def _field(name: str, label: str, value: str, hint: str, more: str) -> str:
    hinted = f'<span class="hint" id="hint-{name}">{text(hint)}</span>'
    return (
        f'<label>{label} {hinted}<input name="{name}" value="{text(value)}" '
        f'autocomplete="off" spellcheck="false" {more}></label>'
    )


def usual_pods(state: State, words: Mapping[str, str]) -> str:
    """Return the default of maxPods as its hint."""
    try:
        limits = instances.limits(state.instance)
    except UnknownInstanceTypeError:
        return ""
    value = instances.max_pods(limits, Settings.from_env(dict(state.env))).value
    return f"{words['usual']}: {value}"


def verdict(found: Any, instance: str) -> str:
    """Return the verdict of an explanation or of a survey."""
    bad = "" if found.serves_all else " bad"
    return f'<p class="verdict{bad}" role="status">{text(instance)}: {text(found)}</p>'


def answer(
    found: Mapping[str, Any],
    state: State,
    words: Mapping[str, str],
    changes: Iterable[tuple[str, str, str]] | None,
) -> str:
    """Return all below the verdict, for an explanation given as its plain values."""
    parts = [f'<section class="card">{stairs(found, words)}</section>']
    if changes is not None:
        parts.append(_compared(list(changes), state, words))
    parts.append(_findings(found["findings"], state, words))
    parts.append(_table(found["up"], words))
    parts.append(_forms(state, words))
    return "".join(parts)


def _findings(findings: list[dict[str, Any]], state: State, words: Mapping[str, str]) -> str:
    parts = [f'<section class="card" id="findings"><h2>{words["findings"]}</h2>']
    if not findings:
        parts.append(f"<p>{words['none']}</p>")
    for each in findings:
        severity = each["severity"]
        parts.append(
            f'<div class="finding"><p><span class="tag {severity}">{severity}</span>'
            f"<b>{text(each['identifier'])}</b></p><p>{text(each['rule'])}</p>"
            f'<pre class="why">{text_lines(each["why"])}</pre>'
        )
        fix = each["fix"]
        if fix:
            parts += [f"<pre>{text(command)}</pre>" for command in fix["commands"]]
            if fix["outcome"]:
                parts.append(f'<p class="hint">{words["outcome"]}: {text(fix["outcome"])}</p>')
            if fix["env"] or fix["max_pods"]:
                link = state.with_fix(fix["env"] or {}, fix["max_pods"]).query
                parts.append(
                    f'<p><a class="button" href="?{text(link)}" '
                    f'data-fix="{text(each["identifier"])}">{words["apply"]}</a></p>'
                )
        parts.append("</div>")
    return "".join([*parts, "</section>"])


def _compared(changes: list[tuple[str, str, str]], state: State, words: Mapping[str, str]) -> str:
    back = replace(State.from_query(state.was), was="", lang=state.lang).query
    head = "".join(f"<th>{words[name]}</th>" for name in ("what", "as_it_was", "as_it_is"))
    rows = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in changes
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    shown = table if changes else f"<p>{words['same']}</p>"
    return (
        f'<section class="card" id="compared"><h2>{words["compare"]}</h2>{shown}'
        f'<p style="margin-top:10px"><a class="button" href="?{text(back)}">{words["undo"]}</a></p>'
        "</section>"
    )


def _table(levels: list[dict[str, Any]], words: Mapping[str, str]) -> str:
    numbers = (words["pods"], "ENIs", words["held"], words["free"])
    head = "".join(f'<th class="number">{name}</th>' for name in numbers)
    rows = []
    for each in levels:
        cells = (
            _range(each["pods"]),
            str(each["enis"]),
            str(each["addresses"]),
            _range(each["free"]),
        )
        calls = ", ".join(f"{name} {n}" for name, n in each["ec2_calls"].items())
        row = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f"<tr>{row}<td>{text(calls)}</td></tr>")
    return (
        f'<section class="card"><h2 id="steps">{words["table"]}</h2>'
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="steps">'
        f"<table><thead><tr>{head}<th>{words['calls']}</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _range(ends: list[int]) -> str:
    return "-".join(map(str, dict.fromkeys(ends)))


def _forms(state: State, words: Mapping[str, str]) -> str:
    before = dict(state.before.env) if state.before else {}
    unset = tuple(name for name in before if name not in dict(state.env))
    forms = (
        ("kubectl", "kubectl", kubectl(state, unset)),
        ("helm", words["helm"], helm(state)),
        ("addon", words["addon"], addon(state)),
        ("command", words["numbers"], state.command()),
    )
    parts = [f'<section class="card"><h2>{words["apply_it"]}</h2>']
    for name, heading, content in forms:
        parts.append(copied(name, heading, content, words))
    return "".join([*parts, "</section>"])
