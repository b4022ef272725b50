"""A fleet's nodes and pods, and the owners that are informed about them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core._store import Sandbox

if TYPE_CHECKING:
    from ipam_core._kernel import Chance
    from ipam_core.instances import InstanceLimits
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


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Kind:
    """A kind of node: what its type, group and settings come to, worked out once."""

    group_name: str
    limits: InstanceLimits
    max_pods: int
    room: int
    cost: float

    @classmethod
    def of(cls, spec: GroupSpec) -> Kind:
        """Return the kind of a group's nodes."""
        return cls(
            group_name=spec.name,
            limits=spec.limits,
            max_pods=spec.kubelet_max_pods,
            room=spec.room,
            cost=spec.cost,
        )


@dataclass(eq=False, slots=True)
class Launch:
    """A starting node. It replaces `instead_of`."""

    kind: Kind
    group: GroupSpec
    instead_of: FleetNode | None = None


class NodeGroup:
    """A group's nodes that are there now, and sums over them: kept, not walked.

    `n_joined` counts those that ever came. `enis`, `total`, `assigned` and `cooling` are as of
    each node's last `recount`; the others are current.
    """

    __slots__ = ("assigned", "cooling", "enis", "n_joined", "nodes", "pods", "total", "waiting")

    def __init__(self) -> None:
        self.nodes: dict[int, FleetNode] = {}
        self.n_joined: int = 0
        self.pods: int = 0
        self.waiting: int = 0
        self.enis: int = 0
        self.total: int = 0
        self.assigned: int = 0
        self.cooling: int = 0


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
        self.number: int = number
        self.owner: PodOwner = owner
        self.lifetime_ns: int | None = lifetime_ns
        self.group: str | None = group
        """The group whose nodes it may run on; None: any."""
        self.pinned: bool = pinned
        """Whether it belongs to its node, and cannot move to another."""
        self.name: str = f"default/{number:x}"
        self.n_tries: int = 1
        self.sandbox: Sandbox = Sandbox(f"{number:x}")
        self.node: FleetNode | None = None
        self.asked_ns: int = 0
        self.served: bool = False
        self.gone: bool = False

    def try_again(self) -> None:
        """Use a new sandbox for the next try, as a container runtime does."""
        self.n_tries += 1
        self.sandbox = Sandbox(f"{self.number:x}-{self.n_tries}")


