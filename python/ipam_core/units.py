"""Units that times are counted in."""

NS = 1_000_000_000
"""Nanoseconds a second."""
