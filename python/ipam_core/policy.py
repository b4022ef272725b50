"""Which rules a node follows: the agent's own, or better ones, switch by switch.

The switches are section 8 of the rules (docs/rules.md); each names the upstream issue that
shows the fault it fixes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam_core._store import FreeSlot
    from ipam_core.pool_values import Decision, PoolView

FULL_SUBNET_WORDING = "sufficient free ipv4 addresses or prefixes"
"""How EC2 words a full subnet under another code (#3105), in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a node as data. The defaults are what the AWS VPC CNI does.

    Source: docs/rules.md for what the agent does, docs/policies.md for each switch. Numbers are
    issues of https://github.com/aws/amazon-vpc-cni-k8s.
    """

    name: str
    cooling_is_available: bool = True
    """Cooling addresses count as available and are given back (#2896)."""
    grow_when_exhausted: bool = False
    """A pool grows for the pods that wait (#2650, #2482, #3685)."""
    cap_at_max_pods: bool = False
    """No request goes beyond max_pods addresses in all (#2793)."""
    fallback_to_addresses: bool = False
    """Without a free /28, take secondary IPs, and go back when there is one (cilium#20822)."""
    pack: bool = False
    """Assign from the lowest device and its fullest prefix (aws/containers-roadmap#2071)."""
    release_delay_s: float = 0.0
    """Give back only what was not in use for this long (#730)."""
    know_full_subnet: bool = False
    """Understand every wording with which EC2 says that a subnet is full (#3105).

    Under another code, `FULL_SUBNET_WORDING` in the message decides.
    """
    keep_cooldown: bool = False
    """Addresses continue to cool after a restart (#1188)."""
    keep_unattached: bool = False
    """A checkpoint's assignment of an unattached address is kept (#3876)."""
    ask_before_forgetting: bool = False
    """EC2 is asked before an ENI is forgotten that instance metadata does not show."""
    keep_on_refusal: bool = False
    """A repeated request that a network card refuses takes nothing from a running pod."""
    assume_subnet_usable: bool = False
    """Without ec2:DescribeSubnets the primary ENI's subnet is used, and none is excluded."""
    finish_set_up: bool = False
    """An ENI that a start or a reconcile gave up on is set up again every minute."""
    give_back_excluded: bool = False
    """What the last pod leaves on an excluded ENI goes back to EC2."""
    rule: Callable[[PoolView], Decision] | None = None
    """A rule of one's own in place of the target rules: see docs/own-rules.md.

    A pure function: nodes share it, and equal views may be asked for once. It is asked at each
    pool check, in Python. In several processes it must be picklable, as a function of a module.
    """
    memory_s: float = 0.0
    """For how long the view of an own rule remembers what was in use; 0: the view has no time."""
    placement: Callable[[Sequence[FreeSlot]], FreeSlot] | None = None
    """A placement of one's own: it chooses the slot of the next address, in Python."""

    @property
    def in_python(self) -> bool:
        """Whether a rule or a placement is a caller's own: a fleet cannot be played in C then."""
        return self.rule is not None or self.placement is not None

    @property
    def sees_waiting(self) -> bool:
        """Whether decisions depend on the pods that wait."""
        return self.grow_when_exhausted or self.rule is not None

    @property
    def sees_cooling(self) -> bool:
        """Whether decisions depend on what is cooling."""
        return not self.cooling_is_available or self.rule is not None

    @property
    def sees_time(self) -> bool:
        """Whether decisions change with time alone: an own rule with a memory may."""
        return self.rule is not None and self.memory_s > 0


VPC_CNI = Policy(name="vpc-cni")
"""What the AWS VPC CNI does as of v1.23, faults included."""

IPAM_CORE = Policy(
    name="ipam-core",
    cooling_is_available=False,
    grow_when_exhausted=True,
    cap_at_max_pods=True,
    fallback_to_addresses=True,
    pack=True,
    release_delay_s=300.0,
    know_full_subnet=True,
    keep_cooldown=True,
    keep_unattached=True,
    ask_before_forgetting=True,
    keep_on_refusal=True,
    assume_subnet_usable=True,
    finish_set_up=True,
    give_back_excluded=True,
)
"""All the better rules at once."""
