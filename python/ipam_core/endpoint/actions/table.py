"""Which function is which action, of each service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.endpoint.actions import (
    addresses,
    attachments,
    describe_enis,
    describe_instances,
    enis,
    identity,
    instances,
    places,
    reservations,
    subnets,
    tags,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.endpoint.account import Account

    Action = Callable[[Account, dict[str, Any]], dict[str, Any]]

_FUNCTIONS: dict[str, tuple[Action, ...]] = {
    "ec2": (
        enis.create_network_interface,
        enis.delete_network_interface,
        enis.modify_network_interface_attribute,
        describe_enis.describe_network_interfaces,
        attachments.attach_network_interface,
        attachments.detach_network_interface,
        addresses.assign_private_ip_addresses,
        addresses.unassign_private_ip_addresses,
        addresses.assign_ipv6_addresses,
        addresses.unassign_ipv6_addresses,
        tags.create_tags,
        tags.delete_tags,
        tags.describe_tags,
        instances.run_instances,
        instances.terminate_instances,
        describe_instances.describe_instances,
        describe_instances.describe_instance_types,
        subnets.create_subnet,
        subnets.describe_subnets,
        reservations.create_subnet_cidr_reservation,
        reservations.get_subnet_cidr_reservations,
        reservations.delete_subnet_cidr_reservation,
        places.describe_vpcs,
        places.describe_security_groups,
        places.describe_availability_zones,
    ),
    "sts": (identity.get_caller_identity,),
    "eks": (identity.describe_cluster, identity.list_nodegroups),
}


def _named(function: Action) -> str:
    """Return an action's name, which its function has in Python's form."""
    return "".join(word.capitalize() for word in function.__name__.split("_"))


ACTIONS: dict[tuple[str, str], Action] = {
    (service, _named(function)): function
    for service, functions in _FUNCTIONS.items()
    for function in functions
}
"""Every action that is there, by service and name."""
