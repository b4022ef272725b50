"""EC2 calls, counted by API and bounded in each hour.

EC2's rate limits are those of the whole account and region: what an exporter asks for, the
agents of the nodes have to wait for.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

HOUR_S = 3600.0


class Ec2Calls:
    """Counts every request to EC2 of the sessions that it watches, tries again included.

    `most_per_hour` bounds reads: one begins only if the last hour has room for as many
    requests as the last read took. For threads.
    """

    def __init__(self, most_per_hour: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most_per_hour = most_per_hour
        self.n_postponed: int = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._by_api: Counter[str] = Counter()
        self._times: deque[float] = deque()
        self._n_before = 0
        self._of_last = 0

    def watch(self, session: boto3.Session) -> None:
        """Count the requests of the clients that a session makes from now on."""
        session.events.register("before-send.ec2", self._note)

    def _note(self, event_name: str = "", **_: Any) -> None:
        with self._lock:
            self._by_api[event_name.rpartition(".")[2]] += 1
            self._times.append(self._clock())

    @property
    def by_api(self) -> dict[str, int]:
        """All requests so far, by the name of the API."""
        with self._lock:
            return dict(self._by_api)

    @property
    def n_calls(self) -> int:
        """All requests so far."""
        with self._lock:
            return self._by_api.total()

    def begin(self) -> bool:
        """Return whether a read may begin now; where not, it is counted as postponed."""
        with self._lock:
            while self._times and self._times[0] <= self._clock() - HOUR_S:
                self._times.popleft()
            if len(self._times) + self._of_last > self.most_per_hour and self._times:
                self.n_postponed += 1
                return False
            self._n_before = self._by_api.total()
            return True

    def end(self) -> None:
        """Note that the read has ended: the next one takes about as many requests."""
        with self._lock:
            self._of_last = self._by_api.total() - self._n_before
