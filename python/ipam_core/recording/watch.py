"""Pod events of a cluster as they happen: what its pods and nodes are followed to say.

A pod comes when it is on a node and needs an address, and goes when it has ended or is no
longer there. At the start, and where the API server no longer knows what changed (410 Gone),
the pods are listed: what is not in the list has gone. A pod on a node that has gone goes with
it; its object may stay for minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from ipam_core.errors import CloudError, InputError
from ipam_core.k8s.client import NODES, PODS, Selection
from ipam_core.k8s.follow import LISTED, LISTING, SYNCED, follow
from ipam_core.k8s.objects import node_of, pod_of
from ipam_core.simulation.fleet.pod_event import PodEvent
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.k8s.client import Client
    from ipam_core.k8s.follow import Followed
    from ipam_core.k8s.objects import KubePod
    from ipam_core.recording.output import Recording

_log = logging.getLogger(__name__)

FLUSH_S = 1.0
"""Events are written at most so often."""
LATE_S = 5.0
"""News older than this are written at the time that Kubernetes gives: they waited for us."""
GONE_S = 600.0
"""After so long a node that went is forgotten, unless objects of its pods are still there."""
DELETED = "DELETED"


class _GoneNode:
    """A node that went: when it was seen, and its pods whose objects are still there."""

    __slots__ = ("at_s", "left")

    def __init__(self, at_s: float, left: set[str]) -> None:
        self.at_s = at_s
        self.left = left


class PodTracker:
    """Turns what is followed of pods and nodes into events of one recording.

    `flush` writes those that came since the last one. Pods and nodes are known here as the
    recording calls them. For one thread. Memory: what is there now, whatever came and went.
    """

    def __init__(self, recording: Recording, *, clock: Callable[[], float] = time.time) -> None:
        self._recording = recording
        self._name_of = recording.names.of
        self._clock = clock
        self._events: list[PodEvent] = []
        self._since: dict[str, float] = {}
        self._on_node: dict[str, dict[str, None]] = {}
        self._node_of: dict[str, str] = {}
        for pod, (node, since_s) in recording.there.items():
            self._put(pod, node, since_s)
        self._listed: dict[str, KubePod] = {}
        self._nodes: set[str] = set()
        self._nodes_before: set[str] = set()  # a list that began: which it has yet to name
        self._gone_nodes: dict[str, _GoneNode] = {}

    @property
    def n_pods(self) -> int:
        """Pods that are there now."""
        return len(self._node_of)

    def pod(self, said: Followed) -> None:
        """Take one thing that happened to pods."""
        if said.kind == LISTING:
            self._listed = {}
        elif said.kind == SYNCED:
            self._compare()
        elif said.item:
            try:
                pod = pod_of(said.item)
            except InputError as error:
                _log.warning("passed over: %s", error)
                return
            name = self._name_of(f"{pod.namespace}/{pod.name}")
            if said.kind == LISTED:
                if pod.needs_address:
                    self._listed[name] = pod
            elif pod.needs_address and said.kind != DELETED:
                self._come(name, pod)
            else:
                self._go(name, pod.finished_at)
                if gone := self._gone_nodes.get(self._name_of(pod.node)):
                    gone.left.discard(name)

    def node(self, said: Followed) -> None:
        """Take one thing that happened to nodes."""
        if said.kind == LISTING:
            self._nodes_before |= self._nodes
            self._nodes = set()
        elif said.kind == SYNCED:
            for node in self._nodes_before - self._nodes:
                self._empty(node)
            self._nodes_before = set()
        elif said.item:
            try:
                node = self._name_of(node_of(said.item).name)
            except InputError as error:
                _log.warning("passed over: %s", error)
                return
            if said.kind == DELETED:
                self._nodes.discard(node)
                self._nodes_before.discard(node)
                self._empty(node)
            else:
                self._nodes.add(node)
                self._gone_nodes.pop(node, None)

    def flush(self) -> int:
        """Write the events; return how many. Raises `OSError`, and then keeps them."""
        # News of what was missed come late; each pod's own are in order already.
        n_written = self._recording.append(sorted(self._events, key=lambda each: each.time_ns))
        self._events = []
        before_s = self._clock() - GONE_S
        self._gone_nodes = {
            node: gone
            for node, gone in self._gone_nodes.items()
            if gone.left or gone.at_s > before_s
        }
        return n_written

    # --- one pod ------------------------------------------------------------------------

    def _compare(self) -> None:
        """Note what a whole list says: who has gone, who has come, and who is another."""
        for name in [name for name in self._node_of if name not in self._listed]:
            self._go(name)
        for name, pod in self._listed.items():
            if name in self._node_of and pod.created_at > self._since[name] + LATE_S:
                self._go(name, pod.created_at)  # it was replaced while nobody watched
            self._come(name, pod)
        for gone in self._gone_nodes.values():
            gone.left &= self._listed.keys()
        self._listed = {}

    def _come(self, name: str, pod: KubePod) -> None:
        node = self._name_of(pod.node)
        if gone := self._gone_nodes.get(node):
            gone.left.add(name)
        elif name not in self._node_of:
            at_s = self._event(name, node, pod.started_at or pod.created_at, add=True)
            self._put(name, node, at_s)

    def _go(self, name: str, at_s: float | None = None) -> None:
        node = self._node_of.pop(name, None)
        if node is not None:
            del self._on_node[node][name]
            if not self._on_node[node]:
                del self._on_node[node]
            since_s = self._since.pop(name)
            # Kubernetes' times are whole seconds: no pod goes before it came.
            self._event(name, node, None if at_s is None else max(at_s, since_s), add=False)

    def _empty(self, node: str) -> None:
        """Let the pods of a node that went go with it."""
        left = set(self._on_node.get(node, ()))
        for name in list(self._on_node.get(node, ())):
            self._go(name)
        self._gone_nodes[node] = _GoneNode(self._clock(), left)

    def _put(self, name: str, node: str, since_s: float) -> None:
        self._node_of[name] = node
        self._on_node.setdefault(node, {})[name] = None
        self._since[name] = since_s

    def _event(self, name: str, node: str, at_s: float | None, *, add: bool) -> float:
        """Note an event: now, or, where the news is late, when Kubernetes says it was."""
        now_s = self._clock()
        at_s = now_s if at_s is None or now_s - at_s < LATE_S else at_s
        time_ns = round(at_s * NS)
        self._events.append(PodEvent(time_ns=time_ns, pod=name, node=node, add=add))
        return at_s


async def record(
    client: Client,
    recording: Recording,
    *,
    namespace: str = "",
    since: str = "",
    on_failure: Callable[[CloudError], None] = lambda _: None,
    on_list: Callable[[PodTracker], None] = lambda _: None,
) -> str:
    """Record the pods of a cluster until it is cancelled; return where a later one may go on.

    `since` is what an earlier one returned. `on_list` is called after each whole list. Without
    the right to read nodes, which `on_failure` is given, pods of a node that has gone go when
    Kubernetes removes them. What was seen is written before this returns or raises.

    Raises:
        DeniedError, CloudError: the API server refuses the pods.
        OSError: the recording cannot be written.
    """
    tracker = PodTracker(recording)
    at = since

    async def pods() -> None:
        nonlocal at
        selection = Selection(namespace=namespace)
        followed = follow(client, PODS, selection, since=since, on_failure=on_failure)
        async with aclosing(followed):
            async for said in followed:
                tracker.pod(said)
                at = said.resource_version or at
                if said.kind == SYNCED:
                    on_list(tracker)

    async def nodes() -> None:
        try:
            async with aclosing(follow(client, NODES)) as followed:
                async for said in followed:
                    tracker.node(said)
        except CloudError as error:
            on_failure(error)

    async def write() -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            tracker.flush()

    running = [asyncio.ensure_future(each) for each in (pods(), nodes(), write())]
    try:
        while True:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
                running.remove(task)
    except asyncio.CancelledError:
        pass
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        tracker.flush()
    return at
