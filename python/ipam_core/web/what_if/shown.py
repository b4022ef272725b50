"""The controls, and what played nodes hold, as HTML: every text is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.cli._levels import level_rows, slots_word, stall_row
from ipam_core.diagnosis.explain.levels import plain_levels
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.settings import Settings
from ipam_core.variables import VARIABLES
from ipam_core.web.markup import copied, text
from ipam_core.web.what_if.forms import addon, helm, kubectl
from ipam_core.web.what_if.picture import stairs
from ipam_core.web.what_if.state import (
    DEFAULT_TYPE,
    OTHERS,
    POLICIES,
    SWITCHES,
    TARGETS,
    TYPES,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core.cli._levels import Cells
    from ipam_core.diagnosis.explain.play import Play
    from ipam_core.web.what_if.asked import Played

_NUMBER = 'inputmode="numeric"'
_EACH = {"addresses": "addresses_each", "prefixes": "prefixes", "slots": "slots"}


def controls(state: State, words: Mapping[str, str]) -> str:
    """Return the controls, with the agent's defaults next to them."""
    env, defaults = dict(state.env), Settings()
    parts = [f'<section class="card"><h2>{words["node"]}</h2>']
    for name, value in zip(TYPES, [*state.types, "", "", ""], strict=False):
        first = name == TYPES[0]
        empty = f'list="types" placeholder="{DEFAULT_TYPE if first else words["one_more"]}"'
        label = words["instance"] if first else words["and"]
        parts.append(_field(name, label, value, "", empty))
    parts.append(f'<datalist id="types">{_options()}</datalist>')
    parts.append(_field("maxPods", "maxPods", state.max_pods, usual_pods(state, words), _NUMBER))
    parts.append(_policies(state, words))
    parts.append(f'</section><section class="card"><h2>{words["targets"]}</h2>')
    for name in TARGETS:
        default = f"{words['default']} {getattr(defaults, VARIABLES[name])}"
        parts.append(_field(name, f"<code>{name}</code>", env.get(name, ""), default, _NUMBER))
    more = [name for name in OTHERS if name in env]
    parts += [_field(name, f"<code>{name}</code>", env[name], "", "") for name in more]
    parts.append(f'</section><section class="card"><h2>{words["switches"]}</h2>')
    for name in SWITCHES:
        checked = " checked" if name in env else ""
        default = str(getattr(defaults, VARIABLES[name])).lower()
        parts.append(
            f'<label class="check"><input type="checkbox" name="{name}" value="true"{checked}>'
            f'<span>{words[name]}<br><code>{name}</code><br><span class="hint">'
            f"{words['default']} {default}</span></span></label>"
        )
    parts.append("</section>")
    hidden = (("lang", state.lang), ("was", state.was))
    parts += [f'<input type="hidden" name="{name}" value="{text(v)}">' for name, v in hidden]
    return "".join(parts)


@cache
def _options() -> str:
    return "".join(f'<option value="{text(name)}"></option>' for name in instances.names())


def _policies(state: State, words: Mapping[str, str]) -> str:
    choices = "".join(
        f'<option value="{name}"{" selected" * (name == state.policy)}>{words[name]}</option>'
        for name in POLICIES
    )
    return f'<label>{words["policy"]}<select name="policy">{choices}</select></label>'


def _field(name: str, label: str, value: str, hint: str, more: str) -> str:
    hinted = f'<span class="hint" id="hint-{name}">{text(hint)}</span>'
    return (
        f'<label>{label} {hinted}<input name="{name}" value="{text(value)}" '
        f'autocomplete="off" spellcheck="false" {more}></label>'
    )


def usual_pods(state: State, words: Mapping[str, str]) -> str:
    """Return the default of maxPods as its hint: one for each type."""
    settings = Settings.from_env(dict(state.env))
    try:
        values = [instances.max_pods(instances.limits(name), settings) for name in state.types]
    except UnknownInstanceTypeError:
        return ""
    return f"{words['usual']}: {', '.join(str(each.value) for each in values)}"


def verdicts(nodes: Sequence[Played]) -> str:
    """Return the verdict of each node."""
    return "".join(
        f'<p class="verdict{"" if each.verdict.serves_all else " bad"}">'
        f"{text(each.limits.instance_type)}: {text(each.verdict)}</p>"
        for each in nodes
    )


def pictures(nodes: Sequence[Played], words: Mapping[str, str]) -> str:
    """Return the stairs of each node, those of several next to each other."""
    cards = []
    for each in nodes:
        name = text(each.limits.instance_type)
        heading = f"<h2>{name}</h2>" if len(nodes) > 1 else ""
        picture = f"<p>{words['ipv6']}</p>"
        if each.play.mode != "ipv6":
            picture = stairs(plain_levels(each.play.up), each.verdict, name, words)
        cards.append(f'<section class="card">{heading}{picture}</section>')
    return f'<div class="{"side" if len(nodes) > 1 else "one"}">{"".join(cards)}</div>'


def tables(plays: Sequence[Play], words: Mapping[str, str], *, back: bool) -> str:
    """Return a table for each node in the form of AWS's documents; `back` plays the way back."""
    cards = []
    for number, play in enumerate(plays):
        if play.mode == "ipv6" or not play.up:
            continue
        name = f": {text(play.case.limits.instance_type)}" if len(plays) > 1 else ""
        numbers = (words["pods"], "ENIs")
        head = "".join(f'<th class="number">{each}</th>' for each in numbers)
        head += f"<th>{words[_EACH[slots_word(play)]]}</th>"
        head += f'<th class="number">{words["free"]}</th><th>{words["calls"]}</th>'
        rows = [_row(cells) for cells in level_rows(play.up)]
        stall = stall_row(play)
        rows += [_row(stall, "bad")] if stall is not None else []
        if back and play.back:
            rows.append(f'<tr><th colspan="5" scope="rowgroup">{words["back"]}</th></tr>')
            rows += [_row(cells) for cells in level_rows(play.back)]
        cards.append(
            f'<section class="card"><h2 id="steps-{number}">{words["table"]}{name}</h2>'
            f'<div class="scroll" tabindex="0" role="region" aria-labelledby="steps-{number}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            "</section>"
        )
    return "".join(cards)


def _row(cells: Cells, kind: str = "") -> str:
    pods, enis, held, free, calls = map(text, cells)
    return (
        f'<tr class="{kind}"><td class="number">{pods}</td><td class="number">{enis}</td>'
        f'<td>{held}</td><td class="number">{free}</td><td>{calls}</td></tr>'
    )


def forms(state: State, words: Mapping[str, str]) -> str:
    """Return the settings in each form that a cluster takes, to copy."""
    before = dict(state.before.env) if state.before else {}
    unset = tuple(name for name in before if name not in dict(state.env))
    made = (
        ("kubectl", "kubectl", kubectl(state, unset)),
        ("helm", words["helm"], helm(state)),
        ("addon", words["addon"], addon(state)),
        ("command", words["numbers"], state.command()),
    )
    parts = [f'<section class="card"><h2>{words["apply_it"]}</h2>']
    parts += [copied(name, heading, content, words) for name, heading, content in made]
    return "".join([*parts, "</section>"])
