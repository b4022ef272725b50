"""A Kubernetes API over HTTP, for tests and demonstrations: no cluster, no container.

    with KubernetesServer() as server:
        server.state.put(NODES, node_document("node-1", instance_type="m5.large"))
        subprocess.run(["kubectl", "--kubeconfig", server.write_kubeconfig(path), "get", "nodes"])

server.py      the HTTP port: lists with pages, watches, proxies, logs, discovery
state.py       the objects, their versions and their history
selectors.py   field and label selectors
routes.py      what a path asks for
certificates.py  for TLS
faults.py      requests that fail, late ones, expired tokens; what roles allow (RBAC)
documents.py   nodes, pods, the DaemonSet aws-node and events as documents
clusters.py    whole clusters: groups of nodes, their pods, and agents that answer

Written from the Kubernetes API's conventions: sig-architecture/api-conventions.md, and
kubernetes.io/docs/reference/using-api/api-concepts (chunks, watches, 410 Gone).

May import: k8s, diagnosis, and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._lazy import Load, loader_of

if TYPE_CHECKING:
    from ipam_core.testing.kubernetes.clusters import MockCluster, MockNodes, demo_cluster
    from ipam_core.testing.kubernetes.documents import (
        agent_pod_document,
        daemonset_document,
        event_document,
        node_document,
        pod_document,
    )
    from ipam_core.testing.kubernetes.faults import Fault, rules_of
    from ipam_core.testing.kubernetes.server import KubernetesServer
    from ipam_core.testing.kubernetes.state import ClusterState

__all__ = [
    "ClusterState",
    "Fault",
    "KubernetesServer",
    "MockCluster",
    "MockNodes",
    "agent_pod_document",
    "daemonset_document",
    "demo_cluster",
    "event_document",
    "node_document",
    "pod_document",
    "rules_of",
]

_HOMES = {
    "clusters": ("MockCluster", "MockNodes", "demo_cluster"),
    "documents": (
        "agent_pod_document",
        "daemonset_document",
        "event_document",
        "node_document",
        "pod_document",
    ),
    "faults": ("Fault", "rules_of"),
    "server": ("KubernetesServer",),
    "state": ("ClusterState",),
}
__getattr__: Load = loader_of(__name__, _HOMES)
