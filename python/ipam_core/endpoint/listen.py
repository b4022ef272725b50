"""HTTP ports: requests read within bounds, and every fault of one answered in the same form.

A request whose body is slow holds up nobody else, and is given up after a while; one that is
no HTTP gets the port's own form of an error, as everything else that fails.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.urls import in_url

with extra("vpc", "a served VPC"):
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

MOST_BYTES = 1 << 20
"""The longest body that is read; the rest of a longer one is not."""
BODY_S = 20.0
"""So long a client has to send its body, in real seconds."""
IDLE_S = 75.0
"""So long a connection stays open between two requests."""
CLOSING_S = 1.0
"""So long calls under way have to end when a port is closed."""
_BACKLOG = 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it was read. `path` has its query; `source` is who sent it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


class Port:
    """One address that is listened on. `open_port` makes it.

    Attributes:
        url: how clients reach it, such as `http://127.0.0.1:34567`.
    """

    def __init__(self, runner: web.ServerRunner, url: str) -> None:
        self._runner = runner
        self.url = url

    async def close(self) -> None:
        """Let calls under way end for a second, and close every connection."""
        await self._runner.cleanup()


async def open_port(
    handle: Callable[[Request], Awaitable[Answer]],
    refuse: Callable[[int], Answer],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Port:
    """Listen on a port, 0 for any that is free. `refuse` makes the answer of an HTTP status.

    Raises `InputError` where that cannot be.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return _response(await handle(await _read(request)))
        except _UnreadableSignal as unreadable:
            found = _response(refuse(unreadable.status))
            found.force_close()
            return found
        except Exception:  # a fault of ours: the log has it, the client no traceback
            _log.exception("%s %s", request.method, request.path)
            return _response(refuse(500))

    listener = await _listener(host, port)
    try:
        server = _Server(answer, refuse)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=CLOSING_S)
        await runner.setup()
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
    except BaseException:
        listener.close()
        raise
    return Port(runner, f"http://{in_url(host)}:{listener.getsockname()[1]}")


async def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that is bound. Raises `InputError`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{host}:{port} cannot be listened on: {why}") from error
    return listener


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, "Server": "ipam-core", **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


class _UnreadableSignal(Exception):  # noqa: N818 - answered by the port
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def _read(request: web.BaseRequest) -> Request:
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _UnreadableSignal(413) from None
    except TimeoutError:
        raise _UnreadableSignal(408) from None
    except (web.RequestPayloadError, ValueError, ConnectionError):  # the last: it has gone
        raise _UnreadableSignal(400) from None
    return Request(
        method=request.method,
        path=request.raw_path,
        headers=request.headers,
        body=body,
        source=request.remote or "",
    )


class _Protocol(RequestHandler):
    """aiohttp's, whose own errors, of what is no HTTP, are answered in the port's form."""

    __slots__ = ("refuse",)

    refuse: Callable[[int], Answer]

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        _log.debug("a request that is no HTTP: %s", exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        found = _response(self.refuse(status))
        found.force_close()
        return found


class _Server(web.Server):
    def __init__(self, handler: Any, refuse: Callable[[int], Answer]) -> None:
        super().__init__(handler, request_factory=self._bounded)
        self._refuse = refuse

    @staticmethod
    def _bounded(
        message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=MOST_BYTES
        )

    def __call__(self) -> RequestHandler:
        protocol = _Protocol(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is what its own caller passes
            keepalive_timeout=IDLE_S,
            lingering_time=1.0,
        )
        protocol.refuse = self._refuse
        return protocol
