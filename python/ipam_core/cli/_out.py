"""How commands write: JSON for machines, text of at most 80 columns for people."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console

T = TypeVar("T")

WIDTH = 80


@cache
def console() -> Console:
    """Return the console: 80 columns at most, colours only on a terminal."""
    from rich.console import Console

    found = Console(highlight=False)
    return Console(highlight=False, width=WIDTH) if found.width > WIDTH else found


def print_text(
    text: str, *, indent: str = "", style: str = "", before: bool = False, whole: bool = False
) -> None:
    """Print text within 80 columns, an empty line `before`; a command stays `whole`.

    What follows the first line is indented by two more; a command's lines end in
    backslashes.
    """
    import textwrap

    from rich.text import Text

    if before:
        console().print()
    # What files hold may move a terminal's cursor, or be no text at all.
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    lines = (
        textwrap.wrap(
            text,
            WIDTH - 2,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_on_hyphens=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
        if len(indent + text) > WIDTH
        else [indent + text]
    )
    for number, line in enumerate(lines, 1):
        end = " \\" if whole and number < len(lines) else ""
        console().print(Text(line + end, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Write `value` as indented JSON and a newline."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def progress(items: Iterable[T], *, total: int | None, what: str) -> Iterator[T]:
    """Yield the items, with a progress bar on the error stream if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        items, description=what, total=total, console=Console(stderr=True), transient=True
    )


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function to be told the share done, shown as `progress` shows it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def waiting(what: str) -> AbstractContextManager[Any]:
    """Show on the error stream, if that is a terminal, that something takes its time."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)
