"""Filters of Describe calls: every filter must hold, one of its values is enough.

Values may have wildcards: `*` any text, `?` one character; a backslash takes their meaning
away. Source: "List and filter using the CLI and API" in the EC2 user guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core.cloud import refusals
from ipam_core.endpoint.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T", bound=Row)

MOST_VALUES = 200
"""EC2 takes so many values in the filters of one call."""


def select(
    table: Table[T],
    filters: list[dict[str, Any]],
    known: Mapping[str, Callable[[T], Iterable[str]]],
    *,
    after: int = 0,
) -> Iterator[T]:
    """Yield the rows after a number that meet all filters, in order.

    `known` are the filters that the call has, with a row's values for each; tags need none.
    Filters are checked before the first row. Raises `Ec2Error`.
    """
    meets = test_of(filters, known)
    best: list[Sequence[int]] | None = None
    for each in filters:
        name, values = each["Name"], each["Values"]
        if table.has_index(name) and not any(map(_is_pattern, values)):
            lists = [table.numbers_of(name, _plain(value)) for value in dict.fromkeys(values)]
            if best is None or sum(map(len, lists)) < sum(map(len, best)):
                best = lists
    return filter(meets, table.rows_after(after, best))


def test_of(
    filters: list[dict[str, Any]], known: Mapping[str, Callable[[T], Iterable[str]]]
) -> Callable[[T], bool]:
    """Return a test whether a row meets all filters, with `known` as in `select`.

    Raises `Ec2Error`: a filter is bad.
    """
    tests: list[tuple[Callable[[T], Iterable[str]], list[tuple[str, bool]]]] = [
        (known.get(name) or _of_tags(name), [(value, _is_pattern(value)) for value in values])
        for name, values in _checked(filters, known)
    ]
    return lambda row: all(_meets(of(row), values) for of, values in tests)


def exact_values(filters: list[dict[str, Any]], name: str) -> list[str] | None:
    """Return the texts of a filter of that name, None where there is none without wildcards."""
    for each in filters:
        if each["Name"] == name and not any(map(_is_pattern, each["Values"])):
            return list(dict.fromkeys(map(_plain, each["Values"])))
    return None


def _checked(
    filters: list[dict[str, Any]], known: Mapping[str, Any]
) -> Iterator[tuple[str, list[str]]]:
    if sum(len(each.get("Values", ())) for each in filters) > MOST_VALUES:
        raise refusals.TOO_MANY_VALUES(MOST_VALUES)
    for each in filters:
        name = each.get("Name", "null")
        if name not in known and name != "tag-key" and (not name[4:] or name[:4] != "tag:"):
            raise refusals.INVALID_FILTER(name[:200])
        if not each.get("Values"):
            raise refusals.MISSING_PARAMETER(f"Filter.Value, of the filter '{name[:200]}'")
        yield name, each["Values"]


def _of_tags(name: str) -> Callable[[Row], Iterable[str]]:
    if name == "tag-key":
        return lambda row: row.tags
    key = name[4:]
    return lambda row: (row.tags[key],) if key in row.tags else ()


def _meets(texts: Iterable[str], values: list[tuple[str, bool]]) -> bool:
    return any(
        matches(value, text) if pattern else _plain(value) == text
        for text in texts
        for value, pattern in values
    )


def _is_pattern(value: str) -> bool:
    """Return whether a value has a wildcard that counts as one."""
    if "*" not in value and "?" not in value:
        return False
    return any(part == wild for part, wild in _parts(value))


def _plain(value: str) -> str:
    """Return a value without wildcards as the text that it stands for."""
    return "".join(part for part, _ in _parts(value)) if "\\" in value else value


def _parts(value: str) -> list[tuple[str, str]]:
    r"""Return the characters of a value, each with the wildcard that it is, or "": `\*` is none."""
    parts, at = [], 0
    while at < len(value):
        if value[at] == "\\" and at + 1 < len(value):
            at += 1
            parts.append((value[at], ""))
        else:
            parts.append((value[at], value[at] if value[at] in "*?" else ""))
        at += 1
    return parts


def literal(text: str) -> str:
    """Return the value that stands for a text, wildcards and backslashes in it included."""
    return "".join(f"\\{letter}" if letter in "*?\\" else letter for letter in text)


def matches(pattern: str, text: str) -> bool:
    """Return whether a text is of a pattern. Cost: at most their lengths multiplied."""
    parts = _parts(pattern)
    at = in_text = 0
    star, resume = -1, 0
    while in_text < len(text):
        part, wild = parts[at] if at < len(parts) else ("", "")
        if wild == "*":
            star, resume = at, in_text
            at += 1
        elif at < len(parts) and (wild == "?" or part == text[in_text]):
            at += 1
            in_text += 1
        elif star >= 0:  # let the last star take one character more
            resume += 1
            at, in_text = star + 1, resume
        else:
            return False
    return all(wild == "*" for _, wild in parts[at:])
