"""The goals, and whether a run meets them: `make bench CHECK=1` fails if it does not.

Each is a ratio in one run, so that the machine does not matter; DESIGN of the project: budgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from figures import LEAST_NOISE, Figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from figures import Run

PAIR, LARGE_AGAINST_SMALL, BLOCK, EVENT, POWER = 1.25, 1.1, 1.5, 0.9, 1.2
"""A pair against the floor; many pods against few; a /28 against a call; a pod event against
the floor (1,000,000 a second where the floor makes 900,000); the exponent of growth."""
BYTES = {"free": 12, "assigned": 256}
"""Beyond the caller's own strings."""
START = {"--version": 4.1, "--help": 6.9, "explain": 12.1}
"""120, 200 and 350 ms where `python -c pass` takes 29."""
BATCH = 2.0
"""A pair of a batch against the same in C without cooldown, prefixes and checks."""
TEN = {"bytes": 0.5, "NumPy": 1.0}
"""Ten pairs in two calls against ten pairs one by one, by what the batch is given as."""
THREADS = "durable change, 8 threads against 1, "
PAGE = 4096 + 24
"""Bytes that SQLite appends to its log for a page."""
PAGES = 2.0
"""A page of the log, and that page moved into the file: the most that a change can write, for any
number of pods. With few pods, changes share the pages that are moved."""
MODES = {"prefixes": (29, 110, 232, 737, 1000, 3712, 11000), "secondary IPs": (29, 1000, 3712)}
LARGEST = {"prefixes": 11000, "secondary IPs": 3712}
"""Pods; 64 ENIs hold no more secondary IPs."""


class Goal(NamedTuple):
    """A figure must be at most `most`; `of` finds it in a run, None where it was not measured."""

    name: str
    most: float
    of: Callable[[Run], Figure | None]


class Verdict(NamedTuple):
    """A goal with what a run says of it."""

    goal: Goal
    figure: Figure | None

    @property
    def misses(self) -> bool:
        """Whether the figure is above the goal by more than its noise."""
        return self.figure is not None and self.figure.value - self.figure.noise > self.goal.most

    def __str__(self) -> str:
        if self.figure is None:
            return "not measured"
        if self.figure.value <= self.goal.most:
            return "met"
        over = self.figure.value - self.goal.most
        return f"missed by {over:.2f}" if self.misses else "within its noise"


def judged(run: Run) -> list[Verdict]:
    """Return a verdict for each goal."""
    return [Verdict(goal, goal.of(run)) for goal in goals(run)]


def goals(run: Run) -> list[Goal]:
    """Return the goals; of what grows, those that the run measured."""
    found = []
    for mode, numbers in MODES.items():
        for pods in numbers:
            name = f"pair, {mode}, {pods} pods"
            found.append(Goal(name, PAIR, _figure(name)))
        name = f"pair, {mode}, {LARGEST[mode]} pods against 29"
        found.append(Goal(name, LARGE_AGAINST_SMALL, _figure(name)))
    found.append(Goal("batch, 1000 pods", BATCH, _figure("batch, 1000 pods")))
    for entry, most in TEN.items():
        found.append(Goal(name := f"ten pods at once, {entry}", most, _figure(name)))
    for group in sorted(run.times):
        if group.startswith("find a free /28"):
            found.append(Goal(group, BLOCK, _ratio(group)))
        if group.startswith("a pod event"):
            found.append(Goal(group, EVENT, _ratio(group)))
    for kind in ("free", "assigned"):
        for mode in ("secondary-ip", "prefix"):
            name = f"bytes of a{'n' * (kind == 'assigned')} {kind} address, {mode}"
            found.append(Goal(name, BYTES[kind], _figure(name)))
    found += [
        Goal(name, 1.0, _threads(name))
        for name in (f"{THREADS}{how}" for how in ("disk", "tmpfs", "processor time on tmpfs"))
    ]
    found.append(Goal("bytes of a durable change, 11,000 pods, in pages", PAGES, _pages))
    found += [
        Goal(f"growth, {kind}", POWER, _figure(f"growth, {kind}")) for kind in sorted(run.growth)
    ]
    for command, most in START.items():
        name = f"command {command}, against python -c pass"
        found.append(Goal(name, most, _figure(name)))
    return found


def _figure(name: str) -> Callable[[Run], Figure | None]:
    return lambda run: run.figures.get(name)


def _ratio(group: str, subject: str = "ipam_core") -> Callable[[Run], Figure | None]:
    return lambda run: run.ratio(group, subject)


def _threads(name: str) -> Callable[[Run], Figure | None]:
    """Return the figure; until 0.2 the ratio of two subjects."""
    return lambda run: run.figures.get(name) or run.ratio(name, "8 threads")


def _pages(run: Run) -> Figure | None:
    written = run.written.get("durable change, 11000 pods, tmpfs: ipam_core")
    return Figure(written / PAGE, LEAST_NOISE) if written else None
