"""What `doctor NODE` collects of one node over the API, as the files that `doctor` reads.

Secrets are left out: variables that may hold one, annotations and managed fields of objects, and
container ids. What cannot be collected is named, with the reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam_core.errors import CloudError, NotFoundError
from ipam_core.k8s.agents import METRICS_PORT, introspection_port
from ipam_core.k8s.client import DAEMONSETS, EVENTS, NODES, PODS, Selection
from ipam_core.k8s.debug_pod import DebugPod, read_by_debug_pod
from ipam_core.k8s.objects import DAEMONSET, NAMESPACE, daemonset_of
from ipam_core.manifests.environment import CONTAINER
from ipam_core.quoting import quoted, without_container_ids
from ipam_core.variables import is_shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from ipam_core.k8s.client import Client

MOST_LINES, MOST_BYTES = "5000", str(4 << 20)
"""Of a container's log."""
LEFT_OUT = "(left out)"


@dataclass(slots=True)
class NodeFiles:
    """Files by name, and what is missing: (what, why)."""

    files: dict[str, bytes] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        """Keep a file, without container ids; an empty one is none."""
        if content.strip():
            text = content.decode("utf-8", errors="replace")
            self.files[name] = without_container_ids(text).encode()


async def collect_node(client: Client, name: str, *, debug: DebugPod | None = None) -> NodeFiles:
    """Collect what the API server has of a node; with `debug` a pod reads its log there.

    Raises:
        NotFoundError: there is no such node; the nearest names are given.
        CloudError: the Node could not be read.
    """
    found = NodeFiles()

    async def named(what: str, read: Awaitable[Any]) -> Any:
        try:
            return await read
        except CloudError as error:
            found.missing.append((what, str(error)))
            return None

    found.add("node.json", _text(_without_secrets(await _node(client, name))))
    on_node = Selection(fields=f"spec.nodeName={name}")
    pods = await named("pods", client.items(PODS, on_node)) or []
    agents = [each for each in pods if _label(each) == DAEMONSET]
    agents.sort(key=lambda each: (each.get("status") or {}).get("phase") != "Running")
    daemonset = await named("settings", client.get(DAEMONSETS, DAEMONSET, NAMESPACE))
    variables: dict[str, str] = {}
    if daemonset is not None:
        if agents:  # it may be of another revision
            daemonset["spec"]["template"]["spec"] = agents[0]["spec"]
        cleaned = _settings(daemonset)
        variables = daemonset_of(cleaned).environment.variables
        found.add("aws-node.json", _text(cleaned))
    names = {each["metadata"]["name"] for each in pods} | {name}
    events = await named("events", _events(client, name, names))
    if events:
        found.add("events.json", _text({"kind": "EventList", "items": events}))
    if agents:
        await _of_agent(client, agents[0], variables, found, named)
    else:
        found.missing.append(("agent", f"no pod aws-node on {name}"))
    if debug is not None:
        for file, content in await read_by_debug_pod(client, name, debug, found.missing):
            if file not in found.files:  # what the agent answered is newer
                found.add(file, content)
    return found


async def _node(client: Client, name: str) -> dict[str, Any]:
    try:
        return await client.get(NODES, name)
    except NotFoundError as missing:
        from difflib import get_close_matches  # noqa: PLC0415

        names: list[str] = []
        try:
            async for page in client.pages(NODES):
                names = [] if page.first else names
                names += [each["metadata"]["name"] for each in page.items]
        except CloudError:
            raise missing from None
        near = [each for each in names if each.startswith(f"{name}.")]
        near = near or get_close_matches(name, names, 3)
        hint = f"; nearest: {', '.join(near[:3])}" if near else f"; there are {len(names)}"
        raise NotFoundError("get nodes", "NotFound", f"no node {quoted(name)}{hint}") from None


async def _events(client: Client, node: str, names: Collection[str]) -> list[dict[str, Any]]:
    """Return the warnings about a node and its pods. Cost: a page of the cluster's in memory.

    No field selector names the host that an event is from, or several objects.
    """
    found: list[dict[str, Any]] = []
    async for page in client.pages(EVENTS, Selection(fields="type=Warning")):
        found = [] if page.first else found
        found += [_without_secrets(each) for each in page.items if _is_of(each, node, names)]
    return found


async def _of_agent(
    client: Client, agent: dict[str, Any], variables: dict[str, str], found: NodeFiles, named: Any
) -> None:
    """Collect what the agent's pod shows: its pages and its log."""
    pod = agent["metadata"]["name"]
    pages = [("metrics.txt", METRICS_PORT, "metrics")]
    port = introspection_port(variables)
    if port is not None:
        pages += [("eni.out", port, "v1/enis"), ("ipamd-env.out", port, "v1/ipamd-env-settings")]
    for file, at, path in pages:
        content = await named(path, client.through_pod(NAMESPACE, pod, at, path))
        found.add(file, content or b"")
    limits = {"tailLines": MOST_LINES, "limitBytes": MOST_BYTES}
    content = await named("log of aws-node", client.log(NAMESPACE, pod, CONTAINER, limits))
    found.add("aws-node.log", content or b"")
    if _restarts(agent):
        previous = limits | {"previous": "true"}
        what = "log of aws-node before its restart"
        content = await named(what, client.log(NAMESPACE, pod, CONTAINER, previous))
        found.add("aws-node-previous.log", content or b"")


def _restarts(agent: dict[str, Any]) -> int:
    statuses = (agent.get("status") or {}).get("containerStatuses") or ()
    return sum(each.get("restartCount") or 0 for each in statuses if each.get("name") == CONTAINER)


def _label(pod: dict[str, Any]) -> str:
    return str(((pod.get("metadata") or {}).get("labels") or {}).get("k8s-app", ""))


def _is_of(event: dict[str, Any], node: str, names: Collection[str | None]) -> bool:
    about = event.get("involvedObject") or event.get("regarding") or {}
    host = (event.get("source") or {}).get("host") or event.get("reportingInstance")
    return host == node or (about.get("kind") in ("Pod", "Node") and about.get("name") in names)


def _without_secrets(item: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(item.get("metadata") or {})
    metadata.pop("annotations", None)
    metadata.pop("managedFields", None)
    return {**item, "metadata": metadata}


def _settings(daemonset: dict[str, Any]) -> dict[str, Any]:
    """Return the DaemonSet with nothing but its own container, and no value that may be secret."""
    containers = [
        {
            "name": CONTAINER,
            "image": each.get("image"),
            "env": [_shown(variable) for variable in each.get("env") or ()],
            **({"envFrom": each["envFrom"]} if each.get("envFrom") else {}),
        }
        for each in daemonset["spec"]["template"]["spec"].get("containers") or ()
        if each.get("name") == CONTAINER
    ]
    template = {"spec": {"containers": containers}}
    spec = {"selector": daemonset["spec"].get("selector", {}), "template": template}
    cleaned = _without_secrets(daemonset)
    return {**cleaned, "kind": "DaemonSet", "apiVersion": "apps/v1", "spec": spec}


def _shown(variable: dict[str, Any]) -> dict[str, Any]:
    if "value" in variable and not is_shown(str(variable.get("name"))):
        return {**variable, "value": LEFT_OUT}
    return variable


def _text(document: Any) -> bytes:
    return json.dumps(document, indent=1).encode()
