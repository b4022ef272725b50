"""Console sessions of the documents: the commands, and what a page shows of their output."""

from __future__ import annotations

import re


def blocks(page, language):
    """Return the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def steps(session):
    """Return the (command, what it prints) of a console session."""
    for step in re.split(r"^\$ ", session, flags=re.M)[1:]:
        command, _, expected = step.partition("\n")
        yield command, expected


def tidy(text):
    """Return text without spaces at the ends of lines, and `...` for doctest to match."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def words(command):
    """Return a command's arguments; only quotes are taken off, as a shell would."""
    return [word.strip("'") for word in command.removeprefix("ipam-core ").split()]
