"""HTTP servers for the tests: a proxy in front of EC2 that fails, and instance metadata."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qsl, urlsplit

REQUEST_ID = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE"
TOKEN = "a-token"
REGION = "eu-west-1"


@contextmanager
def serving(handle, *, tls=None):
    """Serve on a free port of the loopback; `handle` is given each request. Yield the URL.

    `tls` is the server's `ssl.SSLContext`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_any(self):
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            handle(self)

        do_GET = do_POST = do_PUT = do_any  # noqa: N815 - names that http.server wants

        def reply(self, status, body, *, headers=(), length=None):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def trickle(request, ending, *, status=200, headers=False):
    """Answer one letter after the other, each long before a read would be given up.

    They are of the body, or of a header without an end. It ends with the event `ending`.
    """
    if headers:
        request.wfile.write(f"HTTP/1.1 {status} Slow\r\nX-Slow: ".encode())
    else:
        request.send_response(status)
        request.send_header("Content-Length", "100000")
        request.end_headers()
    with suppress(OSError):  # the client has given up
        while not ending.wait(0.05):
            request.wfile.write(b" ")
    request.close_connection = True


@contextmanager
def trickling(**how):
    """Serve such answers alone, as `trickle` takes them; yield the URL."""
    ending = Event()
    with serving(lambda request: trickle(request, ending, **how)) as url:
        try:
            yield url
        finally:
            ending.set()


# --- EC2 that fails ---------------------------------------------------------------


@dataclass
class Fault:
    """What happens to requests for `api`, `times` times (None: always).

    `kind` is an AWS error code, or: "late" (no answer in time), "lost" (done, and the
    connection closed without a reply), "half" (done, and the reply cut in two).
    """

    api: str
    kind: str
    times: int | None = None
    status: int = 400
    after_s: float = 1.0


class FaultyEc2:
    """Passes requests on to EC2 at `url`, after its faults; notes each request's parameters."""

    def __init__(self, url):
        self._target = urlsplit(url).netloc
        self.faults = []
        self.requests = []

    def calls(self):
        """Return how often each API was asked for, every try counted."""
        return Counter(request["Action"] for request in self.requests)

    def __call__(self, request):
        parameters = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        headers = {name: request.headers[name] for name in ("User-Agent", "Authorization")}
        self.requests.append(parameters | headers)
        fault = self._fault(parameters["Action"])
        if fault is None:
            self._pass_on(request)
        elif fault.kind == "late":
            time.sleep(fault.after_s)
            request.close_connection = True
        elif fault.kind in ("lost", "half"):
            self._pass_on(request, cut=fault.kind)
            request.close_connection = True
        else:
            body = (
                "<Response><Errors><Error>"
                f"<Code>{fault.kind}</Code><Message>said the test</Message>"
                f"</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
            )
            request.reply(fault.status, body.encode())

    def _fault(self, api):
        for fault in self.faults:
            if fault.api in (api, "*"):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.faults.remove(fault)
                return fault
        return None

    def _pass_on(self, request, cut=None):
        upstream = http.client.HTTPConnection(self._target)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        # moto keeps regions apart by what a request is signed for: here all is in one.
        headers["Authorization"] = re.sub(
            r"/[\w-]+/ec2/", f"/{REGION}/ec2/", headers["Authorization"]
        )
        upstream.request("POST", request.path, request.body, headers)
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        if cut == "half":
            request.reply(answer.status, body[: len(body) // 2], length=len(body))
        elif cut is None:
            request.reply(answer.status, body, headers=[("Content-Type", "text/xml")])


# --- instance metadata --------------------------------------------------------------


class InstanceMetadata:
    """IMDSv2: serves `tree()`, a mapping of paths below meta-data to texts.

    `statuses` are answered before anything else; `tokens` counts the tokens given out,
    of which only the last is good. With `closing` a connection ends after each text, unsaid.
    """

    def __init__(self, tree):
        self.tree = tree
        self.statuses = []
        self.tokens = 0
        self.reads = []
        self.half = 0
        self.closing = False

    def __call__(self, request):
        if self.statuses:
            request.reply(self.statuses.pop(0), b"")
        elif request.path == "/latest/api/token":
            ttl = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if request.command != "PUT" or not 1 <= int(ttl or 0) <= 21600:
                request.reply(400, b"")
                return
            self.tokens += 1
            request.reply(200, f"{TOKEN}{self.tokens}".encode())
        elif request.headers.get("X-aws-ec2-metadata-token") != f"{TOKEN}{self.tokens}":
            request.reply(401, b"")
        else:
            self._read(request)

    def expire(self):
        """Make the token that was given out no longer good."""
        self.tokens += 1

    def _read(self, request):
        path = request.path.removeprefix("/latest/meta-data/").rstrip("/")
        self.reads.append(path)
        request.close_connection |= self.closing
        text = _look_up(self.tree(), path)
        if text is None:
            request.reply(404, b"<html>404 - Not Found</html>")
        elif self.half:
            self.half -= 1
            request.close_connection = True
            request.reply(200, text.encode()[: len(text) // 2], length=len(text))
        else:
            request.reply(200, text.encode())


def _look_up(tree, path):
    """Return the text at a path, or a folder's names, those of folders with a slash."""
    if path in tree:
        return tree[path]
    below = [each.removeprefix(f"{path}/") for each in tree if each.startswith(f"{path}/")]
    names = {name + ("/" if rest else "") for name, _, rest in (b.partition("/") for b in below)}
    return "\n".join(sorted(names)) or None


def metadata_tree(client, instance_id):
    """Return an instance's metadata, made from what EC2 describes of it."""
    (reservation,) = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
    (instance,) = reservation["Instances"]
    tree = {
        "instance-id": instance_id,
        "instance-type": instance["InstanceType"],
        "placement/availability-zone": instance["Placement"]["AvailabilityZone"],
    }
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    for eni in client.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        mac = eni["MacAddress"]
        if eni["Attachment"]["DeviceIndex"] == 0:
            tree["mac"] = mac
        addresses = sorted(eni["PrivateIpAddresses"], key=lambda each: not each["Primary"])
        fields = {
            "device-number": str(eni["Attachment"]["DeviceIndex"]),
            "interface-id": eni["NetworkInterfaceId"],
            "local-ipv4s": "\n".join(each["PrivateIpAddress"] for each in addresses),
            "security-group-ids": "\n".join(group["GroupId"] for group in eni["Groups"]),
            "subnet-id": eni["SubnetId"],
            "vpc-id": eni["VpcId"],
        }
        tree |= {f"network/interfaces/macs/{mac}/{name}": text for name, text in fields.items()}
    return tree
