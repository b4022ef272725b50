"""A pod that reads what only its node has: ipamd.log, and the agent's pages on the loopback.

It is the one thing here that changes a cluster, and only on request: one pod in kube-system on the
host's network, so that it needs no address of the pool, with the log's folder mounted read-only.
It is deleted in any case.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.errors import CloudError, NotFoundError, UnreachableError
from ipam_core.k8s.client import PODS
from ipam_core.k8s.objects import FINISHED, NAMESPACE

if TYPE_CHECKING:
    from ipam_core.k8s.client import Client

IMAGE = "public.ecr.aws/docker/library/busybox:1.37"
LOGS = "/var/log/aws-routed-eni"
MOST_BYTES = 8 << 20
"""Of the log's end: the kubelet keeps 10 MiB of what a container prints."""
PATIENCE_S = 90.0
"""So long the pod may take to be scheduled, pull its image and end."""
_LIMIT = {"limitBytes": str(MOST_BYTES)}
_PAGES = "http://127.0.0.1:61679/v1"
_READS = {
    "ipamd.log": f"tail -c {MOST_BYTES} /logs/ipamd.log",
    "eni.out": f"wget -q -T 5 -O - {_PAGES}/enis",
    "ipamd-env.out": f"wget -q -T 5 -O - {_PAGES}/ipamd-env-settings",
}
"""What each container prints, by the name of the file that it becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugPod:
    """How to run one. `patience_s`: see `PATIENCE_S`."""

    image: str = IMAGE
    patience_s: float = PATIENCE_S
    poll_s: float = 1.0


def debug_pod_document(name: str, node: str, how: DebugPod) -> dict[str, Any]:
    """Return the pod: a container for each file that is read.

    Kubernetes ends it some time after it is waited for no more, should nobody delete it.
    """
    mount = {"name": "logs", "mountPath": "/logs", "readOnly": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "ipam-core"},
        },
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "activeDeadlineSeconds": math.ceil(how.patience_s) + 30,
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": _container(file),
                    "image": how.image,
                    "command": ["sh", "-c", command],
                    "volumeMounts": [mount],
                }
                for file, command in _READS.items()
            ],
            "volumes": [{"name": "logs", "hostPath": {"path": LOGS}}],
        },
    }


async def read_by_debug_pod(
    client: Client, node: str, how: DebugPod, missing: list[tuple[str, str]]
) -> list[tuple[str, bytes]]:
    """Run the pod and return what it read by file; what it could not is added to `missing`."""
    name = f"ipam-core-doctor-{uuid.uuid4().hex[:8]}"
    path = PODS.path(NAMESPACE)
    document = debug_pod_document(name, node, how)
    found = []
    may_be_there = True
    try:
        try:
            await client.connection.send("POST", path, document, call="create pods")
        except UnreachableError:  # it may have been created all the same
            raise
        except CloudError:
            may_be_there = False
            raise
        status = await _until_finished(client, name, how)
        for file in _READS:
            if (code := _exit_code(status, _container(file))) != 0:
                missing.append((f"debug pod, {file}", f"not read there: exit status {code}"))
                continue
            try:
                content = await client.log(NAMESPACE, name, _container(file), _LIMIT)
            except CloudError as error:
                missing.append((f"debug pod, {file}", str(error)))
            else:
                found.append((file, content))
    except CloudError as error:
        missing.append(("debug pod", str(error)))
    finally:
        if may_be_there:
            try:
                where = PODS.path(NAMESPACE, name)
                await client.connection.send("DELETE", where, call=f"delete pods/{name}")
            except NotFoundError:
                pass
            except CloudError as error:
                missing.append(("debug pod", f"{error}: delete it by hand"))
    return found


async def _until_finished(client: Client, name: str, how: DebugPod) -> dict[str, Any]:
    """Return the pod's status once it has ended. Raises `CloudError`: not in time."""
    until_s = time.monotonic() + how.patience_s
    while True:
        status = (await client.get(PODS, name, NAMESPACE)).get("status") or {}
        if status.get("phase") in FINISHED:
            return dict(status)
        if time.monotonic() > until_s:
            why = _waiting(status) or f"it is {status.get('phase') or 'not scheduled'}"
            raise CloudError(f"run pods/{name}", "Timeout", f"not ended in time: {why}")
        await asyncio.sleep(how.poll_s)


def _exit_code(status: dict[str, Any], container: str) -> int:
    """Return the exit status of a container; 0 where the pod does not say."""
    for each in status.get("containerStatuses") or ():
        if each.get("name") == container:
            return int(((each.get("state") or {}).get("terminated") or {}).get("exitCode") or 0)
    return 0


def _waiting(status: dict[str, Any]) -> str:
    """Return why a container waits, as ImagePullBackOff."""
    for each in status.get("containerStatuses") or ():
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    return ""


def _container(file: str) -> str:
    return file.replace(".", "-")
