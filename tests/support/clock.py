"""A clock that only sleeping moves."""

from __future__ import annotations


class Clock:
    """Monotonic nanoseconds when called."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return round(self.now_s * 1e9)

    def sleep(self, seconds):
        self.now_s += seconds
