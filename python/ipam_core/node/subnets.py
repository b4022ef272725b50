"""Which subnets may be used: for new ENIs, and for the addresses of ENIs that are attached.

Both call DescribeSubnets each time, and both fail where it is refused. Source:
pkg/awsutils/awsutils.go (createENI, GetVpcSubnets, isSubnetValidForENICreation,
IsSubnetExcluded); pool-rules section 9, "Subnets".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import CreateEni, DescribeSubnets
from ipam_core.errors import CloudError
from ipam_core.tags import ROLE_TAG, SUBNET_CLUSTER_PREFIX

if TYPE_CHECKING:
    from ipam_core.effects import Step, SubnetDescription
    from ipam_core.node.state import NodeState

PRIMARY_SUBNET = ""
"""The primary ENI's subnet, as `CreateEni` names it."""


def is_excluded(node: NodeState, subnet_id: str) -> Step[bool]:
    """Return whether ENIs of a subnet give pods no address.

    Tagged 0, or tagged for pods but of other clusters only. A subnet that EC2 does not
    show in this zone is not excluded. Raises the `CloudError` of DescribeSubnets; under
    `assume_subnet_usable` the answer is no then.
    """
    try:
        shown: tuple[SubnetDescription, ...] = yield DescribeSubnets()
    except CloudError as error:
        if not node.policy.assume_subnet_usable:
            raise
        node.note_failure(error)
        return False
    subnet = next((each for each in shown if each.subnet_id == subnet_id), None)
    return subnet is not None and _is_excluded(node, subnet)


def of_new_eni(node: NodeState) -> Step[list[str]]:
    """Return the subnets for a new ENI, in the order in which they are tried.

    With subnet discovery: those that are tagged for pods, and the primary ENI's unless it is
    excluded; most free addresses first. Without: the primary ENI's, unless it is excluded.
    Raises a `CloudError` where there is none, or where EC2 gives no answer. With discovery, a
    refused DescribeSubnets stops every new ENI, because the fallback to the primary ENI's
    subnet calls it again.
    """
    primary = next((eni.subnet_id for eni in node.store.enis() if eni.primary), PRIMARY_SUBNET)
    if not node.settings.enable_subnet_discovery:
        try:
            excluded = yield from is_excluded(node, primary)
        except CloudError as error:  # the agent warns, and continues
            node.note_failure(error)
            excluded = False
        return _one(primary, excluded)
    try:
        shown: tuple[SubnetDescription, ...] = yield DescribeSubnets()
    except CloudError:
        return _one(primary, (yield from is_excluded(node, primary)))
    usable = [each for each in shown if _takes_enis(node, each, primary)]
    if not usable:
        raise _none_usable()
    usable.sort(key=lambda subnet: -subnet.available_addresses)
    return [subnet.subnet_id for subnet in usable]


def _one(primary: str, excluded: bool) -> list[str]:
    if excluded:
        raise _none_usable()
    return [primary]


def _none_usable() -> CloudError:
    return CloudError(CreateEni.api, "NoSubnet", f"no subnet of this zone may be used: {ROLE_TAG}")


def _is_excluded(node: NodeState, subnet: SubnetDescription) -> bool:
    role = subnet.tags.get(ROLE_TAG, "")
    return role != "" and (role == "0" or _of_other_clusters(node, subnet))


def _takes_enis(node: NodeState, subnet: SubnetDescription, primary: str) -> bool:
    """Return whether new ENIs may go to a subnet; any role but 0 and none includes it."""
    included = bool(subnet.tags.get(ROLE_TAG)) or subnet.subnet_id == primary
    return included and not _is_excluded(node, subnet)


def _of_other_clusters(node: NodeState, subnet: SubnetDescription) -> bool:
    """Return whether a subnet's tags name clusters, but not CLUSTER_NAME."""
    name = node.settings.cluster_name
    named = [key for key in subnet.tags if key.startswith(SUBNET_CLUSTER_PREFIX)]
    return bool(name and named) and SUBNET_CLUSTER_PREFIX + name not in named
