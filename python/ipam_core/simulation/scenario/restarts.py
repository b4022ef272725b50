"""The assignments that a restarted agent finds in its checkpoint."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ipam_core.effects import CheckpointEntry
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core._store import Sandbox
    from ipam_core.node import Node


def checkpoint_of(
    node: Node, now_ns: int, named: Mapping[Sandbox, Sandbox] = MappingProxyType({})
) -> list[CheckpointEntry]:
    """Return a node's assignments and cooldowns, with their ages at `now_ns`.

    Unattached addresses are included: they are still held. `named` are the sandboxes with names
    of those of which the store knows only the digest.
    """
    used = [
        _entry(
            named.get(used.sandbox, used.sandbox) if used.sandbox else None,
            used.address,
            used.pod,
            (now_ns - used.assigned_ns) / NS,
            None if used.sandbox else (now_ns - used.released_ns) / NS,
        )
        for store in node.stores
        for eni in store.enis()
        for used in store.used_addresses(eni.eni_id)
    ]
    unattached = [
        _entry(kept.sandbox, address, kept.pod, (now_ns - kept.assigned_ns) / NS)
        for address, kept in node.unattached.items()
    ]
    return used + unattached


def _entry(
    held: Sandbox | None,
    address: str,
    pod: str | None,
    assigned_ago_s: float,
    released_ago_s: float | None = None,
) -> CheckpointEntry:
    return CheckpointEntry(
        container_id=held.container_id if held else "",
        ifname=held.ifname if held else "",
        network=held.network if held else "",
        address=address,
        pod=pod,
        assigned_ago_s=assigned_ago_s,
        released_ago_s=released_ago_s,
    )
