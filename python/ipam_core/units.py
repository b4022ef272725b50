"""Units that times are counted in, and counts in words."""

NS = 1_000_000_000
"""Nanoseconds a second."""


def counted(count: int, what: str) -> str:
    """Return a count of things: `1 address`, `2,048 addresses`, `0 free /28s`."""
    plural = "es" if what.endswith("s") else "s"
    return f"{count:,} {what}{plural * (count != 1)}"
