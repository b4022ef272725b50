"""Foreign texts as HTML that shows them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ipam_core.quoting import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def text(value: object) -> str:
    """Return a text as HTML that shows it, whatever is in it."""
    return escape(visible(str(value)))


def text_lines(lines: Iterable[str]) -> str:
    """Return lines of text as HTML that shows them."""
    return "\n".join(map(text, lines))


def problem(message: object) -> str:
    """Return what is wrong with what was asked."""
    return f'<p class="problem" role="alert">{text(message)}</p>'


def examples(names: Iterable[str], chosen: str, language: str, words: Mapping[str, str]) -> str:
    """Return links to examples, whose words are `ex_NAME`; `chosen` may be ""."""
    links = []
    for name in names:
        current = ' aria-current="true"' if name == chosen else ""
        links.append(
            f'<a class="button" href="?example={name}&amp;lang={language}"{current}>'
            f"{text(words[f'ex_{name}'])}</a>"
        )
    return f'<h2>{words["examples"]}</h2><div class="choices">{"".join(links)}</div>'


def copied(name: str, heading: str, content: str, words: Mapping[str, str]) -> str:
    """Return a text with a button that copies it. `name` is the text's id; `heading` is HTML."""
    return (
        f'<div class="form"><div><span>{heading}</span><button type="button" '
        f'data-copy="{name}" data-copied="{words["copied"]}" '
        f'aria-label="{words["copy"]}: {heading}">{words["copy"]}</button>'
        f'</div><pre id="{name}">{text_lines(content.splitlines())}</pre></div>'
    )
