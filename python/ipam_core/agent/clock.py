"""The agent's time: monotonic, and how it waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class Clock:
    """Tells monotonic time and waits. At `speed` 50 a minute passes in 1.2 s: for tests.

    Attributes:
        now_ns: a function that returns nanoseconds; at speed 1 the monotonic clock itself.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self.now_ns: Callable[[], int] = time.monotonic_ns
        if speed != 1.0:
            self.now_ns = lambda: round(time.monotonic_ns() * speed)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait so many seconds, or until an event; return whether it came."""
        return event.wait(max(seconds, 0.0) / self.speed)
