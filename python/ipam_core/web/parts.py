"""The pages of all parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ipam_core.web.doctor import page as doctor
from ipam_core.web.fleet import page as fleet
from ipam_core.web.life import page as life
from ipam_core.web.subnet import page as subnet
from ipam_core.web.what_if import page as what_if

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_pages(app: FastAPI) -> None:
    """Add the page of each part to an application."""
    for part in (what_if, life, fleet, subnet, doctor):
        part.add_page()
    ui.run_with(
        app, title="ipam_core", dark=None, tailwind=False, show_welcome_message=False,
        reconnect_timeout=10.0,
    )  # fmt: skip
