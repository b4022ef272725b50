"""The HTML of this part; what is in it is drawn by `life.js`. Every text is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.web.markup import text, text_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core.simulation.scenario.checking import Mismatch

POLICIES = ("vpc-cni", "ipam-core")
_STATES = ("held", "cooling", "free", "unused")


def player(number: int, heading: str, policy: str, words: Mapping[str, str]) -> str:
    """Return the time line and all that it moves, still empty; `number` is that of the film."""
    radios = []
    for name in POLICIES:
        checked = " checked" if name == policy else ""
        radios.append(
            f'<label><input type="radio" name="policy" value="{name}"{checked}>{name}</label>'
        )
    heads = "".join(f'<th class="number" scope="col">{name}</th>' for name in POLICIES)
    return f"""
<div class="life" data-film="{number}">
<section class="card wide"><div class="top"><h2 id="heading">{text(heading)}</h2>
<fieldset><legend class="sr">{words["policy"]}</legend>{"".join(radios)}</fieldset></div>
<div id="chart"></div>
<input type="range" id="time" min="0" max="0" value="0" aria-label="{words["time"]}">
<div class="times"><button type="button" id="play">{words["play"]}</button>
<output id="now"></output></div>
{_legend(words)}
<p class="problem" id="cut" hidden>{words["cut"]}</p></section>
<section class="card" id="pool"><h2>{words["enis"]}</h2>
<div id="enis" role="grid" aria-label="{words["enis"]}"></div>
<p id="under">{words["point"]}</p></section>
<div id="side">
<section class="card"><h2>{words["figures"]}</h2><table id="figures"><thead><tr>
<th scope="col">{words["what"]}</th>{heads}<td></td></tr></thead><tbody></tbody>
<tbody class="whole"></tbody></table></section>
<section class="card" id="why"><h2>{words["why"]}</h2><p id="why-when"></p>
<pre id="growth"></pre><pre id="shrinking"></pre>
<p class="problem" id="pauses" hidden>{words["pauses"]}</p>
<h3>{words["calls"]}</h3><ul id="calls"></ul><p class="hint" id="no-calls">{words["no_calls"]}</p>
</section>
<section class="card"><h2>{words["waiting"]}</h2><ul class="names" id="waiting" tabindex="0"
aria-label="{words["waiting"]}"></ul>
<p class="hint" id="none-waiting">{words["none_waiting"]}</p></section>
</div>
<section class="card" id="list"><h2>{words["moments"]}</h2><ol id="moments"></ol></section>
</div>"""


def _legend(words: Mapping[str, str]) -> str:
    states = "".join(f'<li><i class="{name}"></i>{words[name]}</li>' for name in _STATES)
    return (
        f'<ul class="legend">{states}<li><span class="line"></span>{words["pods"]}</li>'
        f'<li><span class="dot"></span>{words["n_calls_here"]}</li></ul>'
    )


def unmet(found: Mapping[str, Sequence[Mismatch]], words: Mapping[str, str]) -> str:
    """Return what a scenario expects and a policy did not do; "" if all is met."""
    lines = [
        f"<li>{policy}: {text(mismatch)}</li>"
        for policy, mismatches in found.items()
        for mismatch in mismatches
    ]
    if not lines:
        return ""
    return (
        f'<section class="card"><h2>{words["unmet"]}</h2>'
        f'<ul class="names" id="unmet">{"".join(lines)}</ul></section>'
    )


def file(name: str, content: str, words: Mapping[str, str]) -> str:
    """Return a scenario's file, and the command that prints the same numbers."""
    return (
        f'<section class="card"><h2>{words["same"]}</h2><pre>ipam-core simulate {text(name)} '
        '--policy <span id="policy"></span> --json</pre>'
        f"<details><summary>{text(name)}</summary>"
        f"<pre>{text_lines(content.splitlines())}</pre></details></section>"
    )


def choices(ids: Sequence[str], chosen: int, words: Mapping[str, str]) -> str:
    """Return the choice of one scenario of a file, "" if there is one only."""
    if len(ids) < 2:
        return ""
    options = []
    for number, each in enumerate(ids):
        selected = " selected" if number == chosen else ""
        options.append(f'<option value="{number}"{selected}>{text(each)}</option>')
    return f'<label>{words["one_of"]}<select id="one-of">{"".join(options)}</select></label>'
