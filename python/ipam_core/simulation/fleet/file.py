"""The fleet file: a YAML (or JSON) mapping into a `FleetSpec` (docs/fleets.md).

Everything is checked before anything is played: an unknown key, a value of the wrong
kind, a subnet or a group that does not exist is an `InputError` of one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._subnet import RESERVATION_TYPES, Subnet
from ipam_core.cloud.latency import Latency
from ipam_core.cloud.throttling import Bucket
from ipam_core.errors import InputError, IpamError, UnknownInstanceTypeError
from ipam_core.simulation.fleet.bounds import check_bounds
from ipam_core.simulation.fleet.pod_events import read_events
from ipam_core.simulation.fleet.spec import (
    Autoscale,
    FaultSpec,
    FleetSpec,
    GroupSpec,
    RolloutSpec,
    SubnetSpec,
    check_times,
)
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
    integer,
    known_keys,
    mapping,
    non_empty,
    number,
    one_of,
    positive,
    sequence,
    share,
    shown,
    variable_changes,
    variables,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ipam_core.simulation.fleet.workload_specs import Workload

    Checks = Mapping[str, Callable[[Any, str], Any]]


def fleet_of(raw: Any, folder: Path) -> FleetSpec:
    """Check a fleet as loaded from a file and return its value; CSV files are in `folder`.

    Raises `InputError`.
    """
    found = _fields(mapping(raw, "a fleet"), "fleet", _FLEET, required=("nodes", "duration"))
    subnets: tuple[SubnetSpec, ...] = found.get(
        "subnets", (SubnetSpec(subnet_id="subnet", cidr="10.0.0.0/16"),)
    )
    names = _unique([subnet.subnet_id for subnet in subnets], "subnets: id")
    groups = tuple(_group(group, f"nodes {n}", names) for n, group in enumerate(found["nodes"], 1))
    if not groups:
        raise InputError("nodes is a list with at least one group")
    group_names = _unique([group.name for group in groups], "nodes: name")
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
    if spec.measure_from_ns >= spec.duration_ns:
        raise InputError("measure_from is before the end, which is duration")
    check_times(spec)
    check_bounds(spec)
    return spec


def _fields(
    raw: Mapping[str, Any],
    where: str,
    checks: Checks,
    *,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the values of a mapping, each checked; keys not there are left out."""
    known_keys(raw, tuple(checks), where)
    for key in required:
        if key not in raw:
            raise InputError(f"{where}: {key} is missing")
    return {key: checks[key](value, f"{where}: {key}") for key, value in raw.items()}


