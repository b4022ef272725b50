"""What a restarted agent finds: the assignments as its checkpoint kept them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import CheckpointEntry
from ipam_core.node.timers import NS

if TYPE_CHECKING:
    from ipam_core._store import UsedAddress
    from ipam_core.node import Node


def checkpoint_of(node: Node, now_ns: int) -> list[CheckpointEntry]:
    """Return a node's assignments and cooldowns, with their ages at `now_ns`."""
    return [
        _entry(used, now_ns)
        for store in node.stores
        for eni in store.enis()
        for used in store.used_addresses(eni.eni_id)
    ]


def _entry(used: UsedAddress, now_ns: int) -> CheckpointEntry:
    held = used.sandbox
    return CheckpointEntry(
        container_id=held.container_id if held else "",
        ifname=held.ifname if held else "",
        network=held.network if held else "",
        address=used.address,
        pod=used.pod,
        assigned_ago_s=(now_ns - used.assigned_ns) / NS,
        released_ago_s=None if held else (now_ns - used.released_ns) / NS,
    )
