"""The page in a browser: one server and one headless Chromium."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from support.python import Process
from support.soak import SOAK

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEMANDED = bool(os.environ.get("IPAM_CORE_BROWSER"))
"""Whether a browser must be there: CI sets it, so that no test of the page is left out."""
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)


@contextmanager
def served_page(folder, environ=None):
    """Serve the page from an empty folder; yield its address. `environ`: more variables."""
    command = ("-m", "ipam_core", "web", "--json")
    more = {**os.environ, **(environ or {})}
    with Process(*command, cwd=folder, env=more, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@contextmanager
def browser():
    """Yield a headless Chromium's windows; where there is none, skip, or fail if one is demanded.

    Until it ends, an event loop runs in this thread: what needs another one runs apart
    (`support.loops`).
    """
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        (pytest.fail if DEMANDED else pytest.skip)("no Chromium is installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield Windows(started)
        finally:
            started.close()


class Windows:
    """Windows of a browser, each with one page and cookies of its own, that are used again.

    A new one takes a second of a processor, and as much again to compile the page's scripts. In
    a soak each is a new one all the same. Two that are open at a time share nothing.
    """

    _VIEW = {"width": 1280, "height": 720}  # noqa: RUF012

    def __init__(self, chromium):
        self._chromium = chromium
        self._idle = []

    @contextmanager
    def opened(self, *, viewport=None, color_scheme="light", permissions=()):
        """Yield an empty page, and forget afterwards what it has kept."""
        page = self._idle.pop() if self._idle else self._chromium.new_context().new_page()
        page.set_viewport_size(viewport or self._VIEW)
        page.emulate_media(color_scheme=color_scheme)
        page.context.grant_permissions(list(permissions))
        try:
            yield page
        except BaseException:
            page.context.close()
            raise
        if SOAK:
            page.context.close()
            return
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
        page.goto("about:blank")
        page.context.clear_cookies()
        page.context.clear_permissions()
        self._idle.append(page)


@contextmanager
def visits(windows, url):
    """Yield what opens a link of a served page; at the end no page has had an error.

    Nor has one asked another server.
    """
    troubles = []
    watched = {
        "console": lambda each: each.type == "error" and troubles.append(each.text),
        "pageerror": lambda error: troubles.append(str(error)),
        "request": lambda each: each.url.startswith(url) or troubles.append(each.url),
    }

    @contextmanager
    def opened(link, **options):
        with windows.opened(**options) as page:
            for what, note in watched.items():
                page.on(what, note)
            page.goto(url + link)
            yield page
            for what, note in watched.items():
                page.remove_listener(what, note)

    yield opened
    assert [each for each in troubles if not each.startswith(("data:", "ws:"))] == []
