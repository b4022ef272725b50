"""The pods that were refused an address and ask again.

A container runtime makes a new sandbox for every try and deletes the refused one at once
(containerd: internal/cri/server/sandbox_run.go); the kubelet tries again after 10 to 15 s.
So the pod waits, by namespace and name, not its sandbox. The node is not informed when a
waiting pod is deleted: a pod that no longer asks counts as deleted.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core._store import Sandbox

WAITS_S = 60
"""A pod that has not asked for this long no longer waits: four times the kubelet's 15 s."""


class Waiting:
    """Refused pods, each with the time of its last refusal.

    A pod is known by its text ("namespace/name"), or by its sandbox where the pod is
    unknown. It waits until it is served, or has not asked for `WAITS_S` seconds; a DEL of
    the refused sandbox does not end it. `clock_ns` gives monotonic nanoseconds. Safe for
    threads. Every operation costs constant time, amortised.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._refused_ns: dict[str | Sandbox, int] = {}  # the oldest first

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the lock: a copy has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take the state over, with a new lock."""
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        """Return how many pods wait now."""
        if not self._refused_ns:
            return 0
        with self._lock:
            self._forget_old(self._clock_ns())
            return len(self._refused_ns)

    def __contains__(self, pod: str | Sandbox) -> bool:
        """Return whether a pod waits now."""
        return len(self) > 0 and pod in self._refused_ns

    def note_refused(self, sandbox: Sandbox, pod: str | None = None) -> None:
        """Note that a pod asked now, and that no address was free."""
        self.note_refused_at(pod or sandbox, self._clock_ns())

    def note_refused_at(self, who: str | Sandbox, refused_ns: int) -> None:
        """Note that a pod, by its text or its sandbox, was refused at a time: the newest."""
        with self._lock:
            self._refused_ns.pop(who, None)  # to the end, which is the newest
            self._refused_ns[who] = refused_ns

    def refused(self) -> list[tuple[str | Sandbox, int]]:
        """Return the pods that wait, by text or sandbox, and when each was refused last."""
        with self._lock:
            return list(self._refused_ns.items())

    def note_served(self, sandbox: Sandbox, pod: str | None = None) -> None:
        """Note that a pod has an address: it no longer waits."""
        if self._refused_ns:
            with self._lock:
                self._refused_ns.pop(pod or sandbox, None)

    def ends_ns(self) -> int | None:
        """Return when the next pod stops waiting unless it asks again; None: no pod waits."""
        if not len(self):
            return None
        with self._lock:
            oldest_ns = next(iter(self._refused_ns.values()), None)
        return None if oldest_ns is None else oldest_ns + WAITS_S * NS

    def _forget_old(self, now_ns: int) -> None:
        refused_ns = self._refused_ns
        while refused_ns:
            pod, when_ns = next(iter(refused_ns.items()))
            if now_ns - when_ns < WAITS_S * NS:
                return
            del refused_ns[pod]
