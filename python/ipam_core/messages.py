"""The texts by which people know the agent's faults, as the agent writes them.

Source: pkg/ipamd/datastore/data_store.go and pkg/ipamd/ipamd.go of
aws/amazon-vpc-cni-k8s; pool-rules section 3 for the versions.
"""

from __future__ import annotations

NO_ADDRESS_LOG = "DataStore has no available IP/Prefix addresses"
"""What ipamd logs at level error when a pod cannot be served (AssignPodIPv4Address)."""

NO_ADDRESS_ERROR = "AssignPodIPAddress: no available IP/Prefix addresses"
"""The error of v1.20 and later."""

NO_ADDRESS_ERRORS = (
    NO_ADDRESS_ERROR,
    "AssignPodIPv4Address: no available IP/Prefix addresses",  # v1.16 to v1.19
    "assignPodIPv4AddressUnsafe: no available IP/Prefix addresses",  # before v1.16
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
