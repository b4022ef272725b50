"""Lives of pods: when each held an address, and on which node; and the same as pod events.

All times are seconds of the wall clock (Unix time).
"""

from __future__ import annotations

import hashlib
from math import inf
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable

_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLife:
    """A pod that held an address of its own, from `start_s` to `end_s`; None: it still does.

    `pod` is namespace/name; `node` is empty where it is not known.
    """

    pod: str
    node: str
    start_s: float
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """How pods and nodes are called in a recording: as they are, or hashed with a salt.

    The same name has the same hash within a recording only: another has another salt.
    """

    salt: bytes | None = None

    def of(self, name: str) -> str:
        """Return a name as it is written; an empty one stays empty. Cost: a microsecond."""
        if self.salt is None or not name:
            return name
        return hashlib.blake2b(name.encode(), key=self.salt, digest_size=8).hexdigest()


def events_of(
    lives: Iterable[PodLife], *, start_s: float, until_s: float, names: Names
) -> list[PodEvent]:
    """Return lives as events in order of time, counted from `start_s`.

    A pod that was there before comes at 0; one that goes after `until_s` stays. A life that
    another of the same name cuts short ends where that begins: no two pods of Kubernetes have
    the same name at a time. A life that is shorter than a millisecond is left out. Cost:
    n log n for n lives.
    """
    spans = sorted(
        (
            life.pod,
            _ns(max(life.start_s, start_s) - start_s),
            inf if life.end_s is None or life.end_s > until_s else _ns(life.end_s - start_s),
            life.node,
        )
        for life in lives
        if life.start_s <= until_s and (life.end_s is None or life.end_s > start_s)
    )
    ordered: list[tuple[int, bool, PodEvent]] = []
    for at, (pod, from_ns, end_ns, node) in enumerate(spans):
        next_pod, next_ns = spans[at + 1][:2] if at + 1 < len(spans) else ("", 0)
        until_ns = min(end_ns, next_ns) if next_pod == pod else end_ns
        if until_ns <= from_ns:
            continue
        name, where = names.of(pod), names.of(node)
        ordered.append((from_ns, True, _event(from_ns, name, where, add=True)))
        if until_ns != inf:
            gone_ns = int(until_ns)
            ordered.append((gone_ns, False, _event(gone_ns, name, where, add=False)))
    # At the same moment pods go before others come: their addresses are free for those.
    return [event for _, _, event in sorted(ordered, key=lambda each: each[:2])]


def _event(time_ns: int, pod: str, node: str, *, add: bool) -> PodEvent:
    return PodEvent(time_ns=time_ns, pod=pod, node=node, add=add)


def _ns(seconds: float) -> int:
    """Return seconds as nanoseconds, at a whole millisecond, as the CSV has them."""
    return round(seconds * NS / _MS) * _MS
