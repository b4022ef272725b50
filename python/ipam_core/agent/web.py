"""A small HTTP server for what an agent shows: GET alone, few clients at a time, short waits."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core.agent.addresses import refuse_served, split_address
from ipam_core.errors import InputError
from ipam_core.ipamd import log_lines as lines
from ipam_core.quoting import cut, visible
from ipam_core.urls import in_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from http import HTTPStatus

_log = logging.getLogger(__name__)

MOST_CLIENTS = 32
"""Connections at a time; one more is closed at once."""
TIMEOUT_S = 5.0
"""A client that says or takes nothing for so long is left (upstream's time-outs)."""
UNIX = "unix:"


class Page(NamedTuple):
    """An answer: its status, what its text is, and the text."""

    status: HTTPStatus
    kind: str
    text: str


class WebServer:
    """Serves pages at HOST:PORT or unix:PATH from the constructor on.

    `answer` gives the page of a path. Port 0 is any free one; the host left out is every
    address.

    Attributes:
        address: where it is served: HOST:PORT or unix:PATH.

    Raises:
        InputError: no such address, or it is taken.
    """

    def __init__(self, address: str, answer: Callable[[str], Page], *, name: str) -> None:
        self._unix: Path | None = None
        handler = _handler_of(answer)
        try:
            if address.startswith(UNIX):
                if address == UNIX:
                    raise InputError(f"{name}: {address!r}: a path is needed, as unix:/run/x.sock")
                self._unix = Path(address.removeprefix(UNIX))
                refuse_served(self._unix)
                self._unix.unlink(missing_ok=True)
                self._server: Any = _UnixServer(str(self._unix), handler)
                self.address: str = address
            else:
                host, port = split_address(address)
                kind = _Ipv6Server if ":" in host else _Server
                self._server = kind((host, port), handler)
                self.port: int = self._server.server_address[1]
                shown = in_url(host)
                self.address = f"{shown}:{self.port}"
        except OSError as error:
            raise InputError(f"{name}: {address}: {error.strerror}") from error
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        """Return where a page is found, from this machine."""
        if self._unix is not None:
            return f"{self.address} {path}"
        host, _, port = self.address.rpartition(":")
        return f"http://{host if host not in ('', '0.0.0.0', '[::]') else '127.0.0.1'}:{port}{path}"

    def _serve(self) -> None:
        """Answer until closed. It waits for clients, and wakes for nothing else."""
        while not self._closing:
            self._server.handle_request()

    def close(self) -> None:
        """Serve no more; what is being answered ends."""
        self._closing = True
        self._server.socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._thread.join()
        self._server.server_close()
        if self._unix is not None:
            self._unix.unlink(missing_ok=True)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MOST_CLIENTS

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.Semaphore(MOST_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what answering failed with; a client that goes away is nothing."""
        del request, client_address
        _log.debug("Write failed", exc_info=True)


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def get_request(self) -> tuple[Any, Any]:
        """Accept a client; on a unix socket it has no address."""
        request, _ = super().get_request()
        return request, ("unix", 0)


def _handler_of(answer: Callable[[str], Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S
        server_version = "ipam-core"
        sys_version = ""

        def do_GET(self) -> None:
            client = ":".join(map(str, self.client_address))
            uri = cut(visible(self.path), 200)
            lines.HTTP_REQUEST.say(_log, method=self.command, client=client, uri=uri)
            page = answer(self.path.partition("?")[0])
            body = page.text.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            """Log nothing: the agent's own line says it."""

    return Handler
