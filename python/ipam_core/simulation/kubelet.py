"""When the kubelet tries again to start a pod that got no address.

Source: pkg/kubelet (backOffPeriod, workerBackOffPeriodJitterFactor) of kubernetes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from ipam_core._kernel import Chance

BACKOFF_S, JITTER = 10.0, 0.5
"""10 s, and up to half as much more."""


def backoff_s(chance: random.Random | Chance, least_s: float = BACKOFF_S) -> float:
    """Return how long a pod waits before the next try: at least so long."""
    return least_s * (1 + JITTER * chance.random())
