"""What a served VPC answers over HTTP: EC2 with STS and EKS, and the control endpoint."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from ipam_core.cloud import refusals
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint.address import PREFIX
from ipam_core.endpoint.callers import Caller, caller_of
from ipam_core.endpoint.control import Addresses, Control
from ipam_core.endpoint.listen import Answer
from ipam_core.endpoint.query import SERVICES, content_type, parse, render, render_error

if TYPE_CHECKING:
    from ipam_core.endpoint.listen import Request
    from ipam_core.endpoint.served import ServedVpc

_CODES = {
    400: "MalformedQueryString",
    404: "InvalidAction",
    405: "InvalidAction",
    408: "RequestTimeout",
    413: "RequestEntityTooLarge",
}
"""EC2's codes for requests that are not read; any other is an InternalError."""
NO_ID = "00000000-0000-4000-8000-000000000000"
"""The id of a request that was not read."""


class Ec2Face:
    """Answers what comes to EC2's port: calls of three services, and what controls the VPC."""

    def __init__(self, served: ServedVpc, where: Addresses) -> None:
        self._served = served
        self._control = Control(served, where)

    async def answer(self, request: Request) -> Answer:
        """Return the answer of a request, whatever it is."""
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        path, _, query = request.path.partition("?")
        caller = caller_of(request.headers, query, request.source)
        service = _service_of(request, path, caller)
        request_id = self._served.gate.next_id()
        try:
            body = await self._call(service, path, request, caller, request_id)
            status = 200
        except Ec2Error as error:
            status, body = render_error(error, request_id, service)
        headers = {"x-amzn-RequestId": request_id, "Cache-Control": "no-cache, no-store"}
        return Answer(status=status, body=body, content_type=content_type(service), headers=headers)

    async def _call(
        self, service: str, path: str, request: Request, caller: Caller, request_id: str
    ) -> bytes:
        if service != "eks":
            if path != "/":
                raise _not_read(404, f"there is nothing at {path[:200]}")
            if request.method not in ("GET", "POST"):
                raise _not_read(405, f"{request.method} is not GET or POST")
        action, params = parse(
            service, request.headers, request.body, request.path, method=request.method
        )
        reply = await self._served.gate.call(service, action, params, caller, request_id)
        if action == "GetCallerIdentity":  # who calls is known here only
            reply = {**reply, "Arn": caller.arn, "UserId": caller.user_id}
        return render(service, action, reply, request_id)


def _service_of(request: Request, path: str, caller: Caller) -> str:
    """Return the service that a request is for: as signed, or as it looks."""
    if caller.service in SERVICES:
        return caller.service
    if path.startswith("/clusters"):
        return "eks"
    return "sts" if b"Version=2011-06-15" in request.body else "ec2"


def _not_read(status: int, why: str) -> Ec2Error:
    return Ec2Error(_CODES.get(status, refusals.INTERNAL_ERROR.code), why, status)


def refused(status: int) -> Answer:
    """Return the answer to a request that could not be read, in EC2's form."""
    status, body = render_error(_not_read(status, HTTPStatus(status).phrase), NO_ID)
    return Answer(status=status, body=body, content_type=content_type("ec2"))
