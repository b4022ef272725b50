"""The result of a fleet simulation: waits, refusals, EC2 calls, and counts over time."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import field
from math import ceil
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._extras import extra
from ipam_core.errors import ThrottledError
from ipam_core.html import html_of
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ipam_core.cloud.region import Call
    from ipam_core.cloud.subnets import SimulatedSubnet
    from ipam_core.simulation.fleet.members import NodeGroup

SERIES = (
    "nodes",
    "pods",
    "waiting",
    "enis",
    "total",
    "assigned",
    "cooling",
    "idle",
    "calls",
    "throttled",
    "refusals",
)
"""The sampled series: counts at a moment; calls, throttled, refusals since the last sample."""
OF_A_GROUP = ("nodes", "pods", "waiting", "enis", "total", "assigned", "cooling", "idle")
"""The sampled series of each group; pods without a node are in none."""
OF_A_SUBNET = ("free", "free_prefixes")
"""The sampled series of each subnet: its free addresses, and its free /28s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetResult:
    """What happened. Counts cover the time measured; `waits_s` has each pod served.

    `still_waiting_s` has the wait of each pod that was not served until the end. `series`
    holds arrays of equal length by the names of `SERIES`, sampled at `times_s`; `groups` those
    of `OF_A_GROUP` by group, `subnets` those of `OF_A_SUBNET` by subnet. `not_placed` pods
    have no node at the end. `not_joined` nodes were requested a minute or more ago and have
    not joined. `calls` are kept only on request.
    """

    name: str
    policy: str
    seed: int
    duration_s: float
    waits_s: array[float]
    still_waiting_s: array[float]
    refusals: Mapping[str, int]
    calls_by_api: Mapping[str, int]
    throttled_by_api: Mapping[str, int]
    errors: Mapping[tuple[str, str], int]
    times_s: array[float]
    series: Mapping[str, array[int]]
    groups: Mapping[str, Mapping[str, array[int]]] = field(default_factory=dict)
    subnets: Mapping[str, Mapping[str, array[int]]] = field(default_factory=dict)
    not_placed: int = 0
    not_joined: int = 0
    calls: tuple[Call, ...] = field(default=(), repr=False)

    @property
    def n_pods(self) -> int:
        """Pods that asked for an address, served or not."""
        return len(self.waits_s) + len(self.still_waiting_s)

    @property
    def n_waited(self) -> int:
        """Pods that were refused at first, or still are."""
        return self.n_pods - self.waits_s.count(0.0)

    @property
    def n_calls(self) -> int:
        """EC2 calls, throttled ones included."""
        return sum(self.calls_by_api.values())

    def waits(self) -> NDArray[np.float64]:
        """Return the wait of every pod in seconds, shape (n_pods,), sorted.

        For a pod that still waits, the wait until the end counts.
        """
        with extra("batch", "waits as an array"):
            import numpy as np  # noqa: PLC0415  (the package imports it where it is used)

        parts = [np.frombuffer(each) for each in (self.waits_s, self.still_waiting_s) if each]
        return np.sort(np.concatenate(parts), kind="stable") if parts else np.empty(0)

    def wait_quantile_s(self, share: float) -> float:
        """Return the seconds that a `share` of pods, 0 to 1, did not exceed; 0 if no pod asked."""
        return self.wait_quantiles_s((share,))[0]

    def wait_quantiles_s(self, shares: Sequence[float]) -> list[float]:
        """Return `wait_quantile_s` of each of the `shares`, for one sort of the waits above 0."""
        every = (self.waits_s, self.still_waiting_s)
        n_at_once = sum(each.count(0.0) for each in every)
        waits = _sorted_above_0(every)
        places = (max(ceil(share * self.n_pods) - 1, 0) - n_at_once for share in shares)
        return [float(waits[place]) if 0 <= place < len(waits) else 0.0 for place in places]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the series as NumPy arrays, `times_s` too, each of shape (n_samples,)."""
        with extra("batch", "series as arrays"):
            import numpy as np  # noqa: PLC0415  (the package imports it where it is used)

        return {
            "times_s": np.array(self.times_s),
            **{name: np.array(values) for name, values in self.series.items()},
        }

    def mean(self, name: str) -> float:
        """Return the mean of a series over the samples measured."""
        values = self.series[name]
        return sum(values) / len(values) if values else 0.0

    def peak(self, name: str) -> int:
        """Return the highest sample of a series; between two samples it may be higher."""
        return max(self.series[name], default=0)

    @property
    def has_failed(self) -> bool:
        """Whether at the end pods wait without an address, or requested nodes are missing."""
        return bool(self.still_waiting_s or self.not_placed or self.not_joined)

    def _repr_html_(self) -> str:
        """Return the waits, EC2 calls and idle addresses, for notebooks."""
        p50, p99 = self.wait_quantiles_s((0.5, 0.99))
        rows = [
            ("pods", self.n_pods),
            ("of these refused at first", self.n_waited),
            ("half of the pods wait at most, s", p50),
            ("99 of 100 wait at most, s", p99),
            ("EC2 calls", self.n_calls),
            ("idle addresses, mean", self.mean("idle")),
        ]
        return html_of(f"{self.name}: policy {self.policy}, seed {self.seed}", ("", ""), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything except the calls as plain values."""
        quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        return {
            "name": self.name,
            "policy": self.policy,
            "seed": self.seed,
            "duration_s": self.duration_s,
            "interrupted": False,  # an interrupted run is no result
            "pods": self.n_pods,
            "pods_waited": self.n_waited,
            "pods_still_waiting": len(self.still_waiting_s),
            "pods_not_placed": self.not_placed,
            "nodes_not_joined": self.not_joined,
            "wait_s": dict(
                zip(quantiles, self.wait_quantiles_s(list(quantiles.values())), strict=True)
            ),
            "waits_s": list(self.waits_s),
            "refusals": dict(self.refusals),
            "calls": dict(self.calls_by_api),
            "throttled": dict(self.throttled_by_api),
            "errors": {f"{api} {code}": n for (api, code), n in self.errors.items()},
            "times_s": list(self.times_s),
            "mean": {name: self.mean(name) for name in SERIES},
            "peak": {name: self.peak(name) for name in SERIES},
            "series": _lists(self.series),
            "groups": {name: _lists(series) for name, series in self.groups.items()},
            "subnets": {name: _lists(series) for name, series in self.subnets.items()},
        }


