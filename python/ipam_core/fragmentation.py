"""The fragmentation of a subnet's /28 blocks: a score, and its meaning in one word."""

from __future__ import annotations

from typing import Literal

from ipam_core._dataclass import dataclass

Band = Literal["healthy", "low", "medium", "high", "critical", "exhausted", "unscored"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fragmentation:
    """How many /28 blocks of a subnet are in which state.

    `longest_free_run` is in blocks; `n_free` in addresses that EC2 may pick by itself.
    """

    free: int
    fragmented: int
    full: int
    aws_reserved: int
    prefix_allocated: int
    prefix_reserved: int
    explicit_reserved: int
    longest_free_run: int
    n_free: int

    @property
    def n_blocks(self) -> int:
        """Blocks in all."""
        return (
            self.free
            + self.fragmented
            + self.full
            + self.aws_reserved
            + self.prefix_allocated
            + self.prefix_reserved
            + self.explicit_reserved
        )

    @property
    def score(self) -> int | None:
        """ceil(100 * (fragmented + full) / (free + fragmented + full)); None without any."""
        broken = self.fragmented + self.full
        counted = self.free + broken
        return -(-100 * broken // counted) if counted else None

    @property
    def band(self) -> Band:
        """What the score means in a word.

        Healthy under 25, low under 50, medium under 75, high under 100; at 100 critical,
        or exhausted when EC2 finds no single address either; "unscored" without a score.
        """
        score = self.score
        if score is None:
            return "unscored"
        if score == 100:
            return "critical" if self.n_free else "exhausted"
        bands: tuple[Band, ...] = ("healthy", "low", "medium", "high")
        return bands[score // 25]

    def __repr__(self) -> str:
        return (
            f"Fragmentation(free={self.free}, fragmented={self.fragmented}, "
            f"full={self.full}, score={self.score}, band={self.band!r})"
        )
