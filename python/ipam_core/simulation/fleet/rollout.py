"""A change of settings on its way over a fleet, as a DaemonSet's rolling update does it."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam_core.settings import Settings
    from ipam_core.simulation.fleet.members import FleetNode
    from ipam_core.simulation.fleet.spec import RolloutSpec


class Rollout:
    """Restarts the agents of nodes, at most so many at once not ready."""

    def __init__(
        self, spec: RolloutSpec, nodes: list[FleetNode], settings: dict[str, Settings]
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._left = deque(nodes)
        self._down: set[str] = set()
        self._most_down = max(ceil(spec.max_unavailable.of(len(nodes))), 1)

    def go_on(self) -> None:
        """Restart as many more agents as may be down."""
        while self._left and len(self._down) < self._most_down:
            node = self._left.popleft()
            if not node.gone:
                self._down.add(node.name)
                node.agent.restart(self._settings[node.group.name], self._spec.down_ns)

    def is_down_no_more(self, node: FleetNode) -> None:
        """Hear that a node's agent is ready, or that the node is gone."""
        if node.name in self._down:
            self._down.discard(node.name)
            self.go_on()
