"""Who answers pods: a node, once it has started, behind one small interface."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ipam_core.errors import NotReadyError

if TYPE_CHECKING:
    from ipam_core._store import Assignment, Sandbox
    from ipam_core.node import Node


class Pods(Protocol):
    """Assigns and releases for pods, for threads; `DurableNode` is one."""

    def add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Assign an address of the first network card that has one."""

    def add_pod_to_all_cards(self, sandbox: Sandbox, pod: str | None = None) -> list[Assignment]:
        """Assign an address of every network card, or none at all."""

    def remove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Release what a sandbox holds."""


class LockedNode:
    """A node's pods without durable state: one thread at a time, as a checkpoint's writer is.

    The stores are safe by themselves; what spans network cards is not.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()

    def add_pod(self, sandbox: Sandbox, pod: str | None = None) -> Assignment:
        """Do what `Node.add_pod` does."""
        with self._lock:
            return self._node.add_pod(sandbox, pod)

    def add_pod_to_all_cards(self, sandbox: Sandbox, pod: str | None = None) -> list[Assignment]:
        """Do what `Node.add_pod_to_all_cards` does."""
        with self._lock:
            return self._node.add_pod_to_all_cards(sandbox, pod)

    def remove_pod(self, sandbox: Sandbox) -> list[Assignment]:
        """Do what `Node.remove_pod` does."""
        with self._lock:
            return self._node.remove_pod(sandbox)


class Running(NamedTuple):
    """A node that has started, and who answers its pods."""

    node: Node
    pods: Pods


class ReadyGate:
    """Lets pods in while a node runs. A start that failed is followed by another node."""

    def __init__(self) -> None:
        self._running: Running | None = None

    def open(self, node: Node, pods: Pods) -> None:
        """Let pods in from now on."""
        self._running = Running(node, pods)

    def close(self) -> None:
        """Let no more pods in."""
        self._running = None

    @property
    def running(self) -> Running:
        """The node that runs and its pods. Raises `NotReadyError`."""
        running = self._running
        if running is None:
            raise NotReadyError
        return running
