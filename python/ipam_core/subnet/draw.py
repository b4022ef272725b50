"""What one node takes from its subnet when its pool is settled, with any number of pods.

The node is played as `explain` plays it, so no rule is written twice: pods come one by
one, and the pool settles after each.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.play import NodeCase, Play
from ipam_core.instances import ADDRESSES_PER_PREFIX, HOST_NETWORK_PODS

if TYPE_CHECKING:
    from ipam_core.diagnosis.explain.play import Level
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one node takes from a subnet: interfaces, secondary addresses, /28s."""

    enis: int
    addresses: int
    prefixes: int

    @property
    def singles(self) -> int:
        """Addresses taken one by one: the interfaces' own, and the secondary ones."""
        return self.enis + self.addresses

    @property
    def pool(self) -> int:
        """Addresses that pods can have."""
        return self.addresses + ADDRESSES_PER_PREFIX * self.prefixes

    @property
    def held(self) -> int:
        """Addresses of the subnet that the node holds, the interfaces' own too."""
        return self.enis + self.pool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDraws:
    """What a node draws with 0, 1, 2, ... pods that need an address.

    Attributes:
        max_pods: the kubelet's maxPods that it was played with.
        levels: the draw with each number of pods, from 0 to the most it serves.
        init_error: why the agent does not start; "" if it does.
    """

    max_pods: int
    levels: tuple[Draw, ...]
    init_error: str = ""

    @property
    def most_pods(self) -> int:
        """Pods with an address of their own that the kubelet admits."""
        return max(self.max_pods - HOST_NETWORK_PODS, 0)

    @property
    def served(self) -> int:
        """Pods that get an address, at most."""
        return max(len(self.levels) - 1, 0)

    def why_not(self, pods: int) -> str:
        """Return why a node cannot serve so many pods, "" if it can."""
        if self.init_error:
            return f"the agent does not start: {self.init_error}"
        if pods > self.most_pods:
            return f"maxPods {self.max_pods} admits {self.most_pods} pods with an address"
        if pods > self.served:
            return f"{self.served} of {pods} pods get an address"
        return ""

    def at(self, pods: int) -> Draw:
        """Return the draw with so many pods; pods that are not served add nothing."""
        if not self.levels:
            return Draw(enis=1, addresses=0, prefixes=0)
        return self.levels[min(pods, self.served)]


@cache
def node_draws(
    limits: InstanceLimits, settings: Settings, *, prefix_mode: bool, max_pods: int
) -> NodeDraws:
    """Return what a node of a type and settings draws, from no pod to `max_pods`.

    `prefix_mode` replaces the value in the settings. Under settings with which the pool grows
    and shrinks without end (pool-rules section 7) a level is the most that it holds. Under
    custom networking the primary interface is in another subnet, and is not counted. Cost: 30
    to 100 us a pod; the result is cached.
    """
    settings = replace(settings, enable_prefix_delegation=prefix_mode)
    case = NodeCase(limits=limits, env=settings.to_env(), max_pods=max_pods)
    # A level that does not settle is as large as the next one: one pod more is played.
    play = Play(case, n_pods=case.n_pods + 1)
    elsewhere = int(settings.custom_networking)
    in_prefixes = play.prefix_mode
    levels = [
        draw_of(
            max(level, above, key=_size) if not level.settled else level, elsewhere, in_prefixes
        )
        for level, above in zip(play.up, [*play.up[1:], *play.up[-1:]], strict=True)
    ]
    return NodeDraws(
        max_pods=max_pods, levels=tuple(levels[: case.n_pods + 1]), init_error=play.init_error
    )


def _size(level: Level) -> int:
    return level.taken


def draw_of(level: Level, elsewhere: int, in_prefixes: bool) -> Draw:
    """Return what a node at a level draws, `elsewhere` of its ENIs being in another subnet."""
    return Draw(
        enis=level.enis - elsewhere,
        addresses=0 if in_prefixes else level.total,
        prefixes=level.total // ADDRESSES_PER_PREFIX if in_prefixes else 0,
    )
