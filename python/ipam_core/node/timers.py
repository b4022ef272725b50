"""When a node's rules let it act again, and what it remembers for some time.

Only arithmetic on monotonic nanoseconds. All that depends on time alone is here, so `next_ns`
can say until when an idle node stays idle: a simulator skips to that moment instead of
checking every five seconds. Source: pool-rules section 5.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_INTERVAL_S = 5.0
"""The loop's period: a pool check after half of it, perhaps a reconcile after the rest."""
FULL_SUBNET_PAUSE_S = 120
"""No growth for this long after the subnet was full, the last second included."""
SHRINK_INTERVAL_S = 30
"""The time between two shrinks is longer than this."""
RECONCILE_INTERVAL_S = 60
"""A reconcile is due when the pool last changed longer ago than this."""
YOUNGEST_FREED_S = 60
"""An ENI younger than this is not freed."""
GIVEN_BACK_S = 60
"""What this node gave back is not taken over again for this long."""
MOST_GIVEN_BACK = 1024
"""So many are remembered longer than that; the agent has no such limit."""


class Timers:
    """The times of one node; its network cards share them."""

    __slots__ = (
        "changed_ns",
        "full_ns",
        "given_back_ns",
        "no_prefix_ns",
        "peaks",
        "release_delay_ns",
        "shrunk_ns",
        "young_ns",
    )

    def __init__(self, *, n_cards: int, release_delay_s: float) -> None:
        self.changed_ns: int | None = None
        """When the pool last grew, shrank or was reconciled."""
        self.shrunk_ns: int | None = None
        self.full_ns: int | None = None
        """When the subnet last was full."""
        self.no_prefix_ns: int | None = None
        """When it last had no free /28."""
        self.young_ns: deque[int] = deque()
        """When ENIs were taken over; those that are old are forgotten."""
        self.given_back_ns: dict[str, int] = {}
        """When addresses and prefixes were last given back, the oldest first."""
        self.release_delay_ns: int = round(release_delay_s * NS)
        self.peaks: list[deque[tuple[int, int]]] = [deque() for _ in range(n_cards)]
        """Of each card (time, most in use since), counts falling, within the release delay."""

    def pausing(self, now_ns: int) -> bool:
        """Return whether growing pauses because the subnet was full."""
        return _within(self.full_ns, FULL_SUBNET_PAUSE_S, now_ns)

    def lacks_prefixes(self, now_ns: int) -> bool:
        """Return whether the subnet recently had no free /28."""
        return _within(self.no_prefix_ns, FULL_SUBNET_PAUSE_S, now_ns)

    def may_shrink(self, now_ns: int) -> bool:
        """Return whether the last shrink is long enough ago."""
        return not _within(self.shrunk_ns, SHRINK_INTERVAL_S, now_ns)

    def may_reconcile(self, now_ns: int) -> bool:
        """Return whether the last change of the pool is long enough ago."""
        return not _within(self.changed_ns, RECONCILE_INTERVAL_S, now_ns)

    def note_given_back(self, cidr: str, now_ns: int) -> None:
        """Note that an address or prefix was given back; of the old ones keep the newest."""
        given_back = self.given_back_ns
        given_back.pop(cidr, None)  # to the end, which is the newest
        given_back[cidr] = now_ns
        while len(given_back) > MOST_GIVEN_BACK and not self.given_back_lately(
            oldest := next(iter(given_back)), now_ns
        ):
            del given_back[oldest]

    def given_back_lately(self, cidr: str, now_ns: int) -> bool:
        """Return whether an address or prefix was given back recently."""
        since_ns = self.given_back_ns.get(cidr)
        return since_ns is not None and now_ns - since_ns < GIVEN_BACK_S * NS

    def given_back_long_ago(self, cidrs: Iterable[str], now_ns: int) -> set[str]:
        """Return those that were given back long ago and were not attached since."""
        if not self.given_back_ns:
            return set()
        known = self.given_back_ns.keys() & set(cidrs)
        return {cidr for cidr in known if not self.given_back_lately(cidr, now_ns)}

    def forget_given_back(self, cidrs: Iterable[str]) -> None:
        """Forget that these were given back: they are attached again."""
        for cidr in cidrs:
            del self.given_back_ns[cidr]

    def note_in_use(self, card: int, in_use: int, now_ns: int) -> None:
        """Keep the most in use within the release delay."""
        peaks = self.peaks[card]
        while peaks and peaks[-1][1] <= in_use:
            peaks.pop()
        peaks.append((now_ns, in_use))
        while now_ns - peaks[0][0] > self.release_delay_ns:
            peaks.popleft()

    def peak_in_use(self, card: int) -> int:
        """Return the most in use within the release delay; 0 without one."""
        peaks = self.peaks[card]
        return peaks[0][1] if peaks else 0

    def next_ns(self, now_ns: int) -> int | None:
        """Return the earliest time from now on at which time alone changes what may be done.

        None: never. A pool check of an idle node before then would do nothing either, unless a
        pod comes or goes, or an address has cooled.
        """
        due_ns: int | None = None
        young_ns, oldest_ns = self.young_ns, now_ns - YOUNGEST_FREED_S * NS
        while young_ns and young_ns[0] < oldest_ns:
            young_ns.popleft()
        if young_ns:
            due_ns = young_ns[0] + YOUNGEST_FREED_S * NS
        for since_ns, seconds in (
            (self.full_ns, FULL_SUBNET_PAUSE_S),
            (self.shrunk_ns, SHRINK_INTERVAL_S),
        ):
            if since_ns is not None and since_ns + seconds * NS >= now_ns:
                due_ns = _earlier(due_ns, since_ns + seconds * NS)
        for peaks in self.peaks:
            if len(peaks) > 1:
                due_ns = _earlier(due_ns, peaks[0][0] + self.release_delay_ns)
        return due_ns


def _earlier(one_ns: int | None, other_ns: int) -> int:
    return other_ns if one_ns is None or other_ns < one_ns else one_ns


def _within(since_ns: int | None, seconds: int, now_ns: int) -> bool:
    return since_ns is not None and now_ns - since_ns <= seconds * NS
