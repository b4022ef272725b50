"""The part of the page: what a person chooses and drops is played, and shown on a time line."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fastapi import Request  # noqa: TC002  (FastAPI reads the annotation)
from nicegui import background_tasks, ui

from ipam_core.cli._timeline import heading
from ipam_core.documents import load_documents, text_of
from ipam_core.errors import InputError, IpamError
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.scenario.file import scenarios_of
from ipam_core.simulation.scenario.frames import film
from ipam_core.web import marks
from ipam_core.web.drop import drop_zone
from ipam_core.web.frame import framed
from ipam_core.web.life import view
from ipam_core.web.life.examples import EXAMPLES, example
from ipam_core.web.life.look import STYLE
from ipam_core.web.life.wire import wire
from ipam_core.web.life.words import WORDS
from ipam_core.web.markup import examples, problem
from ipam_core.web.words import language_of, words_in

if TYPE_CHECKING:
    from ipam_core.simulation.scenario.checking import Mismatch
    from ipam_core.simulation.scenario.spec import Scenario
    from ipam_core.web.drop import Dropped

MOST_BYTES = 2_000_000
LONGEST_S = 60.0
"""A play that takes longer ends: the command line has no such limit."""


class StoppedError(Exception):
    """Nobody waits for this play any more."""


def scenarios_in(content: bytes) -> list[Scenario]:
    """Return the scenarios of a file. Raises `InputError`."""
    documents = load_documents(text_of(BytesIO(content)), each_key_once=True)
    if len(documents) == 1 and isinstance(documents[0], dict) and "nodes" in documents[0]:
        raise InputError("a fleet, not a scenario of one node: drop it on the part A fleet")
    return scenarios_of(documents)


def play(
    scenario: Scenario, stop: threading.Event
) -> tuple[list[dict[str, Any]], dict[str, list[Mismatch]]]:
    """Play a scenario under both policies; return the films, and what was not as expected.

    Raises `InputError` if a step cannot be done, or the play takes too long, and `StoppedError`
    once `stop` is set.
    """
    end = time.monotonic() + LONGEST_S

    def check() -> None:
        if stop.is_set():
            raise StoppedError
        if time.monotonic() > end:
            raise InputError(f"longer than {LONGEST_S:g} s to play: use `ipam-core simulate`")

    films = [film(scenario, policy=policy, on_check=check) for policy in (VPC_CNI, IPAM_CORE)]
    return [wire(each) for each in films], {
        each.policy: [] if each.cut else each.result.mismatches for each in films
    }


def _played(scenario: Scenario, stop: threading.Event) -> tuple[str, dict[str, list[Mismatch]]]:
    films, unmet = play(scenario, stop)
    return json.dumps(films, separators=(",", ":")), unmet


def _script() -> str:
    return (resources.files("ipam_core.web.life") / "life.js").read_text("utf-8")


_CHOSEN = "event => { if (event.target.id === 'one-of') emit(+event.target.value) }"


def add_page() -> None:
    """Add this part. Every browser's page has its own state."""

    @ui.page("/life")
    def life(request: Request) -> None:
        _Page(request.url.query)


class _Page:
    """One browser's page."""

    def __init__(self, query: str) -> None:
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        self._lang = language_of(query)
        self._words = words_in(self._lang, WORDS)
        policy, at = given.get("policy", ""), given.get("at", "")
        self._policy = policy if policy in view.POLICIES else view.POLICIES[0]
        self._at = int(at) if at.isascii() and at.isdigit() and len(at) < 6 else 0
        name = given.get("example", EXAMPLES[0])
        self._example = name if name in EXAMPLES else EXAMPLES[0]
        self._file = f"{self._example}.yaml"
        self._content = ""
        self._found: list[Scenario] = []
        self._stop = threading.Event()
        self._n_films = 0
        self._client = ui.context.client
        self._is_example = True
        self._build(query)

    def _build(self, query: str) -> None:
        with framed("/life", query, self._words):
            ui.add_head_html(f"<style>{marks.STYLE}{STYLE}</style><script>{_script()}</script>")
            drop_zone(self._dropped, lang=self._lang, most_bytes=MOST_BYTES, most_files=1)
            with ui.element("section").classes("card"):
                ui.html(f'<p class="hint">{self._words["drop"]}</p>', sanitize=False)
                self._examples = ui.html(
                    examples(EXAMPLES, self._example, self._lang, self._words), sanitize=False
                )
                self._choices = ui.html("", sanitize=False)
            self._status = ui.html("", sanitize=False)
            self._body = ui.html("", sanitize=False)
        self._choices.on("change", self._chosen, js_handler=_CHOSEN)
        self._client.on_delete(self._stop_playing)
        ui.timer(0, self._show_example, once=True)

    async def _show_example(self) -> None:
        self._content = example(self._example)
        self._found = scenarios_in(self._content.encode())
        await self._play(0)

    async def _dropped(self, files: list[Dropped]) -> None:
        """Show the first scenario of a file. Raises `InputError`."""
        (file,) = files
        content = file.stream.read()
        try:
            found = await asyncio.to_thread(scenarios_in, content)
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from None
        self._file, self._content = file.name, text_of(BytesIO(content))
        self._found, self._is_example = found, False
        self._examples.content = examples(EXAMPLES, "", self._lang, self._words)
        background_tasks.create(self._play(0))

    async def _chosen(self, event: Any) -> None:
        number = event.args
        if isinstance(number, int) and 0 <= number < len(self._found):
            await self._play(number)

    async def _play(self, number: int) -> None:
        with self._client:
            await self._show(number)

    async def _show(self, number: int) -> None:
        self._stop_playing()
        self._stop = stop = threading.Event()
        scenario = self._found[number]
        ids = [each.scenario_id for each in self._found]
        self._choices.content = view.choices(ids, number, self._words)
        self._status.content = f'<p class="hint" role="status">{self._words["working"]} …</p>'
        try:
            payload, unmet = await asyncio.to_thread(_played, scenario, stop)
        except StoppedError:
            return
        except IpamError as error:
            self._refuse(f"{self._file}: {error}")
            return
        if stop.is_set():
            return
        self._n_films += 1
        self._status.content = ""
        self._body.content = (
            view.player(
                self._n_films,
                f"{scenario.scenario_id}: {heading(scenario)}, maxPods {scenario.max_pods}",
                self._policy,
                self._words,
            )
            + view.unmet(unmet, self._words)
            + view.file(self._file, self._content, self._words)
        )
        rest = {
            "number": self._n_films,
            "words": self._words,
            "policy": self._policy,
            "at": self._at,
            "link": self._link(),
        }
        ui.run_javascript(f"ipamLife({{films: {payload}, ...{json.dumps(rest)}}})")
        self._at = 0

    def _stop_playing(self) -> None:
        self._stop.set()

    def _link(self) -> str | None:
        """Return the query of a link to what is shown, without its moment; None: a dropped file."""
        return f"example={self._example}&lang={self._lang}" if self._is_example else None

    def _refuse(self, message: str) -> None:
        self._choices.content = self._body.content = ""
        self._status.content = problem(message)
