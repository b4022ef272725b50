"""Results as HTML, for notebooks: a heading and a table. Every text in it is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_ROWS = 40
"""Rows of a table that are shown; a last row says how many there are more."""


def html_of(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a heading and a table as HTML."""
    every = list(rows)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(_row(row) for row in every[:MOST_ROWS])
    if len(every) > MOST_ROWS:
        more = f"and {len(every) - MOST_ROWS} more"
        body += f'<tr><td colspan="{len(columns)}">{more}</td></tr>'
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if every else ""
    return f"<p><b>{escape(heading)}</b></p>{table}"


def _row(row: Sequence[object]) -> str:
    cells = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in row)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
