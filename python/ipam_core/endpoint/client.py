"""A client of the control endpoint: what `ipam-core vpc fault` and its like ask with."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError

from ipam_core.bounded_http import LongAnswerError, bounded_opener, read_whole, start_of
from ipam_core.endpoint.address import PREFIX
from ipam_core.errors import InputError, IpamError
from ipam_core.quoting import quoted
from ipam_core.urls import check_http_url

TIMEOUT_S = 10.0
_MOST_BYTES = 64 << 20
# A proxy of the environment is not for a server of one's own.
_opener = bounded_opener(urllib.request.ProxyHandler({}))


def ask(
    endpoint_url: str, path: str, body: dict[str, Any] | None = None, *, method: str = ""
) -> dict[str, Any]:
    """Ask the served VPC whose EC2 is at a URL, and return what it answers.

    `path` is below `/ipam-core/`; with a body it is a POST.

    Raises:
        InputError: no URL, or the VPC refuses it.
        IpamError: nothing answers there, or it is no served VPC.
    """
    check_http_url(endpoint_url, "--endpoint-url")
    request = urllib.request.Request(
        endpoint_url.rstrip("/") + PREFIX + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method or ("GET" if body is None else "POST"),
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as reply:
            found = json.loads(read_whole(reply, _MOST_BYTES))
    except HTTPError as error:
        with error:
            raise _refusal(endpoint_url, start_of(error)) from None
    except (URLError, OSError) as error:
        why = getattr(error, "reason", None) or error
        raise IpamError(f"nothing answers at {endpoint_url}: {why}") from None
    except LongAnswerError as error:
        raise IpamError(f"{endpoint_url} is no served VPC: {error}") from None
    except (ValueError, HTTPException):
        raise IpamError(f"{endpoint_url} is no served VPC: its answer is no JSON") from None
    if not isinstance(found, dict):
        raise IpamError(f"{endpoint_url} is no served VPC: {quoted(found)}")
    return found


def _refusal(endpoint_url: str, body: bytes) -> IpamError:
    try:
        return InputError(str(json.loads(body)["error"]))
    except (ValueError, TypeError, KeyError):
        return IpamError(f"{endpoint_url} is no served VPC")
