"""Whom a network interface belongs to, by its type, description and attachment.

Sources: the values of `InterfaceType` in
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkInterface.html; what
each AWS service writes into `Description`, at
https://repost.aws/knowledge-center/vpc-find-owner-unknown-ip-addresses and
https://docs.aws.amazon.com/vpc/latest/userguide/troubleshoot-delete-vpc.html; the agent's
own descriptions, in pkg/awsutils/awsutils.go of aws/amazon-vpc-cni-k8s and in
aws/amazon-vpc-resource-controller-k8s.
"""

from __future__ import annotations

from typing import Any

POD_ENI = "pods' ENIs"
BRANCH = "pods' branch ENIs"
NODE = "nodes' primary ENIs"
INSTANCE = "other instances"
ORPHAN = "orphaned"
OTHER = "other"

AGENT_DESCRIPTION = "aws-K8S-"

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
    ("aws-k8s-branch-eni", BRANCH),
    ("aws-k8s-trunk-eni", POD_ENI),
)


def owner_of(interface: dict[str, Any], nodes: set[str]) -> str:
    """Return the kind of owner of an interface as DescribeNetworkInterfaces shows it.

    `nodes` are the ids of the instances that are nodes of a cluster. An interface that
    hangs nowhere is `orphaned`, whoever made it, unless AWS manages it for a service.
    """
    description = interface.get("Description") or ""
    instance = instance_of(interface)
    kind = _BY_TYPE.get(interface.get("InterfaceType", "interface"))
    if kind is None and description and not description.startswith(AGENT_DESCRIPTION):
        kind = next(
            (kind for start, kind in _BY_DESCRIPTION if description.startswith(start)), None
        )
    if interface.get("Status") == "available" and not interface.get("RequesterManaged"):
        return ORPHAN
    if kind is not None:
        return kind
    if instance is None:
        return OTHER
    if instance not in nodes:
        return INSTANCE
    return NODE if interface["Attachment"].get("DeviceIndex") == 0 else POD_ENI


def instance_of(interface: dict[str, Any]) -> str | None:
    """Return the id of the instance that an interface is attached to."""
    attachment = interface.get("Attachment")
    return attachment.get("InstanceId") if attachment else None


def is_of_a_node(interface: dict[str, Any]) -> bool:
    """Return whether an attached interface shows that its instance is a node of a cluster.

    The agent's own interfaces do; so does a primary one that holds more than its own
    address, which only the agent gives it.
    """
    if (interface.get("Description") or "").startswith((AGENT_DESCRIPTION, "aws-k8s-trunk-eni")):
        return True
    return len(interface.get("PrivateIpAddresses") or ()) > 1 or bool(interface.get("Ipv4Prefixes"))


def is_node(instance: dict[str, Any]) -> bool:
    """Return whether an instance as DescribeInstances shows it is tagged as a node.

    Source of the tags: EKS managed node groups, self-managed nodes and Karpenter,
    https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html.
    """
    return any(
        tag.get("Key", "").startswith(("kubernetes.io/cluster/", "eks:", "karpenter.sh/"))
        for tag in instance.get("Tags") or ()
    )
