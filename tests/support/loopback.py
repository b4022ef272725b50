"""boto3 clients of a `Vpc` in this process: real requests and answers, and no socket."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint import query

CREDENTIALS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}
_sessions = {}


def session_of(region="us-east-1"):
    """Return one session a region for all tests: each reads EC2's model once."""
    if region not in _sessions:
        _sessions[region] = boto3.Session(region_name=region, **CREDENTIALS)
    return _sessions[region]


class _Body:
    def __init__(self, content):
        self.content = content

    def stream(self, **_):
        yield self.content


def loopback(vpc, service="ec2", **config):
    """Return a client whose requests a `Vpc` answers at once."""
    config.setdefault("retries", {"total_max_attempts": 1})
    client = session_of().client(
        service, endpoint_url="http://loopback.invalid", config=Config(**config)
    )

    def answer(request, **_):
        url = urlsplit(request.url)
        path = url.path + (f"?{url.query}" if url.query else "")
        headers = {name: _text(value) for name, value in request.headers.items()}
        status, body = answered(vpc, service, headers, request.body or b"", path, request.method)
        return AWSResponse(
            request.url, status, {"Content-Type": query.content_type(service)}, _Body(body)
        )

    client.meta.events.register("before-send", answer)
    return client


def answered(vpc, service, headers, body, path="/", method="POST"):
    """Answer one request as the server does: status and body."""
    request_id = str(uuid.uuid4())
    body = body.encode() if isinstance(body, str) else body
    try:
        action, params = query.parse(service, headers, body, path, method=method)
        reply = vpc.call(service, action, params)
        return 200, query.render(service, action, reply, request_id)
    except Ec2Error as error:
        return query.render_error(error, request_id, service)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
