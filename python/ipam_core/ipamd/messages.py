"""The agent's well-known error messages, as the agent writes them.

Source: pkg/ipamd/datastore/data_store.go and pkg/ipamd/ipamd.go of
aws/amazon-vpc-cni-k8s; pool-rules section 3 for the versions.
"""

from __future__ import annotations

from typing import NamedTuple

from ipam_core._lazy import Load, deprecated_name

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


class LogMessage(NamedTuple):
    """A line of a log: its kind, its text as a pattern from the start, and who writes it.

    `api` is the EC2 call whose failure the line reports; the pattern then has a group
    `error`. A pattern starts with six letters that are fixed, or with a choice of them.
    """

    kind: str
    pattern: str
    function: str
    api: str = ""


__getattr__: Load = deprecated_name(
    __name__,
    {
        "FULL_SUBNET_WORDING": "ipam_core.policy.FULL_SUBNET_WORDING",
        "START_ADDRESS_TWICE": "ipam_core.node.start.START_ADDRESS_TWICE",
        "START_CANNOT_GROW": "ipam_core.node.start.START_CANNOT_GROW",
        "START_NO_ENI": "ipam_core.node.start.START_NO_ENI",
    },
)
