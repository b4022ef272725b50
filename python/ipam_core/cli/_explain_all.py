"""The output of `explain --all`: types that are alike in one row, and as JSON one by one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ipam_core.cli._out import print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam_core.cli._given import GivenSettings
    from ipam_core.diagnosis.explain.survey import Surveyed
    from ipam_core.pool import Settled

MOST_NAMED = 2
"""Types that a row names, the others it counts."""


def print_all(surveyed: Sequence[Surveyed], given: GivenSettings) -> None:
    """Print how many types serve their pods, and a row for each kind of them, the worst first."""
    from ipam_core.cli._tables import Table

    counted = _counted(surveyed)
    print_text(
        f"{len(surveyed)} instance type{'s' * (len(surveyed) != 1)}: {counted}",
        style="bold green" if all(each.healthy for each in surveyed) else "bold red",
    )
    for line in given.read:
        print_text(line, style="dim")
    table = Table(ruled=True, full_width=True)
    table.number_columns("ENIs x slots", "pods", "served", "burst", "idle", "full")
    table.text_column("types", takes_rest=True)
    for rows, style in ((_alike(surveyed, healthy=False), "bold"), (_alike(surveyed), "")):
        for alike in rows:
            table.row(*_cells(alike), style=style)
        table.rule()
    print_table(table)
    print_text(
        "burst: pods that may start at once and none waits. idle, full: addresses of the pool "
        "with no pod and with all served, and the ENIs that hold them.",
        style="dim",
    )


def print_all_json(surveyed: Sequence[Surveyed], given: GivenSettings) -> None:
    """Print every type as JSON."""
    print_json(
        {
            "healthy": all(each.healthy for each in surveyed),
            "read": list(given.read),
            "types": [_plain(each) for each in surveyed],
        }
    )


def _counted(surveyed: Sequence[Surveyed]) -> str:
    """Return how many types have which outcome, in words."""
    n_down = sum(bool(each.verdict.init_error) for each in surveyed)
    n_stall = sum(each.verdict.stalled_at is not None for each in surveyed)
    n_flap = sum(each.verdict.serves_all and each.flaps for each in surveyed)
    outcomes = (
        (len(surveyed) - n_down - n_stall - n_flap, "serves all its pods", "serve all their pods"),
        (n_stall, "does not serve all", "do not serve all"),
        (n_flap, "serves all but does not rest", "serve all but do not rest"),
        (n_down, "does not start", "do not start"),
    )
    return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in outcomes if n)


def _alike(surveyed: Sequence[Surveyed], *, healthy: bool = True) -> list[list[Surveyed]]:
    """Return the types by what is shown of them, smallest first."""
    found: dict[tuple[Any, ...], list[Surveyed]] = {}
    for each in surveyed:
        if each.healthy == healthy:
            shown = (each.limits.max_enis, each.limits.slots, each.verdict, each.climb)
            found.setdefault(shown, []).append(each)
    return [
        found[shown]
        for shown in sorted(found, key=lambda key: (key[2].n_pods, key[0], key[1], key[2].served))
    ]


def _cells(alike: Sequence[Surveyed]) -> tuple[str | list[str], ...]:
    each = alike[0]
    verdict, climb = each.verdict, each.climb
    named = ", ".join(one.limits.instance_type for one in alike[:MOST_NAMED])
    more = f" and {len(alike) - MOST_NAMED} more" if len(alike) > MOST_NAMED else ""
    lines = [named + more]
    if not verdict.serves_all:
        lines.append(str(verdict))
    if climb.flaps_at is not None:
        lines.append(f"does not rest with {climb.flaps_at} pods")
    return (
        f"{each.limits.max_enis} x {each.limits.slots}",
        str(verdict.n_pods),
        str(verdict.served),
        "any" if verdict.burst is None and verdict.serves_all else str(verdict.burst or 0),
        _held(climb.idle),
        _held(climb.full),
        lines,
    )


def _held(at: Settled) -> str:
    """Return what a pool holds, as 29/1: addresses and ENIs."""
    if at.total >= 1 << 48:
        return f"IPv6/{at.enis}"
    most = f"-{at.most_total}" if at.most_total > at.total else ""
    return f"{at.total}{most}/{at.enis}"


def _plain(each: Surveyed) -> dict[str, Any]:
    verdict = each.verdict
    return {
        "instance_type": each.limits.instance_type,
        "max_pods": each.max_pods,
        "verdict": {"text": str(verdict), "serves_all": verdict.serves_all, **asdict(verdict)},
        "capacity_slots": each.climb.capacity_slots,
        "healthy": each.healthy,
        "flaps_at": each.climb.flaps_at,
        "idle": asdict(each.climb.idle),
        "full": asdict(each.climb.full),
    }
