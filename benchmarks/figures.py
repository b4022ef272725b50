"""What a run of the benchmarks measured, read from pytest-benchmark's JSON: times and figures.

A figure is a ratio, an exponent or bytes: what can be compared between machines. It has a name
and a noise, by how much it may be off.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEAST_NOISE = 0.03
"""A share of a ratio: no measurement on a machine that others use is better."""


def noise_of(values: Sequence[float]) -> float:
    """Return by how much the median of a few measurements may be off, in 95 of 100 cases.

    As of a normal distribution with these quartiles: the standard error of its median, twice.
    """
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4)
    return _error(high - low, len(values))


def _error(between_quartiles: float, n: int) -> float:
    return 2 * 1.253 * between_quartiles / 1.349 / math.sqrt(n)


class Figure(NamedTuple):
    """A value that goals are about, and by how much it may be off."""

    value: float
    noise: float


@dataclass(frozen=True)
class Run:
    """One run: `times` are median nanoseconds an operation, by group and subject."""

    times: dict[str, dict[str, float]] = field(default_factory=dict)
    spreads: dict[str, dict[str, float]] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    growth: dict[str, dict[int, float]] = field(default_factory=dict)
    """Seconds of each kind of work, by how many times as much of it there was."""
    written: dict[str, float] = field(default_factory=dict)
    """Bytes that an operation writes, by group and subject."""
    waits: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The median and the 99th percentile of an ADD in ms, by group and subject."""
    about: str = ""
    """The commit and the day."""

    def ratio(self, group: str, subject: str, floor: str = "floor") -> Figure | None:
        """Return how many times a floor's time a subject takes; None if one is not there."""
        times = self.times.get(group, {})
        if subject not in times or floor not in times:
            return None
        value = times[subject] / times[floor]
        spreads = self.spreads[group]
        return Figure(value, value * math.hypot(spreads[subject], spreads[floor]))


def read(path: Path) -> Run:
    """Return a run of pytest-benchmark."""
    document = json.loads(path.read_text("utf-8"))
    run = Run(about=_about(document))
    for bench in document["benchmarks"]:
        facts, stats = bench["extra_info"], bench["stats"]
        if "subject" in facts:
            group, subject = bench["group"], facts["subject"]
            run.times.setdefault(group, {})[subject] = stats["median"] * 1e9 / facts["per_call"]
            spread = _error(stats["iqr"], stats["rounds"]) / stats["median"]
            run.spreads.setdefault(group, {})[subject] = max(spread, LEAST_NOISE)
            if "bytes" in facts:
                run.written[f"{group}: {subject}"] = facts["bytes"]
            if "add_p50_ms" in facts:
                run.waits[f"{group}: {subject}"] = (facts["add_p50_ms"], facts["add_p99_ms"])
        for name, (value, noise) in facts.get("figures", {}).items():
            run.figures[name] = Figure(value, max(noise, LEAST_NOISE * value))
        if "growth" in facts:
            run.growth.setdefault(facts["growth"], {})[facts["scale"]] = stats["min"]
    for kind, seconds in run.growth.items():
        if len(seconds) > 1:
            run.figures[f"growth, {kind}"] = Figure(exponent(seconds), 0.1)
    return run


def exponent(seconds: dict[int, float]) -> float:
    """Return by which power of the work the last step's time grows."""
    less, more = sorted(seconds)[-2:]
    return math.log(seconds[more] / seconds[less]) / math.log(more / less)


def _about(document: dict) -> str:
    commit = document.get("commit_info", {})
    changed = ", changed" if commit.get("dirty") else ""
    return f"{commit.get('id', '')[:9]}{changed} {document.get('datetime', '')[:10]}".strip()
