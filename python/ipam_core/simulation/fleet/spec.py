"""The input of a fleet simulation as values: nodes, subnets, EC2, workloads, rollouts.

`file` reads these from YAML; a program can also make them itself. All values are immutable and
can be pickled, so that runs can use other processes.
"""

from __future__ import annotations

from dataclasses import field, replace
from math import inf
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.instances import HOST_NETWORK_PODS
from ipam_core.settings import Settings
from ipam_core.simulation.validation import Share
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.cloud.latency import Latency
    from ipam_core.cloud.throttling import Bucket
    from ipam_core.instances import InstanceLimits
    from ipam_core.simulation.fleet.workload_specs import Workload

CHART_MAX_UNAVAILABLE = Share(10, percent=True)
"""The share of agents that the chart aws-vpc-cni allows to be down at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetSpec:
    """A subnet; `used` of its addresses, at random, are used by others from the start.

    `region` is its region, which has its own EC2; subnets without one are in one region, too.
    """

    subnet_id: str
    cidr: str
    zone: str = "a"
    region: str = ""
    tag: str | None = None  # kubernetes.io/role/cni
    used: int = 0
    reservations: tuple[tuple[str, str], ...] = ()  # CIDR, prefix or explicit


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale:
    """A group grows while pods find no node, and removes empty nodes.

    It never has more than `most` nodes, nor fewer than the group's `count`. With
    `consolidate_ns` it also removes a node whose pods fit on other nodes, or on others and one
    that costs less, if no pod came to it or left it for this long.
    """

    most: int
    boot_ns: int = 60 * NS
    empty_ns: int = 600 * NS
    consolidate_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """Nodes of one kind, in turn in the subnets given; they join within `join_ns`.

    `more_types` are those that an autoscaler may take instead of `instance_type`. A type is
    a name of the table, or limits in the form of `instances.parse_limits`.
    """

    name: str
    instance_type: str
    count: int
    subnets: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    max_pods: int | None = None
    join_ns: int = 0
    pod_subnet: str | None = None  # the ENIConfig's, under custom networking
    autoscale: Autoscale | None = None
    more_types: tuple[str, ...] = ()

    @property
    def pool(self) -> tuple[GroupSpec, ...]:
        """The group with each of its types, the fewest vCPUs first: they are the cost of a node."""
        kinds = (
            replace(self, instance_type=name, more_types=())
            for name in dict.fromkeys((self.instance_type, *self.more_types))
        )
        return tuple(sorted(kinds, key=lambda kind: (kind.cost, kind.room)))

    @property
    def type_names(self) -> tuple[str, ...]:
        """The names of its types, the first one first."""
        types = (self.instance_type, *self.more_types)
        return tuple(instances.limits(each).instance_type for each in types)

    @property
    def cost(self) -> float:
        """The cost of a node, for comparison: its vCPUs, by which AWS prices a family."""
        return inf if self.limits.vcpus is None else self.limits.vcpus

    @property
    def limits(self) -> InstanceLimits:
        """The limits of the instance type."""
        return instances.limits(self.instance_type)

    @property
    def kubelet_max_pods(self) -> int:
        """The kubelet's maxPods: as given, or the usual one of the type and settings."""
        if self.max_pods is not None:
            return self.max_pods
        return instances.max_pods(self.limits, Settings.from_env(self.env)).value

    @property
    def max_pods_rule(self) -> str:
        """The source of `kubelet_max_pods`, in words."""
        if self.max_pods is not None:
            return "given"
        return instances.max_pods(self.limits, Settings.from_env(self.env)).rule

    @property
    def room(self) -> int:
        """Pods with addresses of their own that the scheduler puts on a node."""
        return max(self.kubelet_max_pods - HOST_NETWORK_PODS, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """EC2 calls that fail: see `ipam_core.cloud.region.Fault`."""

    api: str
    code: str
    message: str = ""
    times: int | None = None
    probability: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpec:
    """A change of settings, rolled out over the nodes as a DaemonSet's update."""

    at_ns: int
    env: Mapping[str, str | None]  # None unsets a variable
    group: str | None = None  # None: every node
    max_unavailable: Share = CHART_MAX_UNAVAILABLE
    down_ns: int = 5 * NS


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """A whole simulation. Results count from `measure_from_ns` on."""

    name: str
    duration_ns: int
    subnets: tuple[SubnetSpec, ...]
    groups: tuple[GroupSpec, ...]
    workloads: tuple[Workload, ...]
    rollouts: tuple[RolloutSpec, ...] = ()
    measure_from_ns: int = 0
    seed: int = 0
    metadata_lag_s: float = 1.0
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    throttling: Mapping[str, Bucket] | None = field(default_factory=dict)  # None: no throttling
    faults: tuple[FaultSpec, ...] = ()

    def region_of(self, group: GroupSpec) -> str:
        """Return the region of a group's subnets. Raises `InputError`: there are several."""
        wanted = {*group.subnets, group.pod_subnet}
        found = dict.fromkeys(each.region for each in self.subnets if each.subnet_id in wanted)
        if len(found) > 1:
            shown = ", ".join(map(repr, found))
            raise InputError(f"nodes {group.name}: subnets in one region, not in {shown}")
        return next(iter(found), "")


def with_max_pods(spec: FleetSpec, max_pods: int) -> FleetSpec:
    """Return a fleet whose nodes all have this kubelet's maxPods."""
    groups = tuple(replace(group, max_pods=max_pods) for group in spec.groups)
    return replace(spec, groups=groups)


def check_times(spec: FleetSpec) -> None:
    """Raise `InputError` if something would begin only after the end."""
    for what, parts in (("workloads", spec.workloads), ("rollouts", spec.rollouts)):
        for n, part in enumerate(parts, 1):
            if (at_ns := getattr(part, "at_ns", 0)) >= spec.duration_ns:
                raise InputError(
                    f"{what} {n}: at {at_ns / NS:g} s is not before the end, "
                    f"{spec.duration_ns / NS:g} s"
                )
