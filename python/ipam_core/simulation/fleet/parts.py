"""Parts of a fleet file that a served VPC's file has too: subnets, nodes, EC2.

Each function checks a value as loaded from a file, named `where`, and returns its value or
raises `InputError`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._subnet import RESERVATION_TYPES, Subnet
from ipam_core.cloud.latency import Latency
from ipam_core.cloud.throttling import Bucket
from ipam_core.errors import InputError, IpamError, UnknownInstanceTypeError
from ipam_core.simulation.fleet.spec import Autoscale, FaultSpec, GroupSpec, SubnetSpec
from ipam_core.simulation.validation import (
    duration_ns,
    fields,
    integer,
    known_name,
    mapping,
    named,
    non_empty,
    number,
    one_of,
    positive,
    sequence,
    variables,
)
from ipam_core.units import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ipam_core.simulation.validation import Checks


def subnets_of(
    value: Any, where: str, more: Checks = MappingProxyType({})
) -> tuple[SubnetSpec, ...]:
    """Return the subnets of a list: at least one, each with room for what it says.

    `more` are the keys that one may have in this kind of file alone.
    """
    if not sequence(value, where):
        raise InputError(f"{where} is a list with at least one subnet")
    checks = {**_SUBNET, **more}
    return tuple(_subnet(raw, f"{where} {n}", checks) for n, raw in enumerate(value, 1))


def _subnet(raw: Any, where: str, checks: Checks) -> SubnetSpec:
    found = fields(mapping(raw, where), where, checks, required=("id", "cidr"))
    spec = SubnetSpec(**named(found, {"id": "subnet_id"}))
    try:
        Subnet(spec.cidr, reservations=spec.reservations).take_addresses(spec.used)  # type: ignore[arg-type]
    except (IpamError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}") from error
    return spec


def _reservations(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    kind = one_of(*RESERVATION_TYPES)
    checks = {"cidr": non_empty, "type": kind}
    found = [
        fields(mapping(raw, where), where, checks, required=("cidr", "type"))
        for raw in sequence(value, where)
    ]
    return tuple((one["cidr"], one["type"]) for one in found)


def group_of(raw: Any, where: str, subnets: list[str]) -> GroupSpec:
    """Return one group of nodes in these subnets."""
    found = fields(mapping(raw, where), where, _GROUP, required=("count",))
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
        known_name(name, subnets, f"{where}: subnet")
    return GroupSpec(**named(found, {"join_over": "join_ns"}))


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
    found = fields(mapping(value, where), where, _AUTOSCALE, required=("max",))
    names = {"max": "most", "boot": "boot_ns", "empty_for": "empty_ns"}
    return Autoscale(**named(found, names | {"consolidate_after": "consolidate_ns"}))


# --- EC2 ------------------------------------------------------------------------------


def ec2_of(apis: Collection[str]) -> Callable[[Any, str], dict[str, Any]]:
    """Return what checks a file's `ec2`, in which calls of these names may be.

    It returns of `latency`, `throttling`, `faults` and `metadata_lag` those that are there.
    """
    api = one_of(*apis)

    def by_api(
        value: Any, where: str, checks: Checks, required: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        """Return the checked fields of each API that is named."""
        return {
            api(name, where): fields(
                mapping(raw, f"{where}: {name}"), f"{where}: {name}", checks, required=required
            )
            for name, raw in mapping(value, where).items()
        }

    def latencies(value: Any, where: str) -> dict[str, Latency]:
        if value is False:
            return dict.fromkeys(apis, Latency(0, 0))
        checks = {"median": duration_ns, "p99": duration_ns}
        found = {}
        for name, one in by_api(value, where, checks, ("median",)).items():
            try:
                found[name] = Latency(one["median"] / NS, one.get("p99", one["median"]) / NS)
            except ValueError as error:
                raise InputError(f"{where}: {name}: {error}") from error
        return found

    def throttling(value: Any, where: str) -> dict[str, Bucket] | None:
        if value is False:
            return None
        checks = {"burst": number, "per_second": number}
        found = by_api(value, where, checks, ("burst", "per_second"))
        return {name: Bucket(one["burst"], one["per_second"]) for name, one in found.items()}

    def faults(value: Any, where: str) -> tuple[FaultSpec, ...]:
        return tuple(
            fault_of(raw, f"{where} {n}", apis) for n, raw in enumerate(sequence(value, where), 1)
        )

    checks: Checks = {
        "latency": latencies,
        "throttling": throttling,
        "faults": faults,
        "metadata_lag": duration_ns,
    }
    return lambda value, where: fields(mapping(value, where), where, checks)


def fault_of(raw: Any, where: str, apis: Collection[str]) -> FaultSpec:
    """Return one fault of calls of these names."""
    checks: Checks = {"api": one_of(*apis), **_FAULT}
    found = fields(mapping(raw, where), where, checks, required=("api", "code"))
    fault = FaultSpec(**named(found, {"from": "from_ns", "until": "until_ns"}))
    if fault.until_ns is not None and fault.until_ns <= fault.from_ns:
        raise InputError(f"{where}: until must be later than from")
    return fault


def _probability(value: Any, where: str) -> float:
    return number(value, where, at_most=1)


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
    "code": non_empty,
    "message": non_empty,
    "times": positive,
    "probability": _probability,
    "from": duration_ns,
    "until": duration_ns,
}
