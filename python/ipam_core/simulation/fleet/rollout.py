"""A change of settings that is rolled out over a fleet, as a DaemonSet's rolling update."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING

from ipam_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core.simulation.fleet.members import FleetNode
    from ipam_core.simulation.fleet.spec import GroupSpec, RolloutSpec


class Rollouts:
    """The current settings of each group, and the rollouts in progress."""

    def __init__(self, groups: Iterable[GroupSpec]) -> None:
        self._env = {group.name: dict(group.env) for group in groups}
        self.settings: dict[str, Settings] = {
            name: Settings.from_env(env) for name, env in self._env.items()
        }
        self._under_way: list[Rollout] = []

    def begin(self, nodes: Iterable[FleetNode], spec: RolloutSpec) -> None:
        """Begin to give nodes other settings; nodes that join from now on have them."""
        for name, env in self._env.items():
            if spec.group in (None, name):
                merged = {**env, **spec.env}
                self._env[name] = {key: value for key, value in merged.items() if value is not None}
                self.settings[name] = Settings.from_env(self._env[name])
        wanted = [node for node in nodes if not node.gone and spec.group in (None, node.group.name)]
        rollout = Rollout(spec, wanted, dict(self.settings))
        self._under_way.append(rollout)
        rollout.go_on()

    def is_down_no_more(self, node: FleetNode) -> None:
        """Note that a node's agent is ready, or that the node is gone."""
        for rollout in self._under_way:
            rollout.is_down_no_more(node)


class Rollout:
    """Restarts the agents of nodes; at most so many are not ready at the same time."""

    def __init__(
        self, spec: RolloutSpec, nodes: list[FleetNode], settings: dict[str, Settings]
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._left = deque(nodes)
        self._down: set[str] = set()
        self._most_down = max(ceil(spec.max_unavailable.of(len(nodes))), 1)

    def go_on(self) -> None:
        """Restart more agents, as many as may be down."""
        while self._left and len(self._down) < self._most_down:
            node = self._left.popleft()
            if not node.gone:
                self._down.add(node.name)
                node.agent.restart(self._settings[node.group.name], self._spec.down_ns)

    def is_down_no_more(self, node: FleetNode) -> None:
        """Note that a node's agent is ready, or that the node is gone."""
        if node.name in self._down:
            self._down.discard(node.name)
            self.go_on()
