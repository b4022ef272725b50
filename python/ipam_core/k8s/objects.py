"""What Kubernetes says of nodes, pods, the DaemonSet and events, as values.

Times are seconds of Unix time. What is absent is "", None or 0, as the field says.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.manifests import Environment, read_daemonset

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE, DAEMONSET = "kube-system", "aws-node"
TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
COMPUTE_LABEL = "eks.amazonaws.com/compute-type"
GROUP_LABELS = (
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
)
BRANCH_ENIS = "vpc.amazonaws.com/pod-eni"
FINISHED = frozenset({"Succeeded", "Failed"})
_REVISION = "controller-revision-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNode:
    """A node.

    Attributes:
        instance_id: of its providerID, "" where that names no EC2 instance.
        compute_type: "fargate", "hybrid" or "auto" where AWS runs no aws-node on it, else "".
        group: of Karpenter, EKS or eksctl.
        max_pods: what the kubelet allows, None where it is not said.
        branch_enis: pods with a security group of their own that fit, 0 without them.
        not_ready: the reason of its condition Ready, "" where it is ready.
        address: its internal one.
    """

    name: str
    uid: str
    created_at: float
    instance_type: str
    instance_id: str
    zone: str
    os: str
    compute_type: str
    group: str
    max_pods: int | None
    branch_enis: int
    unschedulable: bool
    not_ready: str
    address: str

    @property
    def runs_agent(self) -> bool:
        """Whether aws-node gives its pods their addresses."""
        return self.os == "linux" and not self.compute_type


@dataclass(frozen=True, slots=True, kw_only=True)
class KubePod:
    """A pod.

    Attributes:
        node: where it was scheduled, "" where it was not.
        address: "" as long as it has none.
        started_at: when the kubelet saw it, None before.
        finished_at: when its last container ended, for a pod that is finished.
        deleted_at: when its deletion was asked for, None for one that stays.
        owner: kind and name of its controller, as "ReplicaSet/web-5d4f", "" without one.
        revision: of its DaemonSet or StatefulSet.
        branch_eni: it has a security group, and a branch ENI of its own.
    """

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    host_network: bool
    branch_eni: bool
    address: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    deleted_at: float | None
    owner: str
    revision: str

    @property
    def finished(self) -> bool:
        """Whether it has ended: its address is given back."""
        return self.phase in FINISHED

    @property
    def needs_address(self) -> bool:
        """Whether it takes, or waits for, an address of its node's pool."""
        own = self.host_network or self.branch_eni
        return bool(self.node) and not own and not self.finished

    @property
    def waits(self) -> bool:
        """Whether it needs an address and has none."""
        return self.needs_address and not self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeDaemonSet:
    """The DaemonSet of the agent: what is set, and how far it is rolled out."""

    name: str
    environment: Environment
    desired: int
    ready: int
    updated: int

    @property
    def version(self) -> str:
        """The agent's version, as v1.20.1; "" where the image does not say."""
        return self.environment.version


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeEvent:
    """An event; `about` is the kind, namespace and name of its object, as "Pod/default/web-1"."""

    about: str
    reason: str
    message: str
    count: int
    last_at: float
    host: str


def node_of(item: Mapping[str, Any]) -> KubeNode:
    """Return a Node. Raises `InputError`: it has no name."""
    metadata, spec, status = _parts(item)
    labels = _mapping(metadata.get("labels"))
    room = _mapping(status.get("allocatable")) or _mapping(status.get("capacity"))
    provider = _text(spec.get("providerID"))
    machine = provider.rpartition("/")[2] if provider.startswith("aws://") else ""
    ready = next((c for c in _dicts(status.get("conditions")) if c.get("type") == "Ready"), {})
    addresses = _dicts(status.get("addresses"))
    return KubeNode(
        name=_name(metadata, "a node"),
        uid=_text(metadata.get("uid")),
        created_at=_time(metadata.get("creationTimestamp")) or 0.0,
        instance_type=_shared(_first(labels, TYPE_LABELS)),
        instance_id=machine if machine.startswith("i-") else "",
        zone=_shared(_first(labels, ZONE_LABELS)),
        os=_shared(_text(labels.get("kubernetes.io/os")) or "linux"),
        compute_type=_shared(_compute_type(labels)),
        group=_shared(_first(labels, GROUP_LABELS)),
        max_pods=_count(room.get("pods")),
        branch_enis=_count(room.get(BRANCH_ENIS)) or 0,
        unschedulable=spec.get("unschedulable") is True,
        not_ready=""
        if ready.get("status") == "True"
        else _text(ready.get("reason")) or _text(ready.get("status")) or "no condition Ready",
        address=next(
            (_text(a.get("address")) for a in addresses if a.get("type") == "InternalIP"), ""
        ),
    )


