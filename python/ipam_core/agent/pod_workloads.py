"""Workloads of a load generator: a rolling update, and a storm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ipam_core.agent.kubelet import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core.agent.kubelet import Kubelet
    from ipam_core.agent.pod_book import BookedPod, PodBook


def roll(
    kubelet: Kubelet,
    book: PodBook,
    old: Sequence[BookedPod],
    *,
    name: str,
    namespace: str,
    surge: int,
    patience_s: float,
    progress: Callable[[float], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> Outcome:
    """Replace pods as a Deployment does that has maxUnavailable 0: `surge` new ones at a time.

    As many old pods end as new ones got an address; where some wait the update stops, as one
    of Kubernetes' does. Pods that wait are replaced first.
    """
    outcome = Outcome()
    left = sorted(old, key=lambda pod: bool(pod.address))
    while left:
        batch, left = left[:surge], left[surge:]
        new = book.add(len(batch), name=name, namespace=namespace, now=now())
        n_before = len(outcome.served)
        kubelet.start(new, patience_s=patience_s, outcome=outcome)
        n_served = len(outcome.served) - n_before
        kubelet.end(batch[:n_served], outcome=outcome)
        progress(1 - len(left) / len(old))
        if n_served < len(batch):
            break
    return outcome


def storm(
    kubelet: Kubelet,
    book: PodBook,
    count: int,
    *,
    name: str,
    namespace: str,
    rounds: int,
    patience_s: float,
    progress: Callable[[float], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> Outcome:
    """Start so many pods at once and end them, round after round; none is left."""
    outcome = Outcome()
    for number in range(1, rounds + 1):
        pods = book.add(count, name=name, namespace=namespace, now=now())
        try:
            kubelet.start(pods, patience_s=patience_s, outcome=outcome)
        finally:
            kubelet.end(pods, outcome=outcome)
        progress(number / rounds)
    return outcome
