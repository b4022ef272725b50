"""A scenario as a value: steps of one node, with what must be true."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

EC2_APIS = (
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "CreateNetworkInterface",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeSubnets",
    "CreateTags",
    "ModifyNetworkInterfaceAttribute",
    "AssignIpv6Addresses",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioStep:
    """One step of a timeline: what to do, its arguments as written, and a label for people."""

    op: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    def get(self, key: str, default: Any = None) -> Any:
        """Return an argument, or the default where it was left out."""
        return self.arguments.get(key, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario of one node. `notes` and similar fields are for people."""

    scenario_id: str
    instance_type: str
    max_enis: int
    ipv4_per_eni: int
    env: Mapping[str, str]
    max_pods: int
    steps: tuple[ScenarioStep, ...]
    expect: Mapping[str, Any]
    nitro: bool = True
    trunking: bool = True
    unmanaged_enis: int = 0
    metadata_lag_s: int = 0
    enis_per_card: tuple[int, ...] = ()  # none: one card, with max_enis
    eni_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    untagged_enis: frozenset[str] = frozenset()
    source: str = ""
    notes: str = ""
