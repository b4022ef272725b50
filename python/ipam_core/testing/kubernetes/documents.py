"""Nodes, pods, the DaemonSet aws-node and events, as an API server returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.k8s.objects import DAEMONSET, NAMESPACE
from ipam_core.manifests import CHART_ENV

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni"
VERSION = "v1.20.1"
REVISION = "5c8f6d9b7"


def node_document(
    name: str,
    *,
    instance_type: str,
    max_pods: int,
    instance_id: str = "",
    zone: str = "eu-west-1a",
    group: str = "",
    address: str = "",
    ready: bool = True,
    unschedulable: bool = False,
    created: str = "2026-01-01T00:00:00Z",
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a Node of an EC2 instance, as the cloud provider and the kubelet make it."""
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    if not ready:
        condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    grouped = {"eks.amazonaws.com/nodegroup": group} if group else {}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": {
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "node.kubernetes.io/instance-type": instance_type,
                "topology.kubernetes.io/zone": zone,
                **grouped,
                **(labels or {}),
            },
        },
        "spec": {
            "providerID": f"aws:///{zone}/{instance_id}",
            **({"unschedulable": True} if unschedulable else {}),
        },
        "status": {
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": str(max_pods)},
            "allocatable": {"cpu": "7910m", "memory": "30Gi", "pods": str(max_pods)},
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": address}] if address else [],
            "nodeInfo": {"kubeletVersion": "v1.33.0-eks-1", "operatingSystem": "linux"},
        },
    }


def pod_document(
    name: str,
    *,
    node: str = "",
    namespace: str = "default",
    phase: str = "Running",
    address: str = "",
    host_network: bool = False,
    owner: str = "ReplicaSet/web-5d4f",
    created: str = "2026-01-01T00:00:00Z",
    labels: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a Pod; one that runs or has finished was started at `created`."""
    kind, _, owned_by = owner.partition("/")
    owners = [{"apiVersion": "apps/v1", "kind": kind, "name": owned_by, "controller": True}]
    status: dict[str, Any] = {"phase": phase, "qosClass": "Burstable"}
    if node:
        status["startTime"] = created
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    if phase in ("Succeeded", "Failed"):
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": created}}
        status["containerStatuses"] = [{"name": "main", "ready": False, "state": ended}]
    container: dict[str, Any] = {"name": "main", "image": "registry.k8s.io/pause:3.10"}
    if limits:
        container["resources"] = {"limits": dict(limits)}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "creationTimestamp": created,
            "labels": dict(labels or {"app": owned_by}),
            **({"ownerReferences": owners} if owner else {}),
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            **({"hostNetwork": True} if host_network else {}),
            "containers": [container],
        },
        "status": status,
    }


def daemonset_document(
    env: Mapping[str, str] | None = None, *, version: str = VERSION, n_nodes: int = 0
) -> dict[str, Any]:
    """Return the DaemonSet aws-node of the published manifest with variables on top."""
    return {
        "metadata": {"name": DAEMONSET, "namespace": NAMESPACE, "generation": 3},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": DAEMONSET}},
            "template": {
                "metadata": {"labels": {"k8s-app": DAEMONSET}},
                "spec": {"hostNetwork": True, "containers": [_container(env, version)]},
            },
        },
        "status": {
            "desiredNumberScheduled": n_nodes,
            "currentNumberScheduled": n_nodes,
            "updatedNumberScheduled": n_nodes,
            "numberReady": n_nodes,
        },
    }


def agent_pod_document(
    node: str,
    *,
    suffix: str,
    env: Mapping[str, str] | None = None,
    version: str = VERSION,
    revision: str = REVISION,
    address: str = "",
) -> dict[str, Any]:
    """Return the pod of aws-node on a node."""
    found = pod_document(
        f"{DAEMONSET}-{suffix}",
        node=node,
        namespace=NAMESPACE,
        address=address,
        host_network=True,
        owner=f"DaemonSet/{DAEMONSET}",
        labels={"k8s-app": DAEMONSET, "controller-revision-hash": revision},
    )
    found["spec"]["containers"] = [_container(env, version)]
    return found


def _container(env: Mapping[str, str] | None, version: str) -> dict[str, Any]:
    variables = {**CHART_ENV, **(env or {})}
    named = {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    listed = [*({"name": name, "value": value} for name, value in variables.items()), named]
    return {"name": DAEMONSET, "image": f"{IMAGE}:{version}", "env": listed}


def event_document(
    name: str,
    *,
    about: str,
    reason: str,
    message: str,
    count: int = 1,
    host: str = "",
    at: str = "2026-01-01T00:10:00Z",
) -> dict[str, Any]:
    """Return an Event; `about` is "Pod/default/web-1"."""
    kind, namespace, named = about.split("/")
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": at},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": named},
        "reason": reason,
        "message": message,
        "count": count,
        "type": "Warning",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": "kubelet", **({"host": host} if host else {})},
    }
