"""The frame of every part: header, links to the other parts, language, theme.

A part is a sub-package with its words.py and a page.py, whose `add_page()` adds a page::

    def add_page() -> None:
        @ui.page("/doctor")
        def doctor(request: Request) -> None:
            words = words_in(language_of(request.url.query), WORDS)
            with framed("/doctor", request.url.query, words):
                ui.html(...)

To add a part: its link in `PARTS` here, its page in parts.py. `words` has its own `title` and
`lead`, and those of the frame. The language is `lang` in the query of every link, kept by those of
the frame; the theme is kept in the browser.
Classes of look.py: `card` for a section, `columns` for controls next to what they show, `scroll`
for a region that scrolls, `button`, `hint`, `tag`, `verdict`. An element with `data-copy="ID"`
copies the text of the element ID (`markup.copied`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from ipam_core.web.look import STYLE
from ipam_core.web.markup import text
from ipam_core.web.script import SCRIPT
from ipam_core.web.words import LANGUAGES, language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARTS = {
    "/": ("What if", "설정 바꿔 보기"),
    "/life": ("A node's life", "노드의 일생"),
    "/fleet": ("A fleet", "플릿"),
    "/subnet": ("A subnet", "서브넷"),
    "/doctor": ("Doctor", "노드 진단"),
}
"""The parts in the order of their links: by path, the name in each language."""
_THEMES = ("system", "light", "dark")


@contextmanager
def framed(path: str, query: str, words: Mapping[str, str]) -> Iterator[None]:
    """Build the page of the part at `path` in the frame; `query` is that of its link."""
    language = language_of(query)
    ui.add_head_html(f"<style>{STYLE}</style><script>{SCRIPT}</script>")
    ui.page_title(f"{words['title']} - ipam_core")
    ui.query("body").classes("ipam")
    ui.query("html").props(f"lang={language}")
    with ui.element("div").classes("sheet"):
        ui.html(_header(path, language, words), sanitize=False)
        yield


def _header(path: str, language: str, words: Mapping[str, str]) -> str:
    column = LANGUAGES.index(language)
    kept = "" if language == "en" else f"?lang={language}"
    links = "".join(
        f'<a href="{to}{kept}"{_CURRENT if to == path else ""}>{text(names[column])}</a>'
        for to, names in PARTS.items()
    )
    themes = "".join(
        f'<button type="button" data-theme-choice="{name}" aria-pressed="false">'
        f"{words[name]}</button>"
        for name in _THEMES
    )
    other = LANGUAGES[1 - column]
    return (
        f'<header><div class="bar"><nav aria-label="{words["parts"]}">{links}</nav>'
        f'<div class="themes" role="group" aria-label="{words["theme"]}">{themes}</div>'
        f'<a class="button" lang="{other}" data-language="{other}" href="?lang={other}">'
        f"{words['other']}</a></div><h1>{words['title']}</h1>"
        f'<p class="lead">{words["lead"]}</p></header>'
    )


_CURRENT = ' aria-current="page"'
