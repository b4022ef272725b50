"""The environment variables that a setting reads, by type of value; and which may be printed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

INTEGERS = {
    "WARM_ENI_TARGET": "warm_eni_target",
    "WARM_IP_TARGET": "warm_ip_target",
    "MINIMUM_IP_TARGET": "minimum_ip_target",
    "WARM_PREFIX_TARGET": "warm_prefix_target",
    "MAX_ENI": "max_eni",
    "IP_COOLDOWN_PERIOD": "cooldown_s",
}
BOOLEANS = {
    "ENABLE_IPv4": "enable_ipv4",
    "ENABLE_IPv6": "enable_ipv6",
    "ENABLE_PREFIX_DELEGATION": "enable_prefix_delegation",
    "ENABLE_POD_ENI": "enable_pod_eni",
    "ENABLE_MULTI_NIC": "enable_multi_nic",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "custom_networking",
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE": "manage_enis_non_schedulable",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING": "disable_network_resource_provisioning",
    "ENABLE_SUBNET_DISCOVERY": "enable_subnet_discovery",
    "MANAGE_UNTAGGED_ENI": "manage_untagged_eni",
    "ENABLE_IMDS_ONLY_MODE": "imds_only",
}
TEXTS = {"CLUSTER_NAME": "cluster_name"}
VARIABLES = INTEGERS | BOOLEANS | TEXTS
"""The field of `Settings` that each environment variable sets."""

PROVISIONING = ("DISABLE_NETWORK_RESOURCE_PROVISIONING", "ENABLE_IMDS_ONLY_MODE")
"""With either true the agent attaches nothing; the second implies the first."""
ADDRESS_VARIABLES = frozenset({*VARIABLES, *PROVISIONING})
"""Every variable that decides about addresses."""
OTHER_VARIABLES = frozenset(
    {
        "ADDITIONAL_ENI_TAGS",
        "ANNOTATE_POD_IP",
        "AWS_CLUSTER_ID",
        "AWS_EC2_ENDPOINT",
        "AWS_EXTERNAL_SERVICE_CIDRS",
        "AWS_REGION",
        "AWS_VPC_CNI_NODE_PORT_SUPPORT",
        "AWS_VPC_ENI_MTU",
        "CLUSTER_ENDPOINT",
        "CLUSTER_NAME",
        "DISABLE_INTROSPECTION",
        "DISABLE_LEAKED_ENI_CLEANUP",
        "DISABLE_METRICS",
        "DISABLE_POD_V6",
        "DISABLE_TCP_EARLY_DEMUX",
        "ENABLE_BANDWIDTH_PLUGIN",
        "ENABLE_NFTABLES",
        "ENABLE_V4_EGRESS",
        "ENABLE_V6_EGRESS",
        "ENI_CONFIG_ANNOTATION_DEF",
        "ENI_CONFIG_LABEL_DEF",
        "INTROSPECTION_BIND_ADDRESS",
        "NETWORK_POLICY_ENFORCING_MODE",
        "POD_MTU",
        "POD_SECURITY_GROUP_ENFORCING_MODE",
        "VPC_CNI_VERSION",
    }
)
"""Names that the agent or its init container reads: they are not misspelled."""
SINCE = {
    "MINIMUM_IP_TARGET": (1, 6, 0),
    "ENABLE_POD_ENI": (1, 7, 0),
    "ENABLE_PREFIX_DELEGATION": (1, 9, 0),
    "WARM_PREFIX_TARGET": (1, 9, 0),
    "DISABLE_NETWORK_RESOURCE_PROVISIONING": (1, 9, 1),
    "ENABLE_IPv4": (1, 10, 0),
    "ENABLE_IPv6": (1, 10, 0),
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE": (1, 12, 6),
    "IP_COOLDOWN_PERIOD": (1, 15, 0),
    "ENABLE_SUBNET_DISCOVERY": (1, 18, 0),
    "ENABLE_IMDS_ONLY_MODE": (1, 19, 6),
    "ENABLE_MULTI_NIC": (1, 20, 0),
}
"""The first release of the agent that reads a variable: README of aws/amazon-vpc-cni-k8s."""

LAST_WITHOUT_BRAKE = (1, 16, 0)
"""Up to this release maxPods did not stop the pool's growth (PR 2745, January 2024)."""


_SECRET = re.compile("SECRET|PASSW|TOKEN|CREDENTIAL|PRIVATE|ACCESS_?KEY|API_?KEY", re.IGNORECASE)


def is_shown(name: str) -> bool:
    """Return whether the value of a variable may be printed.

    An environment holds more than the agent reads, also credentials: only variables that the
    agent knows are printed, and none whose name looks like that of a secret.
    """
    return name in ADDRESS_VARIABLES | OTHER_VARIABLES and not _SECRET.search(name)


def shown_variables(env: Mapping[str, T]) -> dict[str, T]:
    """Return those variables of an environment that may be printed."""
    return {name: value for name, value in env.items() if is_shown(name)}


def quoted_value(name: str, value: Any) -> str:
    """Return a variable's value as an error quotes it; the type, if it may not be printed."""
    return quoted(value) if is_shown(name) else f"a value of type {type(value).__name__}"


def near_miss(name: str) -> str:
    """Return the variable that an unknown name probably means, "" where none is similar.

    One that differs only in case is not similar: the agent knows it by that name only, and
    `Settings` reports it.
    """
    if name in ADDRESS_VARIABLES or name in OTHER_VARIABLES:
        return ""
    from difflib import get_close_matches  # noqa: PLC0415  (only where a name is unknown)

    near = get_close_matches(name.upper(), [each.upper() for each in ADDRESS_VARIABLES], 1, 0.86)
    return next((each for each in ADDRESS_VARIABLES if near and each.upper() == near[0]), "")
