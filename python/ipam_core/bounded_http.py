"""HTTP by the standard library, bounded: one deadline for a whole request, and a longest answer.

The time-out of a socket is that of one read: an answer in small parts, or in many header lines,
would never end. Here each read is given the time that is left.

    connect, TLS handshake   the time that is left when each begins
    request                  the time that is left when its first byte is sent
    status, headers, body    the time that is left at each read

Names are looked up by the system, in its own time.
"""

from __future__ import annotations

import io
import select
import time
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    import urllib.request
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


class SupportsRead(Protocol):
    """An answer, or an error that is one."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer at the end."""


class LongAnswerError(Exception):
    """An answer has more than `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"an answer of more than {most_bytes >> 20} MiB")
        self.most_bytes = most_bytes


class BoundedConnection(HTTPConnection):
    """A connection whose requests end by `deadline_s`, of the monotonic clock.

    `timeout` is that of the first request, from now on. `exchange` sets the deadline of each.
    """

    def __init__(
        self, host: str, port: int | None = None, timeout: float = 30.0, *more: Any, **options: Any
    ) -> None:
        super().__init__(host, port, timeout, *more, **options)
        self.deadline_s: float = time.monotonic() + timeout

    def connect(self) -> None:
        """Connect, and leave the rest of the time to what comes next: a TLS handshake."""
        self.timeout: float | None = left_s(self.deadline_s)
        super().connect()
        self.sock.settimeout(left_s(self.deadline_s))

    def send(self, data: Any) -> None:
        """Send, in the time that is left."""
        if self.sock is not None:
            self.sock.settimeout(left_s(self.deadline_s))
        super().send(data)

    def response_class(self, sock: socket.socket, *given: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]
        """Return the answer that is to be read."""
        return HTTPResponse(_Reads(sock, self.deadline_s), *given, **options)  # type: ignore[arg-type]


class BoundedTlsConnection(HTTPSConnection, BoundedConnection):
    """The same over TLS: the handshake is bounded, too."""


class _Reads(io.RawIOBase):
    """What `HTTPResponse` reads a socket through: each read has the time that is left."""

    def __init__(self, sock: socket.socket, deadline_s: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline_s = deadline_s

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(left_s(self._deadline_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def connection_to(url: str, *, timeout_s: float) -> BoundedConnection:
    """Return a connection to a URL's server, not yet open. The URL is one of `check_http_url`."""
    parts = urlsplit(url)
    kind = BoundedTlsConnection if parts.scheme == "https" else BoundedConnection
    port = parts.port or _PORTS[parts.scheme]
    return kind(parts.hostname or "", port, timeout=timeout_s)


def exchange(
    connection: BoundedConnection,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    deadline_s: float,
    most_bytes: int,
) -> tuple[int, bytes]:
    """Ask on a connection, opened if need be; return the status and the whole body.

    The connection stays open for the next request. What fails closes it: what is left of an
    answer would be read as the next one.

    Raises:
        TimeoutError: the deadline is past.
        OSError, HTTPException: no answer, or one that is cut off.
        LongAnswerError: the body has more than `most_bytes`.
    """
    if connection.sock is not None and _has_ended(connection.sock):
        connection.close()
    connection.deadline_s = deadline_s
    try:
        connection.request(method, target, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, read_whole(answer, most_bytes)
    except BaseException:
        connection.close()
        raise


def read_whole(answer: HTTPResponse, most_bytes: int) -> bytes:
    """Return an answer's body. Raises as `exchange`."""
    body = answer.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise LongAnswerError(most_bytes)
    if answer.length:
        raise IncompleteRead(body, answer.length)
    return body


def start_of(answer: SupportsRead, most_bytes: int = 64 << 10) -> bytes:
    """Return the start of what a server says of an error; b"" where it is cut off, or too slow."""
    try:
        return answer.read(most_bytes)
    except (OSError, HTTPException):
        return b""


def bounded_opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return what opens URLs as `urllib.request`; `timeout` is that of the whole request.

    It follows no redirect: credentials are for one server. The answer is an error then.
    """
    # Loaded where it is used: 0.5 MB that a process on every node has no need of.
    from urllib.request import (  # noqa: PLC0415
        HTTPHandler,
        HTTPRedirectHandler,
        HTTPSHandler,
        build_opener,
    )

    class Plain(HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> HTTPResponse:
            return self.do_open(BoundedConnection, req)

    class Tls(HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> HTTPResponse:
            return self.do_open(BoundedTlsConnection, req)

    class NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(Plain, Tls, NoRedirects, *handlers)


def left_s(deadline_s: float) -> float:
    """Return how long it is until then. Raises `TimeoutError`: it is past."""
    remaining_s = deadline_s - time.monotonic()
    if remaining_s <= 0:
        raise TimeoutError("timed out")
    return remaining_s


def _has_ended(sock: socket.socket) -> bool:
    """Return whether the server closed an idle connection; what it sent unasked ends it, too."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
