"""The result of a fleet simulation, as a table of 80 columns with one for each policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ipam_core.cloud.codes import REQUEST_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipam_core.cli._tables import Table
    from ipam_core.simulation.fleet.result import FleetResult
    from ipam_core.simulation.fleet.spec import FleetSpec

K = TypeVar("K")

_AVERAGES = {
    "nodes": "nodes",
    "ENIs": "enis",
    "addresses held": "total",
    "  assigned to pods": "assigned",
    "  cooling": "cooling",
    "  idle": "idle",
}
"""Series whose means and peaks are shown, by label."""
_OF_A_GROUP = {"nodes": "nodes", "pods": "pods", "addresses held": "total", "  idle": "idle"}
"""Those of each group if there are several."""

CAUSES = {
    "what is free is cooling": "all free addresses are cooling",
    "the targets ask for no more": "the targets need no more addresses",
    "the next look is awaited": "waiting for the next pool check (5 s)",
}
"""The words of the table for causes; their keys in JSON are older and never change."""


def heading(spec: FleetSpec, seed: int) -> str:
    """Return one line on what was played."""
    groups = ", ".join(f"{group.count} {'/'.join(group.type_names)}" for group in spec.groups)
    measured = (
        f", counted from {duration_text(spec.measure_from_ns / 1e9)} on"
        if spec.measure_from_ns
        else ""
    )
    return f"{groups}, {duration_text(spec.duration_ns / 1e9)}{measured}, seed {seed}"


def max_pods_lines(spec: FleetSpec) -> list[str]:
    """Return the kubelet's maxPods used for each type of each group, and its rule.

    Groups with the same values are printed once.
    """
    found = {
        (kind.limits.instance_type, kind.kubelet_max_pods, kind.max_pods_rule): None
        for group in spec.groups
        for kind in group.pool
    }
    return [f"{name}: maxPods {most}, {rule}" for name, most, rule in found]


def duration_text(seconds: float) -> str:
    """Return seconds as people write durations."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def results_table(results: Sequence[FleetResult]) -> Table:
    """Return the table of one result, or of several side by side."""
    from ipam_core.cli._tables import Table

    table = Table(ruled=True, full_width=True)
    table.text_column(takes_rest=True)
    table.number_columns(*(result.policy for result in results), least=10)

    def add(label: str, values: Iterable[str], style: str = "") -> None:
        table.row(label, *values, style=style)

    def heading_row(label: str) -> None:
        table.row(label, style="bold")

    add("pods that asked for an address", (f"{r.n_pods:,}" for r in results), "bold")
    add("  refused at first", (f"{r.n_waited:,}" for r in results))
    add("  without one at the end", (f"{len(r.still_waiting_s):,}" for r in results))
    for label, missing in (
        ("pods without a node with room, at the end", [r.not_placed for r in results]),
        ("nodes that never joined", [r.not_joined for r in results]),
    ):
        if any(missing):
            add(label, (f"{count:,}" for count in missing), "red")
    heading_row("wait, seconds")
    for label, share in (("half of the pods", 0.5), ("90%", 0.9), ("99%", 0.99), ("all", 1.0)):
        add(f"  {label}", (f"{r.wait_quantile_s(share):.1f}" for r in results))
    if causes := _all_keys(result.refusals for result in results):
        heading_row("refusals, by cause")
        for cause in causes:
            add(f"  {CAUSES.get(cause, cause)}", (f"{r.refusals.get(cause, 0):,}" for r in results))
    totals = ((r.n_calls, sum(r.throttled_by_api.values())) for r in results)
    add("EC2 calls, throttled ones in brackets", (_calls(*total) for total in totals), "bold")
    for api in _all_keys(result.calls_by_api for result in results):
        counts = ((r.calls_by_api.get(api, 0), r.throttled_by_api.get(api, 0)) for r in results)
        add(f"  {api}", (_calls(*count) for count in counts))
    errors = [key for key in _all_keys(r.errors for r in results) if key[1] != REQUEST_LIMIT]
    if errors:
        heading_row("other refusals of EC2")
        for api, code in errors:
            add(f"  {api}: {code}", (f"{r.errors.get((api, code), 0):,}" for r in results))
    heading_row("mean / maximum over time")
    for label, name in _AVERAGES.items():
        add(f"  {label}", (_mean_and_peak(r.series[name]) for r in results))
    groups = list(results[0].groups)
    for group in groups if len(groups) > 1 else ():
        heading_row(f"the same in group {group}")
        for label, name in _OF_A_GROUP.items():
            add(f"  {label}", (_mean_and_peak(r.groups[group][name]) for r in results))
    heading_row("free, mean / minimum over time")
    for subnet in results[0].subnets:
        for label, name in (("addresses", "free"), ("/28s", "free_prefixes")):
            add(f"  {subnet}: {label}", (_mean_and_least(r.subnets[subnet][name]) for r in results))
    return table


def _mean_and_peak(values: Sequence[int]) -> str:
    return f"{_mean(values):,.1f} / {max(values, default=0):,}"


def _mean_and_least(values: Sequence[int]) -> str:
    return f"{_mean(values):,.1f} / {min(values, default=0):,}"


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _calls(n_calls: int, n_throttled: int) -> str:
    return f"{n_calls:,}" + (f" ({n_throttled:,})" if n_throttled else "")


def _all_keys(mappings: Iterable[Mapping[K, int]]) -> list[K]:
    """Return the keys of all, in order of appearance."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
