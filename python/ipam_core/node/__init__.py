"""One node: its stores and its rules. Its steps are generators of effects.

    node.py          state, pods, and when a step is due
    starting.py      the start: take over what is attached, grow once
    growing.py       more addresses on attached ENIs, or one more ENI
    shrinking.py     give addresses back; free an ENI; drain the other mode's
    reconciling.py   compare with metadata and EC2, believe EC2
    aside.py         assignments whose addresses are not attached
    leaks.py         delete ENIs that no node owns any more
    timers.py        what passes with time alone: pauses, ages, intervals
    taking.py        put an attached ENI into the store; shared by the above

The node does no I/O and reads no clock of its own: see `ipam_core.effects`.
"""

from ipam_core.node.node import Node
from ipam_core.node.starting import StartError

__all__ = ["Node", "StartError"]
