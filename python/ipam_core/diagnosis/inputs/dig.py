"""Take values from parsed JSON that may hold anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ipam_core.errors import InputError
from ipam_core.quoting import quoted

_NEVER_YEAR = 1


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a mapping, {} for null. Raises `InputError`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where} is a mapping, not {shown(value)}")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    """Return a list, [] for null. Raises `InputError`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{where} is a list, not {shown(value)}")
    return value


def text(value: Any) -> str:
    """Return a string, '' for anything else."""
    return value if isinstance(value, str) else ""


def integer(value: Any, default: int = 0) -> int:
    """Return an integer, the default for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def number(holder: dict[str, Any], key: str) -> int:
    """Return an integer, 0 if there is none. Raises `InputError` for anything else."""
    value = holder.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{key} is an integer, not {shown(value)}")
    return value


def boolean(holder: dict[str, Any], key: str) -> bool:
    """Return true or false, false if there is none. Raises `InputError` for anything else."""
    value = holder.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{key} is true or false, not {shown(value)}")
    return value


def time(value: Any) -> datetime | None:
    """Return a time written as RFC 3339 or as zap does (`+0000`), None for Go's zero time.

    None also for a text that is not a time: the rest of a damaged file is still read.
    """
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(_microseconds(value))
    except ValueError:
        return None
    if found.year == _NEVER_YEAR:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


shown = quoted
"""How an error quotes a value."""


def line_of(document: str, *words: str) -> int | None:
    """Return the number of the first line that has one of the words, the first word first."""
    for word in words:
        at = document.find(word)
        if at >= 0:
            return document.count("\n", 0, at) + 1
    return None


class Lines:
    """Line numbers of words that come in order: each search starts at the last place.

    So all searches of a document cost one pass over it.
    """

    def __init__(self, document: str) -> None:
        self._document = document
        self._at = 0
        self._line = 1

    def find(self, word: str) -> int | None:
        """Return the line of the next place with the word, None if there is none."""
        at = self._document.find(word, self._at)
        if at < 0:
            return None
        self._line += self._document.count("\n", self._at, at)
        self._at = at
        return self._line


def _microseconds(value: str) -> str:
    """Return a time with at most six digits of a second: Go writes nine, Python reads six."""
    head, dot, rest = value.partition(".")
    if not dot:
        return value
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{head}.{digits[:6]}{rest[len(digits) :]}"
