"""Text that others wrote, as it is shown: in one line, of bounded length, with nothing hidden.

A file may hold anything: terminal escapes, newlines, letters that turn the direction of
text, half of a surrogate pair, a number of a million digits. Whatever of it reaches a
message, a table or a picture passes through here.
"""

from __future__ import annotations

import re
from typing import Any

QUOTED = 60
"""A value that a message quotes has at most so many characters."""
_LONGEST_INTEGER_BITS = 192
_GAP = " ... "
_CONTAINER_ID = re.compile(
    r'(?<![\w:])[0-9a-f]{64}(?!\w)|(?<=sandbox ")[^"]+|(?<=sandbox \\")[^"\\]+|'
    r'(?i:(?<=containerid:")|(?<=containerid: ")|(?<=containerid=")|(?<=containerid "))[^"]+'
)
"""As runtimes make one, 64 hexadecimal digits, and wherever the kubelet or the agent names one."""


def visible(text: str) -> str:
    r"""Return text in which each character that would not be seen is written as an escape.

    Those are controls (a newline too), bidirectional and other format characters,
    surrogates, spaces but the common one, and code points without a character. The
    escapes are those of Python: `\n`, `\x1b`, `\u202e`. Cost: linear.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def without_container_ids(text: str) -> str:
    """Return text with "..." for every container id: whoever knows one can act on it.

    The digest of an image, after `sha256:`, stays. Cost: linear.
    """
    return _CONTAINER_ID.sub("...", text)


def cut(text: str, most: int) -> str:
    """Return text of at most `most` characters: of a longer one the start and the end."""
    if len(text) <= most:
        return text
    kept = most - len(_GAP)
    return f"{text[: kept - kept // 3]}{_GAP}{text[len(text) - kept // 3 :]}"


def quoted(value: Any) -> str:
    """Return a value as a message quotes it: as Python writes it, its first 60 characters.

    An integer too long to be read is told by its size. Cost: that of `repr`.
    """
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # somewhere in it such an integer, or lists without end
        return f"a {type(value).__name__} that is too large"
    return text if len(text) <= QUOTED else text[: QUOTED - 3] + "..."
