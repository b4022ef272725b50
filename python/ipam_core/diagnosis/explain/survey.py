"""What settings do on many instance types, from the states at rest: a verdict for each.

`explain` plays one node with all its calls and finds what is wrong. `survey` says for any number
of types whether every pod gets an address, thousands of types in a second.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.finding import Verdict
from ipam_core.node.start import START_NO_ENI
from ipam_core.policy import VPC_CNI
from ipam_core.pool import climb
from ipam_core.settings import Settings, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy
    from ipam_core.pool import Climb


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What settings do on one instance type.

    `climb` has the node's states without a pod and with the last that is served, and
    `verdict` is the one of `explain` for a subnet with room.
    """

    limits: InstanceLimits
    max_pods: int
    climb: Climb
    verdict: Verdict

    @property
    def flaps(self) -> bool:
        """Whether the pool grows and shrinks without end at some number of pods."""
        return self.climb.flaps_at is not None

    @property
    def healthy(self) -> bool:
        """Whether every pod gets an address and the pool comes to rest."""
        return self.verdict.serves_all and not self.flaps


def survey(
    types: Iterable[str | InstanceLimits],
    env: Mapping[str, str] = MappingProxyType({}),
    *,
    max_pods: int | None = None,
    policy: Policy = VPC_CNI,
) -> list[Surveyed]:
    """Return what settings do on each of these instance types, in their order.

    `env` holds the agent's environment variables as strings; `max_pods` is the kubelet's
    maxPods on each, left out, the usual one of each. The subnet has room, and no call fails.
    Cost: 30 us a type.

    Raises:
        UnknownInstanceTypeError: an instance type is not in the table.
        TypeError: a value of `env` is not a string.
        ValueError: `max_pods` is below 1.
    """
    settings = Settings.from_env(env)
    return [_survey(each, settings, max_pods, policy) for each in types]


def _survey(
    each: str | InstanceLimits, settings: Settings, max_pods: int | None, policy: Policy
) -> Surveyed:
    limits = instances.limits(each) if isinstance(each, str) else each
    if max_pods is None:
        max_pods = instances.max_pods(limits, settings).value
    climbed = climb(limits, settings, max_pods=max_pods, policy=policy)
    refused = ""
    if not climbed.full.starts:
        refused = "; ".join(problems(settings, nitro=limits.nitro)) or START_NO_ENI
    return Surveyed(
        limits=limits,
        max_pods=max_pods,
        climb=climbed,
        verdict=Verdict(
            n_pods=climbed.n_pods,
            served=climbed.full.served,
            stalled_at=climbed.stalled_at,
            unused_slots=climbed.unused_slots,
            burst=climbed.burst,
            init_error=refused,
        ),
    )
