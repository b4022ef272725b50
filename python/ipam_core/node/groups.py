"""Let the ENIs of a node have the security groups of its primary ENI.

Source: pkg/awsutils/awsutils.go (RefreshSGIDs, applySecurityGroupsToENIs) of
aws/amazon-vpc-cni-k8s v1.23; at the start and every 30 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.effects import ReadSecurityGroups, SetSecurityGroups
from ipam_core.errors import CloudError

if TYPE_CHECKING:
    from ipam_core.effects import Step
    from ipam_core.node.state import NodeState


def follow(node: NodeState) -> Step[None]:
    """Give every ENI the primary ENI's groups where those changed since the last look.

    The first look counts as a change. Under custom networking the ENIConfig decides, and where
    the agent may provision nothing it changes nothing. An ENI
    that cannot be changed is left as it is, and the failure noted: there is no other try.
    """
    if node.settings.disable_network_resource_provisioning:
        return
    groups: tuple[str, ...] = yield ReadSecurityGroups()
    if set(groups) == node.security_groups:
        return
    node.security_groups = set(groups)
    if node.settings.custom_networking:
        return
    enis = sorted(eni.eni_id for store in node.stores for eni in store.enis())
    for eni_id in enis:
        try:
            yield SetSecurityGroups(eni_id, groups)
        except CloudError as error:
            node.note_failure(error)
