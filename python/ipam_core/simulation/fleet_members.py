"""A fleet's nodes and pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from ipam_core.simulation.agent import Agent
    from ipam_core.simulation.fleet_spec import GroupSpec
    from ipam_core.simulation.workloads import Run


class Pod:
    """A pod; `node` is where it was put, None while no node has room."""

    __slots__ = ("asked_ns", "gone", "lifetime_ns", "node", "number", "owner", "sandbox", "served")

    def __init__(self, number: int, owner: Run, lifetime_ns: int | None) -> None:
        self.number = number
        self.owner = owner
        self.lifetime_ns = lifetime_ns
        self.sandbox = Sandbox(f"{number:x}")
        self.node: FleetNode | None = None
        self.asked_ns = 0
        self.served = False
        self.gone = False


class FleetNode:
    """A node of the fleet: its agent, and the pods that were put on it."""

    __slots__ = ("agent", "empty_ns", "gone", "group", "joined", "name", "pods", "room")

    def __init__(self, name: str, group: GroupSpec, agent: Agent) -> None:
        self.name = name
        self.group = group
        self.agent = agent
        self.room = group.room
        self.pods: set[Pod] = set()
        self.joined = False
        self.gone = False
        self.empty_ns = -1
        """When it was found empty, if no pod came since."""

    @property
    def is_empty(self) -> bool:
        """Return whether only daemons are left on it."""
        return all(pod.owner.is_daemon for pod in self.pods)
