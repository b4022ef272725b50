"""The calls of a real node's next pool check, and why, without calling."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core._store import Sandbox
from ipam_core.cloud import drive
from ipam_core.cloud.dry_run import QUESTIONS, DryRun
from ipam_core.errors import InputError, PoolExhaustedError
from ipam_core.node import Node
from ipam_core.policy import VPC_CNI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core._store import DataStore
    from ipam_core.cloud.aws import AwsCloud
    from ipam_core.cloud.metadata import Instance
    from ipam_core.effects import Effect, Step
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.settings import Settings

QUIET_S = 600
"""How long ago the node is assumed to have changed last: no ENI is young, no pause runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One EC2 call of a plan. `changes` is false for a read, which was made."""

    api: str
    arguments: dict[str, Any]
    changes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The calls of one pool check, in order, and the rules that lead to them, line by line."""

    calls: tuple[PlannedCall, ...]
    reasons: tuple[str, ...]


class ObservedNode:
    """A node as EC2 and metadata show it, in a `Node` that changes nothing.

    EC2 does not know which addresses pods hold: `n_pods` addresses are assumed to be held.
    Addresses of the other mode are held first: secondary IPs on a node whose prefix mode was
    just switched on, because an agent gives back unused ones when it starts. `limits` are
    those of the type, from the table unless given.

    Raises:
        CloudError: a read failed.
        InputError: the instance has no ENI, or fewer addresses than pods, or its type is
            unknown.
    """

    def __init__(
        self,
        cloud: AwsCloud,
        settings: Settings,
        *,
        policy: Policy = VPC_CNI,
        max_pods: int | None = None,
        n_pods: int = 0,
        limits: InstanceLimits | None = None,
    ) -> None:
        self._cloud = cloud
        self._now_ns = 0
        self.instance: Instance = cloud.instance
        self.node: Node = Node(
            limits or instances.limits(self.instance.instance_type),
            settings,
            policy=policy,
            max_pods=max_pods,
            clock_ns=lambda: self._now_ns,
        )
        self._run(self.node.reconcile())
        if not any(store.enis() for store in self.node.stores):
            raise InputError(f"instance {self.instance.instance_id!r} has no ENI that is attached")
        self.node.ready = True
        self._hold(n_pods)
        self._now_ns += QUIET_S * 1_000_000_000

    def _hold(self, n_pods: int) -> None:
        """Let pods hold addresses: those of the other mode first."""
        pods = (Sandbox(f"pod-{number}") for number in range(1, n_pods + 1))
        left = list(self._of_other_mode())
        for (store, address), pod in zip(left, pods, strict=False):
            store.adopt(pod, address)
        for n_held, pod in enumerate(pods, min(n_pods, len(left))):
            try:
                self.node.add_pod(pod)
            except PoolExhaustedError:
                raise InputError(
                    f"{n_pods} pods with an address: the node has {n_held} addresses for pods"
                ) from None

    def _of_other_mode(self) -> Iterator[tuple[DataStore, str]]:
        """Yield the addresses of the mode that the node is not in."""
        for store in self.node.stores if self.node.mode != "ipv6" else ():
            for eni in store.enis():
                if self.node.prefix_mode and not self.node.falls_back:
                    yield from ((store, address) for address in store.addresses(eni.eni_id))
                elif self.node.mode == "secondary-ip":
                    for prefix in store.prefixes(eni.eni_id):
                        yield from ((store, str(address)) for address in ip_network(prefix))

    def plan(self) -> Plan:
        """Return what the next pool check would do; the node is then in the state after it.

        Raises the `CloudError` of a read that failed.
        """
        node = self.node
        if node.mode == "ipv6":
            return Plan(calls=(), reasons=("IPv6: the /80 of an ENI serves all its pods",))
        if node.settings.disable_network_resource_provisioning:
            return Plan(calls=(), reasons=("DISABLE_NETWORK_RESOURCE_PROVISIONING is set",))
        cards = range(len(node.stores))
        decisions = [node.decide(card) for card in cards]
        before = [{eni.eni_id for eni in store.enis()} for store in node.stores]
        calls = self._run(node.adjust())
        changes = [call for call in calls if not isinstance(call, QUESTIONS)]
        reasons: list[str] = []
        for card, decision in enumerate(decisions):
            prefix = f"network card {card}: " if len(cards) > 1 else ""
            reasons += [prefix + line for line in decision.growth_rule()]
            if decision.low and not changes:
                reasons.append(prefix + self._full(card))
            if decision.high:
                kind = "prefixes" if node.prefix_mode else "addresses"
                reasons.append(f"{prefix}{decision.give_back} {kind} are over the targets")
            for eni_id in sorted(before[card] - {eni.eni_id for eni in node.stores[card].enis()}):
                reasons.append(f"{eni_id} is freed: no pod is on it, the targets are met without")
        return Plan(calls=tuple(map(_planned, calls)), reasons=tuple(reasons))

    def unable(self) -> list[str]:
        """Return the settings that the instance type cannot meet."""
        settings, limits = self.node.settings, self.node.limits
        found = []
        if settings.enable_prefix_delegation and not limits.nitro:
            found.append("prefixes need a Nitro or bare metal type: secondary IPs are used")
        if settings.enable_pod_eni and not limits.trunking:
            found.append("no trunk ENI fits on this type: ENABLE_POD_ENI keeps no place")
        if settings.max_eni and settings.max_eni > limits.max_enis:
            found.append(f"MAX_ENI={settings.max_eni}: the type has {limits.max_enis} ENIs")
        if settings.enable_multi_nic and len(limits.enis_per_network_card) == 1:
            found.append("ENABLE_MULTI_NIC: the type has one network card")
        return [f"{self.instance.instance_type}: {each}" for each in found]

    def _full(self, card: int) -> str:
        attached = len(self.node.stores[card].enis()) + self.node.n_unmanaged[card]
        return f"no ENI has room, and {attached} of {self.node.max_enis} ENIs are attached"

    def _run(self, step: Step[Any]) -> list[Effect]:
        """Run a step without changes and return its EC2 calls."""
        dry = DryRun(self._cloud)
        drive(step, dry, sleep=lambda _: None)
        if self.node.last_error is not None:
            raise self.node.last_error
        return dry.calls


def _planned(effect: Effect) -> PlannedCall:
    arguments = {name: value for name, value in asdict(effect).items() if value}  # type: ignore[call-overload]
    return PlannedCall(
        api=effect.api or "", arguments=arguments, changes=not isinstance(effect, QUESTIONS)
    )
