"""One API server, asked through kr8s: bounded in time, its errors typed, one line each."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from ipam_core.errors import (
    CloudError,
    DeniedError,
    GoneError,
    InputError,
    IpamError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)
from ipam_core.k8s.access import close_api, need_kr8s, open_api, remove_written
from ipam_core.quoting import cut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ipam_core.k8s.access import Access

TIMEOUT_S = 30.0
"""So long a request may take, its whole answer included."""
CONNECT_S = 5.0
"""So long a connection may take to open."""
TRIES = 4
"""A request that the server asks to repeat later is sent so often."""
LONGEST_PAUSE_S = 5.0
"""The longest pause that a server may ask for."""
RENEW_AFTER_S = 30.0
"""Credentials are read again at most so often."""
MOST_RETIRED = 2
"""So many connections with older credentials stay: requests that began on them may still run."""
MOST_BYTES = 128 << 20
"""The longest answer: a page of 500 pods has about 5 MB."""
MOST_LINE_BYTES = 16 << 20
"""The longest line of a watch: etcd keeps no object of more than 1.5 MB."""
LONGEST_MESSAGE = 300
_MOST_REFUSAL_BYTES = 64 << 10
_TOO_MANY, _UNAVAILABLE = 429, 503
_KINDS = {
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    410: GoneError,
    429: ThrottledError,
}


class Connection:
    """Requests to one API server, in the loop that it is entered in. Only GETs are repeated.

    A request that is refused with 429 or 503 and a time is sent again then. At a 401 the
    credentials are read again, once in `RENEW_AFTER_S`: an exec plugin gives a new token, a
    service account's file has one.

    Raises:
        MissingExtraError: kr8s is not installed.
    """

    def __init__(self, access: Access, *, timeout_s: float = TIMEOUT_S, tries: int = TRIES) -> None:
        need_kr8s("reading a cluster")
        self.access = access
        self.n_requests: int = 0
        self._timeout_s = timeout_s
        self._tries = tries
        self._api: Any = None
        self._retired: list[Any] = []
        self._renewed_s = float("-inf")
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open it, and ask the server for its version.

        Raises:
            InputError: the credentials cannot be read.
            UnreachableError: nobody answers.
        """
        try:
            self._api = await self._open()
            # The first request opens the connections, alone. Whether it is allowed does not matter.
            async with self._answer("get version", "GET", "/version"):
                remove_written(self._api)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        opened, self._api = [*self._retired, self._api], None
        self._retired.clear()
        for api in opened:
            if api is not None:
                await close_api(api)

    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        call: str,
        most_bytes: int = MOST_BYTES,
    ) -> bytes:
        """Return what a path holds. `call` is what errors name, as "list pods".

        Raises:
            DeniedError, NotFoundError, GoneError, ThrottledError: the server refused.
            UnreachableError: no answer, none that is whole in time, or the server's error.
            CloudError: any other refusal, or an answer of more than `most_bytes`.
        """
        for attempt in range(1, self._tries + 1):
            api = self._api
            async with self._answer(call, "GET", path, params=params or {}) as answer:
                if answer.is_success:
                    return await _body(call, answer, most_bytes)
                pause_s = _pause_s(answer)
                failure = await _refusal(call, answer)
            if attempt == self._tries:
                break
            if isinstance(failure, DeniedError) and failure.code == "Unauthorized":
                if not await self._renew(api):
                    break
            elif pause_s is None:
                break
            else:
                await asyncio.sleep(pause_s)
        raise failure

    async def get_json(
        self, path: str, params: Mapping[str, str] | None = None, *, call: str
    ) -> dict[str, Any]:
        """Return the object that a path holds. Raises as `get`, and for what is none."""
        return parsed(await self.get(path, params, call=call), call)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, call: str
    ) -> None:
        """Send what changes something, once. Raises as `get`."""
        content: dict[str, Any] = {} if body is None else {"content": json.dumps(body).encode()}
        async with self._answer(call, method, path, **content) as answer:
            if not answer.is_success:
                raise await _refusal(call, answer)

    async def lines(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        call: str,
        silence_s: float,
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an answer as they come, until it ends or is silent for too long.

        `on_open` is called when it begins. At a 401 the credentials are read again, as by `get`:
        a token lives for 15 minutes on EKS. Raises as `get`; an answer that is cut off raises
        `UnreachableError`, a line of more than `MOST_LINE_BYTES` `CloudError`.
        """
        options: dict[str, Any] = {"silence_s": silence_s, "params": params}
        for is_last in (False, True):
            api = self._api
            async with self._answer(call, "GET", path, **options) as answer:
                if answer.is_success:
                    on_open()
                    async for line in _lines(call, answer):
                        yield line
                    return
                async with asyncio.timeout(self._timeout_s):
                    failure = await _refusal(call, answer)
            if is_last or failure.code != "Unauthorized" or not await self._renew(api):
                raise failure

    @asynccontextmanager
    async def _answer(
        self, call: str, method: str, path: str, *, silence_s: float | None = None, **given: Any
    ) -> AsyncGenerator[Any, None]:
        """Give an answer whose body is still to be read; what goes wrong on the way is typed.

        With `silence_s` that is the longest time between two parts of its body, and it has to
        begin within the request's time: a server sends the headers of a watch at once (watch.go
        of kubernetes/apiserver). Else the whole answer has to be read within that time.
        """
        import httpx  # noqa: PLC0415  (kr8s has loaded it)

        self.n_requests += 1
        base, _, last = path.strip("/").rpartition("/")
        where = {"base": f"/{base or last}", "url": last if base else ""}
        timeout = httpx.Timeout(silence_s or self._timeout_s, connect=CONNECT_S)
        try:
            # httpx' own time is that of one read: an answer in small parts would never end.
            # Statuses are judged here: at a 403 kr8s would read the credentials again, thrice.
            async with (
                asyncio.timeout(self._timeout_s) as bound,
                self._api.call_api(
                    method,
                    version="",
                    **where,
                    raise_for_status=False,
                    stream=True,
                    timeout=timeout,
                    **given,
                ) as answer,
            ):
                if silence_s is not None:
                    bound.reschedule(None)
                yield answer
        except IpamError:
            raise
        except Exception as error:
            raise _no_answer(call, error) from error

    async def _open(self) -> Any:
        try:
            return await open_api(self.access)
        except IpamError:
            raise
        except (AttributeError, LookupError, TypeError) as error:  # kr8s takes the form for given
            raise InputError(f"{self.access.described}: not as kubectl writes one") from error
        except Exception as error:  # of kr8s, YAML, the system, an exec plugin
            said = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.access.described}: {cut(said, LONGEST_MESSAGE)}") from error

    async def _renew(self, refused: Any) -> bool:
        """Read the credentials again; return whether there are others than those refused."""
        async with self._opening:
            if self._api is not refused:
                return True
            if time.monotonic() - self._renewed_s < RENEW_AFTER_S:
                return False
            try:
                renewed = await self._open()
            except InputError:
                self._renewed_s = time.monotonic()
                return False
            try:
                # The first request opens its connections, alone.
                async with (
                    asyncio.timeout(self._timeout_s),
                    renewed.call_api(
                        "GET", version="", base="/version", raise_for_status=False, stream=True
                    ),
                ):
                    remove_written(renewed)
            except BaseException as error:
                await close_api(renewed)
                if isinstance(error, Exception):  # of httpx: another try may help
                    raise _no_answer("get version", error) from error
                raise
            self._renewed_s = time.monotonic()
            self._retired.append(self._api)
            self._api = renewed
            while len(self._retired) > MOST_RETIRED:
                await close_api(self._retired.pop(0))
            return True


def parsed(body: bytes, call: str) -> dict[str, Any]:
    """Return a body as an object of JSON. Raises `UnreachableError`: it is none."""
    try:
        found = json.loads(body)
    except ValueError as error:
        raise _unusable(call, f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _unusable(call, f"a {type(found).__name__}, not an object")
    return found


def _unusable(call: str, why: str) -> CloudError:
    return UnreachableError(call, "InvalidReply", why)


def refusal_of(call: str, status: int, body: bytes) -> CloudError:
    """Return the error of a refusal: its Status' reason and message, in one line."""
    reason, message = f"HTTP {status}", ""
    try:
        said = json.loads(body)
        reason, message = str(said.get("reason") or reason), str(said.get("message") or "")
    except (ValueError, AttributeError):
        message = body[: 4 * LONGEST_MESSAGE].decode(errors="replace")
    if status == 401:
        reason, message = "Unauthorized", "the credentials have expired, or are not valid"
    kind = _KINDS.get(status, UnreachableError if status >= 500 else CloudError)
    return kind(call, reason, cut(" ".join(message.split()), LONGEST_MESSAGE))


