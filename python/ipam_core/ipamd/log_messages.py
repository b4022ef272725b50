"""The lines of the agent's logs that `doctor` reads, as patterns, in every form since v1.5.

What this package's agent writes is in `log_lines`; the patterns of those lines are made from it.
Source: the last release of each minor version, v1.5 to v1.23, of aws/amazon-vpc-cni-k8s:
pkg/ipamd (ipamd before v1.6), pkg/awsutils, pkg/eniconfig, pkg/k8sapi, cmd/ and
scripts/entrypoint.sh. The tests hold the upstream formats with the versions that write
them, and check every pattern against them.
"""

from __future__ import annotations

from ipam_core.ipamd import log_lines as lines
from ipam_core.ipamd.failure_messages import FAILURES
from ipam_core.ipamd.messages import LogMessage

# Agents from v1.20 name the network card.
_CARD = r"(?: for [nN]etwork [cC]ard (?P<card>\d+))?"
_COUNTS = (
    r"Total IPs/Prefixes = (?P<total>\d+)/(?P<prefixes>\d+), "
    r"AssignedIPs/CooldownIPs: (?P<assigned>\d+)/(?P<cooling>\d+)"
)
"""DataStoreStats.String, from v1.11."""

STARTS = (
    lines.START.message("start", "_main"),
    lines.NO_START.message("no_start", "_main"),
    LogMessage("no_start", r"Failed to create (?:kube )?client: (?P<error>.+)", "_main"),
    LogMessage("no_start", r"Failed to check API server connectivity: (?P<error>.+)", "_main"),
    LogMessage("no_start", r"Failed to create cached kube client: (?P<error>.+)", "_main"),
    LogMessage("no_start", r"Failed to initialize kube client mapper: (?P<error>.+)", "_main"),
    LogMessage("no_start", r"Failed to set up gRPC handler: (?P<error>.+)", "_main"),
    LogMessage("no_start", r"(?:panic|fatal error): (?P<error>.+)", "runtime"),
    LogMessage(
        "api_server",
        r"Unable to reach API Server[,:] (?P<error>.+)",
        "CheckAPIServerConnectivity",
    ),
    LogMessage(
        "api_server",
        r"Failed to communicate with K8S Server\. (?P<error>.+)",
        "CreateKubeClient",
    ),
    LogMessage(
        "api_server_works",
        r"(?:Successful communication with the Cluster|Communication with server successful"
        r"|API server connectivity established)",
        "CheckAPIServerConnectivity",
    ),
    lines.INSTANCE.message("instance", "initWithEC2Metadata"),
    lines.TYPE.message("type", "initWithEC2Metadata"),
    lines.SUBNET.message("subnet", "initWithEC2Metadata"),
    LogMessage(
        "limits_unknown",
        r"Failed to get ENI limits from file:vpc_ip_limits or EC2 for (?P<type>\S+)",
        "New",
    ),
    LogMessage(
        "limits_unknown",
        r"Failed to get ENI IP limit due to unknown instance type (?P<type>\S+)",
        "GetENIIPv4Limit",
    ),
    lines.NOT_NITRO.message("not_nitro", "isConfigValid"),
    LogMessage(
        "stale",
        r"datastore: Sandbox \S+ uses unknown IP(?:v4| Address) (?P<address>\S+) - presuming",
        "ReadBackingStore",
    ),
    # the container's own log: entrypoint.sh until v1.11, then aws-vpc-cni
    LogMessage("waits", r"(?:s|S)tarting IPAM daemon", "entrypoint"),
    LogMessage("waits", r"(?:c|C)hecking for IPAM connectivity", "entrypoint"),
    LogMessage("waits", r"Retrying waiting for IPAM-D", "entrypoint"),
    LogMessage("timed_out", r"(?:t|T)imed out waiting for IPAM daemon", "entrypoint"),
    LogMessage("came_up", r"Successfully copied CNI plugin binary and config file", "entrypoint"),
    LogMessage("came_up", r"Copying config file", "entrypoint"),
    LogMessage("stopped", r"IPAMD stopped hence exiting", "entrypoint"),
    LogMessage(
        "refused_setting",
        r"(?P<error>(?:Setting WARM_PREFIX_TARGET = 0 is not supported"
        r"|AWS_VPC_K8S_CNI_VETHPREFIX cannot be|AWS_VPC_K8S_PLUGIN_LOG_FILE cannot be"
        r"|IP_COOLDOWN_PERIOD MUST be).*)",
        "validateEnvVars",
    ),
)

