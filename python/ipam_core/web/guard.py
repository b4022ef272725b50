"""Who may ask the page: this machine alone, or whoever has the token; no other site's scripts."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "ipam-core-token"
MOST_BYTES = 1_000_000
"""The largest body of a request."""
DROPS = "/drop/"
"""Where dropped files are sent: the path starts so."""
MOST_DROPPED = 256_000_000
"""The most bytes of one drop: more than an archive of a node has."""
MOST_LISTED = 262_144
"""The most bytes before them: the names and sizes of the files."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class Guard:
    """An ASGI application in front of the page's.

    Without a token only requests to a name of this machine are answered: a page of another
    name that resolves to it is refused. With one, any name is, to who has the token. A
    request that another site's page makes is always refused.
    """

    def __init__(self, app: ASGIApp, token: str = "") -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        refused = self._refusal(headers, scope["path"])
        if not refused and self._token and not self._knows(headers):
            query = scope["query_string"].decode("latin-1")
            given = parse_qs(query).get("token", [""])[-1]
            if scope["type"] == "http" and self._is_token(given):
                await _answer(send, 303, "", _let_in(scope["path"], query, self._token))
                return
            refused = (401, "the token is missing: open the address that `ipam-core web` printed")
        if not refused:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refused)

    def _refusal(self, headers: dict[str, str], path: str) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._token and _name(f"//{host}") not in LOOPBACK:
            return 403, "this page is for this machine alone"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "a request of another site"
        most = MOST_DROPPED + MOST_LISTED if path.startswith(DROPS) else MOST_BYTES
        length = headers.get("content-length", "0")
        if not _is_length(length, most) or "transfer-encoding" in headers:
            return 413, f"at most {most} bytes, and their number first"
        return None

    def _knows(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _is_length(length: str, most: int) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 16 and int(length) <= most


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _let_in(path: str, query: str, token: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return headers that keep the token in a cookie and take it out of the address."""
    rest = urlencode([pair for pair in parse_qsl(query) if pair[0] != "token"])
    target = "/" + quote(path.lstrip("/")) + (f"?{rest}" if rest else "")
    cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
    return (b"location", target.encode()), (b"set-cookie", cookie.encode())


def _with_headers(send: Send) -> Send:
    async def sent(message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return sent


async def _answer(
    send: Send, status: int, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    content = (b"content-type", b"text/plain; charset=utf-8")
    await send(
        {"type": "http.response.start", "status": status, "headers": [content, *_HEADERS, *headers]}
    )
    await send({"type": "http.response.body", "body": text.encode()})
