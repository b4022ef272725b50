"""Lines of the API server's audit log, as EKS writes them."""

from __future__ import annotations

import json

SCHEDULER = "system:kube-scheduler"
USER = "kubernetes-admin"


def line(time, verb, name, *, part=None, user=USER, code=200, asked=None, answered=None, **changes):
    """Return one line about a pod, `time` seconds after 02:00."""
    minute, second = divmod(time, 60)
    at = f"2026-03-11T02:{int(minute):02}:{second:09.6f}Z"
    reference = {"resource": "pods", "namespace": "default", "apiVersion": "v1"}
    if name is not None:
        reference["name"] = name
    if part is not None:
        reference["subresource"] = part
    event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request",
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": user},
        "objectRef": reference,
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
    }
    bodies = {"requestObject": asked, "responseObject": answered}
    event |= {key: body for key, body in bodies.items() if body is not None}
    return json.dumps(event | changes).encode() + b"\n"


def created(time, name, *, on_host=False, generated=False):
    spec = {"hostNetwork": True} if on_host else {}
    pod = {"kind": "Pod", "metadata": {"name": name}, "spec": spec}
    asked = {"kind": "Pod", "metadata": {"generateName": "a-"}, "spec": spec} if generated else pod
    return line(time, "create", None if generated else name, code=201, asked=asked, answered=pod)


def bound(time, name, node, **changes):
    asked = {"kind": "Binding", "target": {"kind": "Node", "name": node}}
    changes = {"user": SCHEDULER, "code": 201} | changes
    return line(time, "create", name, part="binding", asked=asked, **changes)


def status(time, name, node, **changed):
    asked = {"status": changed}
    return line(time, "patch", name, part="status", user=f"system:node:{node}", asked=asked)


def deletion(time, name, *, node="", grace=30, **changes):
    """A graceful deletion, or, with a node, the kubelet's that ends it."""
    user = f"system:node:{node}" if node else USER
    asked = {"kind": "DeleteOptions", "gracePeriodSeconds": 0 if node else grace}
    return line(time, "delete", name, user=user, asked=asked, **changes)


def life(start, name, node, end):
    """A pod's whole life, as the log shows it."""
    return [
        created(start, name),
        bound(start + 0.1, name, node),
        status(start + 1, name, node, phase="Running", podIP="10.0.0.7", hostIP="10.0.0.1"),
        deletion(end - 5, name),
        deletion(end, name, node=node),
    ]
