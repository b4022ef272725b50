"""Instance types of a simulation file whose limits are given separately, not in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipam_core.instances import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.instances import InstanceLimits

ANY_TYPE = ""
"""The name under which limits are given for nodes of every type."""


def with_types(document: Any, types: Mapping[str, InstanceLimits]) -> Any:
    """Return a fleet or scenario, as loaded from a file, with the limits of its types as given.

    `types` are limits by name of the type, or for every node under `ANY_TYPE`. Values of a
    wrong form are not changed: the reader of the file refuses them.
    """
    if not types or not isinstance(document, dict):
        return document
    if "nodes" not in document:
        return _scenario(document, types)
    groups = document["nodes"]
    if not isinstance(groups, list):
        return document
    return document | {"nodes": [_group(group, types) for group in groups]}


def limits_of(name: Any, types: Mapping[str, InstanceLimits]) -> InstanceLimits | None:
    """Return the limits given for a type, None where the table's are used."""
    if not isinstance(name, str):
        return None
    if name in types:
        return types[name]
    every = types.get(ANY_TYPE)
    return replace(every, instance_type=name) if every is not None and name else None


def _group(group: Any, types: Mapping[str, InstanceLimits]) -> Any:
    def named(name: Any) -> Any:
        limits = limits_of(name, types)
        return name if limits is None else as_text(limits)

    if not isinstance(group, dict):
        return group
    group = dict(group)
    if "instance_type" in group:
        group["instance_type"] = named(group["instance_type"])
    if isinstance(group.get("instance_types"), list):
        group["instance_types"] = [named(name) for name in group["instance_types"]]
    return group


def _scenario(scenario: dict[str, Any], types: Mapping[str, InstanceLimits]) -> dict[str, Any]:
    """Return a scenario with limits; its own values for network cards and trunk stay."""
    limits = limits_of(scenario.get("instance_type"), types)
    node = scenario.get("node", {})
    if limits is None or not isinstance(node, dict):
        return scenario
    facts: dict[str, Any] = {"nitro": limits.nitro, "trunk_compatible": limits.trunking}
    if len(limits.enis_per_network_card) > 1:
        facts["enis_per_card"] = list(limits.enis_per_network_card)
    return scenario | {
        "limits": {"max_enis": limits.max_enis, "ipv4_per_eni": limits.ipv4_per_eni},
        "node": facts | node,
    }