class FleetNode:
    """A node of the fleet: its agent, and the pods that were put on it.

    `group` is the group that it belongs to, `kind` what its own type makes of it, `members`
    the nodes of its group. `changed` is where it notes itself for the scheduler. `share` and
    `free` are the scheduler's: the share of its room that is taken, and what is free of it.
    """

    __slots__ = ("_changed", "_counted", "agent", "chance", "changed_ns", "empty_ns", "free",
                 "gone", "group", "is_noted", "joined", "kind", "launch", "launched_ns",
                 "leaving", "members", "n_daemons", "n_pinned", "n_waiting", "name", "number",
                 "pods", "room", "share", "wanted")  # fmt: skip

    def __init__(
        self,
        name: str,
        group: GroupSpec,
        kind: Kind,
        agent: Agent,
        now_ns: int,
        *,
        members: NodeGroup,
        changed: list[FleetNode],
        launch: Launch | None,
    ) -> None:
        self.name: str = name
        self.number: int = agent.number
        self.group: GroupSpec = group
        self.kind: Kind = kind
        self.agent: Agent = agent
        self.room: int = kind.room
        self.members: NodeGroup = members
        self.launch: Launch | None = launch
        """The launch that it is of, None where it was there from the start."""
        self.chance: Chance | None = None
        """Its own stream of chance, where its pods stay on it."""
        self.pods: set[Pod] = set()
        self.n_waiting: int = 0
        self.n_daemons: int = 0
        self.n_pinned: int = 0
        """Pods that were made for it and are no daemons."""
        self.wanted: Counter[str | None] | None = None
        """How many pods that may move want which group; None: must be counted again."""
        self.joined: bool = False
        self.leaving: bool = False
        """Whether it is cordoned: another node is starting to take its pods."""
        self.gone: bool = False
        self.launched_ns: int = now_ns
        self.changed_ns: int = now_ns
        """When a pod last came to it or left it."""
        self.empty_ns: int = -1
        """When it was found empty, if no pod came since."""
        self.share: float = 1.0
        self.free: int = 0
        self.is_noted: bool = False
        self._changed = changed
        self._counted = (0, 0, 0, 0)
        members.nodes[self.number] = self
        members.n_joined += 1

    @property
    def is_empty(self) -> bool:
        """Return whether only daemons are left on it."""
        return len(self.pods) == self.n_daemons

    @property
    def takes_pods(self) -> bool:
        """Return whether the scheduler may put pods on it."""
        return self.joined and not self.gone and not self.leaving

    def note_change(self) -> None:
        """Note that the room for pods on it changed."""
        if not self.is_noted:
            self.is_noted = True
            self._changed.append(self)

    def put(self, pod: Pod, now_ns: int) -> None:
        """Note a pod that comes; it waits for its address."""
        self.pods.add(pod)
        self.n_waiting += 1
        self.changed_ns = now_ns
        if pod.owner.is_daemon:
            self.n_daemons += 1
        else:
            self.n_pinned += pod.pinned
            self.empty_ns = -1
        if not self.gone:
            self.members.pods += 1
            self.members.waiting += 1
        self.wanted = None
        self.note_change()

    def serve(self) -> None:
        """Note that one of its pods has its address."""
        self.n_waiting -= 1
        self.members.waiting -= not self.gone

    def drop(self, pod: Pod, now_ns: int) -> None:
        """Note a pod that goes."""
        if pod not in self.pods:
            return
        self.pods.discard(pod)
        self.n_waiting -= not pod.served
        self.changed_ns = now_ns
        if pod.owner.is_daemon:
            self.n_daemons -= 1
        else:
            self.n_pinned -= pod.pinned
        if not self.gone:
            self.members.pods -= 1
            self.members.waiting -= not pod.served
        self.wanted = None
        self.note_change()

    def join(self) -> None:
        """Note that its agent is ready for the first time: it takes pods."""
        self.joined = True
        self.note_change()

    def cordon(self) -> None:
        """Take no more pods."""
        self.leaving = True
        self.note_change()

    def leave(self) -> None:
        """Note that it is gone: the sums of its group hold nothing of it any more."""
        self.gone = True
        members = self.members
        del members.nodes[self.number]
        members.pods -= len(self.pods)
        members.waiting -= self.n_waiting
        self._count((0, 0, 0, 0))
        self.note_change()

    def taken(self, n_daemons: int) -> int:
        """Return the share of its room that is taken, if so many DaemonSets run on every node."""
        return len(self.pods) + max(n_daemons - self.n_daemons, 0)

    def wants(self) -> Counter[str | None]:
        """Return how many of its pods that may move want which group."""
        if self.wanted is None:
            self.wanted = Counter(pod.group for pod in self.pods if not pod.owner.is_daemon)
        return self.wanted

    def recount(self) -> bool:
        """Count its addresses again; return whether they may change without a call."""
        if self.gone:
            return False
        pools = self.agent.stats()
        self._count(
            (
                sum(pool.enis for pool in pools),
                sum(pool.total for pool in pools),
                sum(pool.assigned for pool in pools),
                sum(pool.cooling for pool in pools),
            )
        )
        return self._counted[3] > 0 or self.agent.is_busy

    def _count(self, counts: tuple[int, int, int, int]) -> None:
        members, before = self.members, self._counted
        members.enis += counts[0] - before[0]
        members.total += counts[1] - before[1]
        members.assigned += counts[2] - before[2]
        members.cooling += counts[3] - before[3]
        self._counted = counts
