"""Check the values of a file, one by one.

Each function takes a value and its name, and returns the value or raises an `InputError` that
names it, quotes it and says what is allowed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.quoting import quoted
from ipam_core.units import NS
from ipam_core.variables import quoted_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Checks = Mapping[str, Callable[[Any, str], Any]]

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86400}
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%")


shown = quoted
"""How an error quotes a value."""

LARGEST = 1e12
"""The largest number where nothing else bounds it."""
MOST_DAYS = 3660
"""The longest duration: ten years."""


def known_keys(raw: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse a key that is not known."""
    for key in raw:
        if key not in known:
            raise InputError(f"{where}: unknown key {shown(key)}; known: {', '.join(known)}")


def fields(
    raw: Mapping[str, Any],
    where: str,
    checks: Checks,
    *,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the values of a mapping, each checked; keys not there are left out."""
    known_keys(raw, tuple(checks), where)
    for key in required:
        if key not in raw:
            raise InputError(f"{where}: {key} is missing")
    return {key: checks[key](value, f"{where}: {key}") for key, value in raw.items()}


def named(found: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return values by the names of a dataclass's fields."""
    return {names.get(key, key): value for key, value in found.items()}


def unique(names: list[str], what: str) -> list[str]:
    """Return names that are all different."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{what} {name!r} is there twice")
    return names


def known_name(name: str, names: list[str], where: str) -> str:
    """Return a name that is one of those that there are."""
    if name not in names:
        raise InputError(f"{where}: no {shown(name)}; there are {', '.join(names)}")
    return name


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a mapping."""
    if not isinstance(value, dict):
        raise InputError(f"{where} is a mapping, not {shown(value)}")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise InputError(f"{where} is a list, not {shown(value)}")
    return value


def integer(value: Any, where: str, *, at_least: int = 0, at_most: int | None = None) -> int:
    """Return an integer within bounds."""
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or value < at_least
        or (at_most is not None and value > at_most)
    ):
        allowed = f"from {at_least} to {at_most}" if at_most is not None else f">= {at_least}"
        raise InputError(f"{where} is an integer {allowed}, not {shown(value)}")
    return value


def positive(value: Any, where: str) -> int:
    """Return an integer above 0."""
    return integer(value, where, at_least=1)


def integers(value: Any, where: str) -> list[int]:
    """Return a list of integers."""
    if not isinstance(value, list):
        raise InputError(f"{where} is a list of integers, not {shown(value)}")
    return [integer(part, where) for part in value]


def number(value: Any, where: str, *, at_most: float | None = None) -> float:
    """Return a number that is not negative."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 0 <= value <= (LARGEST if at_most is None else at_most)
    ):
        allowed = f"from 0 to {LARGEST if at_most is None else at_most:g}"
        raise InputError(f"{where} is a number, {allowed}, not {shown(value)}")
    return value


def boolean(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{where} is true or false, not {shown(value)}")
    return value


def non_empty(value: Any, where: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} is a text, not {shown(value)}")
    return value


def one_of(*allowed: str) -> Callable[[Any, str], str]:
    """Return a check that a value is one of these."""

    def check(value: Any, where: str) -> str:
        if value not in allowed:
            raise InputError(f"{where} is one of {', '.join(allowed)}, not {shown(value)}")
        return str(value)

    return check


def texts(value: Any, where: str) -> dict[str, str]:
    """Return a mapping from texts to texts."""
    found = mapping(value, where)
    for name, text in found.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise InputError(f"{where} is texts by name, not {shown({name: text})}")
    return found


def variables(value: Any, where: str) -> dict[str, str]:
    """Return environment variables, each a text."""
    found = mapping(value, where)
    for name, setting in found.items():
        if not isinstance(setting, str):
            raise InputError(
                f"{where}.{name} is a text, as in a manifest, not {quoted_value(name, setting)}"
            )
    return found


def variable_changes(value: Any, where: str) -> dict[str, str | None]:
    """Return changes of environment variables: a text, or null to unset one."""
    found = mapping(value, where)
    variables({name: setting for name, setting in found.items() if setting is not None}, where)
    return found


def duration_ns(value: Any, where: str) -> int:
    """Return a duration in nanoseconds: 90 (seconds), 250ms, 1.5s, 15m, 2h or 1d."""
    is_one = isinstance(value, int | float | str) and not isinstance(value, bool)
    match = (
        _DURATION.fullmatch(value if isinstance(value, str) else quoted(value)) if is_one else None
    )
    if not match:
        raise InputError(
            f"{where} is a duration such as 90 (seconds), 250ms, 15m, 2h or 1d, not {shown(value)}"
        )
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > MOST_DAYS * _SECONDS["d"]:
        raise InputError(f"{where} is at most {MOST_DAYS}d, not {shown(value)}")
    return round(seconds * NS)


@dataclass(frozen=True, slots=True)
class Share:
    """A count, or a percentage of one."""

    value: float
    percent: bool = False

    def of(self, n: int) -> float:
        """Return the share of `n`."""
        return n * self.value / 100 if self.percent else self.value


def share(value: Any, where: str) -> Share:
    """Return a count such as 3, or a share such as 25%."""
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match and float(match[1]) <= LARGEST:
        return Share(float(match[1]), percent=True)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise InputError(f"{where} is a count or a share such as 25%, not {shown(value)}")
    return Share(value)
