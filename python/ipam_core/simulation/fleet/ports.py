"""The interfaces through which a workload and an autoscaler act on their fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.members import FleetNode, Kind, Launch, NodeGroup, Pod, PodOwner
    from ipam_core.simulation.fleet.scheduler import Scheduler
    from ipam_core.simulation.fleet.spec import FleetSpec, GroupSpec


class Environment(Protocol):
    """A fleet as its workloads see it: time, nodes, and pods that come and go."""

    seed: int
    engine: Engine

    def create(
        self,
        owner: PodOwner,
        *,
        node: FleetNode | None = None,
        group: str | None = None,
        lifetime_ns: int | None = None,
    ) -> Pod:
        """Create a pod now, on a node if one is given; it goes after its lifetime."""

    def remove(self, pod: Pod) -> None:
        """Remove a pod."""

    def node_named(self, name: str) -> FleetNode:
        """Return a node by name. Raises `InputError`."""

    def watch_nodes(self, owner: PodOwner) -> None:
        """Inform an owner about every node that joins, and about the present ones."""


class Scalable(Protocol):
    """A fleet as its autoscaler sees it: nodes that come and go, and pods that wait for one."""

    spec: FleetSpec
    engine: Engine
    groups: dict[str, NodeGroup]
    scheduler: Scheduler

    def join(self, given: tuple[GroupSpec, Kind, Launch | None]) -> None:
        """Add a node to a group: of a kind, for a launch."""

    def drain(self, node: FleetNode) -> None:
        """End a node; its pods go to others, or wait for one."""
