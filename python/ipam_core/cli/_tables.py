"""Tables of 80 columns: each cell shows its text as it is, never as markup.

A table that fits is laid out here, where no colours are shown: Rich takes longer to load than a
command to run. It shows the others: those on a terminal, and those whose cells must be wrapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipam_core.cli._out import WIDTH, columns_of, shown, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table as RichTable

LONGEST_CELL = 1000
"""Letters of a line in a cell."""


class _Column(NamedTuple):
    heading: str
    is_number: bool = False
    no_wrap: bool = False
    takes_rest: bool = False
    least: int = 0


class _Row(NamedTuple):
    cells: list[list[str]]
    """The lines of each cell, as they are shown."""
    style: str


class Table:
    """Rows under headings."""

    def __init__(
        self, *, ruled: bool = False, full_width: bool = False, headings: bool = True
    ) -> None:
        """Make a table, `ruled` below its headings, if it has any."""
        self._ruled, self._full_width, self._headings = ruled, full_width, headings
        self._columns: list[_Column] = []
        self._rows: list[_Row] = []
        self._rules: set[int] = set()  # before the row of this number

    def text_column(
        self, heading: str = "", *, no_wrap: bool = False, takes_rest: bool = False
    ) -> None:
        """Add a column of text; a text that is too long is continued on more lines."""
        self._columns.append(_Column(heading, no_wrap=no_wrap, takes_rest=takes_rest))

    def number_columns(self, *headings: str, least: int = 0) -> None:
        """Add columns of numbers, each at least this number of letters wide."""
        self._columns += [_Column(heading, is_number=True, least=least) for heading in headings]

    def row(self, *cells: str | Sequence[str], style: str = "") -> None:
        """Add a row; a cell of several lines is a list of them."""
        lines = ([cell] if isinstance(cell, str) else cell for cell in cells)
        self._rows.append(_Row([[shown(line, LONGEST_CELL) for line in of] for of in lines], style))

    def rule(self) -> None:
        """Rule off the rows that follow."""
        self._rules.add(len(self._rows))

    # --- without Rich -----------------------------------------------------------------------

    def lines(self) -> list[str] | None:
        """Return the lines as Rich lays them out, without styles; None if it must wrap a cell."""
        widths = self._widths()
        if widths is None:
            return None
        edge = " " if self._ruled else ""
        empty = edge + edge.join(" " * width for width in widths) + edge
        lines = [empty] if self._ruled else []
        if self._headings:
            lines += self._row_lines(self._heading_cells(), widths)
            if self._ruled:
                lines.append(" " + "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (len(empty) - 2) + " ")
        for number, row in enumerate(self._rows):
            if self._ruled and number in self._rules and number:
                lines.append(empty)
            lines += self._row_lines(row.cells, widths)
        return [*lines, empty] if self._ruled else lines

    def _widths(self) -> list[int] | None:
        """Return the columns' widths and the space between them; None: it does not fit."""
        rows = [self._heading_cells()] * self._headings + [row.cells for row in self._rows]
        if not rows or any(_is_odd(cell) for row in rows for cell in row):
            return None
        widths = []
        for at, column in enumerate(self._columns):
            cells = (row[at] for row in rows if at < len(row))
            widest = max((columns_of(line) for cell in cells for line in cell), default=0)
            widths.append(max(widest, column.least) + sum(self._gaps(at)))
        most = WIDTH - (len(widths) + 1 if self._ruled else 0)
        if sum(widths) > most:
            return None
        if self._full_width:
            takers = [at for at, column in enumerate(self._columns) if column.takes_rest]
            if len(takers) != 1 or 0 in widths:
                return None
            widths[takers[0]] += most - sum(widths)
        return [width or 1 for width in widths]

    def _heading_cells(self) -> list[list[str]]:
        """Return the lines of each heading; shorter ones begin lower."""
        lines = [each.heading.split("\n") for each in self._columns]
        most = max(map(len, lines))
        return [[""] * (most - len(of)) + of for of in lines]

    def _gaps(self, at: int) -> tuple[int, int]:
        """Return how many columns are left empty to the left and right of a cell."""
        return int(at > 0 and not self._ruled), int(at < len(self._columns) - 1)

    def _row_lines(self, cells: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
        edge = " " if self._ruled else ""
        lines = []
        for number in range(max(map(len, cells))):
            shown_cells = []
            for at, width in enumerate(widths):
                left, right = self._gaps(at)
                cell = cells[at] if at < len(cells) else ()
                text = cell[number] if number < len(cell) else ""
                if self._columns[at].is_number:
                    text = text.rstrip()
                space = " " * (width - left - right - columns_of(text))
                text = space + text if self._columns[at].is_number else text + space
                shown_cells.append(" " * left + text + " " * right)
            lines.append(edge + edge.join(shown_cells) + edge)
        return lines

    # --- by Rich ----------------------------------------------------------------------------

    @property
    def rich(self) -> RichTable:
        """The table as Rich prints it."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            box=SIMPLE_HEAD if self._ruled else None,
            padding=(0, 1, 0, 0) if self._ruled else (0, 1),
            pad_edge=False,
            width=WIDTH if self._full_width else None,
            show_header=self._headings,
        )
        for column in self._columns:
            if column.is_number:
                table.add_column(
                    column.heading, justify="right", no_wrap=True, min_width=column.least or None
                )
            else:
                table.add_column(
                    column.heading,
                    overflow="fold",
                    no_wrap=column.no_wrap,
                    ratio=1 if column.takes_rest else None,
                )
        for number, row in enumerate(self._rows):
            if number in self._rules:
                table.add_section()
            joined = (Text("\n").join(styled(line) for line in cell) for cell in row.cells)
            table.add_row(*joined, style=row.style)
        return table


def _is_odd(cell: Sequence[str]) -> bool:
    """Return whether Rich drops something of a cell: an empty last line, a letter of no width."""
    return any(line and not columns_of(line) for line in cell) or (len(cell) > 1 and not cell[-1])
