"""Groups of nodes in subnets: what they hold at rest, at their peak and in a rolling upgrade.

Each node holds what `node_draws` computes for its pods. Nodes are placed in their group's
subnets in turn, as an Auto Scaling group balances zones; single addresses and /28s are taken
at random, as EC2 does. So several placements are tried, and the worst is returned.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError, NoFreePrefixError, SubnetExhaustedError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.subnet.capacity import count_fitting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core._subnet import Subnet
    from ipam_core.subnet.draw import Draw, NodeDraws

N_PLACEMENTS = 5
"""The number of random placements that are tried."""
AT_REST, AT_PEAK, UPGRADE = "at rest", "at peak", "rolling upgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes of one kind.

    Attributes:
        count: nodes there are.
        subnets: ids of the subnets that they are in, in turn.
        draws: what a node holds with any number of pods.
        max_pods_rule: the source of its maxPods.
        pods: with an address of their own, on each node at rest.
        peak_pods: at the peak, and on the new nodes of an upgrade.
        surge: new nodes that an upgrade adds before old ones go.

    Raises `InputError`: a node cannot run so many pods.
    """

    name: str
    instance_type: str
    count: int
    subnets: tuple[str, ...]
    draws: NodeDraws
    max_pods_rule: str
    pods: int
    peak_pods: int
    surge: int

    def __post_init__(self) -> None:
        for pods in (self.pods, self.peak_pods):
            if why := self.draws.why_not(pods):
                raise InputError(f"group {self.name}: {pods} pods on {self.instance_type}: {why}")


@dataclass(slots=True, kw_only=True)
class GroupCount:
    """What one group has in one state; `fits` more nodes of it would join, full ones at a peak.

    `refused` nodes found no room; `unserved` pods have no address, the pods of refused nodes
    included. `held` are addresses of the subnets, `idle` those of pools that no pod has. The
    addresses for pods on the new nodes of an upgrade are held, and count neither as idle nor
    as pods: their pods still run on the old nodes.
    """

    nodes: int = 0
    refused: int = 0
    pods: int = 0
    unserved: int = 0
    held: int = 0
    idle: int = 0
    fits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityState:
    """One state: what each group has, and (addresses, /28s) free in each subnet."""

    name: str
    groups: Mapping[str, GroupCount]
    free: Mapping[str, tuple[int, int]]

    def total(self, what: str) -> int:
        """Return the sum of one count over the groups."""
        return sum(getattr(count, what) for count in self.groups.values())

    @property
    def fits(self) -> bool:
        """Whether every node joins, and every pod has an address."""
        return not (self.total("refused") or self.total("unserved"))

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON's types."""
        names = GroupCount.__slots__
        return {
            "state": self.name,
            "fits": self.fits,
            **{name: self.total(name) for name in names if name != "fits"},
            "groups": {
                group: {name: getattr(count, name) for name in names}
                for group, count in self.groups.items()
            },
            "subnets": {
                name: {"free": addresses, "free_prefixes": prefixes}
                for name, (addresses, prefixes) in self.free.items()
            },
        }


@dataclass(slots=True)
class _Node:
    group: NodeGroup
    subnet: str
    pods: int
    singles: int = 0
    prefixes: int = 0
    enis: int = 1
    is_surge: bool = False  # of an upgrade: its pods still run on other nodes

    @property
    def pool(self) -> int:
        return self.singles - self.enis + ADDRESSES_PER_PREFIX * self.prefixes


