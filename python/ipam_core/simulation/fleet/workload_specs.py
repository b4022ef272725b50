"""Where pods come from, as values; the processes of `workloads` create the pods."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core._lazy import Load, deprecated_name
from ipam_core.simulation.validation import Share

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.event_file import EventFile
    from ipam_core.simulation.fleet.pod_event import PodEvent

QUARTER = Share(25, percent=True)
"""A Deployment's default for both its surge and its unavailable pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Pods that come within `over_ns`, evenly: a burst where it is 0, a ramp otherwise.

    Each runs for `lifetime_ns`, None: to the end; `every_ns` repeats all of it, as cron jobs do.
    """

    pods: int
    at_ns: int = 0
    over_ns: int = 0
    lifetime_ns: int | None = None
    every_ns: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """So many pods on every node, each replaced on its node when its lifetime is over.

    Lifetimes are exponential with a mean of `lifetime_ns`: a node in steady churn.
    """

    pods_per_node: int
    lifetime_ns: int
    at_ns: int = 0
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSet:
    """One pod on every node that joins; nodes that joined before `at_ns` get theirs then."""

    at_ns: int = 0
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingUpdate:
    """A Deployment of so many pods, created at the start and replaced at `at_ns`.

    At most `max_surge` pods more than asked for exist, and at least all except
    `max_unavailable` are ready, as the Deployment controller counts: the surge rounded up, the
    unavailable down. A pod is ready `ready_after_ns` after it has its address. `times` updates
    follow each other `every_ns` apart.
    """

    pods: int
    at_ns: int
    max_surge: Share = QUARTER
    max_unavailable: Share = QUARTER
    ready_after_ns: int = 0
    times: int = 1
    every_ns: int = 0
    group: str | None = None

    def bounds(self) -> tuple[int, int]:
        """Return how many more pods may exist, and how many may not be ready: not both none.

        The latter is the API server's fencepost rule.
        """
        surge = ceil(self.max_surge.of(self.pods))
        unavailable = floor(self.max_unavailable.of(self.pods))
        return surge, unavailable if surge else max(unavailable, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Pods that come and go as was recorded (`event_file` reads such files).

    `events` may be a file that is read while it is played; what is in it must be in order of
    time.
    """

    events: tuple[PodEvent, ...] | EventFile


Workload = Arrivals | Churn | DaemonSet | RollingUpdate | Trace

__getattr__: Load = deprecated_name(__name__, {"Recorded": "Trace"})
