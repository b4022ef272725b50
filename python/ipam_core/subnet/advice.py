"""What to do about a subnet: leaked ENIs, drains, a reservation; and how many nodes fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.errors import InputError
from ipam_core.subnet.capacity import count_fitting
from ipam_core.subnet.drains import DrainPlan, drain, plan_drains
from ipam_core.subnet.draw import Draw, node_draws
from ipam_core.subnet.leaks import Deletion, plan_deletion
from ipam_core.subnet.placing import ReservationPlan, plan_reservation, reserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core._subnet import Subnet
    from ipam_core.instances import InstanceLimits
    from ipam_core.settings import Settings
    from ipam_core.subnet.inventory import Inventory
    from ipam_core.subnet.report import SubnetReport

DEFAULT_INSTANCE_TYPE = "m5.large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How many more nodes fit, before the first refusal, now and after each part of the advice.

    `draw` is what one such node takes with `pods` pods; `max_pods` is the kubelet's maxPods by
    `max_pods_rule`. A count is None where there is no such advice. If the node cannot serve so
    many pods, `note` gives the reason, and no count is given.
    """

    mode: str
    pods: int
    max_pods: int
    max_pods_rule: str
    draw: Draw
    now: int | None
    after_deletion: int | None = None
    after_drains: int | None = None
    after_reservation: int | None = None
    after_both: int | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        found = asdict(self)
        return {"mode": found.pop("mode"), "pods_per_node": found.pop("pods")} | found


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do about one subnet.

    `withheld` is the reason if there is none, else ""; `type_unknown` is the reason if no
    count of nodes that fit is given; with `type_assumed` the input names no type. With
    `upper_bound` the files do not show all addresses in use: all gains and counts are upper
    bounds.
    """

    instance_type: str | None
    type_assumed: bool
    type_unknown: str
    drains: DrainPlan | None
    reservation: ReservationPlan | None
    deletion: Deletion | None
    fits: list[Fit]
    withheld: str = ""
    upper_bound: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the advice as JSON's types."""
        return {
            "withheld": self.withheld or None,
            "upper_bound": self.upper_bound,
            "deletion": self.deletion.to_json() if self.deletion else None,
            "drains": self.drains.to_json() if self.drains else None,
            "reservation": self.reservation.to_json() if self.reservation else None,
            "instance_type": self.instance_type,
            "type_assumed": self.type_assumed,
            "type_unknown": self.type_unknown or None,
            "nodes_that_fit": [fit.to_json() for fit in self.fits],
        }


def advise(
    report: SubnetReport,
    limits: InstanceLimits | str,
    settings: Settings,
    *,
    wanted: int,
    type_assumed: bool = False,
    reservation_size: int | None = None,
    pods_per_node: int | None = None,
    max_pods: int | None = None,
    time_limit_s: float = 10.0,
    apart: Callable[..., Any] | None = None,
) -> Advice:
    """Work out the advice for one subnet.

    `wanted` is the number of free /28s that the drains must give; `pods_per_node` the number
    of pods (that need an address) on a node that joins: without it, both none and the most
    possible. `max_pods` is the kubelet's maxPods; left out, the usual one of the type in each
    mode. `apart` is where the solver of drains runs, as for `plan_drains`. If `limits` is a
    text, it is the reason why they are not known; then no count of nodes that fit is given.

    Raises `InputError`: a reservation of that size does not fit the subnet; no mode of the
    type serves `pods_per_node` pods.
    """
    known = None if isinstance(limits, str) else limits
    of_type: dict[str, Any] = {
        "instance_type": known.instance_type if known else None,
        "type_assumed": type_assumed and known is not None,
        "type_unknown": limits if isinstance(limits, str) else "",
    }
    if report.unseen:
        return Advice(
            **of_type,
            drains=None,
            reservation=None,
            deletion=None,
            fits=[],
            withheld="; ".join([*report.missing, report.agreement]),
            upper_bound=True,
        )
    reservation = plan_reservation(report, reservation_size)
    drains = plan_drains(report, wanted, time_limit_s=time_limit_s, apart=apart)
    deletion = plan_deletion(report)
    now = report.subnet
    drained = drain(report, drains.nodes) if drains.nodes else None
    after = {
        "now": now,
        "after_deletion": deletion.after if deletion else None,
        "after_drains": drained,
        "after_reservation": reserve(now, reservation) if reservation else None,
        "after_both": reserve(drained, reservation) if drained and reservation else None,
    }
    return Advice(
        **of_type,
        drains=drains,
        reservation=reservation,
        deletion=deletion,
        fits=_fits(report, known, settings, pods_per_node, max_pods, after) if known else [],
        upper_bound=report.partial,
    )


def _fits(
    report: SubnetReport,
    limits: InstanceLimits,
    settings: Settings,
    pods_per_node: int | None,
    max_pods: int | None,
    after: dict[str, Subnet | None],
) -> list[Fit]:
    found = []
    for prefix_mode in (False, True) if limits.nitro else (False,):
        in_mode = replace(settings, enable_prefix_delegation=prefix_mode)
        usual = instances.max_pods(limits, in_mode)
        most, rule = (max_pods, "given") if max_pods is not None else (usual.value, usual.rule)
        draws = node_draws(limits, settings, prefix_mode=prefix_mode, max_pods=most)
        for pods in (0, draws.most_pods) if pods_per_node is None else (pods_per_node,):
            draw = draws.at(pods)
            note = draws.why_not(pods)
            counts = {
                name: count_more(report, subnet, draw)
                for name, subnet in after.items()
                if subnet is not None and not note
            }
            found.append(
                Fit(
                    mode="prefixes" if prefix_mode else "secondary IPs",
                    pods=pods,
                    max_pods=most,
                    max_pods_rule=rule,
                    draw=draw,
                    note=note,
                    **{"now": None, **counts},
                )
            )
    if pods_per_node is not None and all(fit.note for fit in found):
        raise InputError(
            f"{pods_per_node} pods a node: {limits.instance_type} cannot: "
            + "; ".join(f"{fit.mode}: {fit.note}" for fit in found)
        )
    return found


def count_more(report: SubnetReport, subnet: Subnet, draw: Draw) -> int:
    """Return how many nodes fit; addresses in use that the files do not show are not free."""
    n_fit = count_fitting(subnet, draw)
    if report.n_unseen and report.available is not None:
        won = max(subnet.n_free - report.subnet.n_free, 0)
        n_fit = min(n_fit, (report.available + won) // max(draw.held, 1))
    return n_fit


def usual_instance_type(inventory: Inventory, report: SubnetReport) -> str | None:
    """Return the type that most nodes of a subnet have, None where none is known."""
    types = Counter(
        inventory.instances[node] for node in report.nodes if node in inventory.instances
    )
    return min(types, key=lambda name: (-types[name], name)) if types else None


def holds_more_than(report: SubnetReport, limits: InstanceLimits) -> bool:
    """Return whether a node's ENI here holds more than one of a type's can."""
    return any(
        each.n_addresses + len(each.prefixes) > limits.ipv4_per_eni
        for each in report.interfaces
        if each.node
    )
