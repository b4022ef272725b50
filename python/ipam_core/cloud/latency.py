"""How long EC2 calls take.

AWS publishes no figures. The defaults follow the words of its documents: a call takes hundreds
of milliseconds, and an ENI is attached after up to ten seconds (docs/rules.md, "EC2");
Amazon's EKS best practices, "Prefix mode", call a prefix on an attached ENI faster than a new
ENI. The quantiles of the agent's metric awscni_aws_api_latency_ms can be used instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

_Z99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A log-normal latency by its median and 99th percentile; equal ones are a constant."""

    median_s: float
    p99_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.median_s <= self.p99_s:
            raise ValueError(f"median {self.median_s} s, p99 {self.p99_s} s: 0 <= median <= p99")

    def sample_ns(self, chance: random.Random) -> int:
        """Return a latency in nanoseconds."""
        if self.median_s in (self.p99_s, 0):
            return round(self.median_s * 1e9)
        sigma = math.log(self.p99_s / self.median_s) / _Z99
        return round(self.median_s * math.exp(sigma * chance.gauss(0, 1)) * 1e9)


OTHER = Latency(0.2, 1.0)
DEFAULTS: dict[str, Latency] = {
    "AssignPrivateIpAddresses": Latency(0.5, 2.0),
    "UnassignPrivateIpAddresses": Latency(0.5, 2.0),
    "AssignIpv6Addresses": Latency(0.5, 2.0),
    "CreateNetworkInterface": Latency(0.6, 2.5),
    "AttachNetworkInterface": Latency(1.5, 6.0),
    "DetachNetworkInterface": Latency(0.6, 2.5),
    "DeleteNetworkInterface": Latency(0.5, 2.0),
    "ModifyNetworkInterfaceAttribute": Latency(0.3, 1.5),
}
"""Latencies by API; all others are reads and have `OTHER`."""


class Latencies:
    """The latency of each API; `by_api` replaces defaults."""

    def __init__(self, by_api: Mapping[str, Latency] | None = None) -> None:
        self._by_api = DEFAULTS | dict(by_api or {})

    def sample_ns(self, api: str, chance: random.Random) -> int:
        """Return how long a call takes, in nanoseconds."""
        return self._by_api.get(api, OTHER).sample_ns(chance)
