"""The real agent's log lines: format strings, and the functions that write them.

Read in aws/amazon-vpc-cni-k8s at the commits of the v1.20 line and after (the network
cards in the texts came with them), and, where they were others, before. Every message
of every log fixture here must be one of these, so that doctor is not tested against
texts of our own.
"""

from __future__ import annotations

import re

MAIN = "cmd/aws-k8s-agent/main.go"
IPAMD = "pkg/ipamd/ipamd.go"
RPC = "pkg/ipamd/rpc_handler.go"
STORE = "pkg/ipamd/datastore/data_store.go"
AWS = "pkg/awsutils/awsutils.go"
ENICONFIG = "pkg/eniconfig/eniconfig.go"

FORMATS = (
    (MAIN, "_main", "Starting L-IPAMD %s  ..."),
    (MAIN, "_main", "Initialization failure: %v"),
    (AWS, "New", "Custom networking enabled %v"),
    (AWS, "New", "Subnet discovery enabled %v"),
    (AWS, "InitCachedPrefixDelegation", "Prefix Delegation enabled %v"),
    (AWS, "initWithEC2Metadata", "Found instance-id: %s "),
    (AWS, "initWithEC2Metadata", "Found instance-type: %s "),
    (AWS, "initWithEC2Metadata", "Found subnet-id: %s "),
    (AWS, "AllocIPAddresses", "Trying to allocate %d IP addresses on ENI %s"),
    (AWS, "AllocIPAddresses", "PD enabled - %t"),
    (AWS, "AllocIPAddresses", "Failed to allocate a private IP/Prefix addresses on ENI %v: %v"),
    (AWS, "createENI", "Trying to allocate %d IP addresses on new ENI"),
    (AWS, "tryCreateNetworkInterface", "Created a new ENI: %s"),
    (AWS, "tryCreateNetworkInterface", "Failed to CreateNetworkInterface %v for subnet %s"),
    (
        AWS,
        "AllocENI",
        "Successfully created and attached a new ENI %s to instance on network card %d",
    ),
    (AWS, "waitForENIAndIPsAttached", "Not able to find the right ENI yet (attempt %d/%d)"),
    (AWS, "checkAPIErrorAndBroadcastEvent", "checkAPIErrorAndBroadcastEvent resulted in %v"),
    (AWS, "cleanUpLeakedENIsInternal", "Checking for leaked AWS CNI ENIs."),
    (AWS, "cleanUpLeakedENIsInternal", "Failed to clean up leaked ENI %s: %v"),
    (AWS, "getLeakedENIs", "Found %d leaked ENIs with the AWS CNI tag."),
    (ENICONFIG, "MyENIConfig", "Found ENI Config Name: %s"),
    (ENICONFIG, "MyENIConfig", "error while retrieving eniconfig: %s"),
    (IPAMD, "getWarmENITarget", "Using WARM_ENI_TARGET %v"),
    (IPAMD, "getWarmIPTarget", "Using WARM_IP_TARGET %v"),
    (IPAMD, "getMinimumIPTarget", "Using MINIMUM_IP_TARGET %v"),
    (IPAMD, "getWarmPrefixTarget", "Using WARM_PREFIX_TARGET %v"),
    (IPAMD, "setUnmanagedENIs", "Marking ENI %s as being unmanaged"),
    (IPAMD, "filterUnmanagedENIs", "Skipping ENI %s: since it is unmanaged"),
    (IPAMD, "nodeInit", "node init completed successfully"),
    (
        IPAMD,
        "StartNodeIPPoolManager",
        (
            "IP pool manager - max pods: %d, warm IP target: %d, warm prefix target: %d, "
            "warm ENI target: %d, minimum IP target: %d"
        ),
    ),
    (
        IPAMD,
        "updateIPPoolIfRequired",
        "IP stats for Network Card %d - total IPs: %d, assigned IPs: %d, cooldown IPs: %d",
    ),
    # logPoolStats with DataStoreStats.String
    (
        IPAMD,
        "logPoolStats",
        (
            "%s pool stats for network card %d: Total IPs/Prefixes = %d/%d, "
            "AssignedIPs/CooldownIPs: %d/%d, c.maxIPsPerENI = %d"
        ),
    ),
    (IPAMD, "increaseDatastorePool", "Starting to increase pool size for network card %d"),
    (
        IPAMD,
        "increaseDatastorePool",
        "Recently we had InsufficientCidr error hence will wait for %v before retrying",
    ),
    (
        IPAMD,
        "increaseDatastorePool",
        "Skipping ENI allocation as the max ENI limit is already reached",
    ),
    (IPAMD, "increaseDatastorePool", "Error trying to allocate ENI: %v"),
    (
        IPAMD,
        "increaseDatastorePool",
        (
            "Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough "
            "IPs/Prefixes. Consider using new subnet or carve a reserved range using "
            "create-subnet-cidr-reservation"
        ),
    ),
    (
        IPAMD,
        "isENIAttachmentAllowed",
        (
            "AWS CNI is on a non schedulable node, will not try to attach any new IPs or ENIs "
            "right now"
        ),
    ),
    (IPAMD, "isNodeNonSchedulable", 'Node found "%s" - no of taints - %d'),
    (IPAMD, "tryAssignIPs", "failed to allocate all available IP addresses on ENI %s, err: %v"),
    (IPAMD, "tryAssignIPs", "failed to allocate one IP addresses on ENI %s, err : %v"),
    (
        IPAMD,
        "tryAssignPrefixes",
        "failed to allocate all available IPv4 Prefixes on ENI %s, err: %v",
    ),
    (IPAMD, "tryAllocateENI", "ipamd: using custom network config: %v, %s"),
    (IPAMD, "tryAllocateENI", "Failed to get pod ENI config"),
    (
        IPAMD,
        "tryAllocateENI",
        "Failed to increase pool size due to not able to allocate ENI %v",
    ),
    (
        IPAMD,
        "tryAllocateENI",
        (
            "Failed to increase pool size for Network card %d: Unable to discover attached ENI "
            "from metadata service %v"
        ),
    ),
    (
        IPAMD,
        "isDatastorePoolTooLow",
        (
            "IP pool is too low for Network Card %d: available (%d) < ENI target (%d) * "
            "addrsPerENI (%d)"
        ),
    ),
    (
        IPAMD,
        "datastorePrefixTargetState",
        "Prefix target is %d, short of %d prefixes, free %d prefixes",
    ),
    (
        IPAMD,
        "nodeIPPoolReconcile",
        "Reconciling ENI/IP pool info because time since last %v > %v",
    ),
    (IPAMD, "nodeIPPoolReconcile", "Successfully Reconciled ENI/IP pool"),
    (RPC, "AddNetwork", "Received AddNetwork for NS %s, Sandbox %s, ifname %s"),
    (RPC, "AddNetwork", "Failed to assign IPs from network card %d: %v"),
    (RPC, "AddNetwork", "Send AddNetworkReply: Success: %t IPAddr: %+v, err: %v"),
    (
        STORE,
        "AssignPodIPv4Address",
        "AssignPodIPv4Address: IP address pool stats: total %d, assigned %d",
    ),
    (
        STORE,
        "AssignPodIPv4Address",
        "AssignPodIPv4Address: ENI %s does not have available addresses",
    ),
    (STORE, "AssignPodIPv4Address", "DataStore has no available IP/Prefix addresses"),
)
"""(file, function, format string)"""

