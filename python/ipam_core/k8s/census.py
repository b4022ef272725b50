"""Pods counted by node, and kept right as they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipam_core.k8s.objects import DAEMONSET, NAMESPACE, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ipam_core.k8s.objects import KubePod

_OWNER = f"DaemonSet/{DAEMONSET}"


@dataclass(slots=True)
class NodePods:
    """The pods of one node.

    Attributes:
        n_pods: those that need an address of the pool.
        n_host: on the host's network; n_branch: with a branch ENI of their own.
        waiting: since when a pod that needs an address has none, by its uid.
        agents: the pods of aws-node: name, revision and phase, by uid.
    """

    n_pods: int = 0
    n_host: int = 0
    n_branch: int = 0
    waiting: dict[str, float] = field(default_factory=dict)
    agents: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether no pod is left that counts."""
        counts = self.n_pods, self.n_host, self.n_branch
        return not (any(counts) or self.waiting or self.agents)

    @property
    def agent(self) -> tuple[str, str, str] | None:
        """The pod of aws-node that counts: one that runs, else any."""
        found = self.agents.values()
        return next((each for each in found if each[2] == "Running"), next(iter(found), None))


_NONE = NodePods()


class Census:
    """Pods by node. With `keep` each pod is remembered, so that it can change or go.

    Cost: constant for a pod; without `keep` nothing is held for one that has its address, and
    nothing ever for a node without pods.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._kept: dict[str, KubePod] | None = {} if keep else None
        self.nodes: dict[str, NodePods] = {}
        self.n_read: int = 0
        self.n_unscheduled: int = 0

    def clear(self) -> None:
        """Forget everything: a list begins again."""
        self.nodes.clear()
        self.n_read = self.n_unscheduled = 0
        if self._kept is not None:
            self._kept.clear()

    def of(self, node: str) -> NodePods:
        """Return the pods of a node."""
        return self.nodes.get(node, _NONE)

    def add_all(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Count the pods of a page. Raises `InputError`: one has no name."""
        for item in items:
            self.put(pod_of(item))

    def put(self, pod: KubePod) -> None:
        """Count a pod, in place of what was known of it."""
        if self._kept is not None:
            before = self._kept.get(pod.uid)
            if before is not None:
                self._count(before, -1)
            self._kept[pod.uid] = pod
        self._count(pod, 1)

    def remove(self, uid: str) -> None:
        """Count a pod no more. Nothing happens for an unknown one."""
        assert self._kept is not None, "only with keep"
        before = self._kept.pop(uid, None)
        if before is not None:
            self._count(before, -1)

    def _count(self, pod: KubePod, n: int) -> None:
        self.n_read += n
        if pod.finished:
            return
        if not pod.node:
            self.n_unscheduled += n
            return
        at = self.nodes.get(pod.node)
        if at is None:
            at = self.nodes[pod.node] = NodePods()
        if pod.needs_address:
            at.n_pods += n
        elif pod.host_network:
            at.n_host += n
        else:
            at.n_branch += n
        if n > 0:
            if pod.waits and not pod.deleted_at:
                at.waiting[pod.uid] = pod.started_at or pod.created_at
            if pod.owner == _OWNER and pod.namespace == NAMESPACE:
                at.agents[pod.uid] = (pod.name, pod.revision, pod.phase)
        else:
            at.waiting.pop(pod.uid, None)
            at.agents.pop(pod.uid, None)
            if at.is_empty:
                del self.nodes[pod.node]
