"""What to do about a subnet: drains, a reservation, and how many nodes fit before and after."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipam_core.instances import HOST_NETWORK_PODS, max_pods
from ipam_core.subnet.capacity import Draw, count_fitting, resting_draw
from ipam_core.subnet.drains import DrainPlan, drain, plan_drains
from ipam_core.subnet.placing import ReservationPlan, plan_reservation, reserve

if TYPE_CHECKING:
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings
    from ipam_core.subnet.inventory import Inventory
    from ipam_core.subnet.report import SubnetReport

DEFAULT_INSTANCE_TYPE = "m5.large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How many more nodes fit, before the first refusal, now and after each part of the advice.

    `draw` is what one such node takes; None counts stand for advice that there is not.
    """

    mode: str
    pods: int
    draw: Draw
    now: int
    after_drains: int | None
    after_reservation: int | None
    after_both: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do about one subnet."""

    instance_type: str
    drains: DrainPlan
    reservation: ReservationPlan | None
    fits: list[Fit]

    def to_json(self) -> dict[str, Any]:
        """Return the advice as JSON's types."""
        return {
            "drains": self.drains.to_json(),
            "reservation": self.reservation.to_json() if self.reservation else None,
            "instance_type": self.instance_type,
            "nodes_that_fit": [
                {
                    "mode": fit.mode,
                    "pods_per_node": fit.pods,
                    "draw": {
                        "enis": fit.draw.enis,
                        "addresses": fit.draw.addresses,
                        "prefixes": fit.draw.prefixes,
                    },
                    "now": fit.now,
                    "after_drains": fit.after_drains,
                    "after_reservation": fit.after_reservation,
                    "after_both": fit.after_both,
                }
                for fit in self.fits
            ],
        }


def advise(
    report: SubnetReport,
    limits: InstanceLimits,
    settings: Settings,
    *,
    wanted: int,
    reservation_size: int | None = None,
    pods_per_node: int | None = None,
    time_limit_s: float = 10.0,
) -> Advice:
    """Work out the advice for one subnet.

    `wanted` is how many free /28s the drains are to win; `pods_per_node` how many pods
    (that need an address) run on a node that joins: without it, none and as many as go.

    Raises `InputError`: a reservation of that size does not fit the subnet.
    """
    reservation = plan_reservation(report, reservation_size)
    drains = plan_drains(report, wanted, time_limit_s=time_limit_s)
    now = report.subnet
    drained = drain(report, drains.nodes) if drains.nodes else None
    reserved = reserve(now, reservation) if reservation else None
    both = reserve(drained, reservation) if drained and reservation else None
    fits = []
    for prefix_mode in (False, True) if limits.nitro else (False,):
        mode = replace(settings, enable_prefix_delegation=prefix_mode)
        full = max_pods(limits, mode).value - HOST_NETWORK_PODS
        for pods in (0, full) if pods_per_node is None else (pods_per_node,):
            draw = resting_draw(limits, settings, pods, prefix_mode=prefix_mode)
            if draw.singles + draw.prefixes == 0:
                continue
            fits.append(
                Fit(
                    mode="prefixes" if prefix_mode else "secondary IPs",
                    pods=pods,
                    draw=draw,
                    now=count_fitting(now, draw),
                    after_drains=count_fitting(drained, draw) if drained else None,
                    after_reservation=count_fitting(reserved, draw) if reserved else None,
                    after_both=count_fitting(both, draw) if both else None,
                )
            )
    return Advice(
        instance_type=limits.instance_type, drains=drains, reservation=reservation, fits=fits
    )


def usual_instance_type(inventory: Inventory, report: SubnetReport) -> str:
    """Return the type that most nodes of a subnet have; m5.large where none is known."""
    types = Counter(
        inventory.instances[node] for node in report.nodes if node in inventory.instances
    )
    return min(types, key=lambda name: (-types[name], name)) if types else DEFAULT_INSTANCE_TYPE
