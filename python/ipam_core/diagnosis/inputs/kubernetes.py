"""Objects of Kubernetes that describe a node: the Node, and the kubelet's configuration."""

from __future__ import annotations

from typing import Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import MOST_ADDRESSES, Case, Evidence, NodeObject, Source

_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
BRANCH_ENIS = "vpc.amazonaws.com/pod-eni"


def is_node(document: Any) -> bool:
    """Return whether an object is a Node."""
    return isinstance(document, dict) and document.get("kind") == "Node"


def is_kubelet_config(document: Any) -> bool:
    """Return whether an object is the kubelet's configuration, of its file or of `/configz`."""
    if not isinstance(document, dict):
        return False
    inner = document.get("kubeletconfig", document)
    return isinstance(inner, dict) and (
        inner.get("kind") == "KubeletConfiguration" or inner is not document
    )


def read_node(document: dict[str, Any], file: str, content: str, case: Case) -> None:
    """Add a Node to the case."""
    where = f"{file}: the Node's"
    metadata = dig.mapping(document.get("metadata"), f"{where} metadata")
    labels = dig.mapping(metadata.get("labels"), f"{where} labels")
    spec = dig.mapping(document.get("spec"), f"{where} spec")
    status = dig.mapping(document.get("status"), f"{where} status")
    room = dig.mapping(status.get("allocatable"), f"{where} allocatable") or dig.mapping(
        status.get("capacity"), f"{where} capacity"
    )
    name = dig.text(metadata.get("name"))
    pods = _count(room.get("pods"))
    ready = next(
        (
            condition
            for condition in dig.sequence(status.get("conditions"), f"{where} conditions")
            if isinstance(condition, dict)
            and condition.get("type") == "Ready"
            and condition.get("status") != "True"
        ),
        {},
    )
    case.nodes[name] = NodeObject(
        name=name,
        evidence=Evidence(
            file=file,
            line=dig.line_of(content, '"allocatable"', "allocatable:", '"capacity"', "capacity:"),
            value=f"node {name}: pods {pods if pods is not None else 'not given'}",
            source=Source.NODE,
        ),
        instance_type=next(
            (dig.text(labels[label]) for label in _TYPE_LABELS if label in labels), ""
        ),
        max_pods=pods,
        branch_enis=_count(room.get(BRANCH_ENIS)),
        unschedulable=spec.get("unschedulable") is True,
        not_ready=" ".join(
            filter(None, (dig.text(ready.get("reason")), dig.text(ready.get("message"))))
        ),
    )


def read_kubelet_config(document: dict[str, Any], file: str, content: str, case: Case) -> None:
    """Add the kubelet's maxPods to the case, if its configuration has one."""
    pods = _count(dig.mapping(document.get("kubeletconfig", document), file).get("maxPods"))
    if pods is not None:
        case.kubelet_max_pods = Evidence(
            file=file,
            line=dig.line_of(content, '"maxPods"', "maxPods:"),
            value=str(pods),
            source=Source.NODE,
        )


def _count(value: Any) -> int | None:
    """Return a count that is a number or a text, None for anything else."""
    if isinstance(value, str) and value.isdigit() and len(value) < 7:
        return int(value)
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and 0 < value < MOST_ADDRESSES else None
