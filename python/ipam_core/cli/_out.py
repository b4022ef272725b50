"""How commands write: JSON for machines, text of at most 80 columns for people."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> Console:
    """Return the console: 80 columns at most, colours only on a terminal."""
    from rich.console import Console

    found = Console(highlight=False, soft_wrap=False)
    return Console(highlight=False, width=min(found.width, 80)) if found.width > 80 else found


def print_json(value: Any) -> None:
    """Write `value` as indented JSON and a newline."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
