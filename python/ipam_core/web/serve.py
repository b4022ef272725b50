"""The server of the page: on the loopback, or elsewhere with a token."""

from __future__ import annotations

import gc
import secrets
import socket
from typing import TYPE_CHECKING

from ipam_core._extras import extra
from ipam_core.errors import InputError
from ipam_core.urls import in_url
from ipam_core.web.guard import LOOPBACK, Guard

if TYPE_CHECKING:
    from collections.abc import Callable


def serve(host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted; `listening` is given its address.

    `port` 0 is any that is free. On an address that is not of the loopback the page has a
    token, which the address holds.

    Raises:
        MissingExtraError: NiceGUI is not installed.
        InputError: the address cannot be listened on.
    """
    with extra("web", "the page"):
        import uvicorn  # noqa: PLC0415  (loaded where it is used: it takes half a second)
        from fastapi import FastAPI  # noqa: PLC0415

        from ipam_core.web.drop import add_drops  # noqa: PLC0415
        from ipam_core.web.parts import add_pages  # noqa: PLC0415
    token = "" if host in LOOPBACK else secrets.token_urlsafe(24)
    with _listen(host, port) as listener:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        add_drops(app)
        add_pages(app)
        config = uvicorn.Config(
            Guard(app, token),
            log_level="warning",
            access_log=False,
            limit_concurrency=100,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        gc.freeze()  # what is loaded stays: a collection in the midst of a move looks at less
        query = f"?token={token}" if token else ""
        listening(f"http://{in_url(host)}:{listener.getsockname()[1]}/{query}")
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"--host {host} --port {port}: {error.strerror or error}") from error
