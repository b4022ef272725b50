"""Text from outside, made safe to print: one line, of bounded length, with nothing hidden.

A file may hold anything: terminal escapes, newlines, characters that change the direction of
text, half of a surrogate pair, a number of a million digits. All text from outside passes
through here before it reaches a message, a table or a picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

QUOTED = 60
"""The most characters of a value that a message quotes."""
_LONGEST_INTEGER_BITS = 192
_GAP = " ... "
_CONTAINER_ID = re.compile(
    r'(?<![\w:])[0-9a-f]{64}(?!\w)|(?<=sandbox ")[^"]+|(?<=sandbox \\")[^"\\]+|'
    r'(?i:(?<=containerid:")|(?<=containerid: ")|(?<=containerid=")|(?<=containerid "))[^"]+'
)
"""64 hexadecimal digits, as runtimes make ids, or where the kubelet or the agent names one."""


def visible(text: str) -> str:
    r"""Return text with each invisible character written as an escape.

    Those are controls (a newline too), bidirectional and other format characters,
    surrogates, spaces other than U+0020, and code points without a character. The
    escapes are those of Python: `\n`, `\x1b`, `\u202e`. Cost: linear.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def without_container_ids(text: str) -> str:
    """Return text with "..." for every container id, which is not to be published.

    The digest of an image, after `sha256:`, stays. Cost: linear.
    """
    return _CONTAINER_ID.sub("...", text)


def cut(text: str, most: int) -> str:
    """Return text of at most `most` characters: start and end of a longer text."""
    if len(text) <= most:
        return text
    kept = most - len(_GAP)
    return f"{text[: kept - kept // 3]}{_GAP}{text[len(text) - kept // 3 :]}"


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return what a message says after a name that is not known: the nearest of those that are."""
    from difflib import get_close_matches  # noqa: PLC0415  (it is loaded for a mistake alone)

    found = get_close_matches(name, sorted(known), n=1)
    return f"; nearest: {found[0]}" if found else otherwise


def quoted(value: Any) -> str:
    """Return a value as a message quotes it: as Python writes it, its first 60 characters.

    Of an integer that is too long, the size is given. Cost: that of `repr`.
    """
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # such an integer, or endless lists, are in it
        return f"a {type(value).__name__} that is too large"
    return text if len(text) <= QUOTED else text[: QUOTED - 3] + "..."
