"""The API server as a pod's service account reads it: a few GETs by the standard library.

For a process on every node: kr8s, which other readers use, takes 25 MB of memory.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from ipam_core.bounded_http import BoundedTlsConnection, LongAnswerError, exchange
from ipam_core.errors import UnreachableError
from ipam_core.k8s.access import SERVICE_ACCOUNT
from ipam_core.k8s.connection import MOST_BYTES, parsed, refusal_of, too_large

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
"""The variables that the kubelet gives each container."""


@dataclass(slots=True, kw_only=True)
class AccountReader:
    """Reads objects with the service account in `folder`, on one connection: use it in a `with`.

    The token is read for each request: the kubelet replaces it every hour.
    """

    folder: Path = SERVICE_ACCOUNT
    timeout_s: float = 30.0
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _connection: BoundedTlsConnection | None = field(default=None, init=False)
    _deadline_s: float = field(default=0.0, init=False)

    def __enter__(self) -> Self:
        """Begin: all requests until the end of the `with` share `timeout_s`."""
        self._deadline_s = time.monotonic() + self.timeout_s
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def get_json(
        self, path: str, params: Mapping[str, str] | None = None, *, call: str
    ) -> dict[str, Any]:
        """Return the object that a path holds.

        Raises:
            DeniedError, NotFoundError, CloudError: the server refused, or answers too much.
            UnreachableError: no whole answer in time, the server's error, or no object.
        """
        try:
            status, body = self._ask(f"{path}?{urlencode(params)}" if params else path)
        except TimeoutError as error:
            raise UnreachableError(call, "Timeout", "no answer in time") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise UnreachableError(call, "Unreachable", said) from error
        except LongAnswerError as error:
            raise too_large(call, error.most_bytes) from None
        if status != http.HTTPStatus.OK:
            raise refusal_of(call, status, body)
        return parsed(body, call)

    def _ask(self, target: str) -> tuple[int, bytes]:
        token = (self.folder / "token").read_text("ascii").strip()
        self._connection = self._connection or self._new()
        return exchange(
            self._connection,
            "GET",
            target,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            deadline_s=self._deadline_s,
            most_bytes=MOST_BYTES,
        )

    def _new(self) -> BoundedTlsConnection:
        host = self.variables.get(HOST, "")
        if not host:
            raise ValueError(f"{HOST} is not set")
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        port = int(self.variables.get(PORT) or 443)
        return BoundedTlsConnection(host, port, timeout=self.timeout_s, context=context)
