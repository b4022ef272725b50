"""The part `doctor`: files are dropped, and their diagnosis is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import run, ui

from ipam_core.diagnosis.inputs.collect import read_streams
from ipam_core.errors import IpamError
from ipam_core.web.doctor import shown
from ipam_core.web.doctor.asked import Asked
from ipam_core.web.doctor.words import WORDS
from ipam_core.web.drop import drop_zone
from ipam_core.web.form import form_of
from ipam_core.web.frame import framed
from ipam_core.web.markup import problem
from ipam_core.web.script import SEND_FORM
from ipam_core.web.words import language_of, words_in

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case
    from ipam_core.web.drop import Dropped


def add_page() -> None:
    """Add the part to an application."""

    @ui.page("/doctor")
    def doctor(request: Request) -> None:
        _Page(request.url.query)


class _Page:
    """One browser's page: the case that was dropped last, and what is asked of it."""

    def __init__(self, query: str) -> None:
        language = language_of(query)
        self._words = words = words_in(language, WORDS)
        self._asked = Asked()
        self._case: Case | None = None
        self._turn = 0
        with framed("/doctor", query, words):
            ui.add_head_html(f"<style>{shown.STYLE}</style>")
            drop_zone(self._dropped, lang=language, folders=True)
            form = ui.element("form").props(f'aria-label="{words["if_missing"]}"').classes("card")
            form.on("change", self._changed, js_handler=SEND_FORM)
            form.on("submit", js_handler="event => event.preventDefault()")
            with form:
                ui.html(shown.fields(self._asked, words), sanitize=False)
            self._result = ui.html("", sanitize=False).props("data-result")

    async def _dropped(self, files: list[Dropped]) -> None:
        self._case = None
        self._result.content = ""
        self._case = await run.io_bound(read_streams, [(f.name, f.stream) for f in files])
        await self._diagnose()

    async def _changed(self, event: Any) -> None:
        self._asked = form_of(Asked, event.args)
        if self._case is None:
            return
        try:
            await self._diagnose()
        except IpamError as error:
            self._result.content = problem(error)

    async def _diagnose(self) -> None:
        """Show the diagnosis, unless another one was asked for since."""
        assert self._case is not None
        self._turn += 1
        turn = self._turn
        found = await run.io_bound(self._asked.diagnose, self._case)
        if found is not None and turn == self._turn:  # None: the server is stopping
            self._result.content = shown.diagnosis(found.to_dict(), self._words)
