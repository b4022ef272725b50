"""The time of a served VPC: as it passes, faster, or held and moved by hand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.region import EPOCH, wall_time_of
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

FASTEST = 1_000_000.0
"""The largest speed: a day in a tenth of a second."""
LATEST_NS = 200 * 366 * 86400 * NS
"""How far the clock can go: 200 years after `EPOCH`, which every form of a time can write."""


class VpcClock:
    """Nanoseconds since `EPOCH`, which pass at `speed` seconds a second, or stand while held.

    A clock that is held begins at `EPOCH`, so that a run can be repeated byte for byte; any
    other begins at the time of day. It never goes back.

    Whoever sleeps wakes when the clock has reached its time, be it that time passed or that
    the clock was moved. While it is held nothing sleeps: a call would wait for ever for
    whoever moves the clock, who is often the caller. Not to be shared by threads.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        held: bool = False,
        start_ns: int | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        check_speed(speed)
        if start_ns is None:
            start_ns = 0 if held else _time_of_day_ns()
        self._monotonic_ns = monotonic_ns
        self._speed = speed
        self._held = held
        self._base_ns = start_ns
        """What the clock showed when it was last set,"""
        self._set_ns = monotonic_ns()
        """and when that was."""
        self._changed: asyncio.Event | None = None

    @property
    def held(self) -> bool:
        """Whether it stands until it is moved."""
        return self._held

    @property
    def speed(self) -> float:
        """How many of its seconds pass in one, while it is not held."""
        return self._speed

    def now_ns(self) -> int:
        """Return nanoseconds since `EPOCH`."""
        if self._held:
            return self._base_ns
        passed_ns = self._monotonic_ns() - self._set_ns
        return min(self._base_ns + round(passed_ns * self._speed), LATEST_NS)

    def now(self) -> datetime:
        """Return the time as a time of day."""
        return wall_time_of(self.now_ns())

    def move(self, by_ns: int) -> None:
        """Move the clock forward; whoever sleeps until then wakes.

        Raises `InputError`: back, or beyond 200 years.
        """
        if by_ns < 0:
            raise InputError(f"the clock goes forward only, not by {by_ns / NS:g} s")
        if self.now_ns() + by_ns > LATEST_NS:
            raise InputError("the clock ends 200 years after 2026-01-01")
        self._set(self.now_ns() + by_ns)

    def hold(self) -> None:
        """Let the clock stand. Calls that sleep go on at once."""
        now_ns = self.now_ns()
        self._held = True
        self._set(now_ns)

    def run(self, speed: float) -> None:
        """Let so many of its seconds pass in one, from now on. Raises `InputError`."""
        check_speed(speed)
        now_ns = self.now_ns()
        self._held, self._speed = False, speed
        self._set(now_ns)

    async def sleep_ns(self, duration_ns: int) -> None:
        """Return once the clock has gone on by a duration; while it is held, at once."""
        until_ns = self.now_ns() + duration_ns
        while not self._held and (left_ns := until_ns - self.now_ns()) > 0:
            if self._changed is None:
                self._changed = asyncio.Event()
            try:
                async with asyncio.timeout(left_ns / NS / self._speed):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _set(self, now_ns: int) -> None:
        self._base_ns = now_ns
        self._set_ns = self._monotonic_ns()
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def check_speed(speed: Any, where: str = "a speed") -> float:
    """Return a speed. Raises `InputError`: no number, 0 or less, or above `FASTEST`."""
    is_number = isinstance(speed, int | float) and not isinstance(speed, bool)
    if not is_number or not 0 < speed <= FASTEST:
        raise InputError(f"{where} is above 0 and at most {FASTEST:.0f}, not {quoted(speed)}")
    return float(speed)


def _time_of_day_ns() -> int:
    return round((datetime.now(UTC) - EPOCH) / timedelta(microseconds=1)) * 1000
