"""The page: its controls, and what is updated when one is moved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import ui

from ipam_core.diagnosis.explain.giving_up import given_up_if
from ipam_core.errors import IpamError
from ipam_core.web.frame import framed
from ipam_core.web.markup import problem
from ipam_core.web.script import SEND_FORM
from ipam_core.web.what_if import found, shown
from ipam_core.web.what_if.asked import explained, played
from ipam_core.web.what_if.state import State
from ipam_core.web.what_if.words import WORDS
from ipam_core.web.words import words_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.web.what_if.asked import Played

_STILL_S = 0.3
"""After this time without a move of a control, findings are searched."""
_MOST_S = 60.0
"""The longest time in which a page is built: several types of thousands of pods."""


def add_page() -> None:
    """Add the page to an application. Every browser's page has its own state, in its link."""

    @ui.page("/", response_timeout=_MOST_S)
    async def what_if(request: Request) -> None:
        nodes: tuple[Played, ...] = ()
        wrong: IpamError | None = None
        try:
            state = State.from_query(request.url.query)
        except IpamError as error:
            state, wrong = State(), error
        else:
            try:
                nodes = await asyncio.to_thread(played, state.alone())
            except IpamError as error:
                wrong = error
        page = _Page(state)
        ui.context.client.on_delete(page.leave)
        if wrong is not None:
            page.refuse(wrong)
        else:
            page.show(nodes)
            ui.timer(0, page.search, once=True)


def _found(state: State, is_stale: Callable[[], bool]) -> tuple[str, str]:
    """Return what is found as HTML, and the tables with the way back. Raises `GivenUpError`."""
    words = words_in(state.lang, WORDS)
    with given_up_if(is_stale):
        nodes, together = explained(state.alone())
        before = None if state.before is None else explained(state.before.alone())[0]
    changed = found.compared(before, nodes, state, words)
    rows = shown.tables([each.play for each in nodes], words, back=True)
    return changed + found.findings(nodes, together, state, words), rows


class _Page:
    """One browser's page."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._asked = 0
        self._words = words = words_in(state.lang, WORDS)
        with framed("/", state.query, words), ui.element("div").classes("columns"):
            form = ui.element("form").props(f'aria-label="{words["title"]}"')
            form.on("input", self._moved, js_handler=SEND_FORM)
            form.on("submit", js_handler="event => event.preventDefault()")
            with form:
                ui.html(shown.controls(state, words), sanitize=False)
            with ui.element("div"):
                self._wrong = ui.html("", sanitize=False)
                self._answer = ui.element("div")
                with self._answer:
                    self._verdicts = ui.html("", sanitize=False).props("role=status")
                    self._pictures = ui.html("", sanitize=False)
                    self._found = ui.html("", sanitize=False)
                    self._tables = ui.html("", sanitize=False)
                    self._forms = ui.html("", sanitize=False)

    async def _moved(self, event: Any) -> None:
        self._asked += 1
        asked = self._asked
        try:
            state = State.from_form(event.args if isinstance(event.args, dict) else {})
            nodes = await asyncio.to_thread(played, state.alone())
        except IpamError as error:
            if asked == self._asked:
                self.refuse(error)
            return
        if asked == self._asked:
            self._state = state
            ui.navigate.history.replace(f"?{state.query}")
            self.show(nodes)
            await self.search()

    def leave(self) -> None:
        """End what is searched: the browser has gone, and has not come back."""
        self._asked += 1

    def show(self, nodes: tuple[Played, ...]) -> None:
        """Show what is known at once: the nodes as played. What was found before is greyed."""
        state, words = self._state, self._words
        self._wrong.content = ""
        self._answer.props(remove="inert")
        self._verdicts.content = shown.verdicts(nodes)
        self._pictures.content = shown.pictures(nodes, words)
        self._tables.content = shown.tables([each.play for each in nodes], words, back=False)
        self._forms.content = shown.forms(state, words)
        self._found.props('inert aria-busy="true"')

    async def search(self) -> None:
        """Show what is found. It ends soon if a control is moved again, or the page is left."""
        asked, state = self._asked, self._state
        if asked:
            await asyncio.sleep(_STILL_S)
        if asked != self._asked:
            return
        try:
            content, rows = await asyncio.to_thread(_found, state, lambda: asked != self._asked)
        except IpamError as error:
            if asked == self._asked:
                self.refuse(error)
            return
        if asked == self._asked:
            self._found.content = content
            self._tables.content = rows
            self._found.props(remove="inert").props('aria-busy="false"')

    def refuse(self, error: IpamError) -> None:
        """Show why there is no answer; the last one is greyed, and cannot be used."""
        self._wrong.content = problem(error)
        self._answer.props("inert")
