"""One node: its stores and its rules. Its steps are generators of effects.

    node.py        `Node`: pods, and when a step is due
    state.py       `NodeState`: stores, timers, questions; the steps below take it
    idle.py        when the next pool check could do something
    start.py       the start: take over what is attached, grow once
    grow.py        more addresses on attached ENIs, or one more ENI
    shrink.py      give addresses back; free an ENI; drain the other mode's
    reconcile.py   compare with metadata and EC2, believe EC2
    attach.py      put an attached ENI into the store; the steps share it
    host.py        links, routes and rules of ENIs on the host, if the node has them
    groups.py      the primary ENI's security groups for all
    excluded.py    ENIs whose subnet is tagged for no pods
    subnets.py     which subnets may be used
    tries.py       how often each call is tried, and the waits between
    unattached.py  assignments whose addresses are not attached
    leaks.py       delete ENIs that no node owns any more
    own_rules.py   what a policy's own rule and placement need of a node
    saved.py       the state as plain values, and back
    waiting.py     pods that were refused and try again
    timers.py      what depends on time alone: pauses, ages, intervals

The node does no I/O and reads no clock of its own: see `ipam_core.effects`. None of the files
but node.py imports `Node`. May import: effects, replies, and below.
"""

from ipam_core.node.node import Node
from ipam_core.node.start import StartError

__all__ = ["Node", "StartError"]
