"""A cloud that reads another one and changes nothing."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx

if TYPE_CHECKING:
    from ipam_core.cloud import Cloud

QUESTIONS = (
    fx.DescribeEnis,
    fx.DescribeSubnets,
    fx.FindFreeDevice,
    fx.FindNodelessEnis,
    fx.ReadCheckpoint,
    fx.ReadEniConfig,
    fx.ReadNodeTags,
    fx.ReadSecurityGroups,
    fx.ReadUnschedulable,
)
"""Effects that only read, besides `ReadAttachedEnis`."""


class DryRun:
    """Performs one step's reads on a cloud, and only notes its changes.

    A change is answered as if it had succeeded, with made-up ids and addresses of
    198.18.0.0/15 and 2001:db8::/32, which no VPC should hold (RFC 2544, RFC 3849); a
    made-up ENI is in metadata at once. `calls` are the EC2 calls in order, reads included.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.calls: list[fx.Effect] = []
        self._cloud = cloud
        self._created: dict[str, fx.CreateEni] = {}
        self._attached: list[fx.AttachedEni] = []
        self._number = count(1)

    def perform(self, effect: fx.Effect) -> Any:
        """Read, or note, and return the reply. Raises the `CloudError` of a read."""
        if effect.api is not None:
            self.calls.append(effect)
        match effect:
            case fx.ReadAttachedEnis():
                return (*self._cloud.perform(effect), *self._attached)
            case _ if isinstance(effect, QUESTIONS):
                return self._cloud.perform(effect)
            case fx.AssignPrivateIps(count=n_addresses):
                return self._addresses(n_addresses)
            case fx.AssignPrefixes(count=n_prefixes):
                return self._prefixes(n_prefixes)
            case fx.AssignIpv6Prefix():
                return (f"2001:db8:0:0:{next(self._number):x}::/80",)
            case fx.CreateEni():
                eni_id = f"eni-planned-{next(self._number)}"
                self._created[eni_id] = effect
                return eni_id
            case fx.AttachEni():
                return self._attach(effect)
        return None

    def _attach(self, effect: fx.AttachEni) -> str:
        created = self._created[effect.eni_id]
        self._attached.append(
            fx.AttachedEni(
                eni_id=effect.eni_id,
                device_number=effect.device_number,
                network_card=effect.network_card,
                subnet_id=created.subnet_id,
                addresses=self._addresses(created.n_addresses),
                prefixes=self._prefixes(created.n_prefixes),
            )
        )
        return f"eni-attach-planned-{next(self._number)}"

    def _addresses(self, n_addresses: int) -> tuple[str, ...]:
        return tuple(
            f"198.18.{number // 256}.{number % 256}"
            for number, _ in zip(self._number, range(n_addresses), strict=False)
        )

    def _prefixes(self, n_prefixes: int) -> tuple[str, ...]:
        return tuple(
            f"198.19.{number // 16}.{number % 16 * 16}/28"
            for number, _ in zip(self._number, range(n_prefixes), strict=False)
        )
