"""The site's pictures, drawn when it is built: each by a command, or from the code."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ipam_core.cli._app import run

ROOT = Path(__file__).parent.parent
PICTURES = {
    "pictures/stall.png": "simulate examples/stall.yaml",
    "pictures/rolling-update.png": "simulate examples/rolling-update.yaml --compare",
    "pictures/tune.png": "tune examples/workload.yaml --instance m5.large",
    "pictures/sweep.png": "sweep examples/workload.yaml --set WARM_IP_TARGET=1..4 --seeds 5 "
    "--policy vpc-cni --policy ipam-core",
    "pictures/forecast.png": "subnet forecast --cidr 10.0.0.0/20 --nodes 60",
}
"""By place in the site: the command that draws it, without --plot."""


class Photo(NamedTuple):
    """A picture of the page of `ipam-core web`: a link, its width, its colours.

    It is taken when what `shows` selects is there, after the `files` (a pattern) were dropped
    and what `press` selects was pressed, once what `first` selects is there.
    """

    link: str
    width: int
    colours: Literal["light", "dark"]
    shows: str
    files: str = ""
    press: str = ""
    first: str = ""


PAGES = {
    "pictures/web.png": Photo(
        "?instance=m8g.4xlarge&MINIMUM_IP_TARGET=25", 1280, "light", "[aria-busy=false] #findings"
    ),
    "pictures/web-narrow.png": Photo(
        "?instance=m8g.4xlarge&WARM_IP_TARGET=10&was=instance%3Dm8g.4xlarge",
        390,
        "dark",
        "[aria-busy=false] #findings",
    ),
    "pictures/web-life.png": Photo(
        "life?example=cooldown&at=6", 1280, "light", "#moments [aria-current]"
    ),
    "pictures/web-life-narrow.png": Photo(
        "life?example=prefixes&at=9", 390, "dark", "#moments [aria-current]"
    ),
    "pictures/web-fleet.png": Photo("fleet", 1280, "light", "#at-moment"),
    "pictures/web-fleet-narrow.png": Photo(
        "fleet?example=workload", 390, "dark", "#front", press="[data-run=tune]", first="#heading"
    ),
    "pictures/web-doctor.png": Photo(
        "doctor", 1280, "light", ".cause", files="examples/stuck-node/*.*"
    ),
    "pictures/web-subnet.png": Photo(
        "subnet",
        1280,
        "light",
        "[data-freed]",
        files="examples/subnet/*.json",
        press="[data-tick=advised]",
        first="[data-advice]",
    ),
}
"""By place in the site."""
_LONGEST_MS = 180_000
"""How long a picture may take: one is of a search for settings."""
ARCHITECTURE = "pictures/architecture.png"


def draw_architecture() -> bytes:
    """Return the picture of the layers, as the code has them."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs/architecture.py")
    assert spec is not None
    assert spec.loader is not None
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        architecture.draw(path)
        return path.read_bytes()


def draw(command: str) -> bytes:
    """Return the picture that a command draws."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(ROOT):
        path = Path(folder) / "picture.png"
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
            status = run([*command.split(), "--plot", str(path), "--json"])
        if status != 0:
            raise RuntimeError(f"ipam-core {command}: exit status {status}")
        return path.read_bytes()


def photograph() -> dict[str, bytes]:
    """Return the pictures of the page, taken in a browser, by place in the site."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from support.browser import browser, served_page  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    found = {}
    with tempfile.TemporaryDirectory() as folder, served_page(folder) as url, browser() as chromium:
        for place, photo in PAGES.items():
            view = {"width": photo.width, "height": 900}
            with chromium.opened(viewport=view, color_scheme=photo.colours) as page:
                page.goto(url + photo.link)
                if photo.files:
                    files = sorted(ROOT.glob(photo.files))
                    page.locator("[data-drop] input").first.set_input_files(files)
                if photo.press:
                    page.wait_for_selector(photo.first)
                    page.locator(photo.press).click()
                page.wait_for_selector(photo.shows, timeout=_LONGEST_MS)
                page.evaluate("scrollTo(0, 0)")  # what sticks to the window is at its place then
                found[place] = page.screenshot(full_page=True)
    return found


def on_files(files: Any, config: Any) -> None:
    """Add the pictures to the site (an event of MkDocs)."""
    from mkdocs.structure.files import File  # noqa: PLC0415

    for place, command in PICTURES.items():
        files.append(File.generated(config, place, content=draw(command)))
    for place, content in photograph().items():
        files.append(File.generated(config, place, content=content))
    files.append(File.generated(config, ARCHITECTURE, content=draw_architecture()))
