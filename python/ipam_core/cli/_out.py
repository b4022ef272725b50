"""How commands write: JSON for machines, text of at most 80 columns for people."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

T = TypeVar("T")


@cache
def console() -> Console:
    """Return the console: 80 columns at most, colours only on a terminal."""
    from rich.console import Console

    found = Console(highlight=False)
    return Console(highlight=False, width=80) if found.width > 80 else found


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
