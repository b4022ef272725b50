"""RunInstances and TerminateInstances: a node comes with its interfaces, and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core.cloud import refusals
from ipam_core.endpoint import described
from ipam_core.endpoint.actions import interfaces
from ipam_core.endpoint.arguments import (
    check_specifications,
    eni_of,
    groups_of,
    instance_of,
    subnet_of,
    tags_for,
)
from ipam_core.endpoint.resources import KINDS, Instance
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account
    from ipam_core.endpoint.resources import Interface, VpcSubnet
    from ipam_core.instances import InstanceLimits

_ACTION = "RunInstances"
DEFAULT_TYPE = "m1.small"
"""EC2's own default."""
MOST_AT_ONCE = 1000
"""Instances of one call. EC2's limit is the account's quota of vCPUs."""
_NOT_WITH_INTERFACES = {
    name: f"Network interfaces and an instance-level {what} may not be specified on the same "
    "request"
    for name, what in {
        "SubnetId": "subnet ID",
        "SecurityGroupIds": "security groups",
        "SecurityGroups": "security groups",
        "PrivateIpAddress": "private address",
    }.items()
}
_TAGGED = ("volume", "spot-instances-request", "elastic-gpu", "launch-template")
"""What else EC2 tags at a launch, and there is none of here."""


def run_instances(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Launch instances: at least MinCount, or none; at most MaxCount, as many as fit."""
    made = account.client_tokens.made_before(_ACTION, params)
    if made is not None:
        return reservation_of(account, made)
    if not params.get("ImageId") and "LaunchTemplate" not in params:
        raise refusals.MISSING_PARAMETER("ImageId")
    least, most = params["MinCount"], params["MaxCount"]
    if least < 1 or most < least or most > MOST_AT_ONCE:
        raise refusals.INVALID_VALUE(
            f"{least}, {most}", "minCount, maxCount", f"1 to {MOST_AT_ONCE}, and in this order."
        )
    limits = limits_of(params.get("InstanceType", DEFAULT_TYPE))
    enis, instance_kind = KINDS["enis"].name, KINDS["instances"].name
    check_specifications(params, instance_kind, enis, *_TAGGED)
    plan = _Plan(account, params, limits)
    if plan.existing and most > 1:
        raise refusals.INVALID_COMBINATION("Network interfaces by ID are for one instance only.")
    tags, eni_tags = tags_for(params, instance_kind), tags_for(params, enis)
    reservation_id = account.new_id("r")
    launched: list[Instance] = []
    for number in range(most):
        try:
            held = plan.make_interfaces(account, eni_tags)
        except refusals.Ec2Error:
            if number >= least:
                break
            for instance in launched:
                _undo(account, instance)
            raise
        launched.append(_launch(account, params, plan, held, reservation_id, number, tags))
    account.client_tokens.remember(_ACTION, params, reservation_id)
    return reservation_of(account, reservation_id)


def limits_of(name: str) -> InstanceLimits:
    """Return what a type allows. Raises `Ec2Error`: it is not in the table."""
    try:
        return instances.limits(name)
    except InputError:
        raise refusals.INVALID_VALUE(name[:200], "InstanceType", "No such type is known.") from None


class _Plan:
    """The interfaces that each instance of a launch gets, checked."""

    def __init__(self, account: Account, params: dict[str, Any], limits: InstanceLimits) -> None:
        self.limits = limits
        specifications = params.get("NetworkInterfaces")
        if specifications is None:
            specifications = [_specification(account, params)]
        else:
            for name, refusal in _NOT_WITH_INTERFACES.items():
                if params.get(name):
                    raise refusals.INVALID_COMBINATION(refusal)
        self.parts = sorted(
            ((each.get("NetworkCardIndex", 0), each.get("DeviceIndex", 0), each)
             for each in specifications),
            key=lambda part: part[:2],
        )  # fmt: skip
        places = [part[:2] for part in self.parts]
        if (0, 0) not in places:
            raise refusals.INVALID_COMBINATION(
                "A primary network interface, of device index 0, must be specified."
            )
        if len(set(places)) < len(places):
            raise refusals.INVALID_COMBINATION("Each network interface needs a device index.")
        cards = limits.enis_per_network_card
        for card, device in places:
            if not 0 <= card < len(cards) or device < 0:
                raise refusals.INVALID_VALUE(
                    f"{card}, {device}", "networkCardIndex, deviceIndex", "There is no such place."
                )
            count = sum(other == card for other, _ in places)
            if count > cards[card]:
                raise refusals.ATTACHMENT_LIMIT(count, limits.instance_type)
        self.existing = [each for _, _, each in self.parts if "NetworkInterfaceId" in each]
        primary = self.parts[0][2]
        self.subnet = self._subnet(account, primary)
        for _, _, each in self.parts:
            self._check(account, each)

    def _subnet(self, account: Account, each: dict[str, Any]) -> VpcSubnet:
        if "NetworkInterfaceId" in each:
            return subnet_of(account, eni_of(account, each["NetworkInterfaceId"]).subnet_id)
        if each.get("SubnetId"):
            return subnet_of(account, each["SubnetId"])
        first = next(iter(account.subnets), None)
        if first is None:
            network = next(iter(account.vpcs), None)
            raise refusals.NO_DEFAULT_VPC() if network is None else refusals.NO_SUBNETS(network.key)
        return first

    def _check(self, account: Account, each: dict[str, Any]) -> None:
        subnet = self._subnet(account, each)
        if subnet.zone != self.subnet.zone:
            raise refusals.OTHER_ZONE()
        if "NetworkInterfaceId" in each:
            eni = eni_of(account, each["NetworkInterfaceId"])
            if eni.attachment is not None:
                raise refusals.ENI_ATTACHED(eni.eni_id)
            interfaces.check_room(self.limits.ipv4_per_eni, n_slots=eni.n_slots, n_ipv6=eni.n_ipv6)
            return
        groups_of(account, each.get("Groups", ()), subnet.vpc_id)
        interfaces.checked_description(each.get("Description", ""))
        interfaces.checked_type(each, allowed=interfaces.LAUNCHED_TYPES)
        interfaces.check_room(
            self.limits.ipv4_per_eni,
            n_slots=interfaces.Wanted(subnet, each, new=True).n_slots,
            n_ipv6=interfaces.WantedIpv6(subnet, each).n_slots,
        )

    def make_interfaces(self, account: Account, tags: dict[str, str]) -> list[Interface]:
        """Make those that are not there yet; all, or none and raise `Ec2Error`."""
        made: list[Interface] = []
        try:
            for _, _, each in self.parts:
                if "NetworkInterfaceId" in each:
                    made.append(eni_of(account, each["NetworkInterfaceId"]))
                    continue
                subnet = self._subnet(account, each)
                made.append(
                    interfaces.make(
                        account,
                        interfaces.Wanted(subnet, each, new=True),
                        interfaces.WantedIpv6(subnet, each),
                        groups=groups_of(account, each.get("Groups", ()), subnet.vpc_id),
                        description=each.get("Description", ""),
                        interface_type=each.get("InterfaceType", "interface"),
                        primary_ipv6=each.get("PrimaryIpv6", False),
                        tags=tags,
                    )
                )
        except refusals.Ec2Error:
            for (_, _, each), eni in zip(self.parts, made, strict=False):
                if "NetworkInterfaceId" not in each:
                    account.remove_interface(eni)
            raise
        return made


def _specification(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Return the primary interface that the instance-level parameters ask for."""
    names = ("SubnetId", "PrivateIpAddress", "Ipv6AddressCount", "Ipv6Addresses")
    found = {name: params[name] for name in names if name in params}
    zone = params.get("Placement", {}).get("AvailabilityZone")
    if zone and "SubnetId" not in found:
        first = account.subnets.first_of("availability-zone", zone)
        if first is None:
            raise refusals.ZONE_NOT_FOUND(zone[:200])
        found["SubnetId"] = first.subnet_id
    found["PrimaryIpv6"] = params.get("EnablePrimaryIpv6", False)
    groups = [*params.get("SecurityGroupIds", [])]
    by_name = {group.name: group.group_id for group in account.groups}
    for name in params.get("SecurityGroups", ()):
        if name not in by_name:
            raise refusals.GROUP_NOT_FOUND(name[:200])
        groups.append(by_name[name])
    return found | {"Groups": groups}


def _launch(
    account: Account,
    params: dict[str, Any],
    plan: _Plan,
    held: list[Interface],
    reservation_id: str,
    number: int,
    tags: dict[str, str],
) -> Instance:
    primary = held[0]
    instance = Instance(
        instance_id=account.new_id("i"),
        number=account.next_number(),
        type_given=params.get("InstanceType", DEFAULT_TYPE),
        image_id=params.get("ImageId", ""),
        subnet_id=primary.subnet_id,
        vpc_id=primary.vpc_id,
        zone=primary.zone,
        groups=primary.groups,
        launched_ns=account.now_ns(),
        reservation_id=reservation_id,
        launch_index=number,
        key_name=params.get("KeyName", ""),
        http_tokens=params.get("MetadataOptions", {}).get("HttpTokens", ""),
        client_token=params.get("ClientToken", ""),
        private_address=primary.primary_address,
        tags=dict(tags),
    )
    account.instances.add(instance)
    for eni, (card, device, each) in zip(held, plan.parts, strict=True):
        interfaces.attach(
            account,
            eni,
            instance,
            device_index=device,
            network_card=card,
            goes_with_instance=each.get("DeleteOnTermination", "NetworkInterfaceId" not in each),
        )
    account.later(account.delays.running_s, "running", instance.instance_id)
    return instance


def _undo(account: Account, instance: Instance) -> None:
    """Take back an instance of a launch that fails: all its interfaces were made with it."""
    for eni in account.attached_to(instance.instance_id):
        account.release(eni)
        account.remove_interface(eni)
    account.instances.remove(instance)


def reservation_of(account: Account, reservation_id: str) -> dict[str, Any]:
    """Return the instances of a launch that are there, as RunInstances returns them."""
    rows = account.instances.all_of("reservation-id", reservation_id)
    return {
        "ReservationId": reservation_id,
        "OwnerId": account.account_id,
        "Groups": [],
        "Instances": [described.instance(account, row) for row in rows],
    }


def terminate_instances(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """End instances: they shut down, then their interfaces go or are left, as was set."""
    rows = [instance_of(account, each) for each in dict.fromkeys(params["InstanceIds"])]
    if not rows:
        raise refusals.MISSING_PARAMETER("InstanceId")
    changes = []
    for row in rows:
        before = row.state
        if before in ("pending", "running"):
            row.state = "shutting-down"
            row.ended_ns = account.now_ns()
            account.instances.changed(row)
            account.later(account.delays.terminated_s, "terminated", row.instance_id)
        changes.append(
            {
                "CurrentState": described.state(row.state),
                "InstanceId": row.instance_id,
                "PreviousState": described.state(before),
            }
        )
    return {"TerminatingInstances": changes}
