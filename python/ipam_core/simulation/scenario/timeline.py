"""The result of a scenario: moments of a timeline, and expectations that were not met."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.cloud.simulated import CHANGING_APIS
from ipam_core.units import NS
from ipam_core.variables import shown_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import PoolStats
    from ipam_core.cloud.region import Call
    from ipam_core.simulation.scenario.checking import Mismatch
    from ipam_core.simulation.scenario.spec import Scenario, ScenarioStep

REQUEST_APIS = frozenset({
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "CreateNetworkInterface",
})  # fmt: skip
"""The calls that ask for addresses or give them back."""
_SHOWN_APIS = REQUEST_APIS | CHANGING_APIS | {"DeleteNetworkInterface"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The node at one moment of a timeline; `calls` since the moment before, as requests."""

    time_s: float
    what: str
    running: int
    waiting: int
    enis: int
    total: int
    assigned: int
    free: int
    cooling: int
    calls: tuple[str, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Its counts in the order of the columns of a timeline: pods, then the pool's."""
        pool = self.enis, self.total, self.assigned, self.free, self.cooling
        return self.running, self.waiting, *pool


def is_endless(count: int) -> bool:
    """Return whether a count is that of the addresses of an IPv6 prefix, and is none to draw."""
    return count >= 1 << 32


def count_text(count: int) -> str:
    """Return a count as a timeline shows it: of IPv6 addresses its first two digits."""
    return f"{count:.2g}" if is_endless(count) else str(count)


@dataclass(slots=True, kw_only=True)
class Result:
    """The result of a played scenario."""

    scenario: Scenario
    seed: int
    timeline: list[Moment] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Return whether everything expected was met."""
        return not self.mismatches


def moment_of(
    now_ns: int, what: str, stats: PoolStats, calls: Iterable[Call], *, running: int, waiting: int
) -> Moment:
    """Return the moment with these statistics of a pool, after these calls."""
    return Moment(
        time_s=now_ns / NS,
        what=what,
        running=running,
        waiting=waiting,
        enis=stats.enis,
        total=stats.total,
        assigned=stats.assigned,
        free=stats.available,
        cooling=stats.cooling,
        calls=tuple(
            request(call) + (f" -> {call.error.code}" if call.error else "")
            for call in calls
            if call.api in _SHOWN_APIS
        ),
    )


def request(call: Call) -> str:
    """Return a call as scenarios write it: `AssignPrivateIpAddresses(4)`."""
    return call.api if call.count is None else f"{call.api}({call.count})"


def described(step: ScenarioStep) -> str:
    """Return a step as a timeline shows it: by its label, else as it was written."""
    if step.label:
        return step.label
    shown = {key: value for key, value in step.arguments.items() if key != "enis"}
    if "env" in shown:
        shown["env"] = shown_variables(shown["env"])
    return " ".join([step.op, *(f"{key}={value}" for key, value in shown.items())])
