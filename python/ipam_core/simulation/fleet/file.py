"""The fleet file: a YAML (or JSON) mapping into a `FleetSpec` (docs/fleets.md).

Everything is checked before anything is played: an unknown key, a value of the wrong
kind, a subnet or a group that does not exist is an `InputError` of one line.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.simulation.fleet.bounds import check_bounds
from ipam_core.simulation.fleet.event_file import events_of
from ipam_core.simulation.fleet.parts import ec2_of, group_of, subnets_of
from ipam_core.simulation.fleet.spec import FleetSpec, RolloutSpec, SubnetSpec, check_times
from ipam_core.simulation.fleet.workload_specs import (
    Arrivals,
    Churn,
    DaemonSet,
    RollingUpdate,
    Trace,
)
from ipam_core.simulation.scenario.spec import EC2_APIS
from ipam_core.simulation.validation import (
    duration_ns,
    fields,
    integer,
    known_name,
    mapping,
    named,
    non_empty,
    one_of,
    positive,
    sequence,
    share,
    unique,
    variable_changes,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipam_core.simulation.fleet.workload_specs import Workload
    from ipam_core.simulation.validation import Checks


def fleet_of(raw: Any, folder: Path) -> FleetSpec:
    """Check a fleet as loaded from a file and return its value; CSV files are in `folder`.

    Raises `InputError`.
    """
    found = fields(mapping(raw, "a fleet"), "fleet", _FLEET, required=("nodes", "duration"))
    subnets: tuple[SubnetSpec, ...] = found.get(
        "subnets", (SubnetSpec(subnet_id="subnet", cidr="10.0.0.0/16"),)
    )
    names = unique([subnet.subnet_id for subnet in subnets], "subnets: id")
    groups = tuple(
        group_of(group, f"nodes {n}", names) for n, group in enumerate(found["nodes"], 1)
    )
    if not groups:
        raise InputError("nodes is a list with at least one group")
    group_names = unique([group.name for group in groups], "nodes: name")
    ec2 = found.get("ec2", {})
    spec = FleetSpec(
        name=found.get("name", "fleet"),
        duration_ns=found["duration"],
        measure_from_ns=found.get("measure_from", 0),
        seed=found.get("seed", 0),
        subnets=subnets,
        groups=groups,
        workloads=tuple(
            _workload(workload, f"workloads {n}", group_names, folder)
            for n, workload in enumerate(found.get("workloads", []), 1)
        ),
        rollouts=tuple(
            _rollout(rollout, f"rollouts {n}", group_names)
            for n, rollout in enumerate(found.get("rollouts", []), 1)
        ),
        latencies=ec2.get("latency", {}),
        throttling=ec2.get("throttling", {}),
        faults=ec2.get("faults", ()),
        metadata_lag_s=ec2.get("metadata_lag", NS) / NS,
    )
    for group in groups:
        spec.region_of(group)
    if spec.measure_from_ns >= spec.duration_ns:
        raise InputError("measure_from is before the end, which is duration")
    check_times(spec)
    check_bounds(spec)
    return spec


# --- workloads, rollouts ----------------------------------------------------------------


def _workload(raw: Any, where: str, groups: list[str], folder: Path) -> Workload:
    kind = one_of(*_WORKLOADS)(mapping(raw, where).get("kind"), f"{where}: kind")
    where = f"{where} ({kind})"
    make, required, checks = _WORKLOADS[kind]
    given = {key: value for key, value in raw.items() if key != "kind"}
    found = fields(given, where, checks, required=required)
    if "nodes" in found:
        known_name(found["nodes"], groups, f"{where}: nodes")
    if kind == "csv":
        return Trace(events=events_of(folder / found["file"], where))
    workload: Workload = make(**named(found, _FIELDS))
    return workload


def _rollout(raw: Any, where: str, groups: list[str]) -> RolloutSpec:
    found = fields(mapping(raw, where), where, _ROLLOUT, required=("at", "env"))
    if "nodes" in found:
        known_name(found["nodes"], groups, f"{where}: nodes")
    return RolloutSpec(**named(found, {"at": "at_ns", "nodes": "group", "down": "down_ns"}))


_ROLLOUT: Checks = {
    "at": duration_ns,
    "env": variable_changes,
    "nodes": non_empty,
    "max_unavailable": share,
    "down": duration_ns,
}
_FLEET: Checks = {
    "name": non_empty,
    "duration": duration_ns,
    "measure_from": duration_ns,
    "seed": integer,
    "subnets": partial(subnets_of, more={"region": non_empty}),
    "nodes": sequence,
    "ec2": ec2_of(EC2_APIS),
    "workloads": sequence,
    "rollouts": sequence,
}

_FIELDS = {
    "nodes": "group",
    "at": "at_ns",
    "over": "over_ns",
    "every": "every_ns",
    "lifetime": "lifetime_ns",
    "ready_after": "ready_after_ns",
}
"""How workloads call what the file calls otherwise."""
_ARRIVALS: Checks = {
    "pods": positive,
    "at": duration_ns,
    "lifetime": duration_ns,
    "nodes": non_empty,
}
_WORKLOADS: dict[str, tuple[Callable[..., Any], tuple[str, ...], Checks]] = {
    "burst": (Arrivals, ("pods", "at"), _ARRIVALS),
    "ramp": (Arrivals, ("pods", "at", "over"), {**_ARRIVALS, "over": duration_ns}),
    "cron_jobs": (
        Arrivals,
        ("pods", "every", "lifetime"),
        {**_ARRIVALS, "over": duration_ns, "every": duration_ns},
    ),
    "churn": (
        Churn,
        ("pods_per_node", "lifetime"),
        {
            "pods_per_node": positive,
            "lifetime": duration_ns,
            "at": duration_ns,
            "nodes": non_empty,
        },
    ),
    "daemon_set": (DaemonSet, (), {"at": duration_ns, "nodes": non_empty}),
    "rolling_update": (
        RollingUpdate,
        ("pods", "at"),
        {
            "pods": positive,
            "at": duration_ns,
            "max_surge": share,
            "max_unavailable": share,
            "ready_after": duration_ns,
            "times": positive,
            "every": duration_ns,
            "nodes": non_empty,
        },
    ),
    "csv": (Trace, ("file",), {"file": non_empty}),
}
"""Every kind of workload: its class, the keys it needs, and all its keys with their checks."""
