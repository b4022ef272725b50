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

START_ADDRESS_TWICE = "Error while reading datastore: datastore: IP already in data store"
"""Why a start fails where its checkpoint has an address twice (ReadBackingStore)."""

START_CANNOT_GROW = "error while trying to increase datastore pool"
"""Why a start fails when AssignPrivateIpAddresses fails (handlePreScaling)."""

START_NO_ENI = "Failed to attach any ENIs for custom networking"
"""Why a start fails under custom networking with an empty pool (handlePreScaling)."""

FULL_SUBNET_WORDING = "sufficient free ipv4 addresses or prefixes"
"""How EC2 words a full subnet under another code (#3105), in lower case."""


class LogMessage(NamedTuple):
    """A line of a log: its kind, its text as a pattern from the start, and who writes it.

    `api` is the EC2 call whose failure the line reports; the pattern then has a group
    `error`. A pattern starts with six letters that are fixed, or with a choice of them.
    """

    kind: str
    pattern: str
    function: str
    api: str = ""
