"""Starts nodes for pods that found none, and removes nodes that are not needed.

It works as Karpenter does, with one resource: the number of pods that a node has room for.
Waiting pods are collected for a moment and planned on nodes that are starting. More nodes are
started only for the rest of them: each as large as the number of pods needs, of the cheapest
type with that room. DaemonSets take their part of every node. Source: kubernetes-sigs/
karpenter, pkg/controllers/provisioning (first fit), BATCH_IDLE_DURATION and BATCH_MAX_DURATION
in pkg/operator/options/options.go, and pkg/controllers/disruption (emptiness, single-node
consolidation, pollingPeriod; a NodePool's default budget, 10%).
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from ipam_core.simulation.engine import RANK_WORKLOAD
from ipam_core.simulation.fleet.emptied import Emptied
from ipam_core.simulation.fleet.members import Kind, Launch
from ipam_core.units import NS

if TYPE_CHECKING:
    from ipam_core.simulation.fleet.members import FleetNode
    from ipam_core.simulation.fleet.ports import Scalable
    from ipam_core.simulation.fleet.spec import GroupSpec

BATCH_IDLE_NS = 1 * NS
BATCH_MOST_NS = 10 * NS
"""Pods are collected until none came for a second, ten seconds at most (Karpenter's defaults)."""
POLL_NS = 10 * NS
"""How often nodes are checked for consolidation."""
BUDGET = 0.1
"""The share of a group's nodes that one check may remove, at least one."""


class Autoscaler:
    """The autoscaler of a fleet's groups."""

    def __init__(self, fleet: Scalable) -> None:
        self._fleet = fleet
        self._engine = fleet.engine
        self._groups = [group for group in fleet.spec.groups if group.autoscale is not None]
        self._pools = {group.name: [Kind.of(kind) for kind in group.pool] for group in self._groups}
        self._emptied = {
            group.name: Emptied(group.autoscale.empty_ns)
            for group in self._groups
            if group.autoscale is not None
        }
        self._n_launches = 0
        self._n_without_node: Counter[str] = Counter()  # launches, by group
        self._on_the_way: Counter[Kind] = Counter()  # nodes that will take pods that wait
        self._batch_from_ns: int | None = None
        self._decide_ns = -1
        self._polls: set[int] = set()

    # --- growing ----------------------------------------------------------------

    def pods_wait(self) -> None:
        """Note that pods found no node: decide when no more of them come."""
        if not self._groups:
            return
        now_ns = self._engine.now_ns
        if self._batch_from_ns is None:
            self._batch_from_ns = now_ns
        when_ns = min(now_ns + BATCH_IDLE_NS, self._batch_from_ns + BATCH_MOST_NS)
        if when_ns != self._decide_ns:
            self._decide_ns = when_ns
            self._engine.at(when_ns, RANK_WORKLOAD, -1, self._decide, when_ns)

    def _decide(self, when_ns: int) -> None:
        if when_ns != self._decide_ns:
            return
        self._decide_ns, self._batch_from_ns = -1, None
        unplaced = self._fleet.scheduler.unplaced
        waiting = Counter({name: unplaced.count(name) for name in unplaced.groups()})
        # Those of one group first: the others may go anywhere.
        for wanted in sorted(waiting, key=lambda name: name is None):
            waiting[wanted] -= self._on_their_way(wanted, waiting)
        for group in self._groups:
            self._boot(group, waiting[group.name])
        for group in self._groups:
            waiting[None] = self._boot(group, waiting[None])

    def _on_their_way(self, wanted: str | None, waiting: Counter[str | None]) -> int:
        """Return how many pods that want a group have room on nodes that are starting."""
        rooms: Counter[str] = Counter()
        for kind, n_nodes in self._on_the_way.items():
            rooms[kind.group_name] += n_nodes * self._room(kind)
        if wanted is not None:
            return min(waiting[wanted], rooms[wanted])
        # The room that the pods of one group leave on its nodes.
        unplaced = self._fleet.scheduler.unplaced
        left = sum(max(room - unplaced.count(name), 0) for name, room in rooms.items())
        return min(waiting[None], left)

    def _boot(self, group: GroupSpec, n_pods: int) -> int:
        """Start nodes of a group for so many pods; return the number of pods without room."""
        scale = group.autoscale
        assert scale is not None
        pool = [(self._room(kind), kind) for kind in self._pools[group.name]]
        largest = max(room for room, _ in pool)
        while n_pods > 0 and largest > 0 and self._n_nodes(group) < scale.most:
            wanted = min(n_pods, largest)
            room, kind = next(each for each in pool if each[0] >= wanted)
            self._launch(group, kind)
            n_pods -= room
        return max(n_pods, 0)

    def _room(self, kind: Kind) -> int:
        """Return the number of pods, without those of DaemonSets, that fit on a node of a kind."""
        return max(kind.room - self._fleet.scheduler.n_daemons(kind.group_name), 0)

    def _n_nodes(self, group: GroupSpec) -> int:
        return self._n_alive(group) + self._n_without_node[group.name]

    def _launch(self, group: GroupSpec, kind: Kind, node: FleetNode | None = None) -> None:
        assert group.autoscale is not None
        launch = Launch(kind, group, instead_of=node)
        self._n_launches += 1
        self._n_without_node[group.name] += 1
        self._on_the_way[kind] += node is None
        when_ns = self._engine.now_ns + group.autoscale.boot_ns
        self._engine.at(when_ns, RANK_WORKLOAD, -1, self._booted, launch)

    def _booted(self, launch: Launch) -> None:
        self._fleet.join((launch.group, launch.kind, launch))

    def arrived(self, node: FleetNode) -> None:
        """Note that an instance runs; its agent is not ready yet."""
        if node.launch is None:
            self._on_the_way[node.kind] += 1
        else:
            self._n_without_node[node.group.name] -= 1

    def joined(self, node: FleetNode) -> None:
        """Note that a node is ready for pods, and waiting pods have been put on it."""
        launch = node.launch
        self._on_the_way[node.kind] -= launch is None or launch.instead_of is None
        if launch is not None:
            self._n_launches -= 1
            old = launch.instead_of
            if old is not None and not old.gone:
                self._fleet.drain(old)
        if self._fleet.scheduler.unplaced:
            self.pods_wait()  # there are more of them than this node has room for
        while (other := self._find_empty(node)) is not None:
            self._fleet.drain(other)  # it was one of the last until now
        self.changed(node)

    # --- shrinking --------------------------------------------------------------

    def changed(self, node: FleetNode) -> None:
        """Note that a pod came to a node or left it, or that the node joined."""
        scale = node.group.autoscale
        if scale is None or node.gone or not node.joined:
            return
        now_ns = self._engine.now_ns
        if node.is_empty and node.empty_ns < 0:
            node.empty_ns = now_ns
            self._emptied[node.group.name].note(node)
            when_ns = now_ns + scale.empty_ns
            self._engine.at(when_ns, RANK_WORKLOAD, -1, self._scale_in, (node, now_ns))
        if scale.consolidate_ns is not None:
            when_ns = -(-(now_ns + scale.consolidate_ns) // POLL_NS) * POLL_NS
            if when_ns not in self._polls:
                self._polls.add(when_ns)
                self._engine.at(when_ns, RANK_WORKLOAD, -1, self._consolidate, when_ns)

    def _scale_in(self, given: tuple[FleetNode, int]) -> None:
        """Remove a node that has been empty since the time given."""
        node, empty_ns = given
        now_ns = self._engine.now_ns
        self._emptied[node.group.name].let_pass(now_ns)
        if node.gone or node.empty_ns != empty_ns:
            return
        if self._n_alive(node.group) > node.group.count:
            self._fleet.drain(node)

    def _find_empty(self, but: FleetNode) -> FleetNode | None:
        """Return the oldest node, but one, that may be given up as empty for long enough."""
        found = (
            self._emptied[group.name].first(self._engine.now_ns, but)
            for group in self._groups
            if self._n_alive(group) > group.count
        )
        return min(filter(None, found), key=lambda node: node.number, default=None)

    def _n_alive(self, group: GroupSpec) -> int:
        return len(self._fleet.groups[group.name].nodes)

    def _consolidate(self, when_ns: int) -> None:
        """Remove nodes whose pods fit elsewhere; those with the fewest pods first."""
        self._polls.discard(when_ns)
        if self._fleet.scheduler.unplaced or self._n_launches:
            return  # nodes are starting: it is not known yet which pods fit
        for group in self._groups:
            scale = group.autoscale
            if scale is None or scale.consolidate_ns is None:
                continue
            nodes = [
                node
                for node in self._fleet.groups[group.name].nodes.values()
                if node.takes_pods
                and when_ns - node.changed_ns >= scale.consolidate_ns
                and not node.n_pinned
            ]
            left = max(ceil(BUDGET * self._n_alive(group)), 1)
            for node in sorted(nodes, key=lambda node: len(node.pods)):
                if not left:
                    break
                left -= self._give_up(node, group)

    def _give_up(self, node: FleetNode, group: GroupSpec) -> bool:
        """Drain a node whose pods fit on others, or replace it by a cheaper one."""
        unmet = self._without_room_elsewhere(node)
        if unmet == 0:
            if self._n_alive(group) <= group.count:
                return False
            self._fleet.drain(node)
            return True
        for kind in self._pools[group.name]:
            if kind.cost < node.kind.cost and self._room(kind) >= unmet:
                node.cordon()
                self._launch(group, kind, node)
                return True
        return False

    def _without_room_elsewhere(self, node: FleetNode) -> int:
        """Return how many pods of a node would find no room on the others."""
        scheduler, wanted = self._fleet.scheduler, node.wants()
        free = Counter({name: scheduler.free_room(name) for name in self._fleet.groups})
        free[node.group.name] -= node.free
        unmet = 0
        for name in [name for name in wanted if name is not None]:
            unmet += max(wanted[name] - free[name], 0)
            free[name] = max(free[name] - wanted[name], 0)
        return unmet + max(wanted[None] - free.total(), 0)
