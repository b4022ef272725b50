"""How often the agent tries each call, and how long it waits between: one table.

These come in addition to the SDK's own tries of a call. Source: pkg/awsutils/awsutils.go
(TagENI, tagENIcreateTS, freeENI, deleteENI, waitForENIAndIPsAttached, DescribeAllENIs) and
pkg/ipamd/ipamd.go (nodeInit), pkg/networkutils/network.go (linkByMac); pool-rules section 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.effects import Sleep
from ipam_core.errors import CloudError, NotFoundError

if TYPE_CHECKING:
    from ipam_core.effects import Effect, Step
    from ipam_core.node.state import NodeState


@dataclass(frozen=True, slots=True)
class Tries:
    """`most` tries; waits of `first_s`, then each `growth` times as long, up to a minute.

    `jitter` is the most random time added to a wait, as a share of it.
    """

    most: int
    first_s: float
    growth: float = 2.0
    jitter: float = 0.15

    LONGEST_WAIT_S = 60.0

    def wait(self, node: NodeState, n_failed: int) -> Step[None]:
        """Wait as after the n-th failure."""
        delay_s = min(self.first_s * self.growth ** (n_failed - 1), self.LONGEST_WAIT_S)
        yield Sleep(node.jittered(delay_s, self.jitter))


SET_UP_AT_START = Tries(6, 10.0, growth=1.0, jitter=0.0)
"""An ENI that is attached at the start."""
TAG = Tries(5, 0.5, jitter=0.3)
DETACH = Tries(12, 0.2)
DELETE = Tries(12, 0.5)
SEE_IN_METADATA = Tries(12, 0.1)
"""A new ENI with the addresses that were asked for."""
SEE_LINK = Tries(5, 3.0, growth=1.0, jitter=0.0)
"""The link of an attached ENI: the kernel shows it a moment later."""
DESCRIBE_ALL = Tries(12, 0.01, growth=1.0, jitter=0.0)


def persist(node: NodeState, effect: Effect, tries: Tries) -> Step[None]:
    """Ask until EC2 agrees or the tries are used up; the last error is raised.

    A delete is not tried again if the ENI is not found: it is already deleted.
    """
    for n_failed in range(1, tries.most + 1):
        try:
            yield effect
        except CloudError as error:
            if n_failed == tries.most or (tries is DELETE and isinstance(error, NotFoundError)):
                raise
        else:
            return
        yield from tries.wait(node, n_failed)
