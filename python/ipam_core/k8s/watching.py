"""A cluster that is read once and then kept up to date by watches, for `cluster --watch`."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from ipam_core.errors import CloudError, InputError
from ipam_core.k8s.census import Census
from ipam_core.k8s.client import DAEMONSETS, EVERYTHING, NODES, PODS
from ipam_core.k8s.follow import LISTING, SYNCED, follow
from ipam_core.k8s.objects import DAEMONSET, NAMESPACE, daemonset_of, node_of, pod_of
from ipam_core.k8s.reading import UNFINISHED, ClusterReading, read_pools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from ipam_core.k8s.client import Client
    from ipam_core.k8s.follow import Followed

EVERY_S = 2.0
"""A reading is given at most so often."""
IDLE_S = 30.0
"""After so long without a change a reading is given too: pods wait longer."""
SETTINGS_S = 30.0
"""How old what is known of the DaemonSet may be."""


class _Watched:
    """The reading, and what goes wrong meanwhile, by what was asked for."""

    def __init__(self) -> None:
        self.reading = ClusterReading(pods=Census(keep=True))
        self.failures: dict[str, str] = {}
        self.ended: dict[str, CloudError | InputError] = {}
        self.changed = asyncio.Event()

    async def follow(self, what: str, client: Client) -> None:
        """Follow nodes or pods until they are refused."""
        resource, selection = (NODES, EVERYTHING) if what == "nodes" else (PODS, UNFINISHED)

        def note(failure: CloudError) -> None:
            self.failures[what] = f"{what}: {failure}"
            self.changed.set()

        def answered() -> None:
            if self.failures.pop(what, None) is not None:
                self.changed.set()

        followed = follow(client, resource, selection, on_failure=note, on_open=answered)
        try:
            async with aclosing(followed) as changes:
                async for change in changes:
                    (self._node if what == "nodes" else self._pod)(change)
                    self.changed.set()
        except (CloudError, InputError) as error:
            self.failures[what] = f"{what}: {error}"
            self.ended[what] = error
            self.changed.set()

    def _node(self, change: Followed) -> None:
        reading = self.reading
        if change.kind == LISTING:
            reading.nodes.clear()
            reading.nodes_read = False
        elif change.kind == SYNCED:
            reading.nodes_read = True
        elif change.item:
            node = node_of(change.item)
            if change.kind == "DELETED":
                reading.nodes.pop(node.name, None)
            else:
                reading.nodes[node.name] = node

    def _pod(self, change: Followed) -> None:
        reading = self.reading
        if change.kind == LISTING:
            reading.pods.clear()
            reading.pods_read = False
        elif change.kind == SYNCED:
            reading.pods_read = True
        elif change.item:
            pod = pod_of(change.item)
            if change.kind == "DELETED":
                reading.pods.remove(pod.uid)
            else:
                reading.pods.put(pod)
                reading.note_agents((change.item,))

    async def settings(self, client: Client) -> None:
        """Read the DaemonSet again."""
        try:
            found = await client.get(DAEMONSETS, DAEMONSET, NAMESPACE)
            self.reading.daemonset = daemonset_of(found)
            self.failures.pop("settings", None)
        except (CloudError, InputError) as error:
            self.failures["settings"] = f"settings: {error}"

    @property
    def said(self) -> list[str]:
        """What went wrong, in an order that does not depend on which failed first."""
        return [self.failures[what] for what in sorted(self.failures)]

    @property
    def complete(self) -> bool:
        """Whether everything was read that can be."""
        reading = self.reading
        known = self.ended.keys() | self.failures.keys()
        return (reading.nodes_read or "nodes" in known) and (reading.pods_read or "pods" in known)

    def refusal(self) -> CloudError:
        """Return the error of both that ended: of their kind and code where these are the same."""
        nodes, pods = self.ended["nodes"], self.ended["pods"]
        said = "; ".join(self.said)
        if not isinstance(nodes, CloudError) or not isinstance(pods, CloudError):
            return CloudError("list", "Unreadable", said)
        kind = type(nodes) if type(nodes) is type(pods) else CloudError
        return kind("list", nodes.code if nodes.code == pods.code else "Refused", said)


async def watch_cluster(
    client: Client, *, metrics: bool = False, every_s: float = EVERY_S
) -> AsyncGenerator[ClusterReading, None]:
    """Yield a cluster's reading, and again when something changed. It is the same object.

    What cannot be read is named in it, and tried again unless it was refused.

    Raises:
        CloudError: neither nodes nor pods may be read.
        Exception: what follows them failed by a fault of its own.
    """
    watched = _Watched()
    reading = watched.reading
    tasks = [asyncio.create_task(watched.follow(each, client)) for each in ("nodes", "pods")]
    for task in tasks:
        task.add_done_callback(lambda _: watched.changed.set())
    settings_s = float("-inf")
    try:
        while True:
            began_s = time.monotonic()
            if began_s - settings_s > SETTINGS_S:
                await watched.settings(client)
                settings_s = began_s
            while not watched.complete:
                await watched.changed.wait()
                watched.changed.clear()
                _raise_faults(tasks)
            _raise_faults(tasks)
            if len(watched.ended) == len(tasks):
                raise watched.refusal()
            watched.changed.clear()
            reading.unread = watched.said
            if metrics:
                await read_pools(client, reading)
                if not watched.complete:  # a list began again meanwhile
                    continue
            yield reading
            await asyncio.sleep(max(every_s - (time.monotonic() - began_s), 0))
            # Not by wait_for: Python 3.11's loses a cancellation that comes with the change.
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await watched.changed.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _raise_faults(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what a task failed by: nobody would follow the cluster any more."""
    for task in tasks:
        if task.done():
            task.result()