async def _refusal(call: str, answer: Any) -> CloudError:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > _MOST_REFUSAL_BYTES:
            break
    return refusal_of(call, answer.status_code, body)


async def _body(call: str, answer: Any, most_bytes: int) -> bytes:
    """Return an answer's body. Raises `CloudError`: it has more than `most_bytes`."""
    parts, n_bytes = [], 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > most_bytes:
            raise too_large(call, most_bytes)
    return b"".join(parts)


async def _lines(call: str, answer: Any) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an answer that have something in them. Cost: linear in its bytes."""
    parts: list[bytes] = []
    n_bytes = 0
    async for chunk in answer.aiter_bytes():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            parts.append(end)
            if line := b"".join(parts):
                yield line
            parts, n_bytes = [], 0
        parts.append(rest)
        n_bytes += len(rest)
        if n_bytes > MOST_LINE_BYTES:
            raise too_large(call, MOST_LINE_BYTES)
    if line := b"".join(parts):
        yield line


def too_large(call: str, most_bytes: int) -> CloudError:
    """Return the error of an answer that has more bytes than are read."""
    return CloudError(call, "TooLarge", f"more than {most_bytes >> 20} MiB, the most that is read")


def _pause_s(answer: Any) -> float | None:
    """Return after which time a refused request may be sent again, None: never."""
    if answer.status_code not in (_TOO_MANY, _UNAVAILABLE):
        return None
    text = answer.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdigit() else None


def _no_answer(call: str, error: Exception) -> CloudError:
    name = type(error).__name__
    if "Timeout" in name:
        return UnreachableError(call, "Timeout", "no answer in time")
    said = " ".join(str(error).split()) or name
    return UnreachableError(call, "Unreachable", cut(said, LONGEST_MESSAGE))
