"""The part `A subnet`: files are dropped, or read from AWS; the map, and what drains give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import run, ui

from ipam_core.errors import InputError, IpamError
from ipam_core.subnet.inventory import inventory_of
from ipam_core.subnet.live import read_live
from ipam_core.web.drop import drop_zone
from ipam_core.web.form import form_of
from ipam_core.web.frame import framed
from ipam_core.web.markup import problem
from ipam_core.web.script import SEND_FORM
from ipam_core.web.subnet import shown
from ipam_core.web.subnet.advice import advice as advice_html
from ipam_core.web.subnet.asked import Asked, Read
from ipam_core.web.subnet.blocks import blocks_of_nodes, gain_of, map_of, range_in
from ipam_core.web.subnet.look import STYLE
from ipam_core.web.subnet.script import SCRIPT, TICKED
from ipam_core.web.subnet.words import WORDS
from ipam_core.web.words import language_of, words_in

if TYPE_CHECKING:
    from ipam_core.web.drop import Dropped

MOST_BYTES = 128_000_000
"""The most bytes of the files of one drop; those of an account of 50,000 ENIs have 100 MB."""
_SENT = f"event => {{ event.preventDefault(); ({SEND_FORM})(event); }}"
_NOT_SENT = "event => event.preventDefault()"


def add_page() -> None:
    """Add the part to an application."""

    @ui.page("/subnet")
    def subnet(request: Request) -> None:
        _Page(request.url.query)


class _Page:
    """One browser's page: what was read last, and what is asked of it."""

    def __init__(self, query: str) -> None:
        language = language_of(query)
        self._words = words = words_in(language, WORDS)
        self._asked = Asked()
        self._read: Read | None = None
        self._turn = 0
        with framed("/subnet", query, words):
            ui.add_head_html(f"<style>{STYLE}</style><script>{SCRIPT}</script>")
            drop_zone(self._dropped, lang=language, most_bytes=MOST_BYTES)
            ui.html(f'<p class="hint">{words["optional"]}</p>', sanitize=False)
            form = ui.element("form").classes("card").props(f'aria-label="{words["live"]}"')
            form.on("submit", self._from_aws, js_handler=_SENT)
            with form:
                ui.html(shown.live(words), sanitize=False)
            self._problem = ui.html("", sanitize=False)
            self._all = ui.element("div").props("data-result")
        self._all.visible = False
        with self._all:
            self._parts()

    def _parts(self) -> None:
        """Make the places of what is shown of a subnet."""
        form = ui.element("form").classes("card").props(f'aria-label="{self._words["options"]}"')
        form.on("change", self._changed, js_handler=SEND_FORM)
        form.on("submit", js_handler=_NOT_SENT)
        with form:
            self._fields = ui.html("", sanitize=False)
        self._summary = ui.html("", sanitize=False)
        with ui.element("div").classes("sides"):
            form = ui.element("form").classes("card").props(f'aria-label="{self._words["drains"]}"')
            form.on("change", self._ticked, js_handler=TICKED)
            form.on("submit", js_handler=_NOT_SENT)
            with form:
                ui.html(shown.drains(self._words), sanitize=False)
                self._gain = ui.html("", sanitize=False)
                self._nodes = ui.html("", sanitize=False)
            self._map = ui.html("", sanitize=False).classes("card")
        self._advice = ui.html("", sanitize=False).classes("card")
        self._owners = ui.html("", sanitize=False).classes("card")

    async def _dropped(self, files: list[Dropped]) -> None:
        self._forget()
        given = [(each.name, each.stream) for each in files]
        found = await run.io_bound(lambda: Read.of(inventory_of(given), []))
        await self._show(found)

    async def _from_aws(self, event: Any) -> None:
        given = event.args if isinstance(event.args, dict) else {}
        wanted = str(given.get("subnet_ids", "")).replace(",", " ").split()
        cluster = str(given.get("cluster", "")).strip() or None
        self._forget()
        turn = self._turn
        self._problem.content = f'<p role="status">{self._words["reading"]}</p>'
        try:
            if not wanted and cluster is None:
                raise InputError("no input: give subnet ids, or a cluster, to read from AWS")
            found = await run.io_bound(_live, wanted, cluster)
            if turn == self._turn:  # nothing else was read since
                self._problem.content = ""
                await self._show(found)
        except IpamError as error:
            if turn == self._turn:
                self._problem.content = problem(error)

    async def _changed(self, event: Any) -> None:
        before = self._asked
        self._asked = form_of(Asked, event.args)
        if self._read is not None and self._asked.subnet != before.subnet:
            self._show_report()
        await self._advise()

    def _forget(self) -> None:
        self._turn += 1
        self._read = None
        self._all.visible = False
        self._problem.content = self._nodes.content = ""  # ticks too

    async def _show(self, found: Read | None) -> None:
        if found is None:  # the server is stopping
            return
        self._read = found
        self._asked = Asked(win=self._asked.win, instance=self._asked.instance)
        self._fields.content = shown.fields(self._asked, found.reports, self._words)
        self._show_report()
        self._all.visible = True
        await self._advise()

    def _show_report(self) -> None:
        assert self._read is not None
        report, words = self._read.shown(self._asked), self._words
        plain = report.to_json()
        self._summary.content = shown.summary(plain, self._read.inventory.notices, words)
        self._map.content = shown.block_map(map_of(report), plain, words)
        self._nodes.content = shown.nodes(report, blocks_of_nodes(report), words)
        self._owners.content = shown.owners(plain, words)
        self._gain.content = ""

    async def _advise(self) -> None:
        """Show the advice, unless something else was asked for since."""
        if self._read is None:
            return
        self._turn += 1
        turn, report, words = self._turn, self._read.shown(self._asked), self._words
        self._advice.content = shown.working(words)
        try:
            found = await run.io_bound(self._asked.advise, self._read.inventory, report)
        except IpamError as error:
            if turn == self._turn:
                self._advice.content = problem(error)
            return
        if found is not None and turn == self._turn:
            plan = found.reservation
            advised = range_in(report.subnet, plan.cidr) if plan else None
            self._advice.content = advice_html(found.to_json(), len(report.nodes), advised, words)

    async def _ticked(self, event: Any) -> None:
        if self._read is None:
            return
        report, ticked = self._read.shown(self._asked), event.args
        nodes = {str(each) for each in ticked} if isinstance(ticked, list) else set()
        if not nodes:
            self._gain.content = ""
            return
        known = report.listed_nodes.issuperset(report.nodes)
        self._gain.content = shown.gain(gain_of(report, nodes), known, self._words)


def _live(wanted: list[str], cluster: str | None) -> Read:
    """Read from AWS, as the command does."""
    inventory, found = read_live(wanted, cluster=cluster)
    # Those of a cluster may be IPv6-only; those asked for by name may not.
    return Read.of(inventory, found if cluster is None else [])
