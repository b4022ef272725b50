"""A fleet's file made of a cluster: its nodes, subnets and settings, and recorded pods.

Nodes that are equal, in group, type, maxPods, subnet and settings, are a group of the fleet. A
recorded pod stays on its node if that is there; if not, the fleet's scheduler places it. All
that ran when the recording began starts at the same time here, so what is recorded later comes
a while after that, and the results count from then on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError, UnknownInstanceTypeError
from ipam_core.units import NS, counted
from ipam_core.variables import ADDRESS_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ipam_core.k8s.objects import KubeNode
    from ipam_core.recording.places import PlacedSubnet, Places
    from ipam_core.recording.pods import Names
    from ipam_core.simulation.fleet.pod_event import PodEvent

WARM_UP_S = 600
"""The agents start within a minute or two, also where 300 start at the same time."""
_MINUTE_NS = 60 * NS
_ASSUMED = "10.{}.0.0/16"
_MOST_ASSUMED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A node, and the variables of its agent."""

    node: KubeNode
    variables: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class FleetDraft:
    """A fleet's file as a value, and the events that belong to it.

    `notes` are what could not be taken over, in words. `name_of` gives the fleet's name of each
    node of the cluster.
    """

    document: dict[str, Any]
    events: list[PodEvent]
    name_of: dict[str, str]
    notes: list[str] = field(default_factory=list)


