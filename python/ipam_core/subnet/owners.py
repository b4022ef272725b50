"""The owner of a network interface, by its type, description and attachment.

Sources: the values of `InterfaceType` in
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html, and those
that its filter `interface-type` lists in addition, in API_DescribeNetworkInterfaces.html; what
each AWS service writes into `Description`, at
https://repost.aws/knowledge-center/vpc-find-owner-unknown-ip-addresses and
https://docs.aws.amazon.com/vpc/latest/userguide/troubleshoot-delete-vpc.html; the agent's own
descriptions, in pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s and in
aws/amazon-vpc-resource-controller-k8s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.tags import CLUSTER_TAG, DESCRIPTION_PREFIX

if TYPE_CHECKING:
    from collections.abc import Container

POD_ENI = "pods' ENIs"
BRANCH = "pods' branch ENIs"
NODE = "nodes' primary ENIs"
PROBABLE_NODE = "probably nodes' ENIs"
INSTANCE = "other instances"
ORPHAN = "orphaned"
OTHER = "other"

_BY_TYPE = {
    "natGateway": "NAT gateways",
    "nat_gateway": "NAT gateways",
    "vpc_endpoint": "VPC endpoints",
    "gateway_load_balancer_endpoint": "VPC endpoints",
    "load_balancer": "load balancers",
    "network_load_balancer": "load balancers",
    "gateway_load_balancer": "load balancers",
    "lambda": "Lambda",
    "branch": BRANCH,
    "transit_gateway": "transit gateways",
    "quicksight": "QuickSight",
    "api_gateway_managed": "API Gateway",
    "global_accelerator_managed": "Global Accelerator",
    "ec2_instance_connect_endpoint": "Instance Connect endpoints",
    "efs": "file systems",
    "evs": "Elastic VMware Service",
    "iot_rules_managed": "IoT rules",
    "aws_codestar_connections_managed": "CodeConnections",
}
_BY_DESCRIPTION = (
    ("ELB ", "load balancers"),
    ("Interface for NAT Gateway", "NAT gateways"),
    ("VPC Endpoint", "VPC endpoints"),
    ("AWS Lambda VPC ENI", "Lambda"),
    ("RDSNetworkInterface", "databases"),
    ("RDS ", "databases"),
    ("ElastiCache", "databases"),
    ("RedshiftNetworkInterface", "databases"),
    ("DAX ", "databases"),
    ("DMSNetworkInterface", "databases"),
    ("ES ", "OpenSearch"),
    ("DO NOT DELETE - Amazon MSK", "Kafka"),
    ("EFS mount target", "file systems"),
    ("Amazon FSx", "file systems"),
    ("FSx", "file systems"),
    ("Amazon EKS ", "EKS control plane"),
    ("arn:aws:ecs:", "ECS and Fargate"),
    ("Network Interface for Transit Gateway", "transit gateways"),
    ("AWS created network interface for directory", "directories"),
    ("EC2 Instance Connect Endpoint", "Instance Connect endpoints"),
    ("aws-k8s-branch-eni", BRANCH),
    ("aws-k8s-trunk-eni", POD_ENI),
)

_CLUSTER_KEYS = ("aws:eks:cluster-name", "eks:cluster-name")
_CLUSTER_PREFIX = "kubernetes.io/cluster/"


def owner_of(
    interface: dict[str, Any], nodes: Container[str], probable: Container[str] = ()
) -> str:
    """Return the kind of owner of an interface as DescribeNetworkInterfaces shows it.

    `nodes` are the ids of the instances that are nodes of a cluster; those in `probable`
    probably are. An interface that is not attached is `orphaned`, unless AWS manages it for a
    service.
    """
    description = interface.get("Description") or ""
    instance = instance_of(interface)
    kind = _BY_TYPE.get(interface.get("InterfaceType", "interface"))
    if kind is None and description and not description.startswith(DESCRIPTION_PREFIX):
        kind = next(
            (kind for start, kind in _BY_DESCRIPTION if description.startswith(start)), None
        )
    if interface.get("Status") == "available" and not interface.get("RequesterManaged"):
        return ORPHAN
    if kind is not None:
        return kind
    if instance is None:
        return OTHER
    if instance in probable:
        return PROBABLE_NODE
    if instance not in nodes:
        return INSTANCE
    return NODE if interface["Attachment"].get("DeviceIndex") == 0 else POD_ENI


def instance_of(interface: dict[str, Any]) -> str | None:
    """Return the id of the instance that an interface is attached to."""
    attachment = interface.get("Attachment")
    return attachment.get("InstanceId") if attachment else None


def tags_of(thing: dict[str, Any]) -> dict[str, str]:
    """Return the tags of an interface (`TagSet`) or an instance (`Tags`) by key."""
    tags = thing.get("TagSet") or thing.get("Tags") or ()
    return {tag.get("Key", ""): tag.get("Value", "") for tag in tags}


def cluster_of(interface: dict[str, Any]) -> str:
    """Return the name of the cluster that the tags of an interface name, "" without one.

    Source: CLUSTER_NAME of the agent, pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s, and
    https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html.
    """
    tags = tags_of(interface)
    for key in (CLUSTER_TAG, *_CLUSTER_KEYS):
        if tags.get(key):
            return str(tags[key])
    named = (key for key in tags if key.startswith(_CLUSTER_PREFIX))
    return next(named, _CLUSTER_PREFIX).removeprefix(_CLUSTER_PREFIX)


def shows_a_node(interface: dict[str, Any]) -> bool:
    """Return whether an attached interface proves that its instance is a node of a cluster.

    The agent's own interfaces do, and those tagged as the agent, EKS or Karpenter tag them.
    """
    if (interface.get("Description") or "").startswith((DESCRIPTION_PREFIX, "aws-k8s-trunk-eni")):
        return True
    return bool(interface.get("TagSet")) and is_node(interface)


def looks_like_a_node(interface: dict[str, Any]) -> bool:
    """Return whether an attached interface holds more than its own address.

    The agent gives nodes such addresses; database clusters and firewalls have them too.
    """
    return len(interface.get("PrivateIpAddresses") or ()) > 1 or bool(interface.get("Ipv4Prefixes"))


def trunk_of(interface: dict[str, Any]) -> str | None:
    """Return the id of the trunk ENI that a branch ENI of a pod belongs to.

    Source of the tag: pkg/config/type.go of aws/amazon-vpc-resource-controller-k8s.
    """
    return tags_of(interface).get("vpcresources.k8s.aws/trunk-eni-id")


def is_node(thing: dict[str, Any]) -> bool:
    """Return whether an instance as DescribeInstances shows it, or an ENI, is tagged as a node's.

    Source of the tags: EKS managed node groups, self-managed nodes and Karpenter,
    https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html; the agent's own,
    pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s.
    """
    return any(
        key.startswith(
            ("kubernetes.io/cluster/", "eks:", "karpenter.sh/", "node.k8s.amazonaws.com/")
        )
        for key in tags_of(thing)
    )
