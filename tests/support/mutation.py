"""Documents changed at random: values replaced, keys misspelt, parts left out, put in or twice."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

ODD = (
    None, True, False, 0, 1, -1, 7, 1 << 31, (1 << 63) - 1, 1 << 64, 10**30, 1.5, 1e300, -0.0,
    float("inf"), float("nan"), "", " ", "x", "5", "true", "null", "10.0.1.4", "10.0.0.0/33",
    "m5.large", "2026-03-12T02:58:00Z", "\x1b[2J\x1b]0;x\x07", "two\nlines", "[red]x[/]",
    "\u202eabc", "\ud800", "a\0b", "é猫", "$x$", "x" * 3000, "9" * 5000, [], {}, [[]], [None],
    {"a": {"b": []}}, [1, "x", {}],
)  # fmt: skip
"""What no writer of the document puts there, or not at that place."""
KINDS = ("replace", "replace", "replace", "leave out", "misspell", "twice", "put in", "swap")

mutations = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.sampled_from(KINDS), st.sampled_from(ODD)),
    min_size=1,
    max_size=3,
)
"""Places, in the order of the document's parts, with what is done to each."""
edits = st.lists(
    st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), min_size=1, max_size=4
)
"""Shares of a text, with what is put there and how much is cut."""


def places(value, path=()):
    """Yield the path of every part of a document."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def mutated(document, changes):
    """Return a changed copy of a document."""
    document = copy.deepcopy(document)
    for at, kind, odd in changes:
        every = list(places(document))
        if every:
            change(document, every[at % len(every)], kind, odd)
    return document


def change(document, path, kind, odd):
    """Change one place of a document."""
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    if kind == "replace":
        holder[key] = copy.deepcopy(odd)
    elif kind == "leave out":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key] if kind == "twice" else odd))
    elif kind == "misspell":
        holder[f"{key}s" if isinstance(odd, str) else str(key).swapcase()] = holder.pop(key)
    elif kind == "swap":
        keys = list(holder)
        other = keys[(keys.index(key) + 1) % len(keys)]
        holder[key], holder[other] = holder[other], holder[key]
    else:
        holder[odd if isinstance(odd, str) else "odd"] = copy.deepcopy(odd)


def edited(content, changes):
    """Return bytes with pieces cut out and put in."""
    changed = bytearray(content)
    for share, put_in, n_cut in changes:
        at = int(share * len(changed))
        changed[at : at + n_cut] = put_in
    return bytes(changed)


def as_json(document):
    """Return a document as bytes; half of a surrogate pair becomes an escape."""
    return json.dumps(document).encode()