@dataclass
class _Region:
    """Subnets, and the nodes in them."""

    subnets: dict[str, Subnet]
    nodes: list[_Node] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    lost_pods: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Region:
        return _Region(
            {name: subnet.copy() for name, subnet in self.subnets.items()},
            [_Node(n.group, n.subnet, n.pods, n.singles, n.prefixes, n.enis) for n in self.nodes],
            dict(self.refused),
            dict(self.lost_pods),
        )

    def join(self, group: NodeGroup, count: int, pods: int, *, surge: bool = False) -> None:
        """Let nodes join, each in the next subnet in turn that has all the addresses it needs."""
        draw = group.draws.at(pods)
        for turn in range(count):
            for more in range(len(group.subnets)):
                name = group.subnets[(turn + more) % len(group.subnets)]
                node = _Node(group, name, pods, is_surge=surge)
                if self._take(node, draw):
                    self.nodes.append(node)
                    break
            else:
                self.refused[group.name] = self.refused.get(group.name, 0) + 1
                lost = 0 if surge else pods
                self.lost_pods[group.name] = self.lost_pods.get(group.name, 0) + lost

    def grow(self) -> None:
        """Give every node the pods of its peak; a node without room keeps its addresses."""
        for node in self.nodes:
            node.pods = node.group.peak_pods
            self._take(node, node.group.draws.at(node.pods))

    def _take(self, node: _Node, draw: Draw) -> bool:
        subnet = self.subnets[node.subnet]
        singles, prefixes = draw.singles - node.singles, draw.prefixes - node.prefixes
        try:
            taken = subnet.take_addresses(max(singles, 0))
        except SubnetExhaustedError:
            return False
        try:
            subnet.take_prefixes(max(prefixes, 0))
        except NoFreePrefixError:
            subnet.release_addresses(taken)
            return False
        node.singles, node.prefixes, node.enis = draw.singles, draw.prefixes, draw.enis
        return True

    def state(self, name: str, groups: Sequence[NodeGroup], *, peak: bool) -> CapacityState:
        counts = {group.name: GroupCount() for group in groups}
        for node in self.nodes:
            count = counts[node.group.name]
            count.nodes += 1
            count.held += node.singles + ADDRESSES_PER_PREFIX * node.prefixes
            if not node.is_surge:
                served = min(node.pods, node.pool)
                count.pods += served
                count.unserved += node.pods - served
                count.idle += node.pool - served
        for group in groups:
            count = counts[group.name]
            count.refused = self.refused.get(group.name, 0)
            count.unserved += self.lost_pods.get(group.name, 0)
            draw = group.draws.at(group.peak_pods if peak else group.pods)
            count.fits = sum(count_fitting(self.subnets[each], draw) for each in group.subnets)
        free = {
            name: (subnet.n_free, subnet.n_free_prefixes) for name, subnet in self.subnets.items()
        }
        return CapacityState(name=name, groups=counts, free=free)


def plan_capacity(
    groups: Sequence[NodeGroup], subnets: Mapping[str, Subnet], *, seed: int = 0
) -> list[CapacityState]:
    """Return what groups of nodes hold at rest, at their peak, and in a rolling upgrade.

    The present content of the subnets stays. At rest every node runs `pods` pods; at the peak
    `peak_pods`, grown from rest; in the upgrade each group has `surge` more nodes, full, in
    addition to all nodes at rest. Of `N_PLACEMENTS` random placements the worst is returned.
    Cost: a few microseconds a node and /28, for each.
    """
    plays = [_play(groups, subnets, seed + n) for n in range(N_PLACEMENTS)]
    return max(plays, key=_badness)


def _badness(states: list[CapacityState]) -> tuple[int, int, int]:
    return (
        sum(state.total("refused") for state in states),
        sum(state.total("unserved") for state in states),
        -sum(state.total("fits") for state in states),
    )


def _play(
    groups: Sequence[NodeGroup], subnets: Mapping[str, Subnet], seed: int
) -> list[CapacityState]:
    copies = {
        name: subnet.copy(placement="random", seed=seed * 1009 + n)
        for n, (name, subnet) in enumerate(subnets.items())
    }
    rest = _Region(copies)
    for group in groups:
        rest.join(group, group.count, group.pods)
    peak, upgrade = rest.copy(), rest.copy()
    peak.grow()
    for group in groups:
        upgrade.join(group, group.surge, group.peak_pods, surge=True)
    return [
        rest.state(AT_REST, groups, peak=False),
        peak.state(AT_PEAK, groups, peak=True),
        upgrade.state(UPGRADE, groups, peak=True),
    ]
