"""A whole cluster to put into a served API: nodes, their pods, and agents that answer.

What each agent reports is what the model's node holds for its pods: /v1/enis and the metrics agree
with the pods that the API lists.
"""

from __future__ import annotations

import json
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import NAMESPACE_DNS, uuid5

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.play import NodeCase, PlayedNode
from ipam_core.ipamd.introspection import enis_document
from ipam_core.ipamd.messages import POD_EVENT_REASON
from ipam_core.k8s.client import DAEMONSETS, EVENTS, NODES, PODS
from ipam_core.k8s.objects import NAMESPACE
from ipam_core.settings import Settings
from ipam_core.testing.kubernetes.documents import (
    VERSION,
    agent_pod_document,
    daemonset_document,
    event_document,
    node_document,
    pod_document,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from ipam_core.testing.kubernetes.server import KubernetesServer

METRICS_PORT, INTROSPECTION_PORT = 61678, 61679
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MockNodes:
    """Equal nodes. `pods` of them have an address on each, `waiting` have none.

    `instance_ids` are those of the nodes; left out, they are made up. `max_pods` left out is the
    usual one of the type.
    """

    name: str
    instance_type: str
    count: int
    pods: int
    waiting: int = 0
    zone: str = "eu-west-1a"
    instance_ids: Sequence[str] = ()
    max_pods: int | None = None

    def __post_init__(self) -> None:
        """Keep the instance ids as they are now: a list may change, and has no hash."""
        object.__setattr__(self, "instance_ids", tuple(self.instance_ids))


@dataclass(slots=True, kw_only=True)
class MockCluster:
    """Groups of nodes under one DaemonSet. `created` is since when all of it is there."""

    groups: Sequence[MockNodes]
    env: Mapping[str, str] = field(default_factory=dict)
    version: str = VERSION
    created: str = "2026-01-01T00:00:00Z"
    introspection: bool = False
    _nodes: dict[str, tuple[MockNodes, str]] = field(default_factory=dict, init=False)

    def fill(self, server: KubernetesServer) -> None:
        """Put all of it into a server, and let the server answer for its agents."""
        env = dict(self.env)
        if self.introspection:
            env["INTROSPECTION_BIND_ADDRESS"] = f"0.0.0.0:{INTROSPECTION_PORT}"
        state = server.state
        n_nodes = sum(each.count for each in self.groups)
        state.put(DAEMONSETS, daemonset_document(env, version=self.version, n_nodes=n_nodes))
        named = [
            (f"ip-10-0-{number // 250}-{number % 250 + 4}.eu-west-1.compute.internal", group, at)
            for number, (group, at) in enumerate(
                (group, at) for group in self.groups for at in range(group.count)
            )
        ]
        state.put_all(NODES, (self._node(*each) for each in named))
        state.put_all(
            PODS,
            (pod for number, each in enumerate(named) for pod in self._pods(number, *each, env)),
        )
        state.put_all(EVENTS, (event for each in named for event in self._events(*each)))
        server.serve_pod = self.serve_pod

    def _node(self, name: str, group: MockNodes, at: int) -> dict[str, Any]:
        ids = group.instance_ids
        address = name.partition(".")[0].removeprefix("ip-").replace("-", ".")
        return node_document(
            name,
            instance_type=group.instance_type,
            max_pods=_max_pods(group, self.env),
            instance_id=ids[at] if at < len(ids) else f"i-{uuid5(NAMESPACE_DNS, name).hex[:17]}",
            zone=group.zone,
            group=group.name,
            address=address,
            created=self.created,
        )

    def _pods(
        self, number: int, name: str, group: MockNodes, at: int, env: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        agent = agent_pod_document(name, suffix=f"{number:05x}", env=env, version=self.version)
        self._nodes[agent["metadata"]["name"]] = (group, name)
        yield agent
        yield pod_document(
            f"kube-proxy-{number:05x}",
            node=name,
            namespace=NAMESPACE,
            host_network=True,
            owner="DaemonSet/kube-proxy",
        )
        for pod in range(group.pods + group.waiting):
            served = pod < group.pods
            yield pod_document(
                f"{group.name}-{at:04}-{pod:04}",
                node=name,
                phase="Running" if served else "Pending",
                address=f"10.{64 + number // 256}.{number % 256}.{pod + 1}" if served else "",
                owner=f"ReplicaSet/{group.name}",
                created=self.created,
            )

    def _events(self, name: str, group: MockNodes, at: int) -> Iterator[dict[str, Any]]:
        for pod in range(group.pods, group.pods + group.waiting):
            named = f"{group.name}-{at:04}-{pod:04}"
            yield event_document(
                f"{named}.18a",
                about=f"Pod/default/{named}",
                reason=POD_EVENT_REASON,
                message=(
                    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to "
                    'setup network for sandbox "0f3c": plugin type="aws-cni" name="aws-cni" '
                    "failed (add): add cmd: failed to assign an IP address to container"
                ),
                count=40,
                host=name,
            )

    def serve_pod(self, namespace: str, pod: str, port: int, path: str) -> bytes | None:
        """Answer as the agent in a pod does; None where nothing listens."""
        if namespace != NAMESPACE or pod not in self._nodes:
            return None
        group, _ = self._nodes[pod]
        env = frozenset(self.env.items())
        if port == METRICS_PORT and path == "metrics":
            return _told(group, env, self.version)[0]
        if port == INTROSPECTION_PORT and path == "v1/enis" and self.introspection:
            return _told(group, env, self.version)[1]
        return None


def demo_cluster(instance_ids: Mapping[str, Sequence[str]] = MappingProxyType({})) -> MockCluster:
    """Return 40 nodes of four types under MINIMUM_IP_TARGET=25 alone, one of them stalled.

    `instance_ids` are those of each group: "web" (16), "batch" (12), "data" (11), "ml" (1).
    """
    groups = (
        ("web", "t3.medium", 16, 9, 0),  # 15 addresses at most: the minimum is never met
        ("batch", "c5.large", 12, 14, 0),
        ("data", "m5.xlarge", 11, 20, 0),
        ("ml", "m8g.4xlarge", 1, 25, 3),
    )
    return MockCluster(
        env={"MINIMUM_IP_TARGET": "25"},
        groups=[
            MockNodes(
                name=name,
                instance_type=instance_type,
                count=count,
                pods=pods,
                waiting=waiting,
                zone=f"eu-west-1{'abcd'[number % 3]}",
                instance_ids=instance_ids.get(name, ()),
            )
            for number, (name, instance_type, count, pods, waiting) in enumerate(groups)
        ],
    )


def _max_pods(group: MockNodes, env: Mapping[str, str]) -> int:
    limits = instances.limits(group.instance_type)
    usual = instances.max_pods(limits, Settings.from_env(env)).value
    return usual if group.max_pods is None else group.max_pods


@lru_cache(maxsize=256)
def _told(group: MockNodes, env: frozenset[tuple[str, str]], version: str) -> tuple[bytes, bytes]:
    """Return the metrics and /v1/enis of a node of a group, as the model holds it."""
    limits = instances.limits(group.instance_type)
    max_pods = _max_pods(group, dict(env))
    played = PlayedNode(NodeCase(limits=limits, env=dict(env), max_pods=max_pods))
    for _ in played.up(group.pods):
        pass
    node, now_ns = played.world.node, played.world.now_ns
    counts = [store.stats(now_ns) for store in node.stores]
    n_enis = sum(len(list(store.enis())) for store in node.stores)
    lines = {
        "eni_allocated": n_enis,
        "eni_max": limits.max_enis,
        "ip_max": limits.max_addresses,
        "total_ip_addresses": sum(each.total for each in counts),
        "assigned_ip_addresses": sum(each.assigned for each in counts),
    }
    metrics = [f"awscni_{name} {count}" for name, count in lines.items()]
    metrics.append(f'awscni_build_info{{goversion="go1.24",version="{version}"}} 1')
    return (
        ("\n".join(metrics) + "\n").encode(),
        json.dumps(enis_document(node.stores, EPOCH)).encode(),
    )
