"""What `explain` finds wrong with an environment, on every type and maxPods of a fleet.

A recommendation has no stall and no warning of `explain`, even if the simulated workload did
not show one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain import explain
from ipam_core.diagnosis.explain.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.explain import Explanation
    from ipam_core.policy import Policy
    from ipam_core.simulation.fleet.spec import FleetSpec


@dataclass(frozen=True, slots=True)
class Concern:
    """One problem of an environment. The same problem has the same `key` everywhere.

    `stalls`: pods do not start. `avoidable`: other settings may not have it; a full node, or a
    variable that the search does not change, is a problem with all settings.
    """

    key: tuple[str, str]
    text: str
    stalls: bool
    avoidable: bool


def concerns_of(spec: FleetSpec, env: Mapping[str, str], policy: Policy) -> tuple[Concern, ...]:
    """Return the problems of these variables on the fleet's nodes, the worst first.

    Each type is played from no pod to its maxPods. Cost: that of
    `explain` for each, which tries no fix here.
    """
    kinds = {
        (kind.limits, kind.kubelet_max_pods): None for group in spec.groups for kind in group.pool
    }
    found = [
        concern
        for limits, max_pods in kinds
        for concern in _concerns(
            limits.instance_type,
            explain(
                limits,
                env,
                max_pods=max_pods,
                policy=policy,
                least=Severity.WARNING,
                advise=False,
            ),
        )
    ]
    return tuple(sorted(found, key=lambda concern: not concern.stalls))


def _concerns(instance_type: str, explanation: Explanation) -> list[Concern]:
    verdict = explanation.verdict
    found = []
    if not verdict.serves_all:
        full = not verdict.init_error and not verdict.unused_slots
        name = "full" if full else "stall"
        found.append(Concern((instance_type, name), f"{instance_type}: {verdict}", True, not full))
    for finding in explanation.findings:
        severity = finding.kind.severity
        if severity is Severity.WARNING or (severity is Severity.ERROR and verdict.serves_all):
            name = finding.kind.identifier
            text = f"{instance_type}: {name}: {finding.why[-1]}"
            stalls = severity is Severity.ERROR
            found.append(Concern((instance_type, name), text, stalls, stalls))
    return found
