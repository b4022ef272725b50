"""What `cluster` reads of Kubernetes: the DaemonSet, nodes, pods, and each agent on request.

Whatever cannot be read is named in one line, and the rest is read. The calls are the ones that
docs/cluster.md lists as roles: list nodes and pods, get the DaemonSet aws-node, and for what the
agents report, get pods/proxy.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipam_core.errors import CloudError, InputError
from ipam_core.k8s.agents import AgentPool, RunningAgent, ask_agents
from ipam_core.k8s.census import Census
from ipam_core.k8s.client import DAEMONSETS, NODES, PODS, Selection
from ipam_core.k8s.objects import DAEMONSET, NAMESPACE, daemonset_of, node_of
from ipam_core.manifests.environment import CONTAINER, container_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ipam_core.k8s.client import Client
    from ipam_core.k8s.objects import KubeDaemonSet, KubeNode
    from ipam_core.manifests import Environment

UNFINISHED = Selection(fields="status.phase!=Succeeded,status.phase!=Failed")
"""Pods that hold an address, or will."""


@dataclass(slots=True)
class ClusterReading:
    """What was read of a cluster.

    Attributes:
        daemonset: None where it could not be read.
        nodes: by name.
        pods: counted by node; `pods_read` is False where the list is not complete.
        environments: the variables of aws-node's pods, by the revision of their DaemonSet.
        pools: by node, as the agents report them.
        unread: what could not be read, and why: one line each.
    """

    daemonset: KubeDaemonSet | None = None
    nodes: dict[str, KubeNode] = field(default_factory=dict)
    pods: Census = field(default_factory=Census)
    nodes_read: bool = False
    pods_read: bool = False
    environments: dict[str, Environment] = field(default_factory=dict)
    pools: dict[str, AgentPool] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def environment_of(self, node: str) -> Environment | None:
        """Return the variables that a node's agent has: its own pod's, else the DaemonSet's."""
        agent = self.pods.of(node).agent
        own = self.environments.get(agent[1]) if agent is not None else None
        return own or (self.daemonset.environment if self.daemonset is not None else None)

    def note_agents(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Read the variables of aws-node's pods, once for each revision, after they are counted.

        Revisions that no pod has any more are forgotten.
        """
        for item in items:
            labels = (item.get("metadata") or {}).get("labels") or {}
            revision = labels.get("controller-revision-hash")
            is_agent = labels.get("k8s-app") == DAEMONSET and isinstance(revision, str)
            if not is_agent or revision in self.environments:
                continue
            assert isinstance(revision, str)
            there = {agent[1] for at in self.pods.nodes.values() for agent in at.agents.values()}
            for old in self.environments.keys() - there:
                del self.environments[old]
            for container in (item.get("spec") or {}).get("containers") or ():
                if container.get("name") == CONTAINER:
                    found = container_environment(container, f"pods of revision {revision}")
                    self.environments[revision] = found


async def read_cluster(client: Client, *, metrics: bool = False) -> ClusterReading:
    """Read a cluster once; with `metrics` each running agent is asked too.

    Raises:
        CloudError: neither nodes nor the DaemonSet can be read: the first refusal.
    """
    reading = ClusterReading()
    failures: list[CloudError] = []

    async def named(what: str, read: Any) -> None:
        try:
            await read
        except (CloudError, InputError) as error:
            reading.unread.append(f"{what}: {error}")
            if isinstance(error, CloudError):
                failures.append(error)

    await asyncio.gather(
        named("settings", _daemonset(client, reading)),
        named("nodes", _nodes(client, reading)),
        named("pods", _pods(client, reading)),
    )
    if failures and reading.daemonset is None and not reading.nodes:
        raise failures[0]
    if metrics:
        await read_pools(client, reading)
    return reading


async def read_pools(client: Client, reading: ClusterReading) -> None:
    """Ask every agent that runs, in place of what was known of the pools."""
    running = {}
    for node in reading.nodes:
        agent = reading.pods.of(node).agent
        if agent is not None and agent[2] == "Running":
            environment = reading.environment_of(node)
            running[node] = RunningAgent(agent[0], environment.variables if environment else {})
    told = await ask_agents(client, running)
    reading.pools = told.pools
    reading.unread += told.unread


async def _daemonset(client: Client, reading: ClusterReading) -> None:
    reading.daemonset = daemonset_of(await client.get(DAEMONSETS, DAEMONSET, NAMESPACE))


async def _nodes(client: Client, reading: ClusterReading) -> None:
    async for page in client.pages(NODES):
        if page.first:
            reading.nodes.clear()
        for item in page.items:
            node = node_of(item)
            reading.nodes[node.name] = node
    reading.nodes_read = True


async def _pods(client: Client, reading: ClusterReading) -> None:
    async for page in client.pages(PODS, UNFINISHED):
        if page.first:
            reading.pods.clear()
        reading.pods.add_all(page.items)
        reading.note_agents(page.items)
    reading.pods_read = True
