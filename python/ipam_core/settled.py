"""The state at rest of a node: what its pools hold with so many pods, without playing it.

Pure, and quick: `settled` answers for one node, `settled_many` for arrays of nodes, `climb` for
a node that is filled pod by pod. They follow the same rules as a node that is played from pool
check to pool check (the arithmetic of `pool.decide`), and a test compares the two. The steps are
in `src/ipam_core/_settle.pxd`.

What they take for granted: a new node, a subnet and an EC2 that refuse nothing, and pods that
start. What pods leave behind when they end depends on the order in which they end.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core._extras import numpy_for
from ipam_core._settle import climb_one, settle_one, settle_rows
from ipam_core.instances import (
    HOST_NETWORK_PODS,
    InstanceLimits,
)
from ipam_core.instances import limits as limits_of
from ipam_core.instances import max_pods as usual_max_pods
from ipam_core.policy import VPC_CNI
from ipam_core.settings import problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ipam_core.policy import Policy
    from ipam_core.settings import Settings

MOST_PODS = 1 << 40
"""The highest number of pods, and of maxPods, that is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A node's state at rest, all its network cards together.

    Attributes:
        served: pods with an address.
        enis: ENIs attached, the primary included.
        slots_used: secondary IPs, or prefixes in prefix mode, on all ENIs.
        total: addresses in the pool, assigned ones included.
        most_total: the same as `total`, unless chance or `flaps` make a difference: then the
            pool holds from `total` to `most_total` addresses. Chance does where an agent without
            rule `pack` keeps two or more prefixes warm: which prefix a pod's address is of
            decides how many are free.
        flaps: the pool never rests: it grows and shrinks again and again. `enis` and
            `slots_used` are then what it has after growing.
        starts: whether the agent starts; if it does not, the node holds nothing.
    """

    served: int
    enis: int
    slots_used: int
    total: int
    most_total: int
    flaps: bool
    starts: bool

    @property
    def available(self) -> int:
        """Addresses that no pod has, at least."""
        return self.total - self.served


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledNodes:
    """States at rest of many nodes: the attributes of `Settled` as NumPy arrays.

    Counts are of dtype int64, `flaps` and `starts` of dtype bool; all have the shape of the
    nodes that were given.
    """

    served: NDArray[np.int64]
    enis: NDArray[np.int64]
    slots_used: NDArray[np.int64]
    total: NDArray[np.int64]
    most_total: NDArray[np.int64]
    flaps: NDArray[np.bool_]
    starts: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What happens to `n_pods` pods that start one by one on a node, which rests between two.

    Attributes:
        n_pods: the pods that ask.
        idle: the state without a pod.
        full: the state with the last pod that was served.
        burst: pods that may start at once at any level and none waits; None: any number.
        flaps_at: the lowest number of pods with which the pool does not rest; None: there is none.
        capacity_slots: the slots of all ENIs that the node may have.
    """

    n_pods: int
    idle: Settled
    full: Settled
    burst: int | None
    flaps_at: int | None
    capacity_slots: int

    @property
    def serves_all(self) -> bool:
        """Whether every pod gets an address."""
        return self.full.starts and self.full.served == self.n_pods

    @property
    def stalled_at(self) -> int | None:
        """The first pod that never gets an address; None: all get one, or the agent is down."""
        return None if self.serves_all or not self.full.starts else self.full.served + 1

    @property
    def unused_slots(self) -> int:
        """Slots that are not used with the last pod served."""
        return self.capacity_slots - self.full.slots_used if self.full.starts else 0


_N_ROWS = len(fields(Settled))


def settled(
    limits: InstanceLimits | str,
    settings: Settings,
    n_pods: int,
    *,
    max_pods: int | None = None,
    policy: Policy = VPC_CNI,
) -> Settled:
    """Return a node's state at rest after `n_pods` pods started on it one by one.

    `limits` is an instance type's, or its name. `n_pods` are pods that need an address;
    `max_pods` is the kubelet's maxPods, two pods on the host network included (left out, the
    usual one, `instances.max_pods`). Exact for a node whose calls all succeed; see `Settled` for
    the two cases in which a pool holds one of several totals.

    Cost: a few microseconds; with several managed network cards 0.1 us a pod more.

    Raises:
        UnknownInstanceTypeError: the instance type is not in the table.
        ValueError: `n_pods` is negative or `max_pods` below 1, or either above 2**40; or the
            policy has a rule of its own.

    Source: docs/rules.md, sections 1, 4 and 5.
    """
    limits, max_pods, starts = _node(limits, settings, max_pods, policy)
    found = settle_one(limits, settings, policy, starts, max_pods, _within(n_pods, 0, "n_pods"))
    return _state(found)


