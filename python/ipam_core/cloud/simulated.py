"""A simulated instance: performs the effects of the node that runs on it.

A call is answered at once and is all or nothing; the driver of the node decides when a reply
arrives. Limits and error codes are EC2's (pool-rules section 6).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from ipam_core import effects as fx
from ipam_core._lazy import warn_renamed
from ipam_core.cloud import refusals
from ipam_core.cloud.codes import error_for
from ipam_core.cloud.handler import EffectHandler
from ipam_core.cloud.region import PRIMARY_SUBNET, Call
from ipam_core.instances import BY_HAND
from ipam_core.tags import CLUSTER_TAG, CREATED_AT_TAG, NODE_TAG, OWNER, OWNER_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.cloud.region import SimulatedEni, SimulatedRegion
    from ipam_core.errors import CloudError

CHANGING_APIS = frozenset({
    "AssignPrivateIpAddresses",
    "AssignIpv6Addresses",
    "UnassignPrivateIpAddresses",
    "AttachNetworkInterface",
    "DetachNetworkInterface",
})  # fmt: skip
"""The calls that change what an instance has attached."""


class SimulatedInstance(EffectHandler):
    """One instance in a region, with its primary ENI's subnet.

    `enis_per_card` and `slots` are what EC2 allows the type, which errors name.
    `zone_subnets` are the subnets of its VPC and zone, left out all of the region.
    `on_call` gets each call.
    Instance metadata shows a change only `metadata_lag_s` after it was made.
    """

    def __init__(
        self,
        region: SimulatedRegion,
        *,
        enis_per_card: tuple[int, ...],
        slots: int,
        instance_type: str = BY_HAND,
        instance_id: str = "i-00000000000000001",
        subnet_id: str = PRIMARY_SUBNET,
        zone_subnets: tuple[str, ...] | None = None,
        eni_config: fx.EniConfig | None = None,
        on_call: Callable[[Call], None] | None = None,
        metadata_lag_s: float = 0.0,
    ) -> None:
        self.region = region
        self.metadata_lag_s = metadata_lag_s
        self._metadata: deque[tuple[int, tuple[fx.AttachedEni, ...]]] = deque()
        self.enis_per_card = enis_per_card
        self.slots = slots
        self.instance_type = instance_type
        self.instance_id = instance_id
        self.subnet_id = subnet_id
        self.zone_subnets = zone_subnets
        self.eni_config: fx.EniConfig = eni_config or fx.EniConfig(subnet_id="eniconfig")
        self.on_call = on_call
        self.unschedulable = False
        self.security_groups: tuple[str, ...] = ("sg-node",)
        self.terminated: bool = False
        self.metadata_hides_addresses = False
        self.metadata_hides_enis: set[str] = set()
        self.checkpoint: list[fx.CheckpointEntry] = []

    def perform(self, effect: fx.Effect) -> Any:
        """Carry one effect out and return its reply. Raises `CloudError`."""
        api = effect.api
        if api is None:
            return self.answer(effect)
        if self.metadata_lag_s and not self._metadata:
            self.publish_metadata()  # what was there before the first change
        error = self.region.fault_of(api)
        reply = None
        if error is None:
            try:
                reply = self.answer(effect)
            except refusals.Ec2Error as refused:
                error = error_for(api, refused.code, refused.message)
        if error is None and api in CHANGING_APIS:
            self.publish_metadata()
        self._report(effect, api, reply, error)
        if error is not None:
            raise error
        return reply

    def admit(self, effect: fx.Effect) -> None:
        """Ask EC2's throttling for a call's admission. Raises `ThrottledError`."""
        api = effect.api
        if api is not None and (error := self.region.refusal_of(api)) is not None:
            self._report(effect, api, None, error)
            raise error

    def let_in(self, effect: fx.Effect) -> None:
        """Do what `admit` does: its old name."""
        warn_renamed("SimulatedInstance.let_in", "SimulatedInstance.admit")
        self.admit(effect)

    def _report(self, effect: fx.Effect, api: str, reply: Any, error: CloudError | None) -> None:
        if self.on_call is not None:
            self.on_call(
                Call(
                    api=api,
                    instance_id=self.instance_id,
                    effect=effect,
                    time_ns=self.region.clock_ns(),
                    reply=reply,
                    error=error,
                    region=self.region.name,
                )
            )

    def attached(self) -> list[SimulatedEni]:
        """Return the ENIs attached to this instance, by card and device number."""
        return self.region.attached_to(self.instance_id)

    def attach(self, eni: SimulatedEni, device_number: int, network_card: int = 0) -> None:
        """Attach an ENI without a check."""
        self.region.attach(eni, self.instance_id, device_number, network_card)

    def free_device(self, network_card: int = 0) -> int:
        """Return the lowest device number that is free on a card."""
        taken = {eni.device_number for eni in self.attached() if eni.network_card == network_card}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def terminate(self) -> None:
        """End the instance; calls that it still has on their way find it gone."""
        self.terminated = True
        self.region.terminate(self.instance_id)

    # --- EC2 ------------------------------------------------------------------

    def _eni(self, eni_id: str) -> SimulatedEni:
        try:
            return self.region.enis[eni_id]
        except KeyError:
            raise refusals.ENI_NOT_FOUND(eni_id) from None

    def _delete_with_instance(self, effect: fx.DeleteWithInstance) -> None:
        self._eni(effect.eni_id).goes_with_instance = True

    def _set_security_groups(self, effect: fx.SetSecurityGroups) -> None:
        self._eni(effect.eni_id).security_groups = effect.groups

    def _tag_created_at(self, effect: fx.TagCreatedAt) -> None:
        self._eni(effect.eni_id).tags[CREATED_AT_TAG] = self.region.wall_time().isoformat()

    def _room(self, eni: SimulatedEni, count: int) -> None:
        if len(eni.addresses) + len(eni.prefixes) + count > self.slots:
            raise refusals.ADDRESS_LIMIT()

    def _assign_private_ips(self, effect: fx.AssignPrivateIps) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        self._room(eni, effect.count)
        addresses = self.region.subnets[eni.subnet_id].take_addresses(effect.count)
        eni.addresses += addresses
        return tuple(addresses)

    def _assign_prefixes(self, effect: fx.AssignPrefixes) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        self._room(eni, effect.count)
        prefixes = self.region.subnets[eni.subnet_id].take_prefixes(effect.count)
        eni.prefixes += prefixes
        return tuple(prefixes)

    def _assign_ipv6_prefix(self, effect: fx.AssignIpv6Prefix) -> tuple[str, ...]:
        eni = self._eni(effect.eni_id)
        self.region.assign_ipv6_prefix(eni)
        return tuple(eni.ipv6_prefixes)

    def _unassign_private_ips(self, effect: fx.UnassignPrivateIps) -> None:
        eni = self._eni(effect.eni_id)
        gone = list(dict.fromkeys(effect.addresses))
        if not set(gone) <= set(eni.addresses):
            raise refusals.NOT_ASSIGNED(eni.eni_id)
        eni.addresses = [address for address in eni.addresses if address not in set(gone)]
        self.region.subnets[eni.subnet_id].give_back(gone, [])

    def _unassign_prefixes(self, effect: fx.UnassignPrefixes) -> None:
        eni = self._eni(effect.eni_id)
        gone = list(dict.fromkeys(effect.prefixes))
        if not set(gone) <= set(eni.prefixes):
            raise refusals.NOT_ASSIGNED(eni.eni_id)
        eni.prefixes = [prefix for prefix in eni.prefixes if prefix not in set(gone)]
        self.region.subnets[eni.subnet_id].give_back([], gone)

    def _create_eni(self, effect: fx.CreateEni) -> str:
        subnet_id = effect.subnet_id or self.subnet_id
        if subnet_id not in self.region.subnets:
            raise refusals.SUBNET_NOT_FOUND(subnet_id)
        eni = self.region.create_eni(
            subnet_id, n_addresses=effect.n_addresses, n_prefixes=effect.n_prefixes
        )
        eni.description = f"aws-K8S-{self.instance_id}"
        eni.tags = {**self._own_tags(), CREATED_AT_TAG: self.region.wall_time().isoformat()}
        return eni.eni_id

    def _own_tags(self) -> dict[str, str]:
        cluster = self.region.cluster
        named = {CLUSTER_TAG: cluster, OWNER_TAG: OWNER} if cluster else {}
        return {NODE_TAG: self.instance_id, **named}

    def _find_free_device(self, effect: fx.FindFreeDevice) -> int:
        return self.free_device(effect.network_card)

    def _attach_eni(self, effect: fx.AttachEni) -> str:
        eni = self._eni(effect.eni_id)
        card = effect.network_card
        most = self.enis_per_card[card] if card < len(self.enis_per_card) else 0
        if self.terminated:
            raise refusals.INSTANCE_NOT_FOUND(self.instance_id)
        taken = [other.device_number for other in self.attached() if other.network_card == card]
        if eni.instance_id is not None:
            raise refusals.ENI_ATTACHED(eni.eni_id)
        if effect.device_number in taken:
            raise refusals.DEVICE_TAKEN(self.instance_id, effect.device_number)
        if len(taken) >= most:
            raise refusals.ATTACHMENT_LIMIT(len(taken) + 1, self.instance_type)
        self.attach(eni, effect.device_number, effect.network_card)
        return f"attach-{eni.eni_id}"

    def _detach_eni(self, effect: fx.DetachEni) -> None:
        eni = self._eni(effect.eni_id)
        if eni.instance_id == self.instance_id and self._is_primary(eni):
            raise refusals.PRIMARY_STAYS()
        self.region.detach(eni)

    def _is_primary(self, eni: SimulatedEni) -> bool:
        return eni.device_number == 0 and eni is self.attached()[0]

    def _delete_eni(self, effect: fx.DeleteEni) -> None:
        eni = self._eni(effect.eni_id)
        if eni.instance_id is not None:
            raise refusals.ENI_IN_USE(eni.eni_id)
        self.region.delete_eni(eni.eni_id)

    def _tag_eni(self, effect: fx.TagEni) -> None:
        self._eni(effect.eni_id).tags |= self._own_tags()

    def _describe_enis(self, effect: fx.DescribeEnis) -> tuple[fx.EniDescription, ...]:
        return tuple(self._eni(eni_id).describe() for eni_id in effect.eni_ids)

    def _find_nodeless_enis(self, _: fx.FindNodelessEnis) -> tuple[fx.EniDescription, ...]:
        cluster = self.region.cluster
        return tuple(
            eni.describe()
            for eni in self.region.available_enis()
            if NODE_TAG in eni.tags and (not cluster or eni.tags.get(CLUSTER_TAG) == cluster)
        )

    def _describe_subnets(self, _: fx.DescribeSubnets) -> tuple[fx.SubnetDescription, ...]:
        subnets = self.region.subnets
        return tuple(
            fx.SubnetDescription(
                subnet_id=subnet_id,
                available_addresses=subnets[subnet_id].available_addresses,
                tags=dict(subnets[subnet_id].tags),
            )
            for subnet_id in (subnets if self.zone_subnets is None else self.zone_subnets)
        )

    # --- metadata ---------------------------------------------------------------

    def publish_metadata(self) -> None:
        """Let metadata show, after its lag, what is attached now."""
        if self.metadata_lag_s:
            self._metadata.append((self.region.clock_ns(), self._metadata_now()))

    def metadata_is_current(self) -> bool:
        """Return whether metadata shows what is attached, and no older state."""
        self._forget_old_metadata()
        return len(self._metadata) <= 1

    def _forget_old_metadata(self) -> None:
        shown_ns = self.region.clock_ns() - round(self.metadata_lag_s * 1e9)
        while len(self._metadata) > 1 and self._metadata[1][0] <= shown_ns:
            self._metadata.popleft()

    def _read_attached_enis(self, _: fx.ReadAttachedEnis) -> tuple[fx.AttachedEni, ...]:
        if not self._metadata:
            return self._metadata_now()
        self._forget_old_metadata()
        return self._metadata[0][1]

    def _read_node_tags(self, _: fx.ReadNodeTags) -> dict[str, str]:
        return self._own_tags()

    def _read_security_groups(self, _: fx.ReadSecurityGroups) -> tuple[str, ...]:
        return self.security_groups

    def _read_unschedulable(self, _: fx.ReadUnschedulable) -> bool:
        return self.unschedulable

    def _read_eni_config(self, _: fx.ReadEniConfig) -> fx.EniConfig:
        return self.eni_config

    def _read_checkpoint(self, _: fx.ReadCheckpoint) -> tuple[fx.CheckpointEntry, ...]:
        return tuple(self.checkpoint)

    def _forget_assignments(self, _: fx.ForgetAssignments) -> None:
        """Forget nothing: the player of a restart gives it its checkpoint."""

    def _metadata_now(self) -> tuple[fx.AttachedEni, ...]:
        hide = self.metadata_hides_addresses
        return tuple(
            fx.AttachedEni(
                eni_id=eni.eni_id,
                device_number=eni.device_number,
                network_card=eni.network_card,
                primary_address=eni.primary_address,
                subnet_id=eni.subnet_id,
                subnet_cidr=self.region.subnets[eni.subnet_id].cidr,
                addresses=() if hide else tuple(eni.addresses),
                prefixes=tuple(eni.prefixes),
                ipv6_prefixes=tuple(eni.ipv6_prefixes),
            )
            for eni in self.attached()
            if eni.eni_id not in self.metadata_hides_enis
        )


def count_calls(calls: list[Call]) -> Counter[str]:
    """Return how often each API was called, failing calls too."""
    return Counter(call.api for call in calls)
