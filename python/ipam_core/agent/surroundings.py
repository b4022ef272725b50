"""Where an agent runs: what performs its effects, and what it must know of its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from ipam_core.cloud.metadata import Instance
    from ipam_core.effects import Effect, EniConfig
    from ipam_core.instances import InstanceLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What is known of the node's instance, once read; the VPC's CIDRs may grow later."""

    instance: Instance
    region: str
    limits: InstanceLimits
    node_ipv4: str = ""
    node_ipv6: str = ""
    vpc_ipv4_cidrs: tuple[str, ...] = ()
    vpc_ipv6_cidrs: tuple[str, ...] = ()


class Surroundings(Protocol):
    """Performs effects for one node, and knows its instance. For two threads at a time."""

    def perform(self, effect: Effect) -> Any:
        """Carry one effect out and return its reply, or raise its error."""

    def read_facts(self) -> NodeFacts:
        """Read what must be known of the instance. Raises `IpamError`: try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPod:
    """A pod that runs on the node and has an address of its own."""

    namespace: str
    name: str
    address: str


class Cluster(Protocol):
    """What Kubernetes knows of the node. A method that cannot be answered raises."""

    def max_pods(self) -> int | None:
        """Return the node's capacity of pods; None: unknown."""

    def unschedulable(self) -> bool:
        """Return whether the node carries the taint node.kubernetes.io/unschedulable."""

    def pods(self) -> tuple[ClusterPod, ...]:
        """Return the node's pods that have an address of their own."""

    def eni_config(self) -> EniConfig:
        """Return the node's ENIConfig."""

    def eni_config_name(self) -> str:
        """Return the name of the node's ENIConfig."""
