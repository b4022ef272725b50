"""STS GetCallerIdentity, EKS DescribeCluster and ListNodegroups."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.cloud import refusals
from ipam_core.cloud.region import EPOCH
from ipam_core.endpoint.account import USER_ID
from ipam_core.endpoint.pages import page

if TYPE_CHECKING:
    from ipam_core.endpoint.account import Account

USER = "ipam-core"
VERSION = "1.33"
"""The cluster's version of Kubernetes."""


def get_caller_identity(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """Return the one identity there is: signatures are not checked."""
    return {
        "UserId": USER_ID,
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


@dataclass(frozen=True, slots=True)
class _NodeGroup:
    """A node group as a row."""

    number: int
    key: str
    tags: dict[str, str] = field(default_factory=dict)


def list_nodegroups(account: Account, params: dict[str, Any]) -> dict[str, Any]:
    """List the node groups of the account's cluster."""
    _check_cluster(account, params["clusterName"])
    groups = [_NodeGroup(number, name) for number, name in enumerate(account.node_groups, 1)]
    names = {"maxResults": "MaxResults", "nextToken": "NextToken"}
    try:
        rows, more = page(
            account.secret,
            "ListNodegroups",
            {names.get(name, name): value for name, value in params.items()},
            lambda after: (row for row in groups if row.number > after),
            least=1,
            most=100,
        )
    except refusals.Ec2Error as error:
        raise refusals.Ec2Error("InvalidParameterException", error.message) from None
    reply: dict[str, Any] = {"nodegroups": [row.key for row in rows]}
    return reply | ({"nextToken": more["NextToken"]} if more else {})


def _check_cluster(account: Account, name: str) -> None:
    if name != account.cluster:
        raise refusals.CLUSTER_NOT_FOUND(name[:200])


def _arn(account: Account) -> str:
    return f"arn:aws:eks:{account.region_name}:{account.account_id}:cluster/{account.cluster}"
