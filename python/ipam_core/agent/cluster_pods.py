"""Pods that Kubernetes has on the node and the checkpoint has not.

A checkpoint may be lost, or this agent be new on a node. Pods that run then have addresses that
nobody would know of, and that another pod would be given. At the start those addresses are held
for them, by sandboxes that no runtime has; each is released once Kubernetes has its pod no more.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox
from ipam_core.effects import CheckpointEntry, ReadCheckpoint
from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from ipam_core.agent.pods import Pods
    from ipam_core.agent.surroundings import Cluster, ClusterPod
    from ipam_core.cloud import CheckpointPort
    from ipam_core.effects import ForgetAssignments

_log = logging.getLogger(__name__)

IFNAME, NETWORK = "eth0", "kubernetes"
"""Of the sandboxes here: no plugin's network is called so."""


class ClusterPods:
    """A checkpoint port in front of another: what it reads, and the pods that it lacks."""

    def __init__(self, cluster: Cluster, checkpoint: CheckpointPort | None) -> None:
        self._cluster = cluster
        self._checkpoint = checkpoint
        self._held: dict[ClusterPod, Sandbox] = {}

    def perform(self, effect: ReadCheckpoint | ForgetAssignments) -> Any:
        """Carry one effect out and return its reply. Raises what the checkpoint raises."""
        reply = None if self._checkpoint is None else self._checkpoint.perform(effect)
        if not isinstance(effect, ReadCheckpoint):
            return reply
        entries: tuple[CheckpointEntry, ...] = reply or ()
        return (*entries, *self._missing(entries))

    def _missing(self, entries: tuple[CheckpointEntry, ...]) -> list[CheckpointEntry]:
        known = {entry.address for entry in entries if entry.released_ago_s is None}
        self._held = {
            pod: Sandbox(f"{pod.namespace}/{pod.name}", IFNAME, NETWORK)
            for pod in self._running() or ()
            if pod.address not in known
        }
        if self._held:
            _log.warning(
                "%d pods run that the checkpoint does not know; their addresses are held",
                len(self._held),
            )
        return [
            CheckpointEntry(
                container_id=sandbox.container_id,
                ifname=sandbox.ifname,
                network=sandbox.network,
                address=pod.address,
                pod=f"{pod.namespace}/{pod.name}",
            )
            for pod, sandbox in self._held.items()
        ]

    def release_gone(self, pods: Pods) -> None:
        """Release what is held for pods that Kubernetes has no more; it is asked only then."""
        if not self._held:
            return
        running = self._running()
        if running is None:
            return
        for pod in self._held.keys() - set(running):
            sandbox = self._held.pop(pod)
            try:
                pods.remove_pod(sandbox)
            except IpamError as error:  # it was dropped at the start: its address is not here
                _log.info("released nothing for pod %s/%s: %s", pod.namespace, pod.name, error)

    def _running(self) -> tuple[ClusterPod, ...] | None:
        """Return the node's pods, None where Kubernetes does not say."""
        try:
            return self._cluster.pods()
        except Exception as error:  # of any client library
            _log.warning("Failed to list the pods of the node, %s", error)
            return None
