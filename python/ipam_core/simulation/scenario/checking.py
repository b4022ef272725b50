"""Compare the node with what a scenario expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One expected value that was not met; `where` is the step's number or label."""

    where: str
    key: str
    expected: Any
    met: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: expected {self.expected!r}, met {self.met!r}"


def compare(
    expected: Mapping[str, Any], observe: Callable[[str], Any], where: str
) -> list[Mismatch]:
    """Return every key of `expected` whose value `observe(key)` does not meet.

    Mappings are compared key by key: APIs that are not named are not checked.
    """
    found = []
    for key, value in expected.items():
        if key == "docs":
            continue
        met = observe(key)
        if key == "ec2":
            found += [
                Mismatch(where=where, key=f"ec2.{api}", expected=count, met=met.get(api, 0))
                for api, count in value.items()
                if not _meets(count, met.get(api, 0))
            ]
        elif not _meets(value, met):
            found.append(Mismatch(where=where, key=key, expected=value, met=met))
    return found


def _meets(expected: Any, met: Any) -> bool:
    """Return whether a value is met: equal, within {min, max}, or in {one_of}."""
    if isinstance(expected, dict):
        if "one_of" in expected:
            return any(_meets(choice, met) for choice in expected["one_of"])
        if not set(expected) <= {"min", "max"}:  # some fields of a mapping
            return isinstance(met, dict) and all(
                _meets(value, met.get(key)) for key, value in expected.items()
            )
        return isinstance(met, int | float) and bool(
            expected.get("min", met) <= met <= expected.get("max", met)
        )
    if isinstance(expected, list):
        return (
            isinstance(met, list)
            and len(expected) == len(met)
            and all(_meets(part, other) for part, other in zip(expected, met, strict=True))
        )
    return type(expected) is type(met) and bool(expected == met)
