"""The texts by which people know the agent's faults, as the agent writes them.

Source: pkg/ipamd/datastore/data_store.go and pkg/ipamd/ipamd.go of
aws/amazon-vpc-cni-k8s; pool-rules section 3 for the versions.
"""

from __future__ import annotations

from typing import NamedTuple

NO_ADDRESS_LOG = "DataStore has no available IP/Prefix addresses"
"""What ipamd logs at level error when a pod cannot be served (AssignPodIPv4Address)."""

NO_ADDRESS_ERROR = "AssignPodIPAddress: no available IP/Prefix addresses"
"""The error of v1.20 and later."""

NO_ADDRESS_ERRORS = (
    NO_ADDRESS_ERROR,
    "AssignPodIPv4Address: no available IP/Prefix addresses",  # v1.16 to v1.19
    "assignPodIPv4AddressUnsafe: no available IP/Prefix addresses",  # v1.9 to v1.15
    "assignPodIPv4AddressUnsafe: no available IP addresses",  # before v1.9
)
"""The error's forms over the agent's versions, newest first."""

POD_EVENT_REASON = "FailedCreatePodSandBox"
"""The reason of the event that the kubelet raises for the pod."""

POD_EVENT = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for "
    'sandbox "{container_id}": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: '
    "failed to assign an IP address to container"
)
"""The text of that event."""

START_CANNOT_GROW = "error while trying to increase datastore pool"
"""Why a start fails when AssignPrivateIpAddresses fails (handlePreScaling)."""

START_NO_ENI = "Failed to attach any ENIs for custom networking"
"""Why a start fails under custom networking with an empty pool (handlePreScaling)."""

FULL_SUBNET_WORDING = "sufficient free ipv4 addresses or prefixes"
"""How EC2 words a full subnet under another code (#3105), in lower case."""


class AgentMessage(NamedTuple):
    """A line of ipamd.log: its kind, its text as a pattern from the start, and who writes it.

    `api` is the EC2 call whose failure the line tells; the pattern then has a group
    `error`. Texts that changed are matched in every form since the log is JSON (v1.6).
    """

    kind: str
    pattern: str
    function: str
    api: str = ""


# Agents from v1.20 name the network card.
_CARD = r"(?: for network card (?P<card>\d+))?"

