"""Times of the wall clock, as options, logs and Kubernetes write them."""

from __future__ import annotations

from datetime import UTC, datetime

from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.simulation.validation import duration_ns
from ipam_core.units import NS


def unix_of(text: object) -> float | None:
    """Return a time such as 2026-03-11T02:58:02.123456Z as Unix time; None: it is none."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def rfc3339(unix_s: float) -> str:
    """Return Unix time as Kubernetes writes it, in UTC, to the millisecond where it has any."""
    time = datetime.fromtimestamp(round(unix_s, 3), UTC)
    text = time.isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.removesuffix(".000") + "Z"


def given_time(text: str, option: str, now_s: float) -> float:
    """Return the time that an option gives: a duration ago, or a time with a date.

    Raises `InputError`.
    """
    if "T" in text and (found := unix_of(text)) is not None:
        return found
    try:
        return now_s - duration_ns(text, option) / NS
    except InputError:
        raise InputError(
            f"{option} is a time such as 2026-03-11T02:00:00Z, or how long ago, such as 90m, 24h "
            f"or 7d, not {quoted(text)}"
        ) from None
