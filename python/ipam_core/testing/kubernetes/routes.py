"""What a path of the API asks for: a resource, an object, a pod's proxy or log."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.k8s.client import DAEMONSETS, EVENTS, NODES, PODS, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENI_CONFIGS = Resource(version="crd.k8s.amazonaws.com/v1alpha1", plural="eniconfigs")
KINDS = {
    NODES: "Node",
    PODS: "Pod",
    EVENTS: "Event",
    DAEMONSETS: "DaemonSet",
    ENI_CONFIGS: "ENIConfig",
}
"""The resources that are served, and the kind of each."""
NAMESPACED = frozenset({PODS, EVENTS, DAEMONSETS})
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[\w.-]+/\w+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>\w+)(?:/(?P<name>[^/]+))?(?:/(?P<below>\w+)(?:/(?P<rest>.*))?)?/?"
)
_MOST_DIGITS = 18
_VERBS = {"POST": "create", "DELETE": "delete", "PUT": "update", "PATCH": "patch"}
_BY_NAME = {(each.version, each.plural): each for each in KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What one request asks for, as authorizers see it.

    `port` and `rest` are of a pod's proxy: 61678 and "metrics".
    """

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    port: int = 0
    rest: str = ""

    @property
    def group(self) -> str:
        """The API group, "" for the core."""
        return self.resource.version.rpartition("/")[0]

    @property
    def what(self) -> str:
        """The resource as a role names it: "pods/proxy"."""
        below = f"/{self.subresource}" if self.subresource else ""
        return f"{self.resource.plural}{below}"


def route_of(method: str, path: str, *, watch: bool) -> Route | None:
    """Return what a path asks for, None where nothing is served there."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    resource = _BY_NAME.get((found["core"] or found["group"], found["plural"]))
    below = found["below"] or ""
    if resource is None or below not in ("", "proxy", "log"):
        return None
    name, _, port = unquote(found["name"] or "").partition(":")
    if method == "GET":
        verb = "get" if name else "watch" if watch else "list"
    else:
        verb = _VERBS.get(method, method.lower())
    return Route(
        verb=verb,
        resource=resource,
        namespace=found["namespace"] or "",
        name=name,
        subresource=below,
        port=int(port) if port.isascii() and port.isdigit() else 0,
        rest=found["rest"] or "",
    )


def integer_of(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a parameter, `default` where it is left out. Raises `InputError`."""
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InputError(f"invalid {name}: {text!r} is no integer")
    return int(text)


def object_of(body: bytes) -> dict[str, Any]:
    """Return the object that a request sends. Raises `InputError`."""
    try:
        found = json.loads(body)
    except ValueError as error:
        raise InputError(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError("the body is no object")
    return found


def discovery_of(path: str) -> dict[str, object] | None:
    """Return a document of discovery, which kubectl asks for first; None: the path is none."""
    path = path.rstrip("/")
    groups = sorted({each.version for each in KINDS if "/" in each.version})
    if path == "/version":
        return {"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g) for g in groups]}
    for version in ("v1", *groups):
        if path == f"/{'apis' if '/' in version else 'api'}/{version}":
            of_it = [each for each in KINDS if each.version == version]
            return {
                "kind": "APIResourceList",
                "groupVersion": version,
                "resources": [*_resources(of_it)],
            }
    return None


def _group(version: str) -> dict[str, object]:
    name, _, number = version.partition("/")
    versions = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [versions], "preferredVersion": versions}


def _resources(of_it: Iterable[Resource]) -> Iterable[dict[str, object]]:
    for each in of_it:
        kind = KINDS[each]
        yield {
            "name": each.plural,
            "singularName": kind.lower(),
            "namespaced": each in NAMESPACED,
            "kind": kind,
            "verbs": ["get", "list", "watch"],
            "shortNames": {"DaemonSet": ["ds"], "Pod": ["po"], "Node": ["no"]}.get(kind, []),
        }
