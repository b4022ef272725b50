"""A rolling update played: pods replaced a wave at a time, and how long the new ones wait."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.play import LONGEST_COOLDOWN_S, PlayedNode
from ipam_core.node.timers import LOOK_INTERVAL_S
from ipam_core.units import NS

if TYPE_CHECKING:
    from ipam_core.diagnosis.explain.play import NodeCase

ROLLING_SHARE = 0.25
"""The surge of a rolling update: `maxSurge` of a Deployment is 25% unless set."""
READY_AFTER_LOOKS = 2
"""Pool checks (10 s) after which a running pod is ready, and an old one may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingUpdate:
    """Pods replaced a wave at a time: the longest wait, and the pool at that time.

    `cooling` and `available` are from the moment when most pods waited while addresses cooled;
    all 0 if there was none.
    """

    pods: int
    surge: int
    longest_wait_s: float
    most_waiting: int
    cooling: int
    available: int


def rolling_update(case: NodeCase, *, surge: int | None = None) -> RollingUpdate | None:
    """Replace the pods of a half-full node, a wave of new ones before as many old ones go.

    A wave is `surge` pods, a quarter of them unless given. Its pods are ready 10 s after
    they run; then as many old ones go, and the next wave starts. None if the node cannot hold
    so many pods.
    """
    played = PlayedNode(case)
    n_pods = case.n_pods // 2
    surge = ceil(n_pods * ROLLING_SHARE) if surge is None else surge
    if played.init_error or surge == 0 or not played.fill(n_pods):
        return None
    longest_s, worst, replaced = 0.0, (0, 0, 0), 0
    while replaced < n_pods:
        wave = min(surge, n_pods - replaced)
        asked_ns = played.world.now_ns
        for _ in range(wave):
            played.ask()
        while played.waiting:
            decision = played.world.node.decide()
            if decision.view.cooling:
                worst = max(worst, (len(played.waiting), decision.view.cooling, decision.available))
            played.look(LOOK_INTERVAL_S)
            if played.world.now_ns - asked_ns > LONGEST_COOLDOWN_S * NS:
                break
        longest_s = max(longest_s, (played.world.now_ns - asked_ns) / NS)
        if played.waiting:
            break
        for _ in range(READY_AFTER_LOOKS):
            played.look(LOOK_INTERVAL_S)
        for _ in range(wave):
            played.remove_oldest()
        replaced += wave
    most_waiting, cooling, available = worst
    return RollingUpdate(
        pods=n_pods,
        surge=surge,
        longest_wait_s=longest_s,
        most_waiting=most_waiting,
        cooling=cooling,
        available=available,
    )
