"""Lists page by page, watches, and texts through the API server's proxies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core._dataclass import dataclass
from ipam_core.errors import GoneError
from ipam_core.k8s.connection import TIMEOUT_S, Connection, parsed, refusal_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

PAGE_SIZE = 500
"""Objects on a page: what kubectl takes."""
MOST_RESTARTS = 3
"""A list whose pages expire is begun again so often."""
MOST_POD_BYTES = 16 << 20
"""The longest answer of a pod: /v1/enis of 11,000 addresses has about 3 MB."""
MOST_LOG_BYTES = 32 << 20
WATCH_S = 290
"""After this time a watch ends, and goes on with a new request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object: its group and version, as "apps/v1", and its plural."""

    version: str
    plural: str

    def path(self, namespace: str = "", *below: str) -> str:
        """Return the path of all of them, or of what is below."""
        root = "apis" if "/" in self.version else "api"
        inside = ("namespaces", namespace) if namespace else ()
        return "/" + "/".join((root, self.version, *inside, self.plural, *below))


NODES = Resource(version="v1", plural="nodes")
PODS = Resource(version="v1", plural="pods")
EVENTS = Resource(version="v1", plural="events")
DAEMONSETS = Resource(version="apps/v1", plural="daemonsets")


class Selection(NamedTuple):
    """Which objects of a kind: of a namespace, with fields and labels as kubectl takes them."""

    namespace: str = ""
    fields: str = ""
    labels: str = ""

    def params(self) -> dict[str, str]:
        """Return it as parameters of a request."""
        found = {"fieldSelector": self.fields, "labelSelector": self.labels}
        return {name: text for name, text in found.items() if text}


EVERYTHING = Selection()


class Page(NamedTuple):
    """Objects of a list. At `first` what was read before no longer counts."""

    items: list[dict[str, Any]]
    resource_version: str
    first: bool


class Change(NamedTuple):
    """What a watch says: "ADDED", "MODIFIED", "DELETED" or "BOOKMARK", and the object."""

    kind: str
    item: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """The version that a watch goes on from."""
        return str((self.item.get("metadata") or {}).get("resourceVersion", ""))


class Client:
    """What is asked of an API server. `connection` is entered by whoever made it."""

    def __init__(self, connection: Connection, *, page_size: int = PAGE_SIZE) -> None:
        self.connection = connection
        self._page_size = page_size

    async def get(self, resource: Resource, name: str, namespace: str = "") -> dict[str, Any]:
        """Return one object. Raises as `Connection.get`."""
        call = f"get {resource.plural}/{name}"
        return await self.connection.get_json(resource.path(namespace, name), call=call)

    async def pages(
        self, resource: Resource, selection: Selection = EVERYTHING
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of a list, all of one state of the cluster.

        Where the server no longer has that state, the list begins again: a page that is `first`
        replaces all before it. Raises as `Connection.get`.
        """
        call = f"list {resource.plural}"
        path = resource.path(selection.namespace)
        asked = selection.params() | {"limit": str(self._page_size)}
        more, restarts = "", 0
        while True:
            params = asked | ({"continue": more} if more else {})
            try:
                found = await self.connection.get_json(path, params, call=call)
            except GoneError:
                if not more or restarts == MOST_RESTARTS:
                    raise
                more, restarts = "", restarts + 1
                continue
            metadata = found.get("metadata") or {}
            items = [each for each in found.get("items") or () if isinstance(each, dict)]
            yield Page(items, str(metadata.get("resourceVersion", "")), not more)
            more = metadata.get("continue") or ""
            if not more:
                return

    async def items(
        self, resource: Resource, selection: Selection = EVERYTHING
    ) -> list[dict[str, Any]]:
        """Return a short list whole. Raises as `Connection.get`."""
        found: list[dict[str, Any]] = []
        async for page in self.pages(resource, selection):
            if page.first:
                found.clear()
            found += page.items
        return found

    async def watch(
        self,
        resource: Resource,
        since: str,
        selection: Selection = EVERYTHING,
        *,
        for_s: int = WATCH_S,
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Change, None]:
        """Yield what changes after a resource version, until the server ends it after `for_s`.

        `on_open` is called when the server has begun to answer.

        Raises:
            GoneError: changes since then are no longer known: list again.
            UnreachableError: the stream was cut off; it can go on from the last version.
            DeniedError, CloudError: the server refused.
        """
        call = f"watch {resource.plural}"
        params = selection.params() | {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(for_s),
        }
        path = resource.path(selection.namespace)
        silence_s = for_s + TIMEOUT_S
        lines = self.connection.lines(path, params, call=call, silence_s=silence_s, on_open=on_open)
        async for line in lines:
            said = parsed(line, call)
            item = said.get("object")
            item = item if isinstance(item, dict) else {}
            if said.get("type") == "ERROR":
                code = item.get("code")
                raise refusal_of(call, code if isinstance(code, int) else 500, _as_body(item))
            yield Change(str(said.get("type")), item)

    async def through_pod(self, namespace: str, pod: str, port: int, path: str) -> bytes:
        """Return what a pod serves, asked by the API server's proxy; bounded, as it is a pod's.

        Raises as `Connection.get`.
        """
        call = f"get pods/{pod}:{port}/proxy/{path}"
        where = PODS.path(namespace, f"{pod}:{port}", "proxy", *path.split("/"))
        return await self.connection.get(where, call=call, most_bytes=MOST_POD_BYTES)

    async def log(
        self, namespace: str, pod: str, container: str, params: Mapping[str, str] | None = None
    ) -> bytes:
        """Return a container's log; `params` as the API has them, as tailLines. Raises as `get`."""
        call = f"get pods/{pod}/log"
        asked = {"container": container, **(params or {})}
        where = PODS.path(namespace, pod, "log")
        return await self.connection.get(where, asked, call=call, most_bytes=MOST_LOG_BYTES)


def _as_body(status: dict[str, Any]) -> bytes:
    return json.dumps(status).encode()
