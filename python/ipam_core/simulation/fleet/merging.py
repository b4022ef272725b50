"""Fleets played part by part, here or by an executor, and the results put together."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from contextlib import nullcontext
from functools import partial
from operator import attrgetter, mul
from typing import TYPE_CHECKING, Any, Protocol

from ipam_core.simulation.executing import Shares, completed
from ipam_core.simulation.fleet.independent import parts_of
from ipam_core.simulation.fleet.result import SERIES, FleetResult, sort_floats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.independent import Part
    from ipam_core.simulation.fleet.spec import FleetSpec


class Runs(Protocol):
    """What plays a part: a `Fleet`."""

    def run(self, on_progress: Callable[[float], None]) -> FleetResult:
        """Play to the end; `on_progress` gets the share done."""


def played(
    runs: Iterable[tuple[FleetSpec, Policy, int]],
    make: Callable[..., Runs],
    executor: Executor | None,
    on_progress: Callable[[float], None],
    *,
    keep_calls: bool,
) -> Iterator[FleetResult]:
    """Yield the result of each run (spec, policy, seed), in order. Raises as `completed`.

    `make` is `Fleet`, which this file is below of. `on_progress` gets the share done of all.
    """
    plan = [(spec, seed, policy, parts_of(spec, seed)) for spec, policy, seed in runs]
    calls = [(make, part, policy, keep_calls) for _, _, policy, parts in plan for part in parts]
    weights = [part.weight for _, part, _, _ in calls]
    shares = array("d", bytes(8 * len(calls)))

    def report(number: int, share: float) -> None:
        shares[number] = share
        on_progress(sum(map(mul, shares, weights)) / sum(weights))

    def here() -> Iterator[tuple[int, FleetResult]]:
        for number, call in enumerate(calls):
            yield number, _play(*call, partial(report, number))

    def there(executor: Executor, told: Shares) -> Iterator[tuple[int, FleetResult]]:
        def tell() -> None:
            for number, share in enumerate(told.read()):
                if shares[number] < share:
                    report(number, share)

        with_reports = [(*call, told.reporter(number)) for number, call in enumerate(calls)]
        return completed(executor, _play, with_reports, tell)

    with nullcontext() if executor is None else Shares(len(calls)) as told:
        ended = here() if executor is None or told is None else there(executor, told)
        found: dict[int, FleetResult] = {}
        first = 0
        for spec, seed, _, parts in plan:
            numbers = range(first, first + len(parts))
            first += len(parts)
            while not all(number in found for number in numbers):
                number, found[number] = next(ended)
                report(number, 1.0)
            yield merged([found.pop(number) for number in numbers], spec, seed)


def _play(
    make: Callable[..., Runs],
    part: Part,
    policy: Policy,
    keep_calls: bool,
    on_progress: Callable[[float], None],
) -> FleetResult:
    fleet = make(part.spec, policy=policy, seed=part.seed, keep_calls=keep_calls, part=part.number)
    return fleet.run(on_progress)


def merged(results: Sequence[FleetResult], spec: FleetSpec, seed: int) -> FleetResult:
    """Return the result of a fleet from those of its parts, in their order.

    Of several parts `waits_s` is sorted, and `calls` is in order of time. Arrays are added or
    joined as they are. Cost: O(pods log pods).
    """
    if len(results) == 1:
        return results[0]
    waits, still_waiting = array("d"), array("d")
    for result in results:
        waits.extend(result.waits_s)
        still_waiting.extend(result.still_waiting_s)
    sort_floats(waits)
    groups = {name: series for result in results for name, series in result.groups.items()}
    subnets = {name: series for result in results for name, series in result.subnets.items()}
    return FleetResult(
        name=spec.name,
        policy=results[0].policy,
        seed=seed,
        duration_s=results[0].duration_s,
        waits_s=waits,
        still_waiting_s=still_waiting,
        refusals=_sums(result.refusals for result in results),
        calls_by_api=_sums(result.calls_by_api for result in results),
        throttled_by_api=_sums(result.throttled_by_api for result in results),
        errors=_sums(result.errors for result in results),
        times_s=results[0].times_s,
        series={name: _added([result.series[name] for result in results]) for name in SERIES},
        groups={group.name: groups[group.name] for group in spec.groups},
        subnets={each.subnet_id: subnets[each.subnet_id] for each in spec.subnets},
        not_placed=sum(result.not_placed for result in results),
        not_joined=sum(result.not_joined for result in results),
        calls=tuple(heapq.merge(*(result.calls for result in results), key=attrgetter("time_ns"))),
    )


def _added(series: Sequence[array[int]]) -> array[int]:
    return array("q", map(sum, zip(*series, strict=True)))


def _sums(counts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    found: Counter[Any] = Counter()
    for each in counts:
        found.update(each)
    return dict(sorted(found.items()))
