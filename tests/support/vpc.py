"""Clients of a served VPC for the tests: HTTP as it is, boto3, and instance metadata."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

VERSION = "2016-11-15"


def http_request(url, method="GET", path="/", body=None, headers=None, source=None):
    """Make one request and return its status, headers and body."""
    parts = urlsplit(url)
    made = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10, source_address=source)
    with closing(made) as connection:
        connection.request(method, parts.path + path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()


def query(url, action, access_key="i-0123456789abcdef0", **parameters):
    """Make one call of EC2's Query API, and return the status and the XML without names' spaces."""
    scope = f"Credential={access_key}/20260101/us-east-1/ec2/aws4_request"
    status, _, body = http_request(
        url,
        "POST",
        body=urlencode({"Action": action, "Version": VERSION, **parameters}),
        headers={
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00",
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "a test",
        },
    )
    return status, ElementTree.fromstring(without_namespace(body))


def without_namespace(body):
    """Return XML without the namespace of its root."""
    return body.decode().replace(' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"', "")


def error_code(body):
    """Return the code of an answer in EC2's error form; it is nothing else."""
    root = ElementTree.fromstring(body)
    assert root.tag == "Response"
    assert [child.tag for child in root] == ["Errors", "RequestID"]
    assert len(root.findtext("RequestID")) == 36
    assert root.findtext("Errors/Error/Message") is not None
    return root.findtext("Errors/Error/Code")


def raw(url, content, *, reply=True):
    """Send bytes and return all that comes back until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(content)
        if not reply:
            return b""
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def client(server, service="ec2", access_key="i-0123456789abcdef0"):
    """Return a client of boto3 that tries each call once."""
    from botocore.config import Config

    from support.loopback import session_of

    return session_of().client(
        service,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
