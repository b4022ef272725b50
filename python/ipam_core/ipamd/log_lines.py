"""The lines that this package's own agent writes, in the texts of the real one (v1.23).

One table for both directions: `LogLine.say` writes a line, and `LogLine.message` is the
pattern by which `doctor` reads it (`log_messages`). Fields that end in `:d` are numbers; `error`
and `what` may hold spaces. Container ids are not written as they are: see `short_id`.

Source: pkg/ipamd, pkg/awsutils and cmd/aws-k8s-agent of aws/amazon-vpc-cni-k8s v1.23.1.
"""

from __future__ import annotations

import re
from logging import DEBUG, ERROR, INFO, WARNING
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core.ipamd.messages import NO_ADDRESS_LOG, LogMessage

if TYPE_CHECKING:
    from logging import Logger

_LONG = frozenset({"error", "what"})
"""Fields that may hold spaces; a line ends with one."""
_SHOWN = 13
"""So many letters of a container id are shown, as `crictl ps` does."""


class LogLine(NamedTuple):
    """A line: its level, and its text as `str.format` takes it."""

    level: int
    text: str

    def say(self, logger: Logger, **values: Any) -> None:
        """Write the line with these values."""
        if logger.isEnabledFor(self.level):
            logger.log(self.level, "%s", self.text.format_map(values), stacklevel=2)

    def message(self, kind: str, function: str, api: str = "") -> LogMessage:
        """Return the line as `doctor` reads it: its kind, who writes it, the call that failed."""
        pattern = ""
        for literal, name, spec, _ in Formatter().parse(self.text):
            pattern += re.sub(r"([()\[\]*.?+|])", r"\\\1", literal)
            if name is not None:
                form = r"\d+" if spec == "d" else ".+" if name in _LONG else r"\S+"
                pattern += f"(?P<{name}>{form})"
        return LogMessage(kind, pattern.rstrip(" "), function, api)


def short_id(container_id: str) -> str:
    """Return the start of a container id: enough to find it, too little to act on it.

    Whoever knows all of it can have the pod's address released.
    """
    return f"{container_id[: min(_SHOWN, len(container_id) // 2)]}..."


# --- the start --------------------------------------------------------------------------

START = LogLine(INFO, "Starting L-IPAMD {version}  ...")
NO_START = LogLine(ERROR, "Initialization failure: {error}")
ZONE = LogLine(DEBUG, "Found availability zone: {zone} ")
INSTANCE = LogLine(DEBUG, "Found instance-id: {instance_id} ")
TYPE = LogLine(DEBUG, "Found instance-type: {instance_type} ")
SUBNET = LogLine(DEBUG, "Found subnet-id: {subnet_id} ")
CUSTOM_NETWORKING = LogLine(INFO, "Custom networking enabled {value}")
SUBNET_DISCOVERY = LogLine(INFO, "Subnet discovery enabled {value}")
PREFIX_DELEGATION = LogLine(INFO, "Prefix Delegation enabled {value}")
MAX_ENI = LogLine(DEBUG, "Using MAX_ENI {value:d}")
NOT_NITRO = LogLine(
    WARNING,
    "Prefix delegation is not supported on non-nitro instance {type} hence falling back to "
    "default (secondary IP) mode",
)
UNMANAGED = LogLine(DEBUG, "Marking ENI {eni} as being unmanaged")
NODE_READY = LogLine(DEBUG, "node init completed successfully")
TARGETS = LogLine(
    INFO,
    "IP pool manager - max pods: {max_pods:d}, warm IP target: {warm_ip:d}, "
    "warm prefix target: {warm_prefix:d}, warm ENI target: {warm_eni:d}, "
    "minimum IP target: {minimum_ip:d}",
)
MAX_PODS = LogLine(INFO, "Updated maxPods from {before:d} to {now:d} based on node capacity")
SERVING = LogLine(INFO, "Serving RPC Handler version {version} on unix:{path}")
INTROSPECTION = LogLine(INFO, "Serving introspection endpoints on {address}")
METRICS = LogLine(INFO, "Serving metrics on port {port:d}")
HTTP_REQUEST = LogLine(INFO, "Handling http request: {method}, from: {client}, URI: {uri}")
SHUTDOWN = LogLine(INFO, "Received shutdown signal, setting 'terminating' to true")

# --- the loop ---------------------------------------------------------------------------