def draft_fleet(
    nodes: Iterable[ClusterNode],
    events: Sequence[PodEvent],
    names: Names,
    *,
    places: Places | None,
    name: str,
    events_file: str,
    warm_up_s: int = WARM_UP_S,
) -> FleetDraft:
    """Make a fleet of nodes and recorded events.

    `names` are those of the recording. Without `places` each zone has an assumed subnet of a
    /16. `events_file` is how the file names the events.

    Raises `InputError`: no node that an agent serves, or no event.
    """
    served = sorted(
        (each for each in nodes if each.node.runs_agent), key=lambda each: each.node.name
    )
    if not served:
        raise InputError("the cluster has no Linux node on EC2 that aws-node serves")
    if not events:
        raise InputError("the recording has no event: nothing would be played")
    notes: list[str] = []
    subnets, served = _subnets(served, places, notes)
    grouped: dict[tuple[Any, ...], list[ClusterNode]] = {}
    for each in served:
        grouped.setdefault(_kind(each, places), []).append(each)
    groups = []
    name_of: dict[str, str] = {}
    group_names = _names(list(grouped))
    for group_name, (kind, members) in zip(group_names, grouped.items(), strict=True):
        _, instance_type, max_pods, _, subnet_id, pod_subnet, variables = kind
        group: dict[str, Any] = {
            "name": group_name,
            "instance_type": instance_type,
            "count": len(members),
            "subnets": [subnet_id],
        }
        if max_pods is not None:
            group["max_pods"] = max_pods
        if pod_subnet is not None:
            group["pod_subnet"] = pod_subnet
        if variables:
            group["env"] = dict(variables)
        groups.append(group)
        name_of |= {each.node.name: f"{group_name}-{n}" for n, each in enumerate(members)}
    notes += _unknown_types(groups)
    placed = _placed(events, names, name_of, warm_up_s * NS, notes)
    duration_s = (placed[-1].time_ns // _MINUTE_NS + 1) * 60
    document: dict[str, Any] = {
        "name": name,
        "duration": max(duration_s, warm_up_s + 60),
        "measure_from": warm_up_s,
        "subnets": subnets,
        "nodes": groups,
        "workloads": [{"kind": "csv", "file": events_file}],
    }
    if not warm_up_s:
        del document["measure_from"]
    return FleetDraft(document=document, events=placed, name_of=name_of, notes=notes)


def _subnets(
    nodes: list[ClusterNode], places: Places | None, notes: list[str]
) -> tuple[list[dict[str, Any]], list[ClusterNode]]:
    """Return the subnets as the file has them, and the nodes whose subnet is known."""
    if places is None:
        zones = sorted({_zone(each) for each in nodes})
        if len(zones) > _MOST_ASSUMED:
            raise InputError(f"{len(zones)} zones, at most {_MOST_ASSUMED}")
        notes.append("the subnets are not known: one /16 for each zone is assumed")
        assumed = [
            {"id": f"subnet-{zone}", "cidr": _ASSUMED.format(number), "zone": zone}
            for number, zone in enumerate(zones)
        ]
        return assumed, nodes
    known = [each for each in nodes if each.node.instance_id in places.of]
    if not known:
        raise InputError(f"EC2 knows none of the cluster's {counted(len(nodes), 'node')}")
    if len(known) < len(nodes):
        notes.append(f"{counted(len(nodes) - len(known), 'node')} left out: EC2 does not know them")
    return [_subnet(each) for each in places.subnets], known


def _subnet(subnet: PlacedSubnet) -> dict[str, Any]:
    found: dict[str, Any] = {"id": subnet.subnet_id, "cidr": subnet.cidr}
    if subnet.zone:
        found["zone"] = subnet.zone
    if subnet.tag:
        found["tag"] = subnet.tag
    if subnet.used:
        found["used"] = subnet.used
    if subnet.reservations:
        found["reservations"] = [{"cidr": cidr, "type": kind} for cidr, kind in subnet.reservations]
    return found


def _zone(each: ClusterNode) -> str:
    return each.node.zone or "unknown"


def _kind(each: ClusterNode, places: Places | None) -> tuple[Any, ...]:
    """Return what nodes of a group have in common."""
    node = each.node
    place = None if places is None else places.of[node.instance_id]
    variables = {key: text for key, text in each.variables.items() if key in ADDRESS_VARIABLES}
    return (
        node.group,
        node.instance_type,
        node.max_pods,
        _zone(each),
        f"subnet-{_zone(each)}" if place is None else place.subnet_id,
        None if place is None else place.pod_subnet,
        tuple(sorted(variables.items())),
    )


def _names(kinds: list[tuple[Any, ...]]) -> list[str]:
    """Return a name for each kind: its group or type, with more of it where that is not enough."""
    forms = [
        [kind[0] or kind[1] for kind in kinds],
        ["-".join(filter(None, kind[:2])) for kind in kinds],
        [f"{kind[0] or kind[1]}-{kind[3]}" for kind in kinds],
        ["-".join(filter(None, (*kind[:2], kind[3]))) for kind in kinds],
    ]
    for found in forms:
        if len(set(found)) == len(found):
            return found
    seen: Counter[str] = Counter()
    numbered = []
    for each in forms[-1]:
        seen[each] += 1
        numbered.append(f"{each}.{seen[each]}")
    return numbered


def _unknown_types(groups: list[dict[str, Any]]) -> list[str]:
    notes = []
    for name in dict.fromkeys(group["instance_type"] for group in groups):
        try:
            instances.limits(name)
        except UnknownInstanceTypeError:
            notes.append(f"instance type {name!r} is not in the table: give --instance-types FILE")
    return notes


def _placed(
    events: Sequence[PodEvent],
    names: Names,
    name_of: Mapping[str, str],
    warm_up_ns: int,
    notes: list[str],
) -> list[PodEvent]:
    """Return events on the fleet's nodes; what is later than the start comes after the warm-up."""
    recorded = {names.of(name): fleet_name for name, fleet_name in name_of.items()}
    gone = {event.node for event in events if event.node and event.node not in recorded}
    if gone:
        moved = sum(event.add and event.node in gone for event in events)
        notes.append(
            f"the scheduler places {counted(moved, 'pod')}: recorded on "
            f"{counted(len(gone), 'node')} that "
            f"{'is' if len(gone) == 1 else 'are'} no longer there"
        )
    return [
        replace(
            event,
            node=recorded.get(event.node, ""),
            time_ns=event.time_ns + warm_up_ns if event.time_ns else 0,
        )
        for event in events
    ]
