"""What a workload may do to the fleet that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipam_core.simulation.engine import Engine
    from ipam_core.simulation.fleet.members import FleetNode, Pod, PodOwner


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
        """Take a pod away."""

    def node_named(self, name: str) -> FleetNode:
        """Return a node by name. Raises `InputError`."""

    def watch_nodes(self, owner: PodOwner) -> None:
        """Tell an owner of every node that joins, and of those there now."""
