"""The instance metadata service as instances reach it: sessions, and what is at a path.

Which instance a request is of, where a port is for all of them, is known by the first of:

    1  the path: /i-0123456789abcdef0/latest/... (an SDK's endpoint may have a path)
    2  its token, which is one instance's
    3  the address it comes from: one of an ENI of the instance, as in a network namespace
    4  that there is one instance only

Source: the EC2 user guide, "Use the Instance Metadata Service to access instance metadata".
"""

from __future__ import annotations

import base64
import random
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ipam_core.endpoint.listen import Answer
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ipam_core.endpoint.listen import Request
    from ipam_core.endpoint.metadata import Metadata

LONGEST_TTL_S = 21600
"""Six hours: the most that a token may be asked for."""
MOST_TOKENS = 50_000
"""Above so many, the oldest is dropped."""
TOKEN = "X-aws-ec2-metadata-token"
TTL = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
VERSIONS = ("1.0", "2021-07-15", "2022-09-24", "latest")
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
}
_INSTANCE = re.compile(r"/(i-[0-9a-f]+)(/.*)?")
_TTL = re.compile(r"[0-9]{1,5}", re.ASCII)
_ROOT = "dynamic\nmeta-data"


class MetadataService:
    """Sessions and paths for all instances.

    Tokens last by the VPC's clock. Whether an instance answers a request without one is its
    `HttpTokens`, as it was launched with, or the account's.
    """

    def __init__(
        self,
        metadata: Metadata,
        instance_ids: Callable[[], Collection[str]],
        now_ns: Callable[[], int],
        *,
        seed: int = 0,
    ) -> None:
        self._metadata = metadata
        self._instance_ids = instance_ids
        self._now_ns = now_ns
        # Not the tokens of an earlier run: with its state, this one begins at a later time.
        self._chance = random.Random(f"{seed} {now_ns()}")
        self._tokens: dict[str, tuple[str, int]] = {}

    def answer(self, request: Request, instance_id: str | None = None) -> Answer:
        """Return the answer to a request. `instance_id` is whose port it came to, if anybody's."""
        path = request.path.partition("?")[0]
        if instance_id is None and (found := _INSTANCE.fullmatch(path)):
            instance_id, path = found[1], found[2] or "/"
        if request.method == "PUT":
            return self._new_token(request, path, instance_id)
        if request.method not in ("GET", "HEAD"):
            return refused(405)
        token = request.headers.get(TOKEN)
        if token is not None:
            owner, ends_ns = self._tokens.get(token, ("", 0))
            if ends_ns <= self._now_ns() or instance_id not in (None, owner):
                return refused(401)
            instance_id = owner
        return self._at(path, instance_id or self._guessed(request.source), token is not None)

    def _new_token(self, request: Request, path: str, instance_id: str | None) -> Answer:
        if path.rstrip("/") != "/latest/api/token":
            return refused(405)
        if "X-Forwarded-For" in request.headers:
            return refused(403)
        given = request.headers.get(TTL, "").strip()
        if not _TTL.fullmatch(given) or not 1 <= int(given) <= LONGEST_TTL_S:
            return refused(400)
        instance_id = instance_id or self._guessed(request.source)
        if self._metadata.instance(instance_id) is None:
            return refused(404)
        token = base64.urlsafe_b64encode(self._chance.randbytes(40)).decode() + "=="
        if len(self._tokens) >= MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[token] = instance_id, self._now_ns() + int(given) * NS
        return Answer(body=token.encode(), headers={TTL: given})

    def _guessed(self, source: str) -> str:
        """Return the instance at an address, or the only one; "" where that is not known."""
        found = self._metadata.instance_at(source)
        if found is None and len(ids := self._instance_ids()) == 1:
            found = next(iter(ids))
        return found or ""

    def _at(self, path: str, instance_id: str, has_token: bool) -> Answer:
        instance = self._metadata.instance(instance_id)
        if instance is None:
            return refused(404)
        if not has_token and self._metadata.needs_token(instance):
            return refused(401)
        version, _, below = unquote(path).strip("/").partition("/")
        if not version:
            return Answer(body="\n".join(VERSIONS).encode())
        if version not in VERSIONS:
            return refused(404)
        if not below:
            return Answer(body=_ROOT.encode())
        tree = self._metadata.tree(instance)
        text = tree.get(below)
        if text is None:
            text = _listing(tree, below + "/")
        if not text:
            return refused(404)
        kind = "application/json" if text.startswith("{") else "text/plain"
        return Answer(body=text.encode(), content_type=kind)


def _listing(tree: Collection[str], folder: str) -> str:
    """Return the names in a folder, those of folders with a slash; "" where it is none."""
    names = set()
    for path in tree:
        if path.startswith(folder):
            name, slash, _ = path[len(folder) :].partition("/")
            names.add(name + slash)
    return "\n".join(sorted(names))


def refused(status: int) -> Answer:
    """Return the answer of a status, as the service words it."""
    title = f"{status} - {_TITLES.get(status, 'Error')}"
    body = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n'
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    )
    return Answer(status=status, body=body.encode(), content_type="text/html")
