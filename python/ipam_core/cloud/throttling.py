"""EC2's request throttling: token buckets by API, of one account in one region.

Source: "Request throttling for the Amazon EC2 API" of the EC2 developer guide (as of
2026): every API has a bucket of its own, refilled a second at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED_NS = 50_000_000
"""So long after it was made a throttled call is answered: quickly."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many calls an API takes at once, and how many more each second."""

    burst: float
    per_second: float


MUTATING = Bucket(50, 5)
NON_MUTATING = Bucket(100, 20)
DOCUMENTED: dict[str, Bucket] = {
    "AssignPrivateIpAddresses": Bucket(100, 5),
    "UnassignPrivateIpAddresses": Bucket(100, 5),
    "AssignIpv6Addresses": Bucket(100, 5),
    "CreateNetworkInterface": Bucket(100, 5),
    "DeleteNetworkInterface": Bucket(100, 5),
    "ModifyNetworkInterfaceAttribute": Bucket(100, 5),
    "CreateTags": Bucket(100, 10),
    "AttachNetworkInterface": MUTATING,
    "DetachNetworkInterface": MUTATING,
    "RunInstances": Bucket(5, 2),
    "TerminateInstances": Bucket(100, 5),
    # The agent asks for ENIs and instances by id, without pages or filters: the smaller bucket.
    "DescribeNetworkInterfaces": Bucket(50, 10),
    "DescribeInstances": Bucket(50, 10),
    "DescribeSubnets": NON_MUTATING,
}
"""The documented buckets of the calls that a node makes, and of those that make a node."""
_READS = ("Describe", "Get", "List", "Search")


class Throttle:
    """The token buckets of one account in one region, shared by all its nodes.

    `buckets` replaces documented ones; for an API in neither its name says whether it only reads.
    """

    def __init__(self, buckets: Mapping[str, Bucket] | None = None) -> None:
        self._buckets = DOCUMENTED | dict(buckets or {})
        self._tokens: dict[str, float] = {}
        self._filled_s: dict[str, int] = {}

    def admits(self, api: str, now_ns: int) -> bool:
        """Return whether a call made now is admitted, and take its token."""
        bucket = self._buckets.get(api) or (NON_MUTATING if api.startswith(_READS) else MUTATING)
        second = now_ns // NS
        passed = second - self._filled_s.get(api, second)
        tokens = min(self._tokens.get(api, bucket.burst) + passed * bucket.per_second, bucket.burst)
        self._filled_s[api] = second
        self._tokens[api] = tokens - (tokens >= 1)
        return tokens >= 1

    def with_buckets(self, buckets: Mapping[str, Bucket]) -> Throttle:
        """Return one with other buckets, the tokens being those that are left here."""
        other = Throttle(buckets)
        other._tokens, other._filled_s = self._tokens, self._filled_s
        return other

    def saved(self) -> tuple[dict[str, float], dict[str, int]]:
        """Return the tokens of each API that was called, and the second they are of."""
        return dict(self._tokens), dict(self._filled_s)

    def restore(self, tokens: Mapping[str, float], filled_s: Mapping[str, int]) -> None:
        """Take tokens as `saved` returned them."""
        self._tokens, self._filled_s = dict(tokens), dict(filled_s)
