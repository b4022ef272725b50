"""Rows in order of creation, with indices: a Describe call reads the rows it returns, no more.

Each row has a `number`, its place in the order, and a key, its id. An index maps a value to
the numbers of the rows that have it, sorted; a row may have several values of one index. So
a page starts with a binary search, and goes on from row to row.

Cost: adding, changing or removing a row is a binary search and one move of memory for each
value of its indices, some microseconds with 100,000 rows. `select` costs the rows of the
smallest index that it may use, up to the page's end.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from heapq import merge
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class Row(Protocol):
    """What a table asks of its rows."""

    @property
    def number(self) -> int:
        """Its place in the order of creation."""

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""

    @property
    def key(self) -> str:
        """Its id."""


T = TypeVar("T", bound=Row)

NO_NUMBERS: Sequence[int] = ()


class Table(Generic[T]):
    """Rows by id, and by what `indexed` says of them: the index's name to a row's values.

    `id_name` is the index of the id. Tags are indices of their own: `tag-key` and `tag:KEY`.
    `found_by` are indices that others keep: each returns the rows that have a value.
    """

    def __init__(
        self,
        id_name: str,
        indexed: Mapping[str, Callable[[T], Iterable[str]]],
        found_by: Mapping[str, Callable[[str], Iterable[T]]] | None = None,
    ) -> None:
        self.by_key: dict[str, T] = {}
        self.on_change: Callable[[T], None] | None = None
        """Told of each row that was added, changed or removed."""
        self._indexed = indexed
        self._found_by = {id_name: self._with_id, **(found_by or {})}
        self._by_number: dict[int, T] = {}
        self._numbers: list[int] = []
        self._indices: dict[tuple[str, str], list[int]] = {}
        self._values: dict[int, frozenset[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[T]:
        return (self._by_number[number] for number in self._numbers)

    def add(self, row: T) -> None:
        """Add a row whose id and number are new."""
        self.by_key[row.key] = row
        self._by_number[row.number] = row
        insort(self._numbers, row.number)
        self._values[row.number] = frozenset()
        self.changed(row)

    def remove(self, row: T) -> None:
        """Remove a row."""
        for value in self._values.pop(row.number):
            self._leave(value, row.number)
        del self.by_key[row.key], self._by_number[row.number]
        del self._numbers[bisect_right(self._numbers, row.number) - 1]
        self.touched(row)

    def changed(self, row: T) -> None:
        """Put a row that changed into the indices where it belongs now."""
        before = self._values[row.number]
        after = {(name, value) for name, of in self._indexed.items() for value in of(row)}
        for key, value in row.tags.items():
            after.add(("tag-key", key))
            after.add((f"tag:{key}", value))
        for entry in before - after:
            self._leave(entry, row.number)
        for entry in after - before:
            insort(self._indices.setdefault(entry, []), row.number)
        self._values[row.number] = frozenset(after)
        self.touched(row)

    def touched(self, row: T) -> None:
        """Tell that a row changed in what no index has."""
        if self.on_change is not None:
            self.on_change(row)

    def _leave(self, entry: tuple[str, str], number: int) -> None:
        numbers = self._indices[entry]
        del numbers[bisect_right(numbers, number) - 1]
        if not numbers:
            del self._indices[entry]

    def numbers_of(self, name: str, value: str) -> Sequence[int]:
        """Return the numbers of the rows that have a value, sorted. Not to be changed."""
        find = self._found_by.get(name)
        if find is not None:
            return sorted(row.number for row in find(value))
        return self._indices.get((name, value), NO_NUMBERS)

    def _with_id(self, key: str) -> tuple[T, ...]:
        row = self.by_key.get(key)
        return () if row is None else (row,)

    def has_index(self, name: str) -> bool:
        """Return whether `numbers_of` knows a name."""
        return (
            name in self._indexed
            or name in self._found_by
            or name == "tag-key"
            or name.startswith("tag:")
        )

    def first_of(self, name: str, value: str) -> T | None:
        """Return the oldest row that has a value."""
        numbers = self.numbers_of(name, value)
        return self._by_number[numbers[0]] if numbers else None

    def all_of(self, name: str, value: str) -> list[T]:
        """Return the rows that have a value, the oldest first."""
        return [self._by_number[number] for number in self.numbers_of(name, value)]

    def rows_after(self, number: int, choices: Sequence[Sequence[int]] | None) -> Iterator[T]:
        """Yield rows whose number is greater, in order: of all, or of any of `choices`."""
        lists = [self._numbers] if choices is None else choices
        parts = [_from(numbers, bisect_right(numbers, number)) for numbers in lists]
        last = number
        for each in parts[0] if len(parts) == 1 else merge(*parts):
            if each != last:  # a row may have several of the values
                last = each
                yield self._by_number[each]


def _from(numbers: Sequence[int], start: int) -> Iterator[int]:
    return (numbers[at] for at in range(start, len(numbers)))
