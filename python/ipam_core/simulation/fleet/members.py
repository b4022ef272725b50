"""A fleet's nodes and pods, and the owners that are informed about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.agent import Agent
    from ipam_core.simulation.fleet.spec import GroupSpec


class PodOwner:
    """The maker of a pod, informed about it. These methods do nothing."""

    __slots__ = ()

    is_daemon = False
    """Whether an autoscaler counts a node with only its pods as empty."""

    def served(self, pod: Pod) -> None:
        """Note that a pod has its address."""

    def ended(self, pod: Pod) -> None:
        """Note that a pod is gone."""

    def joined(self, node: FleetNode) -> None:
        """Note that a node is ready for pods."""

    def replaced(self, pod: Pod, by: Pod) -> None:
        """Note that a pod was evicted, with the new one that its controller made for it."""


@dataclass(eq=False, slots=True)
class Launch:
    """A starting node: `node` is None until its instance runs. It replaces `instead_of`."""

    kind: GroupSpec
    group: GroupSpec
    node: FleetNode | None = None
    instead_of: FleetNode | None = None


class Pod:
    """A pod; `node` is where it was put, None while no node has room.

    `sandbox` is that of its next try to get an address, or of the one that got it.
    """

    __slots__ = ("asked_ns", "gone", "group", "lifetime_ns", "n_tries", "name", "node", "number",
                 "owner", "pinned", "sandbox", "served")  # fmt: skip

    def __init__(
        self,
        number: int,
        owner: PodOwner,
        lifetime_ns: int | None,
        *,
        group: str | None = None,
        pinned: bool = False,
    ) -> None:
        self.number = number
        self.owner = owner
        self.lifetime_ns = lifetime_ns
        self.group = group
        """The group whose nodes it may run on; None: any."""
        self.pinned = pinned
        """Whether it belongs to its node, and cannot move to another."""
        self.name = f"default/{number:x}"
        self.n_tries = 1
        self.sandbox = Sandbox(f"{number:x}")
        self.node: FleetNode | None = None
        self.asked_ns = 0
        self.served = False
        self.gone = False

    def try_again(self) -> None:
        """Use a new sandbox for the next try, as a container runtime does."""
        self.n_tries += 1
        self.sandbox = Sandbox(f"{self.number:x}-{self.n_tries}")


class FleetNode:
    """A node of the fleet: its agent, and the pods that were put on it.

    `group` is the group that it belongs to, `kind` the same with the node's own type.
    """

    __slots__ = ("agent", "changed_ns", "empty_ns", "gone", "group", "joined", "kind",
                 "launched_ns", "leaving", "n_daemons", "name", "pods", "room")  # fmt: skip

    def __init__(
        self, name: str, group: GroupSpec, kind: GroupSpec, agent: Agent, now_ns: int
    ) -> None:
        self.name = name
        self.group = group
        self.kind = kind
        self.agent = agent
        self.room = kind.room
        self.pods: set[Pod] = set()
        self.n_daemons = 0
        self.joined = False
        self.leaving = False
        """Whether it is cordoned: another node is starting to take its pods."""
        self.gone = False
        self.launched_ns = now_ns
        self.changed_ns = now_ns
        """When a pod last came to it or left it."""
        self.empty_ns = -1
        """When it was found empty, if no pod came since."""

    @property
    def is_empty(self) -> bool:
        """Return whether only daemons are left on it."""
        return len(self.pods) == self.n_daemons

    @property
    def takes_pods(self) -> bool:
        """Return whether the scheduler may put pods on it."""
        return self.joined and not self.gone and not self.leaving

    def put(self, pod: Pod, now_ns: int) -> None:
        """Note a pod that comes."""
        self.pods.add(pod)
        self.changed_ns = now_ns
        if pod.owner.is_daemon:
            self.n_daemons += 1
        else:
            self.empty_ns = -1

    def drop(self, pod: Pod, now_ns: int) -> None:
        """Note a pod that goes."""
        if pod in self.pods:
            self.pods.discard(pod)
            self.changed_ns = now_ns
            self.n_daemons -= pod.owner.is_daemon

    def taken(self, n_daemons: int) -> int:
        """Return the share of its room that is taken, if so many DaemonSets run on every node."""
        return len(self.pods) + max(n_daemons - self.n_daemons, 0)
