"""boto3's clients over a `Vpc` in the same process: botocore's own serializer and parser."""

import io

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint import query


class _Raw(io.BytesIO):
    """What botocore reads of urllib3's reply."""

    def stream(self, **_):
        yield self.read()


def client(vpc, service="ec2", *, seen=None):
    """Return a client whose requests `vpc` answers, through parse and render.

    Each request is checked to arrive with exactly the parameters it was made of, and is put
    into `seen` as (action, params, reply body).
    """
    session = boto3.Session("x", "y", region_name=vpc.account.region_name)
    made = session.client(
        service,
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(request, **_):
        headers = {name: _text(value) for name, value in request.headers.items()}
        path = request.url.removeprefix("http://127.0.0.1:1")
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        request_id = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"
        try:
            action, params = query.parse(service, headers, body, path, method=request.method)
            reply = vpc.call(service, action, params)
            status, text = 200, query.render(service, action, reply, request_id)
            if seen is not None:
                seen.append((action, params, reply))
        except Ec2Error as error:
            status, text = query.render_error(error, request_id, service)
        headers = {"content-type": query.content_type(service)}
        return AWSResponse(request.url, status, headers, _Raw(text))

    made.meta.events.register("before-send", answer)
    return made


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