SETTINGS = (
    LogMessage(
        "custom_networking",
        r"Custom networking (?:enabled )?(?P<value>true|false)",
        "awsutils.New",
    ),
    lines.SUBNET_DISCOVERY.message("subnet_discovery", "awsutils.New"),
    lines.PREFIX_DELEGATION.message("prefix_delegation", "InitCachedPrefixDelegation"),
    lines.MAX_ENI.message("max_eni", "getMaxENI"),
    lines.TARGETS.message("targets", "StartNodeIPPoolManager"),
    # Before v1.16 the targets are logged so, each where it is set.
    *(
        LogMessage("target", rf"Using (?P<variable>{name}) (?P<value>\d+)", function)
        for name, function in (
            ("WARM_ENI_TARGET", "getWarmENITarget"),
            ("WARM_IP_TARGET", "getWarmIPTarget"),
            ("MINIMUM_IP_TARGET", "getMinimumIPTarget"),
            ("WARM_PREFIX_TARGET", "getWarmPrefixTarget"),
        )
    ),
    LogMessage("node", r'Node found "(?P<node>[^"]+)"', "isNodeNonSchedulable"),
    LogMessage(
        "eni_config",
        r"ipamd: using custom network config: \[.*\], (?P<subnet_id>\S+)",
        "tryAllocateENI",
    ),
    LogMessage("eni_config_name", r"Found ENI Config Name: (?P<name>\S+)", "MyENIConfig"),
)

POOL = (
    LogMessage(
        "pool",
        rf"(?:IP|Prefix) pool stats{_CARD}: {_COUNTS}(?:, c\.maxIPsPerENI = (?P<per_eni>\d+))?",
        "logPoolStats",
    ),
    LogMessage(
        "pool",
        rf"IP stats{_CARD} - total IPs: (?P<total>\d+), "
        r"assigned IPs: (?P<assigned>\d+), cooldown IPs: (?P<cooling>\d+)",
        "updateIPPoolIfRequired",
    ),
    LogMessage(
        "pool",
        r"(?:IP|Prefix) pool stats: total = (?P<total>\d+), used = (?P<assigned>\d+), "
        r"(?:IPs in Cooldown = (?P<cooling>\d+), )?c\.maxIPsPerENI = (?P<per_eni>\d+)",
        "logPoolStats",
    ),
    LogMessage(
        "pool",
        r"IP pool stats: total = (?P<total>\d+), used = (?P<assigned>\d+), "
        r"c\.currentMaxAddrsPerENI = \d+, c\.maxAddrsPerENI = (?P<per_eni>\d+)",
        "logPoolStats",
    ),
    LogMessage(
        "pool",
        r"(?:IP|IP/Prefix) Address Pool stats: total: (?P<total>\d+), assigned: (?P<assigned>\d+)"
        r"(?:, cooldownIPs: (?P<cooling>\d+))?(?:, total prefixes: (?P<prefixes>\d+))?",
        "nodeIPPoolReconcile",
    ),
    LogMessage(
        "pool",
        r"Datastore Pool stats: total\(/32\): (?P<total>\d+), assigned\(/32\): (?P<assigned>\d+)"
        r"(?:, cooldownIPs\(/32\): (?P<cooling>\d+))?, total prefixes\(/28\): (?P<prefixes>\d+)",
        "addENIv4prefixesToDataStore",
    ),
    LogMessage(
        "pool",
        r"(?:AssignIPv4Address|AssignPodIPv4Address): IP address pool stats: "
        r"total:? (?P<total>\d+), assigned (?P<assigned>\d+)",
        "AssignPodIPv4Address",
    ),
    LogMessage(
        "pool",
        r"Successfully increased (?:IP|Prefix) pool, total: (?P<total>\d+), used: "
        r"(?P<assigned>\d+)",
        "updateLastNodeIPPoolAction",
    ),
    LogMessage(
        "pool",
        rf"Successfully increased (?:IP|Prefix) pool: {_COUNTS}",
        "updateLastNodeIPPoolAction",
    ),
    LogMessage(
        "warm_ip",
        r"Current warm IP stats ?: target: (?P<target>\d+), total: (?P<total>\d+), "
        r"assigned: (?P<assigned>\d+), available: \d+(?:, cooldown: (?P<cooling>\d+))?, "
        r"short(?:\(prefixes\))?: (?P<short>\d+)",
        "datastoreTargetState",
    ),
    LogMessage(
        "warm_ip",
        r"Current warm IP stats ?: target: (?P<target>\d+), short(?:\(prefixes\))?: "
        rf"(?P<short>\d+), over(?:\(prefixes\))?: \d+, stats: {_COUNTS}",
        "datastoreTargetState",
    ),
    LogMessage(
        "warm_eni",
        r"IP pool is too low(?: for Network Card (?P<card>\d+))?: available \((?P<available>\d+)\) "
        r"< ENI target \((?P<target>\d+)\) \* addrsPerENI \((?P<per_eni>\d+)\)",
        "isDatastorePoolTooLow",
    ),
    LogMessage(
        "warm_prefix",
        r"Prefix target is (?P<target>\d+), short of (?P<short>\d+) prefixes, "
        r"free (?P<free>\d+) prefixes",
        "datastorePrefixTargetState",
    ),
    lines.PLACES.message("places", "hasRoomForEni"),
)

