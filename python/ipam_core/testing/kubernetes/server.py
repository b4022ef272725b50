"""The HTTP port of the API: lists with pages, watches, proxies, logs, discovery."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from base64 import b64encode
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from ipam_core._dataclass import dataclass
from ipam_core.errors import GoneError, InputError, NotFoundError
from ipam_core.k8s.client import PODS
from ipam_core.testing.kubernetes.certificates import make_certificate, server_context
from ipam_core.testing.kubernetes.faults import DROPPED
from ipam_core.testing.kubernetes.routes import KINDS, discovery_of, integer_of, object_of, route_of
from ipam_core.testing.kubernetes.selectors import matcher
from ipam_core.testing.kubernetes.state import ClusterState, bytes_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ipam_core.testing.kubernetes.faults import Fault, Rule
    from ipam_core.testing.kubernetes.routes import Route

USER = "system:serviceaccount:default:test"
WATCH_S = 1800
BOOKMARK_S = 1.0
"""After so long without a change a watch that wants bookmarks gets one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came; `route` None: discovery, or nothing that is served."""

    method: str
    path: str
    query: Mapping[str, str]
    route: Route | None


class KubernetesServer:
    """A Kubernetes API on a free port of the loopback, while it is entered.

    With `tls` it has a certificate of its own, which the kubeconfig names: kubectl sends its
    token only then.

    Attributes:
        state: the objects.
        token: what requests must carry, "" for any; change it, and theirs has expired.
        rules: what is allowed, None for all: see `rules_of`.
        faults: what goes wrong, the first that meets a request.
        latency_s: how long each answer takes.
        asked: every request, in order.
        serve_pod: what pods serve by namespace, name, port and path; None: connection refused.
        pod_log: a container's log by namespace, pod, container and parameters; None: none.
        created: called with each pod that a client creates; it may `put` it as running.
    """

    def __init__(
        self, state: ClusterState | None = None, *, token: str = "the-token", tls: bool = False
    ) -> None:
        self.state: ClusterState = state or ClusterState()
        self.token = token
        self.certificate: bytes
        self.certificate, self._key = make_certificate() if tls else (b"", b"")
        self.rules: tuple[Rule, ...] | None = None
        self.faults: list[Fault] = []
        self.latency_s: float = 0.0
        self.asked: list[Asked] = []
        self.serve_pod: Callable[[str, str, int, str], bytes | None] = lambda *_: None
        self.pod_log: Callable[[str, str, str, Mapping[str, str]], bytes | None] = lambda *_: None
        self.created: Callable[[dict[str, Any]], None] = lambda _: None
        self.stopping: bool = False
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Serve it. The port answers when this returns."""
        self.stopping = False
        context = server_context(self.certificate, self._key) if self.certificate else None
        self._http = _Http(self, context)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="kubernetes api"
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and every connection."""
        assert self._http is not None
        assert self._thread is not None
        with self.state.changed:
            self.stopping = True
            self.state.changed.notify_all()
        self._http.shutdown()
        self._thread.join()
        self._http.close_connections()
        self._http.server_close()  # waits for every request
        self._http = self._thread = None

    @property
    def url(self) -> str:
        """The address."""
        assert self._http is not None
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._http.server_port}"

    def kubeconfig(self, *, token: str | None = None) -> dict[str, Any]:
        """Return a kubeconfig for it, with one context called "mock"."""
        user = {"token": self.token if token is None else token}
        cluster: dict[str, Any] = {"server": self.url}
        if self.certificate:
            cluster["certificate-authority-data"] = b64encode(self.certificate).decode()
        else:  # else httpx reads all authorities that the machine trusts: 25 ms a connection
            cluster["insecure-skip-tls-verify"] = True
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "mock", "cluster": cluster}],
            "users": [{"name": "mock", "user": user}],
            "contexts": [{"name": "mock", "context": {"cluster": "mock", "user": "mock"}}],
            "current-context": "mock",
        }

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig to a file, and return its path."""
        path.write_text(json.dumps(self.kubeconfig(), indent=2), "utf-8")
        return path


