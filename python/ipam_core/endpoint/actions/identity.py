"""STS GetCallerIdentity, EKS DescribeCluster and ListNodegroups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cloud import refusals
from ipam_core.cloud.region import EPOCH

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account

USER = "ipam-core"
VERSION = "1.33"
"""The cluster's version of Kubernetes."""


def get_caller_identity(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Return the one identity there is: signatures are not checked."""
    return {
        "UserId": "AIDACKCEVSQ6C2EXAMPLE",
        "Account": account.account_id,
        "Arn": f"arn:aws:iam::{account.account_id}:user/{USER}",
    }


def describe_cluster(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Describe the account's cluster: its subnets and security group."""
    _check_cluster(account, params["name"])
    first = next(iter(account.vpcs), None)
    group = None if first is None else account.default_group(first.vpc_id).group_id
    subnets = account.cluster_subnets or tuple(row.subnet_id for row in account.subnets)
    return {
        "cluster": {
            "name": account.cluster,
            "arn": _arn(account),
            "createdAt": EPOCH,
            "version": VERSION,
            "resourcesVpcConfig": {
                "subnetIds": list(subnets),
                "securityGroupIds": [],
                **({} if group is None else {"clusterSecurityGroupId": group}),
                **({} if first is None else {"vpcId": first.vpc_id}),
                "endpointPublicAccess": True,
                "endpointPrivateAccess": False,
                "publicAccessCidrs": ["0.0.0.0/0"],
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
            "status": "ACTIVE",
            "tags": {},
        }
    }


def list_nodegroups(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List the node groups of the account's cluster, all on one page."""
    _check_cluster(account, params["clusterName"])
    return {"nodegroups": list(account.node_groups)}


def _check_cluster(account: Account, name: str) -> None:
    if name != account.cluster:
        raise refusals.CLUSTER_NOT_FOUND(name[:200])


def _arn(account: Account) -> str:
    return f"arn:aws:eks:{account.region_name}:{account.account_id}:cluster/{account.cluster}"
