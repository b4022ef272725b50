"""What each case of `cases/` must give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """What a case must give. `evidence`: (file, line, part of the value), of the main cause."""

    cause: str
    certainty: str
    evidence: tuple[tuple[str, int | None, str], ...]
    command: str
    serves: int | None = None
    also: tuple[str, ...] = ()
    instance: str = ""


# The numbers behind `serves`: ENIs x slots of the type (data/instance-limits.csv), what
# maxPods lets through, or what the subnet gives.
EXPECTED = {
    "minimum-only": Expected(
        "minimum-only stall",
        "certain",
        (
            ("eni.out", 1, "TotalIPs 25, AssignedIPs 25"),
            ("ipamd-2026-03-11T02-58-02.000.log", 10, "MINIMUM_IP_TARGET=25"),
            ("events.json", 37, "failed to assign an IP address"),
        ),
        "set env ds/aws-node WARM_IP_TARGET=10",
        serves=232,
    ),
    "enis-flat": Expected(
        "minimum-only stall",
        "certain",
        (("eni.out", 2, "TotalIPs 25"), ("aws-node.yaml", 44, "MINIMUM_IP_TARGET=25")),
        "WARM_IP_TARGET=10",
        serves=232,
        instance="m8g.4xlarge",
    ),
    "enis-pools": Expected(
        "minimum-only stall",
        "certain",
        (("eni.out", 2, "AssignedIPs 25"),),
        "WARM_IP_TARGET=10",
        serves=232,
        instance="m8g.4xlarge",
    ),
    "warm-zero": Expected(
        "warm target 0",
        "certain",
        (("ipamd.log", 10, "WARM_ENI_TARGET=0"),),
        "WARM_ENI_TARGET=1",
        serves=27,
    ),
    "cooling": Expected(
        "cooling addresses counted as available",
        "certain",
        (("eni.out", 1, "TotalIPs 23, AssignedIPs 19"),),
        "WARM_IP_TARGET=6",
        serves=56,
    ),
    "subnet-full": Expected(
        "subnet out of addresses",
        "certain",
        (("ipamd.log", None, "InsufficientFreeAddressesInSubnet"),),
        "kubernetes.io/role/cni,Value=1",
        serves=23,  # 5 on the first ENI, and two ENIs of the other subnet
    ),
    "subnet-full-other-wording": Expected(
        "subnet out of addresses",
        "certain",
        (("ipamd.log", None, "There aren't sufficient free Ipv4 addresses or prefixes"),),
        "kubernetes.io/role/cni,Value=1",
        serves=27,
    ),
    "no-free-prefix": Expected(
        "subnet out of /28s",
        "certain",
        (("ipamd.log", None, "InsufficientCidrBlocks"),),
        "create-subnet-cidr-reservation",
        serves=110,
    ),
    "throttled": Expected(
        "throttled API",
        "certain",
        (
            ("ipamd.log", None, "RequestLimitExceeded"),
            ("CloudTrail", None, "inventory-poller 12"),
        ),
        "lookup-events",
        serves=56,
    ),
    "missing-permission": Expected(
        "missing permission",
        "certain",
        (
            ("ipamd.log", None, "UnauthorizedOperation"),
            ("trail.json", 4, "CreateNetworkInterface: UnauthorizedOperation"),
            ("events.json", 10, "MissingIAMPermissions"),
        ),
        "--role-name eks-node-role",
        serves=27,
    ),
    "eni-limit": Expected(
        "maxPods above the addresses",
        "certain",
        (("ipamd.log", None, "max ENI limit is already reached"),),
        "ENABLE_PREFIX_DELEGATION=true",
        serves=110,
    ),
    "max-eni": Expected(  # no pod is refused: its maxPods may be set to fit
        "ENI limit",
        "possible",
        (("aws-node.yaml", 44, "MAX_ENI=1"),),
        "MAX_ENI-",
        serves=27,
        instance="m5.large",
    ),
    "max-pods": Expected(
        "maxPods reached",
        "certain",
        (("ipamd.log", None, "assigned IPs: 17"), ("events.json", None, "Too many pods")),
        "--max-pods-per-node 58",
        serves=56,
    ),
    "unschedulable": Expected(
        "unschedulable node",
        "certain",
        (
            ("ipamd.log", None, "AWS CNI is on a non schedulable node"),
            ("events.json", None, "NodeNotSchedulable"),
        ),
        "kubectl uncordon ip-10-0-12-34",
        serves=27,
    ),
    "not-in-metadata": Expected(
        "ENI not in instance metadata",
        "certain",
        (("ipamd.log", None, "Unable to discover attached ENI from metadata service"),),
        "delete pod -l k8s-app=aws-node",
        serves=27,
    ),
    "unmanaged": Expected(
        "unmanaged ENIs",
        "certain",
        (("ipamd.log", None, "Marking ENI eni-0a11b22c33d44e50b as being unmanaged"),),
        "node.k8s.amazonaws.com/no_manage",
        serves=27,
    ),
    "leaked": Expected(
        "subnet out of addresses",
        "certain",
        (("ipamd.log", None, "InsufficientFreeAddressesInSubnet"),),
        "kubernetes.io/role/cni,Value=1",
        also=("leaked ENIs",),
    ),
    "older-agent": Expected(
        "minimum-only stall",
        "certain",
        (
            ("ipamd.log", 6, "MINIMUM_IP_TARGET=9"),
            ("ipamd.log", 8, "total = 9, used = 9"),
            ("ipamd.log", 10, "assignPodIPv4AddressUnsafe: no available IP addresses"),
        ),
        "WARM_IP_TARGET=10",
        serves=27,
    ),
    "older-agent-denied": Expected(
        "missing permission",
        "certain",
        (
            ("ipamd.log", 7, "request id: 6d1b2f0e-0000-4000-8000-000000000001 (2 times)"),
            ("ipamd.log", 8, "Failed to CreateNetworkInterface UnauthorizedOperation"),
        ),
        "AmazonEKS_CNI_Policy",
        serves=27,
    ),
    "older-agent-unmanaged": Expected(
        "unmanaged ENIs",
        "certain",
        (("ipamd.log", 8, "the max ENI limit of 3"),),
        "delete-tags",
        serves=27,
    ),
    "custom-networking-subnet": Expected(
        "custom networking without room",
        "certain",
        (("ipamd.log", None, "subnet-0feedc0de12345678"),),
        "kubectl patch eniconfig",
        serves=42,
    ),
    "custom-networking-full": Expected(
        "custom networking without room",
        "certain",
        (("ipamd.log", None, "max ENI limit is already reached"),),
        "ENABLE_PREFIX_DELEGATION=true",
        serves=44,
    ),
    "custom-networking-no-eniconfig": Expected(
        "custom networking without room",
        "certain",
        (
            ("ipamd.log", 9, "error while retrieving eniconfig"),
            ("ipamd.log", 12, "Failed to attach any ENIs for custom networking"),
        ),
        "k8s.amazonaws.com/eniConfig=NAME",
    ),
}
