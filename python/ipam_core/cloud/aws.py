"""A node's effects against the real EC2.

If a reply is lost, EC2 may have done the call. What it did is found again:

- CreateNetworkInterface carries a client token. A creation without an answer is requested
  again with the same token, and gives one ENI.
- An attachment that got no answer is looked up before it counts as failed.
- Every ENI is created with the tags by which the leak task (node/leaks.py) finds it.
- AssignPrivateIpAddresses has no token: a reconcile takes over what was assigned.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from ipam_core import effects as fx
from ipam_core.cloud.codes import ENI_NOT_FOUND, error_for
from ipam_core.cloud.handler import EffectHandler
from ipam_core.cloud.metadata import Ec2Metadata
from ipam_core.cloud.replies import description_of, tags_of
from ipam_core.errors import (
    CloudError,
    NotFoundError,
    ReplyError,
    ThrottledError,
    UnreachableError,
)
from ipam_core.tags import CLUSTER_TAG, CREATED_AT_TAG, DESCRIPTION_PREFIX, NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3

    from ipam_core.cloud import CheckpointPort
    from ipam_core.cloud.ec2 import Ec2Options
    from ipam_core.cloud.metadata import Instance, Metadata
    from ipam_core.cloud.small_session import SmallSession

T = TypeVar("T")

_log = logging.getLogger(__name__)

ASKED_AGAIN_FOR = timedelta(seconds=240)
"""How long a creation without an answer is repeated unchanged: less than the time before the
leak task deletes its ENI, with a minute left to attach it."""


class AwsCloud(EffectHandler):
    """Performs the effects of the node on one instance.

    `session` left out is boto3's default one; `options` are those of `Ec2`.
    `metadata` left out is this instance's metadata service, or with `instance_id` EC2
    itself. `cluster` and `tags` are put on every ENI created or taken over, in addition to the
    instance's id. `unschedulable` returns whether the node is cordoned and `eni_config` where
    its ENIs go under custom networking: both read Kubernetes. `checkpoint` performs
    `ReadCheckpoint` and `ForgetAssignments`; without one there is nothing to restore. `now`
    gives wall-clock time with a zone.

    Source of what is asked: pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s.

    Raises:
        InputError: no region, no such endpoint, no such retry mode.
        MissingExtraError: boto3 is not installed.
    """

    def __init__(
        self,
        session: boto3.Session | SmallSession | None = None,
        *,
        instance_id: str = "",
        metadata: Metadata | None = None,
        cluster: str = "",
        tags: Mapping[str, str] | None = None,
        unschedulable: Callable[[], bool] = lambda: False,
        eni_config: Callable[[], fx.EniConfig] | None = None,
        checkpoint: CheckpointPort | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **options: Unpack[Ec2Options],
    ) -> None:
        from ipam_core.cloud.ec2 import Ec2  # noqa: PLC0415  (needs the extra `aws`)

        self.ec2: Ec2 = Ec2(session, **options)
        if metadata is None and not instance_id:
            from ipam_core.cloud.imds import Imds  # noqa: PLC0415  (loads http.client)

            metadata = Imds()
        self.metadata: Imds | Ec2Metadata | Metadata = metadata or Ec2Metadata(
            self.ec2, instance_id
        )
        self._cluster = cluster
        self._tags = dict(tags or {})
        self._now = now
        self._unanswered: dict[fx.CreateEni, tuple[datetime, dict[str, Any]]] = {}
        self._unschedulable = unschedulable
        self._eni_config = eni_config
        self._checkpoint = checkpoint

    def perform(self, effect: fx.Effect) -> Any:
        """Carry one effect out and return its reply. Raises `CloudError`, logged once.

        An answer that lacks a field which EC2 documents is a `ReplyError`.
        """
        try:
            return self.answer(effect)
        except (LookupError, TypeError, ValueError) as error:
            raise ReplyError(effect, f"{type(error).__name__} in reading it", str(error)) from error

    @cached_property
    def instance(self) -> Instance:
        """The facts of the instance that do not change; read once."""
        return self.metadata.instance()

    # --- addresses ----------------------------------------------------------------

    def _assign_private_ips(self, effect: fx.AssignPrivateIps) -> tuple[str, ...]:
        reply = self.ec2.call(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=effect.eni_id,
            SecondaryPrivateIpAddressCount=effect.count,
        )
        return tuple(each["PrivateIpAddress"] for each in reply["AssignedPrivateIpAddresses"])

    def _assign_prefixes(self, effect: fx.AssignPrefixes) -> tuple[str, ...]:
        reply = self.ec2.call(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=effect.eni_id,
            Ipv4PrefixCount=effect.count,
        )
        return tuple(each["Ipv4Prefix"] for each in reply["AssignedIpv4Prefixes"])

    def _assign_ipv6_prefix(self, effect: fx.AssignIpv6Prefix) -> tuple[str, ...]:
        reply = self.ec2.call(
            "AssignIpv6Addresses", NetworkInterfaceId=effect.eni_id, Ipv6PrefixCount=1
        )
        return tuple(reply["AssignedIpv6Prefixes"])

    def _unassign_private_ips(self, effect: fx.UnassignPrivateIps) -> None:
        self.ec2.call(
            "UnassignPrivateIpAddresses",
            NetworkInterfaceId=effect.eni_id,
            PrivateIpAddresses=list(effect.addresses),
        )

    def _unassign_prefixes(self, effect: fx.UnassignPrefixes) -> None:
        self.ec2.call(
            "UnassignPrivateIpAddresses",
            NetworkInterfaceId=effect.eni_id,
            Ipv4Prefixes=list(effect.prefixes),
        )

    # --- ENIs ---------------------------------------------------------------------

    def _create_eni(self, effect: fx.CreateEni) -> str:
        # Naming the primary ENI's subnet gives the same subnet as the default.
        effect = replace(effect, subnet_id=effect.subnet_id or self.instance.subnet_id)
        now = self._now()
        since, request = self._unanswered.pop(effect, (now, {}))
        if not request or now - since > ASKED_AGAIN_FOR:
            since, request = now, self._creation(effect, now)
        try:
            reply = self.ec2.call("CreateNetworkInterface", **request)
        except (UnreachableError, ThrottledError):  # an earlier try may have created it
            self._unanswered[effect] = since, request
            raise
        eni_id: str = reply["NetworkInterface"]["NetworkInterfaceId"]
        return eni_id

    def _creation(self, effect: fx.CreateEni, now: datetime) -> dict[str, Any]:
        """Return the parameters of CreateNetworkInterface, its client token among them."""
        counts = {
            "SecondaryPrivateIpAddressCount": effect.n_addresses,
            "Ipv4PrefixCount": effect.n_prefixes,
            "Ipv6AddressCount": int(effect.ipv6),  # its /80 is assigned once it is attached
        }
        tags = {CREATED_AT_TAG: _rfc3339(now), **self._own_tags()}
        return {
            "ClientToken": str(uuid.uuid4()),
            "Description": DESCRIPTION_PREFIX + self.instance.instance_id,
            "Groups": list(effect.security_groups or self.metadata.security_groups()),
            "SubnetId": effect.subnet_id,
            "TagSpecifications": [{"ResourceType": "network-interface", "Tags": _aws_tags(tags)}],
            **{name: count for name, count in counts.items() if count},
        }

    def _find_free_device(self, effect: fx.FindFreeDevice) -> int:
        attachments = [
            eni["Attachment"]
            for eni in self.ec2.describe_instance(self.instance.instance_id)["NetworkInterfaces"]
        ]
        taken = {
            each["DeviceIndex"]
            for each in attachments
            if each.get("NetworkCardIndex", 0) == effect.network_card
        }
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def _attach_eni(self, effect: fx.AttachEni) -> str:
        attachment_id: str
        try:
            reply = self.ec2.call(
                "AttachNetworkInterface",
                InstanceId=self.instance.instance_id,
                NetworkInterfaceId=effect.eni_id,
                DeviceIndex=effect.device_number,
                NetworkCardIndex=effect.network_card,
            )
            attachment_id = reply["AttachmentId"]
        except CloudError:
            # It may be attached: the reply to an earlier try was lost, and this try was refused.
            found = self._attachment_of(effect.eni_id)
            if found is None:
                raise
            attachment_id = found
        return attachment_id

    def _attachment_of(self, eni_id: str) -> str | None:
        """Return the id of an ENI's attachment to this instance; None where EC2 shows none."""
        try:
            (eni,) = self._describe((eni_id,))
        except CloudError:
            return None
        attachment = eni.get("Attachment", {})
        here = attachment.get("InstanceId") == self.instance.instance_id
        return attachment["AttachmentId"] if here else None

    def _delete_with_instance(self, effect: fx.DeleteWithInstance) -> None:
        self.ec2.call(
            "ModifyNetworkInterfaceAttribute",
            NetworkInterfaceId=effect.eni_id,
            Attachment={"AttachmentId": effect.attachment_id, "DeleteOnTermination": True},
        )

    def _set_security_groups(self, effect: fx.SetSecurityGroups) -> None:
        self.ec2.call(
            "ModifyNetworkInterfaceAttribute",
            NetworkInterfaceId=effect.eni_id,
            Groups=list(effect.groups),
        )

    def _detach_eni(self, effect: fx.DetachEni) -> None:
        try:
            self.ec2.call("DetachNetworkInterface", AttachmentId=effect.attachment_id)
        except NotFoundError:  # it is detached, as requested
            return

    def _delete_eni(self, effect: fx.DeleteEni) -> None:
        self.ec2.call("DeleteNetworkInterface", NetworkInterfaceId=effect.eni_id)

    def _tag_eni(self, effect: fx.TagEni) -> None:
        self._tag(effect.eni_id, self._own_tags())

    def _tag_created_at(self, effect: fx.TagCreatedAt) -> None:
        self._tag(effect.eni_id, {CREATED_AT_TAG: _rfc3339(self._now())})

    def _tag(self, eni_id: str, tags: Mapping[str, str]) -> None:
        self.ec2.call("CreateTags", Resources=[eni_id], Tags=_aws_tags(tags))

    def _own_tags(self) -> dict[str, str]:
        cluster = {CLUSTER_TAG: self._cluster} if self._cluster else {}
        return {**self._tags, **cluster, NODE_TAG: self.instance.instance_id}

    # --- reads of EC2 ---------------------------------------------------------------

    def _describe_enis(self, effect: fx.DescribeEnis) -> tuple[fx.EniDescription, ...]:
        return tuple(map(description_of, self._describe(effect.eni_ids)))

    def _describe(self, eni_ids: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return ENIs by id, in that order; without ids EC2 would return all ENIs."""
        if not eni_ids:
            return []
        api = "DescribeNetworkInterfaces"
        found = self.ec2.call(api, NetworkInterfaceIds=list(eni_ids))["NetworkInterfaces"]
        by_id = {eni["NetworkInterfaceId"]: eni for eni in found}
        for eni_id in eni_ids:
            if eni_id not in by_id:
                raise error_for(api, ENI_NOT_FOUND, f"{eni_id!r} is not in the reply")
        return [by_id[eni_id] for eni_id in eni_ids]

    def _find_nodeless_enis(self, _: fx.FindNodelessEnis) -> tuple[fx.EniDescription, ...]:
        filters = {"tag-key": NODE_TAG, "status": "available", "vpc-id": self.instance.vpc_id}
        if self._cluster:
            filters[f"tag:{CLUSTER_TAG}"] = self._cluster
        found = self.ec2.pages(
            "DescribeNetworkInterfaces", "NetworkInterfaces", Filters=_aws_filters(filters)
        )
        return tuple(map(description_of, found))

    def _describe_subnets(self, _: fx.DescribeSubnets) -> tuple[fx.SubnetDescription, ...]:
        filters = {"vpc-id": self.instance.vpc_id, "availability-zone": self.instance.zone}
        found = self.ec2.pages("DescribeSubnets", "Subnets", Filters=_aws_filters(filters))
        return tuple(
            fx.SubnetDescription(
                subnet_id=subnet["SubnetId"],
                available_addresses=subnet["AvailableIpAddressCount"],
                tags=tags_of(subnet),
            )
            for subnet in found
        )

    # --- metadata, Kubernetes, checkpoint -------------------------------------------

    def _read_attached_enis(self, _: fx.ReadAttachedEnis) -> tuple[fx.AttachedEni, ...]:
        return self.metadata.attached_enis()

    def _read_node_tags(self, _: fx.ReadNodeTags) -> dict[str, str]:
        return self._own_tags()

    def _read_security_groups(self, _: fx.ReadSecurityGroups) -> tuple[str, ...]:
        return self.metadata.security_groups()

    def _read_unschedulable(self, _: fx.ReadUnschedulable) -> bool:
        return _asked("Kubernetes: node", self._unschedulable)

    def _read_eni_config(self, _: fx.ReadEniConfig) -> fx.EniConfig:
        if self._eni_config is None:
            needed = "custom networking needs the node's own (eni_config)"
            raise CloudError("ENIConfig", "NotGiven", needed)
        return _asked("Kubernetes: ENIConfig", self._eni_config)

    def _read_checkpoint(self, effect: fx.ReadCheckpoint) -> Any:
        return () if self._checkpoint is None else self._checkpoint.perform(effect)

    def _forget_assignments(self, effect: fx.ForgetAssignments) -> Any:
        return None if self._checkpoint is None else self._checkpoint.perform(effect)


def _asked(what: str, ask: Callable[[], T]) -> T:
    """Return the answer of Kubernetes. Raises `CloudError`, logged once, on any failure."""
    try:
        return ask()
    except CloudError:
        raise
    except Exception as error:  # of any client library
        failure = UnreachableError(what, type(error).__name__, " ".join(str(error).split()))
        _log.warning("%s", failure)
        raise failure from error


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _aws_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _aws_filters(filters: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]} for name, value in filters.items()]
