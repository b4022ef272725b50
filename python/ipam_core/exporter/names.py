"""Every metric that is exported: its name, labels and meaning. Tests and pages read this table."""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "ipam_core_"


class Name(NamedTuple):
    """A metric without its prefix. A counter's name ends in `_total`."""

    name: str
    what: str
    labels: tuple[str, ...]


_SUBNET = ("subnet",)
_NODE = ("node",)
SUBNET_INFO = Name("subnet_info", "A subnet of the cluster's nodes: 1", ("subnet", "cidr", "zone"))
SUBNET_ADDRESSES = Name("subnet_addresses", "Addresses that EC2 can give", _SUBNET)
SUBNET_FREE = Name("subnet_free_addresses", "Free addresses, reserved ones included", _SUBNET)
SUBNET_FREE_UNRESERVED = Name(
    "subnet_free_unreserved_addresses", "Free addresses outside CIDR reservations", _SUBNET
)
SUBNET_FREE_BLOCKS = Name("subnet_free_prefixes", "Free /28s, which prefix mode needs", _SUBNET)
SUBNET_FRAGMENTED = Name(
    "subnet_fragmented_prefixes", "/28s in which some addresses are free, and some in use", _SUBNET
)
SUBNET_SCORE = Name(
    "subnet_score", "Fragmentation from 0 (free addresses are in free /28s) to 100", _SUBNET
)
SUBNET_USED = Name(
    "subnet_used_addresses",
    "Addresses in use, by the kind of owner and the cluster that its tags name",
    ("subnet", "owner", "cluster"),
)
SUBNET_NODES = Name("subnet_nodes", "Nodes of the cluster that hold addresses", _SUBNET)
SUBNET_FITS = Name(
    "subnet_nodes_that_fit",
    "More nodes of the usual type that fit: idle without a pod, full with all their pods",
    ("subnet", "instance_type", "pods"),
)
NODE_INFO = Name(
    "node_info",
    "A node that aws-node serves: 1",
    ("node", "instance_type", "instance_id", "zone", "group", "agent_version"),
)
NODE_STATE = Name("node_state", "1 for the state that the node is in", ("node", "state"))
NODE_RISK = Name(
    "node_stall_risk",
    "Its pods as a share of those with which it stalls; 0: it never stalls, 1: it is stuck",
    _NODE,
)
NODE_STALLS_AT = Name("node_stalls_at_pods", "The first pod that gets no address", _NODE)
NODE_BURST = Name("node_burst_pods", "Pods that may start at once without a wait", _NODE)
NODE_MAX_PODS = Name("node_max_pods", "The kubelet's maxPods", _NODE)
NODE_PODS = Name("node_pods", "Pods that need an address", _NODE)
NODE_WAITING = Name("node_pods_waiting", "Pods that wait for an address", _NODE)
NODE_WAIT = Name(
    "node_longest_wait_seconds", "How long the longest waiting pod has had no address", _NODE
)
UNSCHEDULED = Name("pods_unscheduled", "Pods without a node", ())
UP = Name("exporter_up", "Whether the last read of a source was complete", ("source",))
READ_AT = Name(
    "exporter_last_read_timestamp_seconds", "When a source was last read completely", ("source",)
)
READ_TIME = Name("exporter_read_duration_seconds", "How long that took", ("source",))
EC2_CALLS = Name("exporter_ec2_calls_total", "Requests sent to EC2, by API", ("api",))
EC2_POSTPONED = Name(
    "exporter_ec2_reads_postponed_total", "Reads of EC2 that waited for the bound on calls", ()
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Name))
"""All of them, in the order above."""
