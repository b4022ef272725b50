"""The page in a browser: one server and one headless Chromium."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

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
    command = [sys.executable, "-m", "ipam_core", "web", "--json"]
    more = {**os.environ, **(environ or {})}
    with subprocess.Popen(
        command, cwd=folder, env=more, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@contextmanager
def browser():
    """Yield a headless Chromium; where there is none, skip, or fail if one is demanded."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        (pytest.fail if DEMANDED else pytest.skip)("no Chromium is installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def visits(chromium, url):
    """Yield what opens a link of a served page; at the end no page has had an error.

    Nor has one asked another server.
    """
    troubles = []

    @contextmanager
    def opened(link, **options):
        context = chromium.new_context(**options)
        page = context.new_page()
        page.on("console", lambda each: each.type == "error" and troubles.append(each.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda each: each.url.startswith(url) or troubles.append(each.url))
        page.goto(url + link)
        yield page
        context.close()

    yield opened
    assert [each for each in troubles if not each.startswith(("data:", "ws:"))] == []
