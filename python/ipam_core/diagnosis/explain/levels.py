"""Stretches of levels in which a node holds the same: what is printed, and written as JSON."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.diagnosis.explain.play import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Levels in one row; after every `period` pods the same calls repeat."""

    levels: tuple[Level, ...]
    period: int | None = None

    @property
    def calls(self) -> Counter[str]:
        """The calls of all its levels, or of one period."""
        return sum((level.calls for level in self._counted), Counter())

    @property
    def refused(self) -> Counter[str]:
        """The calls of the same levels that failed."""
        return sum((level.refused for level in self._counted), Counter())

    @property
    def _counted(self) -> tuple[Level, ...]:
        return self.levels if self.period is None else self.levels[: self.period]


def unchanging(levels: Sequence[Level]) -> list[Row]:
    """Return a row for each stretch of levels in which the node holds the same."""
    stretches = groupby(levels, key=lambda level: (level.per_eni, level.settled))
    return [Row(levels=tuple(stretch)) for _, stretch in stretches]


def plain_levels(levels: Sequence[Level]) -> list[dict[str, Any]]:
    """Return the stretches in which nothing changes as plain values."""
    return [
        {
            "pods": [row.levels[0].pods, row.levels[-1].pods],
            "enis": row.levels[0].enis,
            "slots_per_eni": list(row.levels[0].per_eni),
            "addresses": row.levels[0].total,
            "free": [row.levels[0].free, row.levels[-1].free],
            "settled": row.levels[0].settled,
            "waited": [level.pods for level in row.levels if level.waited],
            "ec2_calls": dict(row.calls),
            **({"ec2_calls_refused": dict(row.refused)} if row.refused else {}),
        }
        for row in unchanging(levels)
    ]
