"""How commands write: JSON for machines, text of at most 80 columns for people.

All that a command prints passes through here, and no other module touches Rich, `print`
or the standard streams (a test keeps it so). Rich is loaded where colours are shown, and to wrap
cells. Text may come from a file from outside: nothing in it is markup, and characters that would
move a cursor are written as escapes.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ipam_core.quoting import cut, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from xml.etree.ElementTree import Element

    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table as RichTable
    from rich.text import Text

T = TypeVar("T")

Part = str | tuple[str, str]
"""A piece of text, or one and its style."""


class Table(Protocol):
    """A table as `_tables` makes it."""

    @property
    def rich(self) -> RichTable: ...

    def lines(self) -> list[str] | None: ...


INTERRUPTED = 130
"""The exit status after an interrupt, as a shell has it."""
WIDTH = 80
LONGEST_ERROR = 640
"""Letters of a line on the error stream: eight lines of a terminal."""
LONGEST_TEXT = 4000
"""Letters of a paragraph: 50 lines."""
_bars: list[Progress] = []
"""The bars that are shown."""
_CLEAR = "\x1b[H\x1b[2J"
_FILLER = "\0"  # shown text never has one


@cache
def _console() -> Console:
    """Return the console: of 80 columns, colours only on a terminal.

    On a narrower one the terminal itself breaks lines: Rich would leave columns out.
    """
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=WIDTH)


def _has_style() -> bool:
    """Return whether the output may show colours: on a terminal, or where Rich is to show them."""
    return sys.stdout.isatty() or any(map(os.environ.get, ("FORCE_COLOR", "TTY_COMPATIBLE")))


def _print(what: Any, **how: Any) -> None:
    """Print on the console; a bar on the same terminal is hidden meanwhile."""
    bar = _bars[-1] if _bars and sys.stdout.isatty() else None
    if bar is not None:
        bar.stop()
    _console().print(what, **how)
    if bar is not None:
        bar.start()


def _write_lines(lines: Iterable[str]) -> None:
    """Write lines without a style; at once, as the console does."""
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def _error_console() -> Console | None:
    """Return the console of the error stream, None if it is not a terminal."""
    if not (sys.stderr.isatty() or os.environ.get("FORCE_COLOR")):
        return None
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def print_text(
    *parts: Part, indent: str = "", style: str = "", before: bool = False, whole: bool = False
) -> None:
    """Print a paragraph within 80 columns, an empty line `before`; `whole` keeps a command intact.

    What follows the first line is indented by two more; a command's lines end in
    backslashes. A newline in the text does not end a line: it is shown as an escape.
    """
    if before:
        print_empty()
    plain = "".join(shown(part if isinstance(part, str) else part[0]) for part in parts)
    lines = _wrapped(plain, indent)
    if not _has_style():
        _write_lines((" \\\n" if whole else "\n").join(lines).split("\n"))
        return
    text = styled(*parts, style=style)
    at = 0
    for number, line in enumerate(lines, 1):
        piece = line[len(indent) + (2 if number > 1 else 0) :]
        at = plain.find(piece, at)
        painted = styled(line[: len(line) - len(piece)], text[at : at + len(piece)], style=style)
        at += len(piece)
        if whole and number < len(lines):
            painted.append(" \\", style)
        _print(painted, soft_wrap=True)


def _wrapped(text: str, indent: str) -> list[str]:
    """Return the lines of a paragraph; all but the first are indented by two more."""
    import textwrap

    if len(indent) + columns_of(text) <= WIDTH:
        return [indent + text]
    lines = textwrap.wrap(
        _a_letter_a_column(text),
        WIDTH - 2,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
    return [line.replace(_FILLER, "") for line in lines]


def _a_letter_a_column(text: str) -> str:
    """Return text in which a letter of two columns is followed by a filler."""
    if text.isascii():
        return text
    return "".join(letter + _FILLER * (columns_of(letter) - 1) for letter in text)


def columns_of(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def print_empty() -> None:
    """Print an empty line."""
    if _has_style():
        _print("")
    else:
        _write_lines([""])


def print_table(table: Table) -> None:
    """Print a table."""
    lines = None if _has_style() else table.lines()
    if lines is None:
        _print(table.rich)
    else:
        _write_lines(lines)


def print_json(value: Any) -> None:
    """Write `value` as indented JSON and a newline; non-ASCII characters as escapes."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_yaml(value: Any) -> None:
    """Write `value` as a document of YAML; non-ASCII characters as escapes.

    Raises `MissingExtraError`: PyYAML is not installed.
    """
    from ipam_core._extras import extra

    with extra("yaml", "YAML"):
        import yaml

    yaml.safe_dump(value, sys.stdout, sort_keys=False, explicit_start=True)