WORK = (
    lines.NODE_READY.message("works", "nodeInit"),
    lines.RECONCILED.message("works", "nodeIPPoolReconcile"),
    LogMessage("works", r"Reconciling ENI/IP pool info", "nodeIPPoolReconcile"),
    LogMessage("works", r"Received (?:Add|Del)Network for ", "AddNetwork"),
    LogMessage("works", r"Starting to (?:in|de)crease ", "increaseDatastorePool"),
    lines.DECREASED.message("works", "decreaseDatastorePool"),
    LogMessage("serves", r"Serving RPC Handler ", "RunRPCHandler"),
    LogMessage(
        "no_address",
        r"DataStore has no available IP(?:/Prefix)? addresses",
        "AssignPodIPv4Address",
    ),
    LogMessage(
        "no_branch_eni",
        r"Send AddNetworkReply: failed to get Branch ENI resource",
        "AddNetwork",
    ),
    LogMessage(
        "no_trunk",
        r"Send AddNetworkReply: No trunk ENI (?:Link Index )?found",
        "AddNetwork",
    ),
    LogMessage("rejected", r"Rejecting AddNetwork request: (?P<error>.+)", "AddNetwork"),
    LogMessage("reply", r"Send AddNetworkReply: Failed to get pod: (?P<error>.+)", "AddNetwork"),
    LogMessage(
        "reply",
        r"Send AddNetworkReply: (?:unable to assign IPv4 address for pod|unable to obtain VPC "
        r"CIDRs), err: (?P<error>.+)",
        "AddNetwork",
    ),
    LogMessage("reply", r"Send AddNetworkReply: .*err: (?P<error>.+)", "AddNetwork"),
    LogMessage(
        "not_written",
        r"(?:Failed|Unable) to update backing store(?: after restoration)?: (?P<error>.+)",
        "AssignPodIPv4Address",
    ),
)

GROWTH = (
    LogMessage(
        "full_subnet",
        r"Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough "
        r"IPs/Prefixes",
        "increaseDatastorePool",
    ),
    LogMessage(
        "eni_limit",
        r"Skipping ENI allocation as the (?:instance's )?max ENI limit (?:of (?P<limit>\d+) )?is "
        r"already reached(?: \(accounting for (?P<unmanaged>\d+) unmanaged ENIs"
        r"(?: and (?P<trunk>\d+) trunk ENIs)?\))?",
        "increaseDatastorePool",
    ),
    lines.UNSCHEDULABLE.message("unschedulable", "isENIAttachmentAllowed"),
    LogMessage(
        "metadata",
        r"Failed to increase pool size(?: for Network card \d+)?: Unable to discover attached ENI "
        r"from metadata service",
        "tryAllocateENI",
    ),
    LogMessage(
        "metadata_wrong",
        r"IP pool reconcile: No ENI found at all in metadata",
        "nodeIPPoolReconcile",
    ),
    LogMessage(
        "metadata_wrong",
        r"IP pool reconcile: Failed to get attached ENI info: (?P<error>.+)",
        "nodeIPPoolReconcile",
    ),
    LogMessage(
        "metadata_stale",
        r"logOutOfSyncState: (?:IMDS query yielded stale IPv4|DescribeNetworkInterfaces\(.*\) "
        r"yielded private IPv4)",
        "logOutOfSyncState",
    ),
    LogMessage(
        "unmanaged",
        r"Marking ENI (?P<eni>\S+) (?:tagged with \S+ )?as being unmanaged",
        "setUnmanagedENIs",
    ),
    lines.LEAK_STAYS.message("leak_stays", "cleanUpLeakedENIsInternal", "DeleteNetworkInterface"),
    LogMessage(
        "no_eni_config_named",
        r"error while retrieving eniconfig: (?:[^\"]*\"(?P<name>[^\"]+)\")?",
        "MyENIConfig",
    ),
    LogMessage("no_eni_config", r"No ENIConfig could be found for this node", "nodeInit"),
    LogMessage("no_eni_config", r"Failed to get pod ENI config", "tryAllocateENI"),
    LogMessage(
        "no_trunk_place",
        r"No slot available for a trunk ENI to be attached",
        "tryEnableSecurityGroupsForPods",
    ),
)

PLUGIN = (
    LogMessage("adds", r"Received CNI add request", "add"),
    LogMessage("added", r"Received add network response", "add"),
    LogMessage(
        "unreachable",
        r"Failed to connect to backend server for .*?: (?P<error>.+)",
        "add",
    ),
    LogMessage(
        "unreachable",
        r"Error received from AddNetwork grpc call for .*?: (?P<error>.+)",
        "add",
    ),
    LogMessage("refused", r"Failed to assign an IP address to ", "add"),
)
"""The log of the CNI plugin, plugin.log."""

AGENT_MESSAGES = (*STARTS, *SETTINGS, *POOL, *WORK, *GROWTH, *FAILURES)
