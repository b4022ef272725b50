"""The lines of the agent's logs that report a failed EC2 call, as patterns: see `log_messages`."""

from __future__ import annotations

from ipam_core.ipamd import log_lines as lines
from ipam_core.ipamd.messages import LogMessage

FAILURES = (
    LogMessage(
        "failure",
        r"Failed to allocate a private IP(?:/Prefix)? addresses on ENI (?P<eni>\S+): (?P<error>.+)",
        "AllocIPAddresses",
        "AssignPrivateIpAddresses",
    ),
    lines.ASSIGN_IPV6_FAILED.message("failure", "AllocIPv6Prefixes", "AssignIpv6Addresses"),
    LogMessage(
        "failure",
        r"Failed to allocate a private IP address  ?(?P<error>.+)",
        "AllocIPAddress",
        "AssignPrivateIpAddresses",
    ),
    LogMessage(
        "failure",
        r"Failed to CreateNetworkInterface (?P<error>.+?)(?: for subnet (?P<subnet_id>\S+))?$",
        "tryCreateNetworkInterface",
        "CreateNetworkInterface",
    ),
    lines.ATTACH_FAILED.message("failure", "attachENI", "AttachNetworkInterface"),
    LogMessage(
        "failure",
        r"Failed to increase pool size due to not able to allocate ENI (?P<error>.+)",
        "tryAllocateENI",
        "CreateNetworkInterface",
    ),
    lines.DEVICE_FAILED.message("failure", "awsGetFreeDeviceNumber", "DescribeInstances"),
    LogMessage(
        "failure",
        r"Failed to call ec2:DescribeNetworkInterfaces for .*?\]: (?P<error>.+)",
        "DescribeAllENIs",
        "DescribeNetworkInterfaces",
    ),
    LogMessage(
        "failure",
        r"Failed to get ENI (?P<eni>\S+) information from EC2 control plane (?P<error>.+)",
        "getENIAttachmentID",
        "DescribeNetworkInterfaces",
    ),
    lines.SUBNETS_FAILED.message("failure", "createENI", "DescribeSubnets"),
    LogMessage(
        "failure",
        r"Failed to check if primary subnet is excluded: (?P<error>.+)",
        "createENI",
        "DescribeSubnets",
    ),
    LogMessage(
        "failure",
        r"setupENI: failed to check subnet exclusion for ENI (?P<eni>\S+) "
        r"\(subnet (?P<subnet_id>\S+)\): (?P<error>.+)",
        "excludedENIBasedOnSubnetTags",
        "DescribeSubnets",
    ),
)