def print_json_line(value: Any) -> None:
    """Write `value` as JSON on one line; what is not ASCII is written as escapes."""
    sys.stdout.write(json.dumps(value) + "\n")


def print_line(text: str) -> None:
    """Write one short line of our own words; quicker than `print_text`, which loads Rich."""
    sys.stdout.write(visible(text) + "\n")


def start_screen() -> None:
    """Begin what is shown again and again: on a terminal a new screen, else a line of the time."""
    import time

    if sys.stdout.isatty():
        sys.stdout.write(_CLEAR)
    else:
        print_line(time.strftime("--- %Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def print_metrics(text: str) -> None:
    """Write metrics as Prometheus reads them: a text whose lines are a contract."""
    sys.stdout.write(text)


def print_version() -> None:
    """Print the program's name and version, at once. Raises `OSError`: nobody can read it."""
    from ipam_core import __version__

    print_line(f"ipam-core {__version__}")
    sys.stdout.flush()


def print_xml(root: Element) -> None:
    """Write an element as indented XML of ASCII letters, and a newline.

    Characters that XML cannot hold, such as a terminal's escapes, are made visible.
    """
    from xml.etree import ElementTree

    for element in root.iter():
        element.text = _visible_lines(element.text)
        element.attrib = {key: _visible_lines(value) for key, value in element.attrib.items()}
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    sys.stdout.write(text.decode("ascii") + "\n")


def _visible_lines(text: str | None) -> str:
    return "\n".join(map(visible, (text or "").split("\n")))


def print_error(message: str) -> None:
    """Write one line to the error stream."""
    line = cut(visible(" ".join(f"ipam-core: {message}".split())), LONGEST_ERROR)
    sys.stderr.write(line + "\n")


def shown(text: str, most: int = LONGEST_TEXT) -> str:
    """Return text with hidden characters made visible, the middle left out where it is too long."""
    return cut(visible(text), most)


def styled(*parts: Part | Text, style: str = "") -> Text:
    """Return text in Rich's form, with hidden characters made visible."""
    from rich.text import Text

    text = Text(style=style)
    for part in parts:
        if isinstance(part, Text):
            text.append_text(part)
        else:
            letters, own = (part, "") if isinstance(part, str) else part
            text.append(shown(letters), own or None)
    return text


def prepare_streams() -> None:
    """Make a stream write an escape for a letter that it cannot hold."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def finish_output() -> None:
    """Flush the output. Raises `OSError`, and then drops what was not written."""
    try:
        sys.stdout.flush()
    except OSError:
        abandon_output()
        raise


def abandon_output() -> None:
    """Close the output: it has no reader, or there is no space for it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


# --- progress -----------------------------------------------------------------------------


def progress(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Yield the items, with a progress bar on the error stream if that is a terminal."""
    with progress_of(what) as report:
        for done, item in enumerate(items, 1):
            yield item
            report(done / total)


@contextmanager
def progress_of(what: str, n_bytes: int | None = None) -> Iterator[Callable[[float], None]]:
    """Give a function that takes the share done, shown as a bar on a terminal.

    With `n_bytes` the function takes the number of bytes read since the last call.
    """
    console = _error_console()
    if console is None:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    share = TaskProgressColumn() if n_bytes is None else DownloadColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), share)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(cut(visible(what), WIDTH // 2), total=n_bytes or 1.0)
        _bars.append(bar)
        try:
            if n_bytes is None:
                yield lambda done: bar.update(task, completed=done)
            else:
                yield lambda more: bar.advance(task, more)
        finally:
            _bars.pop()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on the error stream, if it is a terminal, that work is in progress."""
    console = _error_console()
    if console is None:
        yield
        return
    with console.status(styled(what)):
        yield