def settled_many(
    limits: InstanceLimits | str | Sequence[InstanceLimits | str],
    settings: Settings,
    n_pods: ArrayLike,
    *,
    max_pods: ArrayLike | None = None,
    policy: Policy = VPC_CNI,
) -> SettledNodes:
    """Return the states at rest of many nodes, as `settled` does of each.

    `limits` are one type's, for all nodes, or one for each. `n_pods` and `max_pods` are
    integers or arrays of integers; they and a sequence of `limits` are broadcast to one shape.
    Runs without the GIL. Cost: 0.1 to 4 us a node, most for nodes that take prefixes one by one;
    with several managed network cards 0.1 us a pod more.

    Raises:
        MissingExtraError: NumPy is not installed.
        UnknownInstanceTypeError: an instance type is not in the table.
        ValueError: as `settled`, or the shapes do not fit.
        TypeError: `n_pods` or `max_pods` are no integers.
    """
    np = numpy_for("the states at rest of many nodes")
    given = [limits] if isinstance(limits, InstanceLimits | str) else list(limits)
    number: dict[InstanceLimits | str, int] = {}
    of = np.array([number.setdefault(each, len(number)) for each in given], dtype=np.int64)
    kinds = [_node(each, settings, None, policy) for each in number]
    if isinstance(limits, InstanceLimits | str):
        of = of.reshape(())
    usual = np.array([kind[1] for kind in kinds], dtype=np.int64)[of] if kinds else of
    rows = np.broadcast_arrays(
        of,
        usual if max_pods is None else _integers(max_pods, 1, "max_pods"),
        _integers(n_pods, 0, "n_pods"),
    )
    out = np.empty((_N_ROWS, rows[0].size), dtype=np.int64)
    of, most, pods = (np.ascontiguousarray(row).reshape(-1) for row in rows)
    settle_rows(
        [(kind[0], kind[2]) for kind in kinds],
        settings,
        policy,
        of,
        most,
        pods,
        out,
    )
    served, enis, slots_used, total, most_total, flaps, starts = out.reshape(
        _N_ROWS, *rows[0].shape
    )
    return SettledNodes(
        served=served,
        enis=enis,
        slots_used=slots_used,
        total=total,
        most_total=most_total,
        flaps=flaps.astype(bool),
        starts=starts.astype(bool),
    )


def climb(
    limits: InstanceLimits | str,
    settings: Settings,
    *,
    max_pods: int | None = None,
    policy: Policy = VPC_CNI,
) -> Climb:
    """Return what happens to a node that is filled pod by pod, to all that it may run.

    The arguments are those of `settled`. What `explain` says of the pods, without its findings
    and for a subnet with room. Cost: about 50 ns a pod.

    Raises:
        UnknownInstanceTypeError: the instance type is not in the table.
        ValueError: `max_pods` is below 1 or above 2**40; or the policy has a rule of its own.
    """
    limits, max_pods, starts = _node(limits, settings, max_pods, policy)
    n_pods = max(max_pods - HOST_NETWORK_PODS, 0)
    idle, full, burst, flaps_at = climb_one(limits, settings, policy, starts, max_pods, n_pods)
    return Climb(
        n_pods=n_pods,
        idle=_state(idle),
        full=_state(full),
        burst=None if burst < 0 else burst,
        flaps_at=None if flaps_at < 0 else flaps_at,
        capacity_slots=_capacity_slots(limits, settings) if full[-1] else 0,
    )


def _state(found: tuple[int, int, int, int, int, bool, bool]) -> Settled:
    served, enis, slots_used, total, most_total, flaps, starts = found
    return Settled(
        served=served,
        enis=enis,
        slots_used=slots_used,
        total=total,
        most_total=most_total,
        flaps=flaps,
        starts=starts,
    )


def _node(
    limits: InstanceLimits | str, settings: Settings, max_pods: int | None, policy: Policy
) -> tuple[InstanceLimits, int, bool]:
    """Return a node's limits, its maxPods, and whether its agent accepts the settings."""
    if policy.rule is not None:
        raise ValueError(f"policy {policy.name!r} has a rule of its own: play a node instead")
    if isinstance(limits, str):
        limits = limits_of(limits)
    if max_pods is None:
        max_pods = usual_max_pods(limits, settings).value
    starts = not problems(settings, nitro=limits.nitro)
    return limits, _within(max_pods, 1, "max_pods"), starts


def _capacity_slots(limits: InstanceLimits, settings: Settings) -> int:
    """Return how many slots a node can fill."""
    if settings.enable_ipv6:
        one = not settings.enable_multi_nic or settings.disable_network_resource_provisioning
        return 1 if one else len(limits.enis_per_network_card)
    most = min(limits.max_enis, settings.max_eni or limits.max_enis)
    first = (
        max(most - (settings.enable_pod_eni and limits.trunking), 1) - settings.custom_networking
    )
    others = limits.enis_per_network_card[1:] if settings.enable_multi_nic else ()
    return (first + sum(min(n_enis, most) for n_enis in others)) * limits.slots


def _within(value: int, least: int, name: str) -> int:
    if not least <= value <= MOST_PODS:
        raise ValueError(f"{name}={value}: from {least} to 2**40")
    return value


def _integers(values: ArrayLike, least: int, name: str) -> NDArray[np.int64]:
    np = numpy_for("the states at rest of many nodes")
    found = np.asarray(values)
    if found.size and not np.issubdtype(found.dtype, np.integer):
        raise TypeError(f"{name}: integers, not {found.dtype}")
    if found.size and not (found.min() >= least and found.max() <= MOST_PODS):
        worst = found.min() if found.min() < least else found.max()
        raise ValueError(f"{name}={worst}: from {least} to 2**40")
    integers: NDArray[Any] = found.astype(np.int64)
    return integers
