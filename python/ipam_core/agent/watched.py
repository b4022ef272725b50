"""What is counted of a node beyond its calls: addresses that pods lost, what reconciles did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core._store import Assignment
    from ipam_core.agent.metrics import Metrics
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings


class WatchedNode(Node):
    """A node that counts in its agent's metrics what its pods lost."""

    def __init__(
        self, limits: InstanceLimits, settings: Settings, *, metrics: Metrics, **more: Any
    ) -> None:
        super().__init__(limits, settings, **more)
        self._metrics = metrics

    def note_lost(self, lost: Iterable[Assignment]) -> None:
        """Note assignments that went with their addresses, and count them."""
        lost = list(lost)
        super().note_lost(lost)
        gone = {each.eni_id for each in lost if self.store_of(each.eni_id) is None}
        self._metrics.force_removed_enis.inc(len(gone))
        self._metrics.force_removed_ips.inc(len(lost))


class ReconcileCounts:
    """What a reconcile adds and takes away, counted by upstream's names for it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._before = cidrs_by_eni(node)

    def report(self, metrics: Metrics) -> None:
        """Count what changed since."""
        before, now = self._before, cidrs_by_eni(self._node)
        both = before.keys() & now.keys()
        counts = {
            "eniReconcileAdd": len(now.keys() - before.keys()),
            "eniReconcileDel": len(before.keys() - now.keys()),
            "eniDataStorePoolReconcileAdd": sum(len(now[e] - before.get(e, set())) for e in now),
            "eniIPPoolReconcileDel": sum(len(before[e] - now[e]) for e in both),
        }
        for function, count in counts.items():
            if count:
                metrics.reconciled.labels(fn=function).inc(count)


def cidrs_by_eni(node: Node) -> dict[str, set[str]]:
    """Return what of the pool changes with EC2, not with pods, by ENI."""
    return {
        eni.eni_id: {*store.addresses(eni.eni_id), *store.prefixes(eni.eni_id)}
        for store in node.stores
        for eni in store.enis()
    }