POOL = LogLine(
    DEBUG,
    "IP stats for Network Card {card:d} - total IPs: {total:d}, assigned IPs: {assigned:d}, "
    "cooldown IPs: {cooling:d}",
)
WARM_ENI = LogLine(
    DEBUG,
    "IP pool is too low for Network Card {card:d}: available ({available:d}) < ENI target "
    "({target:d}) * addrsPerENI ({per_eni:d})",
)
INCREASE = LogLine(DEBUG, "Starting to increase pool size for network card {card:d}")
DECREASE = LogLine(DEBUG, "Starting to decrease pool size for network card {card:d}")
DECREASED = LogLine(DEBUG, "Successfully decreased IP pool")
ENI_LIMIT = LogLine(DEBUG, "Skipping ENI allocation as the max ENI limit is already reached")
PLACES = LogLine(
    DEBUG,
    "hasRoomForEni: networkCard={card:d}, currentENIs={enis:d}, currentUsableENIs={usable:d}, "
    "maxENI={max_eni:d}, unmanagedENI={unmanaged:d}, trunkEni={trunk:d}, "
    "excludedENI={excluded:d}, hasRoom={room}",
)
FULL_SUBNET = LogLine(
    ERROR,
    "Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough IPs/Prefixes. "
    "Consider using new subnet or carve a reserved range using create-subnet-cidr-reservation",
)
UNSCHEDULABLE = LogLine(
    DEBUG,
    "AWS CNI is on a non schedulable node, will not try to attach any new IPs or ENIs right now",
)
RECONCILE = LogLine(
    DEBUG, "Reconciling ENI/IP pool info because time since last {passed}s > {interval}s"
)
RECONCILED = LogLine(DEBUG, "Successfully Reconciled ENI/IP pool")

# --- pods -------------------------------------------------------------------------------

RECEIVED_ADD = LogLine(
    INFO, "Received AddNetwork for NS {netns}, Sandbox {sandbox}, ifname {ifname}"
)
REJECTED_ADD = LogLine(WARNING, "Rejecting AddNetwork request: {error}")
NO_KEY = LogLine(ERROR, "Unable to generate IPAMKey from {what}")
NO_MULTI_NIC = LogLine(
    ERROR, "enable multi-nic feature on CNI for creating multi-nic-attachment pods {what}"
)
POOL_AT_ADD = LogLine(
    DEBUG,
    "AssignPodIPv4Address: IP address pool stats: total {total:d}, assigned {assigned:d}",
)
NO_ADDRESS = LogLine(ERROR, NO_ADDRESS_LOG)
NOT_WRITTEN = LogLine(WARNING, "Failed to update backing store: {error}")
NO_CARD = LogLine(WARNING, "Failed to assign IPs from network card {card:d}: {error}")
SENT_ADD = LogLine(
    INFO, "Send AddNetworkReply: Success: {success} IPAddr: {addresses}, resp: , err: {error}"
)
RECEIVED_DEL = LogLine(INFO, "Received DelNetwork for Sandbox {sandbox}")
REJECTED_DEL = LogLine(WARNING, "Rejecting DelNetwork request: {error}")
SENT_DEL = LogLine(INFO, "Send DelNetworkReply: IPAddress: {addresses}, err: {error}")
POLICY_CONFIGS = LogLine(INFO, "Received request for Network Policy Agent configs")

# --- EC2 calls that failed ----------------------------------------------------------------

ASSIGN_FAILED = LogLine(
    ERROR, "Failed to allocate a private IP/Prefix addresses on ENI {eni}: {error}"
)
ASSIGN_IPV6_FAILED = LogLine(ERROR, "Failed to allocate IPv6 Prefixes on ENI {eni}: {error}")
UNASSIGN_FAILED = LogLine(ERROR, "Failed to deallocate a private IP address {error}")
UNASSIGN_PREFIX_FAILED = LogLine(ERROR, "Failed to deallocate IPv4 Prefixes {prefixes}: {error}")
CREATE_FAILED = LogLine(ERROR, "Failed to CreateNetworkInterface {error} for subnet {subnet_id}")
DEVICE_FAILED = LogLine(
    ERROR,
    "awsGetFreeDeviceNumber: Unable to retrieve instance data from EC2 control plane {error}",
)
ATTACH_FAILED = LogLine(ERROR, "Failed to attach ENI {eni}: {error}")
MODIFY_FAILED = LogLine(ERROR, "AllocENI: unable to change the ENI's attribute: {error}")
DETACH_FAILED = LogLine(ERROR, "Failed to detach ENI {eni} {error}")
DELETE_FAILED = LogLine(DEBUG, "Not able to delete ENI: {error} ")
LEAK_STAYS = LogLine(WARNING, "Failed to clean up leaked ENI {eni}: {error}")
TAG_FAILED = LogLine(WARNING, "Failed to add tag to ENI {eni}: {error}")
DESCRIBE_FAILED = LogLine(
    ERROR, "Failed to call ec2:DescribeNetworkInterfaces for [{enis}]: {error}"
)
LEAKS_UNKNOWN = LogLine(WARNING, "Unable to get leaked ENIs: {error}")
SUBNETS_FAILED = LogLine(WARNING, "Failed to call ec2:DescribeSubnets: {error}")
METADATA_FAILED = LogLine(ERROR, "IP pool reconcile: Failed to get attached ENI info: {error}")
OTHER_FAILED = LogLine(ERROR, "{what} failed: {error}")
"""What the real agent does not ask, such as its checkpoint's file."""
