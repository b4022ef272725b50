"""Outcomes of settings as a table: idle addresses, waits, EC2 calls, pods refused."""

from __future__ import annotations

from math import inf, isinf
from typing import TYPE_CHECKING

from ipam_core.cli._tables import Table

if TYPE_CHECKING:
    from ipam_core.tuning import Outcome


def outcomes_table() -> Table:
    """Return the table without a row yet."""
    table = Table(ruled=True, full_width=True)
    table.text_column("settings", takes_rest=True)
    table.number_columns(
        "idle\na node", "99% wait\nat most s", "calls a\nnode, hour", "pods\nrefused"
    )
    return table


def add_outcome(table: Table, label: str, outcome: Outcome, style: str = "") -> None:
    """Add one, each number with its margin of error where that is known."""
    shown = [f"{outcome.idle:.1f}", wait_text(outcome.wait_p99_s), f"{outcome.calls:.1f}"]
    margins = outcome.margin or (inf, inf, inf)
    costs = [
        text if isinf(margin) else f"{text} ±{margin:.1f}"
        for text, margin in zip(shown, margins, strict=True)
    ]
    table.row(label, *costs, share_refused(outcome), style=style)


def wait_text(seconds: float) -> str:
    """Return a wait in seconds; "never" without end."""
    return "never" if isinf(seconds) else f"{seconds:.1f}"


def share_refused(outcome: Outcome) -> str:
    """Return the share of pods that were refused at first."""
    return f"{outcome.n_waited / max(outcome.n_pods, 1):.1%}"