def pod_of(item: Mapping[str, Any]) -> KubePod:
    """Return a Pod. Raises `InputError`: it has no name."""
    metadata, spec, status = _parts(item)
    phase = _text(status.get("phase"))
    owner = next((o for o in _dicts(metadata.get("ownerReferences")) if o.get("controller")), {})
    kind = _text(owner.get("kind"))
    labels = _mapping(metadata.get("labels"))
    return KubePod(
        namespace=_shared(_text(metadata.get("namespace"))),
        name=_name(metadata, "a pod"),
        uid=_text(metadata.get("uid")),
        node=_shared(_text(spec.get("nodeName"))),
        phase=_shared(phase),
        host_network=spec.get("hostNetwork") is True,
        branch_eni=any(
            BRANCH_ENIS in _mapping(_mapping(each.get("resources")).get("limits"))
            for each in _dicts(spec.get("containers"))
        ),
        address=_text(status.get("podIP")),
        created_at=_time(metadata.get("creationTimestamp")) or 0.0,
        started_at=_time(status.get("startTime")),
        finished_at=_finished_at(status) if phase in FINISHED else None,
        deleted_at=_time(metadata.get("deletionTimestamp")),
        owner=_shared(f"{kind}/{_text(owner.get('name'))}" if kind else ""),
        revision=_shared(_text(labels.get(_REVISION))),
    )


def daemonset_of(item: Mapping[str, Any]) -> KubeDaemonSet:
    """Return the agent's DaemonSet. Raises `InputError`: it has no container aws-node."""
    metadata, _, status = _parts(item)
    return KubeDaemonSet(
        name=_name(metadata, "a DaemonSet"),
        environment=read_daemonset(json.dumps({**item, "kind": "DaemonSet"})),
        desired=_count(status.get("desiredNumberScheduled")) or 0,
        ready=_count(status.get("numberReady")) or 0,
        updated=_count(status.get("updatedNumberScheduled")) or 0,
    )


def event_of(item: Mapping[str, Any]) -> KubeEvent:
    """Return an Event, of the core group or of events.k8s.io."""
    about = _mapping(item.get("involvedObject") or item.get("regarding"))
    series = _mapping(item.get("series"))
    metadata = _mapping(item.get("metadata"))
    times = (
        series.get("lastObservedTime"),
        item.get("lastTimestamp"),
        item.get("eventTime"),
        metadata.get("creationTimestamp"),
    )
    named = (about.get("kind"), about.get("namespace"), about.get("name"))
    return KubeEvent(
        about="/".join(filter(None, map(_text, named))),
        reason=_shared(_text(item.get("reason"))),
        message=_text(item.get("message") or item.get("note")),
        count=_count(series.get("count")) or _count(item.get("count")) or 1,
        last_at=next((at for each in times if (at := _time(each)) is not None), 0.0),
        host=_shared(_text(_mapping(item.get("source")).get("host"))),
    )


# --- fields, whatever they hold ---------------------------------------------------------------


def _parts(item: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    return _mapping(item.get("metadata")), _mapping(item.get("spec")), _mapping(item.get("status"))


def _name(metadata: Mapping[str, Any], what: str) -> str:
    name = _text(metadata.get("name"))
    if not name:
        raise InputError(f"{what} without a name")
    return name


def _compute_type(labels: Mapping[str, Any]) -> str:
    said = _text(labels.get(COMPUTE_LABEL))
    return "" if said == "ec2" else said


def _finished_at(status: Mapping[str, Any]) -> float | None:
    ends = [
        at
        for each in _dicts(status.get("containerStatuses"))
        if (at := _time(_mapping(_mapping(each.get("state")).get("terminated")).get("finishedAt")))
        is not None
    ]
    return max(ends, default=None)


def _first(labels: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for each in names if (text := _text(labels.get(each)))), "")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shared(text: str) -> str:
    """Return one string for all equal ones: 100,000 pods name few nodes."""
    return sys.intern(text)


def _count(value: Any) -> int | None:
    """Return a count that is a number or a text, None for anything else."""
    text = str(value) if not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _time(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError):
        return None