OLDER_FORMATS = (
    # v1.6 to v1.8
    (AWS, "New", "Custom networking %v"),
    (AWS, "AllocIPAddress", "Failed to allocate a private IP address  %v"),
    (AWS, "AllocIPAddresses", "Failed to allocate a private IP addresses on ENI %v: %v"),
    (AWS, "createENI", "Failed to CreateNetworkInterface %v"),
    (IPAMD, "logPoolStats", "IP pool stats: total = %d, used = %d, c.maxIPsPerENI = %d"),
    (IPAMD, "nodeIPPoolReconcile", "IP Address Pool stats: total: %d, assigned: %d"),
    (IPAMD, "setUnmanagedENIs", "Marking ENI %s tagged with %s as being unmanaged"),
    (STORE, "AssignPodIPv4Address", "DataStore has no available IP addresses"),
    (RPC, "AddNetwork", "Send AddNetworkReply: IPv4Addr %s, DeviceNumber: %d, err: %v"),
    # v1.9, and with the cooling ones v1.10 (PR 1621)
    (IPAMD, "logPoolStats", "Prefix pool stats: total = %d, used = %d, c.maxIPsPerENI = %d"),
    (
        IPAMD,
        "nodeIPPoolReconcile",
        "IP/Prefix Address Pool stats: total: %d, assigned: %d, total prefixes: %d",
    ),
    (
        IPAMD,
        "nodeIPPoolReconcile",
        (
            "IP/Prefix Address Pool stats: total: %d, assigned: %d, cooldownIPs: %d, "
            "total prefixes: %d"
        ),
    ),
    (
        IPAMD,
        "increaseDatastorePool",
        (
            "Skipping ENI allocation as the max ENI limit of %d is already reached (accounting for "
            "%d unmanaged ENIs and %d trunk ENIs)"
        ),
    ),
    # v1.12 to v1.19
    (
        IPAMD,
        "logPoolStats",
        (
            "%s pool stats: Total IPs/Prefixes = %d/%d, AssignedIPs/CooldownIPs: %d/%d, "
            "c.maxIPsPerENI = %d"
        ),
    ),
    (
        IPAMD,
        "updateIPPoolIfRequired",
        "IP stats - total IPs: %d, assigned IPs: %d, cooldown IPs: %d",
    ),
)
"""The same of agents of before."""

_VERBS = {"%d": r"-?\d+", "%t": "(?:true|false)", "%s": ".*", "%v": ".*", "%+v": ".*"}


def pattern(form: str) -> re.Pattern[str]:
    """Return what a Go format string prints, as a pattern of the whole text."""
    parts = re.split(r"(%\+?[dstv])", form)
    return re.compile("".join(_VERBS.get(part) or re.escape(part) for part in parts), re.DOTALL)


def writer(message: str) -> str | None:
    """Return the function that writes a message, None if none of these does."""
    return next(
        (name for _, name, form in (*FORMATS, *OLDER_FORMATS) if pattern(form).fullmatch(message)),
        None,
    )
