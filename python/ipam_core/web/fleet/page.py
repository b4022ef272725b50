"""The part of the page: fleets are played in processes of their own, results are shown."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import background_tasks, ui

from ipam_core.errors import IpamError
from ipam_core.policy import IPAM_CORE
from ipam_core.web import marks
from ipam_core.web.drop import drop_zone
from ipam_core.web.fleet import front, view
from ipam_core.web.fleet.examples import EXAMPLES, example
from ipam_core.web.fleet.look import STYLE
from ipam_core.web.fleet.runs import name_of_fleet, played, read_result, searched
from ipam_core.web.fleet.words import WORDS
from ipam_core.web.frame import framed
from ipam_core.web.markup import examples, problem
from ipam_core.web.words import language_of, words_in
from ipam_core.web.work import work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipam_core.web.drop import Dropped

MOST_BYTES = 20_000_000
MOST_FILES = 10
_SHOWN: dict[str, Callable[..., str]] = {"simulate": view.simulated, "tune": front.tuned}


class _Run(NamedTuple):
    """What a button starts: a result of a kind, and the command that prints the same."""

    kind: str
    do: Callable[..., dict[str, Any]]
    longest_s: float
    doing: str
    command: str


_RUNS = {
    "simulate": _Run(
        "simulate", played, 120.0, "simulating", "ipam-core simulate {} --compare --json"
    ),
    "tune": _Run("tune", searched, 600.0, "searching", "ipam-core tune {} --json"),
    "tune-ipam-core": _Run(
        "tune",
        partial(searched, policy=IPAM_CORE.name),
        600.0,
        "searching",
        "ipam-core tune {} --policy ipam-core --json",
    ),
}


class _Page:
    """One browser's page."""

    def __init__(self, query: str) -> None:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        self._lang = language_of(query)
        self._words = words_in(self._lang, WORDS)
        name = given.get("example", EXAMPLES[0])
        self._example = name if name in EXAMPLES else EXAMPLES[0]
        self._files: Mapping[str, bytes] = {f"{self._example}.yaml": example(self._example)}
        self._task: asyncio.Task[None] | None = None
        self._n_shown = 0
        self._client = ui.context.client
        with framed("/fleet", query, self._words):
            ui.add_head_html(f"<style>{marks.STYLE}{STYLE}</style><script>{_script()}</script>")
            self._build()
        self._show_examples(self._example)
        self._client.on_delete(self._cancel)
        ui.timer(0, partial(self._start, "simulate"), once=True)

    def _build(self) -> None:
        words = self._words
        drop_zone(self._dropped, lang=self._lang, most_bytes=MOST_BYTES, most_files=MOST_FILES)
        with ui.element("section").classes("card"):
            ui.html(f'<p class="hint">{words["drop"]}</p>', sanitize=False)
            self._examples = ui.html("", sanitize=False)
        with ui.element("div").classes("runs"):
            for name in _RUNS:
                button = ui.element("button").props(f"type=button data-run={name}")
                button.on("click", partial(self._start, name))
                with button:
                    ui.html(words[name], sanitize=False, tag="span")
            cancel = ui.element("button").props("type=button data-cancel disabled")
            cancel.on("click", self._cancelled)
            with cancel:
                ui.html(words["cancel"], sanitize=False, tag="span")
            self._cancel_button = cancel
        self._status = ui.html("", sanitize=False)
        self._results = {
            "tune": ui.html("", sanitize=False),
            "simulate": ui.html("", sanitize=False),
        }

    def _show_examples(self, chosen: str) -> None:
        self._examples.content = examples(EXAMPLES, chosen, self._lang, self._words)

    async def _dropped(self, files: list[Dropped]) -> None:
        """Show a result that was dropped, or play a fleet. Raises `InputError`."""
        contents = {each.name: each.stream.read() for each in files}
        result = None
        if len(contents) == 1:
            ((name, content),) = contents.items()
            result = await asyncio.to_thread(read_result, name, content)
        if result is None:
            name_of_fleet(contents)
        self._cancel()
        self._show_examples("")
        for each in self._results.values():
            each.content = ""
        self._files = contents if result is None else {}
        if result is None:
            self._start("simulate")
        else:
            self._status.content = ""
            self._show("tune" if "tuning" in result else "simulate", result, "")

    def _start(self, name: str) -> None:
        """Start a run of the fleet; one that runs ends."""
        self._cancel()
        if not self._files:
            return
        self._task = background_tasks.create(self._run(name), name=f"ipam-core {name}")

    async def _run(self, name: str) -> None:
        run = _RUNS[name]
        doing = self._words[run.doing]
        with self._client:
            self._tell(view.progress(doing, 0.0))
            self._cancel_button.props(remove="disabled")
            try:
                found = await work(
                    run.do,
                    dict(self._files),
                    longest_s=run.longest_s,
                    on_progress=lambda share: self._tell(view.progress(doing, share)),
                )
            except IpamError as error:
                self._tell(problem(error))
            else:
                self._tell("")
                file = name_of_fleet(self._files)
                self._show(run.kind, found, run.command.format(file))
            self._cancel_button.props("disabled")

    def _cancelled(self) -> None:
        if self._task is not None and not self._task.done():
            self._cancel()
            self._tell(f'<p class="hint" role="status">{self._words["cancelled"]}</p>')
            self._cancel_button.props("disabled")

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _tell(self, html: str) -> None:
        self._status.content = html

    def _show(self, kind: str, found: Mapping[str, Any], command: str) -> None:
        self._n_shown += 1
        content = _SHOWN[kind](found, command, self._words)
        self._results[kind].content = f'<div data-shown="{self._n_shown}">{content}</div>'
        if kind == "simulate":
            given = {
                "number": self._n_shown,
                "minutes": self._words["minutes"],
                "results": [
                    {"times_s": each["times_s"], "series": each["series"]}
                    for each in found["results"]
                ],
            }
            ui.run_javascript(f"ipamFleet({json.dumps(given)})")


def _script() -> str:
    return (resources.files("ipam_core.web.fleet") / "fleet.js").read_text("utf-8")


def add_page() -> None:
    """Add this part. Every browser's page has its own state."""

    @ui.page("/fleet")
    def fleet(request: Request) -> None:
        _Page(request.url.query)
