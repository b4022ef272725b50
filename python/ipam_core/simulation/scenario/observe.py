"""What each key of a scenario's `expect` looks at (docs/scenarios.md)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ipam_core.simulation.scenario.timeline import REQUEST_APIS, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.simulation.scenario.player import Player

_ANSWERS = ("removed", "deleted", "tagged_created_at")


def observe(player: Player, key: str) -> Any:
    """Return what is met now for a key; the answer None where nothing was asked."""
    if key in _OBSERVED:
        return _OBSERVED[key](player)
    if key in _ANSWERS:
        return player.answers.get(key)
    decision = player.node.decide()
    return _DECIDED[key](decision) if key in _DECIDED else getattr(decision.view, key)


def largest_first(player: Player, attribute: str) -> list[int]:
    """Return a count of every managed ENI, largest first."""
    counts = (
        getattr(store.eni_stats(eni.eni_id, player.now_ns), attribute)
        for store in player.node.stores
        for eni in store.enis()
    )
    return sorted(counts, reverse=True)


def requests(player: Player) -> list[str]:
    """Return the requests since mark, failing ones too, in order."""
    return [request(call) for call in player.calls if call.api in REQUEST_APIS]


def _cards(player: Player) -> list[dict[str, int]]:
    """Return the counts of every network card's pool."""
    return [
        {
            "enis": stats.enis,
            "total_ips": stats.total,
            "assigned_ips": stats.assigned,
            "prefixes": stats.prefixes,
        }
        for stats in (store.stats(player.now_ns) for store in player.node.stores)
    ]


_OBSERVED: dict[str, Callable[[Player], Any]] = {
    "enis": lambda player: sum(len(store.enis()) for store in player.node.stores),
    "attached_enis_ec2": lambda player: len(player.instance.attached()),
    "ips_per_eni": lambda player: largest_first(player, "addresses"),
    "prefixes_per_eni": lambda player: largest_first(player, "prefixes"),
    "pending_pods": lambda player: len(player.waiting),
    "pod_error": lambda player: player.pod_error,
    "init_error": lambda player: player.init_error,
    "ec2": lambda player: Counter(call.api for call in player.calls),
    "requests": requests,
    "insufficient_cidr_cooldown": lambda player: player.node.pausing(),
    "unsettled": lambda player: player.unsettled,
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