class _Http(ThreadingHTTPServer):
    request_queue_size = 256

    def __init__(self, api: KubernetesServer, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._context = context
        self.daemon_threads = False
        self.api = api
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        if self._context is not None:  # the handshake is made by the request's own thread
            accepted = self._context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
        return accepted, address

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End what waits for a client's next request."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away, or do not trust the certificate."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    # --- one request --------------------------------------------------------------

    def _answer(self) -> None:
        api = self.server.api
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        watch = query.get("watch", "") in ("1", "true")
        route = route_of(self.command, url.path, watch=watch)
        api.asked.append(Asked(method=self.command, path=url.path, query=query, route=route))
        if api.latency_s:
            time.sleep(api.latency_s)
        if self._fails(api, f"{self.command} {unquote(self.path)}"):
            return
        if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
            self._refuse(401, "Unauthorized", "Unauthorized")
            return
        if route is None:
            found = discovery_of(url.path) if self.command == "GET" else None
            if found is None:
                self._refuse(404, "NotFound", "the server could not find the requested resource")
            else:
                self._json(200, found)
            return
        if api.rules is not None and not any(rule.allows(route) for rule in api.rules):
            self._refuse(403, "Forbidden", _forbidden(route))
            return
        try:
            self._serve(api, route, query, body)
        except NotFoundError as error:
            self._refuse(404, "NotFound", error.message)
        except GoneError as error:
            self._refuse(410, "Expired", error.message)
        except InputError as error:
            self._refuse(400, "BadRequest", str(error))

    def _fails(self, api: KubernetesServer, request: str) -> bool:
        fault = next((each for each in api.faults if each.meets(request)), None)
        if fault is None:
            return False
        if fault.late_s:
            with api.state.changed:
                api.state.changed.wait_for(lambda: api.stopping, fault.late_s)
        if fault.status is None:
            return False
        if fault.status == DROPPED:
            self.close_connection = True
            return True
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        self._refuse(fault.status, fault.reason, fault.message, headers)
        return True

    def _serve(
        self, api: KubernetesServer, route: Route, query: Mapping[str, str], body: bytes
    ) -> None:
        state, resource = api.state, route.resource
        if route.subresource == "proxy":
            self._proxy(api, route)
        elif route.subresource == "log":
            self._log(api, route, query)
        elif route.verb == "create":
            document = object_of(body)
            state.put(resource, document)
            api.created(document)
            name = document["metadata"]["name"]
            stored = state.get(resource, name, route.namespace)
            self._send(201, _with_kind(resource, stored.raw))
        elif route.verb == "delete":
            state.remove(resource, route.name, route.namespace)
            self._json(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        elif route.verb == "get":
            stored = state.get(resource, route.name, route.namespace)
            self._send(200, _with_kind(resource, stored.raw))
        elif route.verb == "watch":
            self._watch(api, route, query)
        else:
            self._list(api, route, query)

    def _list(self, api: KubernetesServer, route: Route, query: Mapping[str, str]) -> None:
        resource = route.resource
        selected = matcher(
            resource.plural, query.get("fieldSelector", ""), query.get("labelSelector", "")
        )
        items, version, token, left = api.state.page(
            resource,
            route.namespace,
            selected,
            limit=integer_of(query, "limit", 0),
            token=query.get("continue", ""),
        )
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if token:
            metadata |= {"continue": token, "remainingItemCount": left}
        head = {"kind": f"{KINDS[resource]}List", "apiVersion": resource.version}
        start = json.dumps(head | {"metadata": metadata})[:-1].encode()
        self._send(200, b"".join((start, b', "items": [', *bytes_of(items), b"]}")))

    def _watch(self, api: KubernetesServer, route: Route, query: Mapping[str, str]) -> None:
        state, resource = api.state, route.resource
        selected = matcher(
            resource.plural, query.get("fieldSelector", ""), query.get("labelSelector", "")
        )
        since = integer_of(query, "resourceVersion", state.version)
        until_s = time.monotonic() + integer_of(query, "timeoutSeconds", WATCH_S)
        bookmarks = query.get("allowWatchBookmarks") == "true"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        told = since
        while not api.stopping and time.monotonic() < until_s:
            try:
                found, newest = state.changes(resource, route.namespace, since, selected)
            except GoneError as error:
                # Once a watch has begun, errors are events of it.
                self._event("ERROR", _status(410, "Expired", error.message))
                break
            for kind, stored in found:
                self._event(kind, _with_kind(resource, stored.raw))
            since = newest
            told = newest if found else told
            self.wfile.flush()
            news = self._news(state, since, min(BOOKMARK_S, max(until_s - time.monotonic(), 0)))
            if not news and bookmarks and told < since:
                mark = {"metadata": {"resourceVersion": str(since), "creationTimestamp": None}}
                self._event("BOOKMARK", _with_kind(resource, json.dumps(mark).encode()))
                told = since
        self.wfile.write(b"0\r\n\r\n")

    def _news(self, state: ClusterState, since: int, within_s: float) -> bool:
        api = self.server.api
        with state.changed:
            return state.changed.wait_for(lambda: api.stopping or state.version > since, within_s)

    def _event(self, kind: str, item: bytes) -> None:
        line = b'{"type":"' + kind.encode() + b'","object":' + item + b"}\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _proxy(self, api: KubernetesServer, route: Route) -> None:
        api.state.get(PODS, route.name, route.namespace)
        found = api.serve_pod(route.namespace, route.name, route.port, route.rest)
        if found is None:
            where = f"dial tcp 10.0.0.1:{route.port}: connect: connection refused"
            message = f"error trying to reach service: {where}"
            self._refuse(503, "ServiceUnavailable", message)
        else:
            self._send(200, found, "text/plain; version=0.0.4")

    def _log(self, api: KubernetesServer, route: Route, query: Mapping[str, str]) -> None:
        api.state.get(PODS, route.name, route.namespace)
        container = query.get("container", "")
        found = api.pod_log(route.namespace, route.name, container, query)
        if found is None:
            raise InputError(f'container "{container}" in pod "{route.name}" is not available')
        self._send(200, found, "text/plain")

    # --- answers --------------------------------------------------------------------

    def _refuse(
        self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._send(status, _status(status, reason, message), headers=headers)

    def _json(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode())

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _with_kind(resource: Any, raw: bytes) -> bytes:
    head = json.dumps({"kind": KINDS[resource], "apiVersion": resource.version})
    return head[:-1].encode() + b", " + raw[1:]


def _status(status: int, reason: str, message: str) -> bytes:
    said = {"status": "Failure", "message": message, "reason": reason, "code": status}
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, **said}).encode()


def _forbidden(route: Route) -> str:
    where = f'in the namespace "{route.namespace}"' if route.namespace else "at the cluster scope"
    named = f'"{route.name}" ' if route.name else ""
    return (
        f"{route.resource.plural} {named}is forbidden: User {json.dumps(USER)} cannot {route.verb} "
        f'resource "{route.what}" in API group "{route.group}" {where}'
    )