AGENT_MESSAGES = (
    # what the agent is and how it is set
    AgentMessage("version", r"Starting L-IPAMD (?P<version>\S+)", "_main"),
    AgentMessage("instance", r"Found instance-id: (?P<instance_id>\S+)", "initWithEC2Metadata"),
    AgentMessage("type", r"Found instance-type: (?P<instance_type>\S+)", "initWithEC2Metadata"),
    AgentMessage("subnet", r"Found subnet-id: (?P<subnet_id>\S+)", "initWithEC2Metadata"),
    AgentMessage(
        "custom_networking",
        r"Custom networking (?:enabled )?(?P<value>true|false)",
        "awsutils.New",
    ),
    AgentMessage(
        "subnet_discovery", r"Subnet discovery enabled (?P<value>true|false)", "awsutils.New"
    ),
    AgentMessage(
        "prefix_delegation",
        r"Prefix Delegation enabled (?P<value>true|false)",
        "InitCachedPrefixDelegation",
    ),
    AgentMessage("max_eni", r"Using MAX_ENI (?P<value>\d+)", "getMaxENI"),
    AgentMessage(
        "targets",
        r"IP pool manager - max pods: (?P<max_pods>\d+), warm IP target: (?P<warm_ip>\d+), "
        r"warm prefix target: (?P<warm_prefix>\d+), warm ENI target: (?P<warm_eni>\d+), "
        r"minimum IP target: (?P<minimum_ip>\d+)",
        "StartNodeIPPoolManager",
    ),
    # Before v1.20 the targets are told so, each where it is set.
    *(
        AgentMessage("target", rf"Using (?P<variable>{name}) (?P<value>\d+)", function)
        for name, function in (
            ("WARM_ENI_TARGET", "getWarmENITarget"),
            ("WARM_IP_TARGET", "getWarmIPTarget"),
            ("MINIMUM_IP_TARGET", "getMinimumIPTarget"),
            ("WARM_PREFIX_TARGET", "getWarmPrefixTarget"),
        )
    ),
    AgentMessage("node", r'Node found "(?P<node>[^"]+)"', "isNodeNonSchedulable"),
    AgentMessage(
        "eni_config",
        r"ipamd: using custom network config: \[.*\], (?P<subnet_id>\S+)",
        "tryAllocateENI",
    ),
    # the pool
    AgentMessage(
        "pool",
        rf"(?:IP|Prefix) pool stats{_CARD}: Total IPs/Prefixes = (?P<total>\d+)/(?P<prefixes>\d+), "
        r"AssignedIPs/CooldownIPs: (?P<assigned>\d+)/(?P<cooling>\d+), "
        r"c\.maxIPsPerENI = (?P<per_eni>\d+)",
        "logPoolStats",
    ),
    AgentMessage(
        "pool",
        r"IP stats(?: for Network Card (?P<card>\d+))? - total IPs: (?P<total>\d+), "
        r"assigned IPs: (?P<assigned>\d+), cooldown IPs: (?P<cooling>\d+)",
        "updateIPPoolIfRequired",
    ),
    AgentMessage(
        "pool",
        r"(?:IP|Prefix) pool stats: total = (?P<total>\d+), used = (?P<assigned>\d+), "
        r"c\.maxIPsPerENI = (?P<per_eni>\d+)",
        "logPoolStats",
    ),
    AgentMessage(
        "pool",
        r"(?:IP|IP/Prefix) Address Pool stats: total: (?P<total>\d+), assigned: (?P<assigned>\d+)"
        r"(?:, cooldownIPs: (?P<cooling>\d+))?(?:, total prefixes: (?P<prefixes>\d+))?",
        "nodeIPPoolReconcile",
    ),
    AgentMessage(
        "no_address", r"DataStore has no available IP(?:/Prefix)? addresses", "AssignPodIPv4Address"
    ),
    AgentMessage(
        "refused",
        rf"Send AddNetworkReply: .*(?:{'|'.join(NO_ADDRESS_ERRORS)})",
        "AddNetwork",
    ),
    # why it does not grow
    AgentMessage(
        "full_subnet",
        r"Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough "
        r"IPs/Prefixes",
        "increaseDatastorePool",
    ),
    AgentMessage(
        "eni_limit",
        r"Skipping ENI allocation as the max ENI limit (?:of \d+ )?is already reached",
        "increaseDatastorePool",
    ),
    AgentMessage(
        "unschedulable",
        r"AWS CNI is on a non schedulable node, will not try to attach any new IPs or ENIs",
        "isENIAttachmentAllowed",
    ),
    AgentMessage(
        "metadata",
        r"Failed to increase pool size(?: for Network card \d+)?: Unable to discover attached ENI "
        r"from metadata service",
        "tryAllocateENI",
    ),
    AgentMessage(
        "unmanaged",
        r"Marking ENI (?P<eni>\S+) (?:tagged with \S+ )?as being unmanaged",
        "setUnmanagedENIs",
    ),
    AgentMessage("leaked", r"Found \d+ leaked ENIs with the AWS CNI tag", "getLeakedENIs"),
    AgentMessage(
        "leak_stays",
        r"Failed to clean up leaked ENI (?P<eni>\S+): (?P<error>.+)",
        "cleanUpLeakedENIsInternal",
        "DeleteNetworkInterface",
    ),
    AgentMessage("no_eni_config", r"error while retrieving eniconfig: ", "MyENIConfig"),
    AgentMessage("no_eni_config", r"No ENIConfig could be found for this node", "nodeInit"),
    AgentMessage("no_start", rf"Initialization failure: {START_NO_ENI}", "_main"),
    # failed calls
    AgentMessage(
        "failure",
        r"Failed to allocate a private IP(?:/Prefix)? addresses on ENI (?P<eni>\S+): (?P<error>.+)",
        "AllocIPAddresses",
        "AssignPrivateIpAddresses",
    ),
    AgentMessage(
        "failure",
        r"Failed to allocate a private IP address  (?P<error>.+)",
        "AllocIPAddress",
        "AssignPrivateIpAddresses",
    ),
    AgentMessage(
        "failure",
        r"Failed to CreateNetworkInterface (?P<error>.+?)(?: for subnet (?P<subnet_id>\S+))?$",
        "tryCreateNetworkInterface",
        "CreateNetworkInterface",
    ),
    AgentMessage(
        "failure",
        r"Failed to attach ENI (?P<eni>\S+): (?P<error>.+)",
        "attachENI",
        "AttachNetworkInterface",
    ),
    AgentMessage(
        "failure",
        r"awsGetFreeDeviceNumber: Unable to retrieve instance data from EC2 control plane "
        r"(?P<error>.+)",
        "awsGetFreeDeviceNumber",
        "DescribeInstances",
    ),
    AgentMessage(
        "failure",
        r"Failed to call ec2:DescribeNetworkInterfaces for .*?\]: (?P<error>.+)",
        "DescribeAllENIs",
        "DescribeNetworkInterfaces",
    ),
    AgentMessage(
        "failure",
        r"Failed to get ENI (?P<eni>\S+) information from EC2 control plane (?P<error>.+)",
        "getENIAttachmentID",
        "DescribeNetworkInterfaces",
    ),
    AgentMessage(
        "failure",
        r"Failed to call ec2:DescribeSubnets: (?P<error>.+)",
        "createENI",
        "DescribeSubnets",
    ),
)
"""What doctor reads of ipamd.log. The functions are those of pkg/ipamd/ipamd.go,
pkg/ipamd/rpc_handler.go, pkg/ipamd/datastore/data_store.go, pkg/awsutils/awsutils.go,
pkg/eniconfig/eniconfig.go and cmd/aws-k8s-agent/main.go of aws/amazon-vpc-cni-k8s."""