def sort_floats(values: array[float]) -> None:
    """Sort in place. Cost: NumPy sorts ten times as fast; without it, the same result."""
    try:
        import numpy as np  # noqa: PLC0415  (the package imports it where it is used)
    except ModuleNotFoundError:
        values[:] = array("d", sorted(values))
        return
    if values:
        np.frombuffer(values).sort()


def _sorted_above_0(parts: Iterable[array[float]]) -> Sequence[float]:
    """Return the waits that are above 0, sorted; most are 0, and take no more memory here."""
    try:
        import numpy as np  # noqa: PLC0415  (the package imports it where it is used)
    except ModuleNotFoundError:
        return sorted(wait for part in parts for wait in part if wait > 0)
    waits = [np.frombuffer(part) for part in parts if part]
    found = np.concatenate([np.empty(0), *(each[each > 0] for each in waits)])
    found.sort()
    return found  # type: ignore[return-value]


def _lists(series: Mapping[str, array[int]]) -> dict[str, list[int]]:
    return {name: list(values) for name, values in series.items()}


class Recorder:
    """Counts while a fleet is played; only what the result holds grows with time."""

    def __init__(self, *, measure_from_ns: int, keep_calls: bool) -> None:
        self._from_ns = measure_from_ns
        self._kept: list[Call] | None = [] if keep_calls else None
        self._waits = array("d")
        self._refusals: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._times = array("d")
        self._series = {name: array("q") for name in SERIES}
        self._groups: dict[str, dict[str, array[int]]] = {}
        self._subnets: dict[str, dict[str, array[int]]] = {}
        self._before = (0, 0, 0)

    def measures(self, now_ns: int) -> bool:
        """Return whether what happens now counts."""
        return now_ns >= self._from_ns

    def served(self, asked_ns: int, now_ns: int) -> None:
        """Count a pod that got its address."""
        if asked_ns >= self._from_ns:
            self._waits.append((now_ns - asked_ns) / NS)

    def refused(self, cause: str, now_ns: int) -> None:
        """Count a refusal."""
        if now_ns >= self._from_ns:
            self._refusals[cause] += 1

    def set_refusals(self, refusals: Mapping[str, int]) -> None:
        """Take over how many refusals of each cause were counted elsewhere."""
        self._refusals = Counter(refusals)

    def add_waits(self, n_at_once: int, others: Iterable[float]) -> None:
        """Count pods that were served elsewhere: at once, and after these waits."""
        self._waits.frombytes(bytes(8 * n_at_once))
        self._waits.extend(others)

    def sort_waits(self) -> None:
        """Sort the waits, the shortest first: nodes need not have been played in order of time."""
        sort_floats(self._waits)

    def failed(self, api: str, code: str, now_ns: int) -> None:
        """Count a failed call that was not an agent's."""
        if now_ns >= self._from_ns:
            self._errors[api, code] += 1

    def called(self, call: Call) -> None:
        """Count an EC2 call."""
        if self._kept is not None:
            self._kept.append(call)
        if call.time_ns < self._from_ns:
            return
        self._calls[call.api] += 1
        if call.error is not None:
            self._errors[call.api, call.error.code] += 1
            if isinstance(call.error, ThrottledError):
                self._throttled[call.api] += 1

    def sample(
        self,
        now_ns: int,
        groups: Mapping[str, NodeGroup],
        subnets: Mapping[str, SimulatedSubnet],
        *,
        n_pods: int,
        n_waiting: int,
        n_refusals: int | None = None,
    ) -> None:
        """Sample the fleet once; it has `n_pods`, `n_waiting` of them without an address.

        The counts of addresses are those of each node's last `recount`. Cost: O(groups and
        subnets).
        """
        by_group = {
            name: {
                "nodes": len(group.nodes),
                "pods": group.pods,
                "waiting": group.waiting,
                "enis": group.enis,
                "total": group.total,
                "assigned": group.assigned,
                "cooling": group.cooling,
                "idle": group.total - group.assigned - group.cooling,
            }
            for name, group in groups.items()
        }
        whole = {name: sum(counts[name] for counts in by_group.values()) for name in OF_A_GROUP}
        whole |= {"pods": n_pods, "waiting": n_waiting}
        refused = self._refusals.total() if n_refusals is None else n_refusals
        sums = (self._calls.total(), self._throttled.total(), refused)
        for name, after, before in zip(SERIES[-3:], sums, self._before, strict=True):
            whole[name] = after - before
        self._before = sums
        self._times.append(now_ns / NS)
        _append(self._series, whole)
        for name, counts in by_group.items():
            _append(self._groups.setdefault(name, {}), counts)
        for name, subnet in subnets.items():
            free = (subnet.available_addresses, subnet.available_prefixes)
            _append(self._subnets.setdefault(name, {}), dict(zip(OF_A_SUBNET, free, strict=True)))

    def result(
        self,
        *,
        name: str,
        policy: str,
        seed: int,
        duration_ns: int,
        still_waiting: Iterable[int],
        not_placed: int,
        not_joined: int,
    ) -> FleetResult:
        """Return all that was counted."""
        return FleetResult(
            name=name,
            policy=policy,
            seed=seed,
            duration_s=duration_ns / NS,
            waits_s=self._waits,
            still_waiting_s=array("d", (wait_ns / NS for wait_ns in still_waiting)),
            refusals=dict(sorted(self._refusals.items())),
            calls_by_api=dict(sorted(self._calls.items())),
            throttled_by_api=dict(sorted(self._throttled.items())),
            errors=dict(sorted(self._errors.items())),
            times_s=self._times,
            series=self._series,
            groups=self._groups,
            subnets=self._subnets,
            not_placed=not_placed,
            not_joined=not_joined,
            calls=tuple(self._kept or ()),
        )


def _append(series: dict[str, array[int]], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        series.setdefault(name, array("q")).append(count)
