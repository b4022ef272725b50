"""Tables of 80 columns: each cell shows its text as it is, never as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from ipam_core.cli._out import WIDTH, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_CELL = 1000
"""Letters of a line in a cell."""


class Table:
    """Rows under headings; `rich` is the table as Rich prints it."""

    def __init__(
        self, *, ruled: bool = False, full_width: bool = False, headings: bool = True
    ) -> None:
        """Make a table, `ruled` below its headings, if it has any."""
        self.rich = RichTable(
            box=SIMPLE_HEAD if ruled else None,
            padding=(0, 1, 0, 0) if ruled else (0, 1),
            pad_edge=False,
            width=WIDTH if full_width else None,
            show_header=headings,
        )

    def text_column(
        self, heading: str = "", *, no_wrap: bool = False, takes_rest: bool = False
    ) -> None:
        """Add a column of text; a text that is too long is continued on more lines."""
        ratio = 1 if takes_rest else None
        self.rich.add_column(heading, overflow="fold", no_wrap=no_wrap, ratio=ratio)

    def number_columns(self, *headings: str, least: int | None = None) -> None:
        """Add columns of numbers, each at least this number of letters wide."""
        for heading in headings:
            self.rich.add_column(heading, justify="right", no_wrap=True, min_width=least)

    def row(self, *cells: str | Sequence[str], style: str = "") -> None:
        """Add a row; a cell of several lines is a list of them."""
        lines = ([cell] if isinstance(cell, str) else cell for cell in cells)
        shown = (Text("\n").join(styled(line, most=LONGEST_CELL) for line in of) for of in lines)
        self.rich.add_row(*shown, style=style)

    def rule(self) -> None:
        """Rule off the rows that follow."""
        self.rich.add_section()
