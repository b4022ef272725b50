"""The environment variables that a setting reads, by what they hold."""

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
}
VARIABLES = INTEGERS | BOOLEANS
"""The field of `Settings` that each environment variable sets."""
