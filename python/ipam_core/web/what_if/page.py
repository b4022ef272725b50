"""The page: its controls, and what is updated when one is moved."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import run, ui

from ipam_core.cli._explain_compare import changes
from ipam_core.cli._given import read_given
from ipam_core.diagnosis.explain.explanation import Explanation, explain
from ipam_core.diagnosis.explain.survey import survey
from ipam_core.errors import IpamError
from ipam_core.web.frame import framed
from ipam_core.web.markup import problem
from ipam_core.web.what_if import shown
from ipam_core.web.what_if.state import State, limits_of
from ipam_core.web.what_if.words import WORDS
from ipam_core.web.words import words_in

if TYPE_CHECKING:
    from fastapi import FastAPI

_FORM = "event => emit(Object.fromEntries(new FormData(event.currentTarget)))"


def add_page(_app: FastAPI) -> None:
    """Add the page to an application. Every browser's page has its own state, in its link."""

    @ui.page("/")
    def what_if(request: Request) -> None:
        _Page(request.url.query)


def given(state: State) -> dict[str, str]:
    """Return the variables of a state, as `explain` reads those of `-e`."""
    return read_given(f"{name}={value}" for name, value in state.env).variables


@lru_cache(maxsize=64)
def explained(state: State) -> Explanation:
    """Return what `explain` finds for a state. Raises `IpamError`. Cost: that of `explain`."""
    return explain(limits_of(state), given(state), max_pods=state.pods())


def _answer(state: State) -> str:
    found = explained(state.alone())
    before = state.before
    rows = None if before is None else changes((explained(before.alone()), found))
    return shown.answer(found.to_dict(), state, words_in(state.lang, WORDS), rows)


class _Page:
    """One browser's page."""

    def __init__(self, query: str) -> None:
        wrong: IpamError | None = None
        try:
            self._state = State.from_query(query)
        except IpamError as error:
            self._state, wrong = State(), error
        self._asked = 0
        words = words_in(self._state.lang, WORDS)
        with framed("/", self._state.query, words), ui.element("div").classes("columns"):
            form = ui.element("form").props(f'aria-label="{words["title"]}"')
            form.on("input", self._moved, js_handler=_FORM)
            form.on("submit", js_handler="event => event.preventDefault()")
            with form:
                ui.html(shown.controls(self._state, words), sanitize=False)
            with ui.element("div"):
                self._verdict = ui.html("", sanitize=False)
                self._rest = ui.html("", sanitize=False)
        if wrong is not None:
            self._verdict.content = problem(wrong)
        else:
            ui.timer(0, self._update, once=True)

    async def _moved(self, event: Any) -> None:
        try:
            self._state = State.from_form(event.args if isinstance(event.args, dict) else {})
        except IpamError as error:
            self._refuse(error)
            return
        ui.navigate.history.replace(f"?{self._state.query}")
        await self._update()

    async def _update(self) -> None:
        """Show the verdict at once, by the states at rest; then all that playing the node finds."""
        self._asked += 1
        asked, state = self._asked, self._state
        try:
            limits, pods = limits_of(state), state.pods()
            quick = survey([limits], given(state), max_pods=pods)[0].verdict
            self._verdict.content = shown.verdict(quick, state.instance)
            content = await run.io_bound(_answer, state)
            if asked == self._asked:
                found = explained(state.alone()).verdict
                self._verdict.content = shown.verdict(found, state.instance)
                self._rest.content = content
        except IpamError as error:
            if asked == self._asked:
                self._refuse(error)

    def _refuse(self, error: IpamError) -> None:
        self._asked += 1
        self._verdict.content = problem(error)
        self._rest.content = ""
