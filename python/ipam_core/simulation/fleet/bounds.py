"""How large a fleet may be: a larger one is refused before it is played.

The bounds keep memory below a few GB (a node takes 25 KB, a pod that waits up to 1 KB) and
are several times those of the largest clusters; a long run shows its progress.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from ipam_core.errors import InputError
from ipam_core.simulation.fleet.resident import pods_stay
from ipam_core.simulation.fleet.workload_specs import Arrivals, Churn, RollingUpdate

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.spec import FleetSpec
    from ipam_core.simulation.fleet.workload_specs import Workload

MOST_NODES = 200_000
"""Nodes of all groups, including the most that autoscalers may add."""
MOST_PODS_AT_ONCE = 2_000_000
"""Pods of one workload that exist at the same time."""
MOST_PODS_THAT_STAY = 20_000_000
"""The same where every pod stays on its node: it takes less than 100 bytes there."""
MOST_PODS = 500_000_000
"""Pods of all workloads over the whole time: 8 bytes each, in the result."""
MOST_PODS_PER_NODE = 100_000


def check_bounds(spec: FleetSpec) -> None:
    """Refuse a fleet beyond the bounds. Raises `InputError`, which names the bound."""
    n_nodes = 0
    for number, group in enumerate(spec.groups, 1):
        n_nodes += max(group.count, group.autoscale.most if group.autoscale else 0)
        if group.max_pods is not None:
            _at_most(group.max_pods, MOST_PODS_PER_NODE, f"nodes {number}: max_pods")
    _at_most(n_nodes, MOST_NODES, "nodes: count over all groups")
    most_at_once = MOST_PODS_THAT_STAY if pods_stay(spec) else MOST_PODS_AT_ONCE
    n_pods = 0
    for number, workload in enumerate(spec.workloads, 1):
        at_once, in_all = _pods(workload, spec.duration_ns, n_nodes, f"workloads {number}")
        _at_most(at_once, most_at_once, f"workloads {number}: pods at a time")
        n_pods += in_all
    _at_most(n_pods, MOST_PODS, "workloads: pods over the whole duration")


def _pods(workload: Workload, duration_ns: int, n_nodes: int, where: str) -> tuple[int, int]:
    """Return about how many pods a workload has at once, and over the whole time."""
    if isinstance(workload, Arrivals):
        waves = 1
        if workload.every_ns is not None:
            _positive(workload.every_ns, f"{where}: every")
            waves = ceil(duration_ns / workload.every_ns)
        return workload.pods, workload.pods * waves
    if isinstance(workload, Churn):
        _positive(workload.lifetime_ns, f"{where}: lifetime")
        at_once = workload.pods_per_node * n_nodes
        return at_once, at_once * ceil(duration_ns / workload.lifetime_ns)
    if isinstance(workload, RollingUpdate):
        return workload.pods, workload.pods * (workload.times + 1)
    return 0, 0


def _at_most(value: int, most: int, what: str) -> None:
    if value > most:
        shown = f"{value:,}" if value < 1e15 else f"{value:.2g}" if value < 1e300 else "far more"
        raise InputError(f"{what}: at most {most:,}, not {shown}")


def _positive(value_ns: int, where: str) -> None:
    if value_ns <= 0:
        raise InputError(f"{where} is more than 0")
