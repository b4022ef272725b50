"""A fleet's nodes and pods, and who hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.agent import Agent
    from ipam_core.simulation.fleet.spec import GroupSpec


class PodOwner:
    """Whoever made a pod hears of it. Here it does nothing."""

    __slots__ = ()

    is_daemon = False
    """Whether its pods leave a node empty in the eyes of an autoscaler."""

    def served(self, pod: Pod) -> None:
        """Hear that a pod has its address."""

    def ended(self, pod: Pod) -> None:
        """Hear that a pod is gone."""

    def joined(self, node: FleetNode) -> None:
        """Hear that a node is ready for pods."""


class Pod:
    """A pod; `node` is where it was put, None while no node has room.

    `sandbox` is that of its next try to get an address, or of the one that got it.
    """

    __slots__ = ("asked_ns", "gone", "lifetime_ns", "n_tries", "name", "node", "number", "owner",
                 "sandbox", "served")  # fmt: skip

    def __init__(self, number: int, owner: PodOwner, lifetime_ns: int | None) -> None:
        self.number = number
        self.owner = owner
        self.lifetime_ns = lifetime_ns
        self.name = f"default/{number:x}"
        self.n_tries = 1
        self.sandbox = Sandbox(f"{number:x}")
        self.node: FleetNode | None = None
        self.asked_ns = 0
        self.served = False
        self.gone = False

    def try_again(self) -> None:
        """Have the next try come with a new sandbox, as a container runtime makes it."""
        self.n_tries += 1
        self.sandbox = Sandbox(f"{self.number:x}-{self.n_tries}")


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
