"""The value of each key of a scenario's `expect` (docs/scenarios.md)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ipam_core.simulation.scenario.timeline import REQUEST_APIS, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.simulation.scenario.world import World

_ANSWERS = ("removed", "deleted", "tagged_created_at")


def observe(world: World, key: str) -> Any:
    """Return the current value of a key; the answer None if nothing was asked."""
    if key in _OBSERVED:
        return _OBSERVED[key](world)
    if key in _ANSWERS:
        return world.answers.get(key)
    decision = world.node.decide()
    return _DECIDED[key](decision) if key in _DECIDED else getattr(decision.view, key)


def largest_first(world: World, attribute: str) -> list[int]:
    """Return a count of every managed ENI, largest first."""
    counts = (
        getattr(store.eni_stats(eni.eni_id, world.now_ns), attribute)
        for store in world.node.stores
        for eni in store.enis()
    )
    return sorted(counts, reverse=True)


def requests(world: World) -> list[str]:
    """Return the requests since mark, failed ones too, in order."""
    return [request(call) for call in world.calls if call.api in REQUEST_APIS]


def _cards(world: World) -> list[dict[str, int]]:
    """Return the counts of every network card's pool."""
    return [
        {
            "enis": stats.enis,
            "total_ips": stats.total,
            "assigned_ips": stats.assigned,
            "prefixes": stats.prefixes,
        }
        for stats in (store.stats(world.now_ns) for store in world.node.stores)
    ]


_OBSERVED: dict[str, Callable[[World], Any]] = {
    "enis": lambda world: sum(len(store.enis()) for store in world.node.stores),
    "attached_enis_ec2": lambda world: len(world.instance.attached()),
    "ips_per_eni": lambda world: largest_first(world, "addresses"),
    "prefixes_per_eni": lambda world: largest_first(world, "prefixes"),
    "pending_pods": lambda world: len(world.waiting),
    "pod_error": lambda world: world.pod_error,
    "init_error": lambda world: world.init_error,
    "ec2": lambda world: Counter(call.api for call in world.calls),
    "requests": requests,
    "insufficient_cidr_cooldown": lambda world: world.node.pausing(),
    "unsettled": lambda world: world.unsettled,
    "cards": _cards,
}

_DECIDED: dict[str, Callable[[Any], Any]] = {
    "total_ips": lambda decision: decision.view.total,
    "assigned_ips": lambda decision: decision.view.assigned,
    "free_ips": lambda decision: decision.view.total - decision.view.assigned,
    "cooldown_ips": lambda decision: decision.view.cooling,
    "short": lambda decision: decision.short,
    "over": lambda decision: decision.over,
    "ip_targets_defined": lambda decision: decision.targets_defined,
    "pool_low": lambda decision: decision.low,
    "pool_high": lambda decision: decision.high,
}
