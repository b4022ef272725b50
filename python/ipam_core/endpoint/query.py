"""Requests parsed, replies and errors built, generically from botocore's service models.

`ec2` speaks EC2's own Query protocol (version 2016-11-15), `sts` the AWS Query protocol,
`eks` REST-JSON. Source: the protocols' pages of the Smithy specification, and "Making
requests to the Amazon EC2 API".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.endpoint.models import SERVICES, model_of
from ipam_core.endpoint.replies import escaped, json_reply, xml_reply
from ipam_core.endpoint.requests import parse_query, parse_rest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.cloud.refusals import Ec2Error

__all__ = ["SERVICES", "content_type", "parse", "render", "render_error"]


def parse(
    service: str,
    headers: Mapping[str, str],
    body: bytes,
    path: str,
    *,
    method: str = "POST",
) -> tuple[str, dict[str, Any]]:
    """Return the action of an HTTP request and its parameters, by botocore's names.

    `service` is one of `SERVICES`, `path` is as sent, with its query. Cost: proportional to
    the request, which is bounded.

    Raises:
        Ec2Error: whatever is wrong with it; `render_error` has its answer.
    """
    if service == "eks":
        return parse_rest(service, method, path)
    if method == "GET":
        return parse_query(service, path.partition("?")[2].encode("ascii", "replace"))
    kind = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    if kind and kind.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise refusals.MALFORMED_QUERY(f"its content type is {kind[:100]}")
    return parse_query(service, body)


def render(service: str, action: str, reply: dict[str, Any], request_id: str) -> bytes:
    """Return the body of a reply. Its content type is that of `content_type`.

    Raises `KeyError`: a member that the action's model does not have.
    """
    if service == "eks":
        return json_reply(service, action, reply)
    return xml_reply(service, action, reply, request_id)


def render_error(error: Ec2Error, request_id: str, service: str = "ec2") -> tuple[int, bytes]:
    """Return the status and the body of an error's answer, in the form of the service."""
    code, message = escaped(error.code), escaped(error.message)
    if service == "eks":
        text = json.dumps({"__type": error.code, "message": error.message})
    elif service == "ec2":
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    else:
        side = "Receiver" if error.status >= 500 else "Sender"
        text = (
            f'<ErrorResponse xmlns="{model_of(service).metadata["xmlNamespace"]}"><Error>'
            f"<Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return error.status, text.encode()


def content_type(service: str) -> str:
    """Return the content type of a service's answers."""
    return "application/json" if service == "eks" else "text/xml;charset=UTF-8"
