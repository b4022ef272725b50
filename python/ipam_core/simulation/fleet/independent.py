"""The parts of a fleet that do not touch each other, played apart and merged.

Nodes touch each other through EC2, which is one for each region: its API rate limits, its
ENIs, its subnets. And through a workload whose pods may go to the one or the other, or a rollout
over both. What none of these holds together is a part: a fleet of its own, with its own
streams of chance. The parts of a fleet depend on the fleet alone. So its result is the same
whoever plays which part, in whichever order.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.simulation.fleet.workload_specs import Churn, DaemonSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.simulation.fleet.spec import FleetSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a fleet: a fleet that is played with a seed of its own. They count from 0."""

    spec: FleetSpec
    seed: int
    number: int

    @property
    def weight(self) -> int:
        """About how much of the work it is: its nodes, at most."""
        groups = self.spec.groups
        return 1 + sum(max(each.count, each.autoscale.most if each.autoscale else 0)
                       for each in groups)  # fmt: skip


def derived_seed(seed: int, number: int) -> int:
    """Return the seed of something that there are several of; the first one has this one."""
    if number == 0:
        return seed
    return int.from_bytes(blake2b(f"{seed}/{number}".encode(), digest_size=8).digest())


def parts_of(spec: FleetSpec, seed: int) -> list[Part]:
    """Return the independent parts of a fleet, in the order of their first groups.

    A fleet of one part is that part, with its own seed. Raises `InputError`: a group has
    subnets of several regions.
    """
    heads = _heads(spec)
    order = list(dict.fromkeys(heads.values()))
    if len(order) <= 1:
        return [Part(spec=spec, seed=seed, number=0)]
    return [
        Part(spec=_of_these(spec, heads, head), seed=derived_seed(seed, number), number=number)
        for number, head in enumerate(order)
    ]


def why_one_part(spec: FleetSpec) -> str:
    """Return why a fleet is one part, in words; "" if it is several."""
    if len(set(_heads(spec).values())) > 1:
        return ""
    if len({spec.region_of(group) for group in spec.groups}) <= 1:
        return "all nodes are in one region, and share its EC2 API rate limits"
    names = [name for name, groups in _spans(spec) if len(groups) > 1]
    return f"{names[0]} is for nodes of several regions"


def _heads(spec: FleetSpec) -> dict[str, str]:
    """Return the first group of the part of each group."""
    heads: dict[str, str] = {}
    first: dict[str, str] = {}
    for group in spec.groups:
        heads[group.name] = first.setdefault(spec.region_of(group), group.name)
    order = {group.name: n for n, group in enumerate(spec.groups)}
    for _, groups in _spans(spec):
        joined = {heads[name] for name in groups}
        head = min(joined, key=order.__getitem__, default="")
        heads = {name: head if old in joined else old for name, old in heads.items()}
    return heads


def _spans(spec: FleetSpec) -> Iterator[tuple[str, list[str]]]:
    """Yield the groups that each workload and rollout holds together, with its name."""
    every = [group.name for group in spec.groups]
    for number, workload in enumerate(spec.workloads, 1):
        group = getattr(workload, "group", None)
        if group is None and not isinstance(workload, Churn | DaemonSet):
            yield f"workloads {number}", every
    for number, rollout in enumerate(spec.rollouts, 1):
        if rollout.group is None:
            yield f"rollouts {number}", every


def _of_these(spec: FleetSpec, heads: dict[str, str], head: str) -> FleetSpec:
    """Return the fleet of the groups with this head; subnets that nobody uses go with the first."""
    groups = tuple(group for group in spec.groups if heads[group.name] == head)
    names = {group.name for group in groups}
    regions = {spec.region_of(group) for group in groups}
    used = {spec.region_of(group) for group in spec.groups}
    is_first = spec.groups[0].name == head
    return replace(
        spec,
        groups=groups,
        subnets=tuple(
            subnet
            for subnet in spec.subnets
            if subnet.region in regions or (is_first and subnet.region not in used)
        ),
        workloads=tuple(
            workload
            for workload in spec.workloads
            if getattr(workload, "group", None) in (None, *names)
        ),
        rollouts=tuple(rollout for rollout in spec.rollouts if rollout.group in (None, *names)),
    )