def _named(found: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return values by the names of a dataclass's fields."""
    return {names.get(key, key): value for key, value in found.items()}


def _unique(names: list[str], what: str) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{what} {name!r} is there twice")
    return names


def _known(name: str, names: list[str], where: str) -> str:
    if name not in names:
        raise InputError(f"{where}: no {shown(name)}; there are {', '.join(names)}")
    return name


# --- subnets, nodes -----------------------------------------------------------------


def _subnets(value: Any, where: str) -> tuple[SubnetSpec, ...]:
    if not sequence(value, where):
        raise InputError(f"{where} is a list with at least one subnet")
    return tuple(_subnet(raw, f"{where} {n}") for n, raw in enumerate(value, 1))


def _subnet(raw: Any, where: str) -> SubnetSpec:
    found = _fields(mapping(raw, where), where, _SUBNET, required=("id", "cidr"))
    spec = SubnetSpec(**_named(found, {"id": "subnet_id"}))
    try:
        Subnet(spec.cidr, reservations=spec.reservations).take_addresses(spec.used)  # type: ignore[arg-type]
    except (IpamError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}") from error
    return spec


def _reservations(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    kind = one_of(*RESERVATION_TYPES)
    checks = {"cidr": non_empty, "type": kind}
    found = [
        _fields(mapping(raw, where), where, checks, required=("cidr", "type"))
        for raw in sequence(value, where)
    ]
    return tuple((one["cidr"], one["type"]) for one in found)


def _group(raw: Any, where: str, subnets: list[str]) -> GroupSpec:
    found = _fields(mapping(raw, where), where, _GROUP, required=("count",))
    types = found.pop("instance_types", ())
    if bool(types) == ("instance_type" in found):
        raise InputError(f"{where}: either instance_type or instance_types, a list, is needed")
    if types:
        found["instance_type"], *found["more_types"] = types
        found["more_types"] = tuple(found["more_types"])
        if found["more_types"] and "autoscale" not in found:
            raise InputError(f"{where}: instance_types are for an autoscaler to choose from")
    found.setdefault("name", instances.limits(found["instance_type"]).instance_type)
    found.setdefault("subnets", tuple(subnets))
    for name in (*found["subnets"], *filter(None, [found.get("pod_subnet")])):
        _known(name, subnets, f"{where}: subnet")
    return GroupSpec(**_named(found, {"join_over": "join_ns"}))


def _instance_type(value: Any, where: str) -> str:
    name = non_empty(value, where)
    try:
        instances.limits(name)
    except UnknownInstanceTypeError as error:
        raise InputError(f"{where}: {error}") from error
    return name


def _instance_types(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_instance_type(name, where) for name in _names(value, where))


def _names(value: Any, where: str) -> tuple[str, ...]:
    names = tuple(non_empty(part, where) for part in sequence(value, where))
    if not names:
        raise InputError(f"{where} is a list with at least one name")
    return names


def _autoscale(value: Any, where: str) -> Autoscale:
    found = _fields(mapping(value, where), where, _AUTOSCALE, required=("max",))
    names = {"max": "most", "boot": "boot_ns", "empty_for": "empty_ns"}
    return Autoscale(**_named(found, names | {"consolidate_after": "consolidate_ns"}))


# --- EC2 ------------------------------------------------------------------------------


def _by_api(value: Any, where: str, checks: Checks, required: tuple[str, ...]) -> dict[str, Any]:
    """Return the checked fields of each API that is named."""
    return {
        one_of(*EC2_APIS)(api, where): _fields(
            mapping(raw, f"{where}: {api}"), f"{where}: {api}", checks, required=required
        )
        for api, raw in mapping(value, where).items()
    }


def _latencies(value: Any, where: str) -> dict[str, Latency]:
    checks = {"median": duration_ns, "p99": duration_ns}
    found = {}
    for api, one in _by_api(value, where, checks, ("median",)).items():
        try:
            found[api] = Latency(one["median"] / NS, one.get("p99", one["median"]) / NS)
        except ValueError as error:
            raise InputError(f"{where}: {api}: {error}") from error
    return found


def _throttling(value: Any, where: str) -> dict[str, Bucket] | None:
    if value is False:
        return None
    buckets = _by_api(
        value, where, {"burst": number, "per_second": number}, ("burst", "per_second")
    )
    return {api: Bucket(one["burst"], one["per_second"]) for api, one in buckets.items()}


def _faults(value: Any, where: str) -> tuple[FaultSpec, ...]:
    return tuple(
        FaultSpec(
            **_named(
                _fields(mapping(raw, f"{where} {n}"), f"{where} {n}", _FAULT, required=_FAULTY),
                {"from": "from_ns", "until": "until_ns"},
            )
        )
        for n, raw in enumerate(sequence(value, where), 1)
    )


def _probability(value: Any, where: str) -> float:
    return number(value, where, at_most=1)


def _ec2(value: Any, where: str) -> dict[str, Any]:
    return _fields(mapping(value, where), where, _EC2)


# --- workloads, rollouts ----------------------------------------------------------------


def _workload(raw: Any, where: str, groups: list[str], folder: Path) -> Workload:
    kind = one_of(*_WORKLOADS)(mapping(raw, where).get("kind"), f"{where}: kind")
    where = f"{where} ({kind})"
    make, required, checks = _WORKLOADS[kind]
    given = {key: value for key, value in raw.items() if key != "kind"}
    found = _fields(given, where, checks, required=required)
    if "nodes" in found:
        _known(found["nodes"], groups, f"{where}: nodes")
    if kind == "csv":
        return Trace(events=read_events(folder / found["file"], where))
    workload: Workload = make(**_named(found, _FIELDS))
    return workload


def _rollout(raw: Any, where: str, groups: list[str]) -> RolloutSpec:
    found = _fields(mapping(raw, where), where, _ROLLOUT, required=("at", "env"))
    if "nodes" in found:
        _known(found["nodes"], groups, f"{where}: nodes")
    return RolloutSpec(**_named(found, {"at": "at_ns", "nodes": "group", "down": "down_ns"}))


_SUBNET: Checks = {
    "id": non_empty,
    "cidr": non_empty,
    "zone": non_empty,
    "tag": non_empty,
    "used": integer,
    "reservations": _reservations,
}
_AUTOSCALE: Checks = {
    "max": positive,
    "boot": duration_ns,
    "empty_for": duration_ns,
    "consolidate_after": duration_ns,
}
_GROUP: Checks = {
    "name": non_empty,
    "instance_type": _instance_type,
    "instance_types": _instance_types,
    "count": integer,
    "subnets": _names,
    "env": variables,
    "max_pods": positive,
    "join_over": duration_ns,
    "pod_subnet": non_empty,
    "autoscale": _autoscale,
}
_FAULT: Checks = {
    "api": one_of(*EC2_APIS),
    "code": non_empty,
    "message": non_empty,
    "times": positive,
    "probability": _probability,
    "from": duration_ns,
    "until": duration_ns,
}
_FAULTY = ("api", "code")
_EC2: Checks = {
    "latency": _latencies,
    "throttling": _throttling,
    "faults": _faults,
    "metadata_lag": duration_ns,
}
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
    "subnets": _subnets,
    "nodes": sequence,
    "ec2": _ec2,
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
