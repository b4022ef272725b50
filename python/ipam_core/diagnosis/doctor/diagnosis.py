"""Why is this node stuck? Judge every cause by the node's files, and foresee the fix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.causes import ec2, enis, targets
from ipam_core.diagnosis.doctor.facts import establish
from ipam_core.diagnosis.doctor.finding import Certainty, Status, ruled_out
from ipam_core.diagnosis.doctor.prognosis import foresee
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding
    from ipam_core.diagnosis.inputs.case import Case

CAUSES: tuple[Callable[[Facts], Finding], ...] = (
    ec2.missing_permission,
    ec2.throttled,
    ec2.unschedulable,
    ec2.not_in_metadata,
    enis.custom_networking,
    ec2.subnet_full,
    ec2.no_free_prefix,
    enis.unmanaged,
    enis.eni_limit,
    targets.max_pods,
    targets.minimum_only,
    targets.cooling,
    targets.warm_zero,
    enis.leaked,
)
"""In the order in which they are told where several are found and equally sure."""

_OF_TARGETS = frozenset({
    enis.custom_networking,
    ec2.subnet_full,
    ec2.no_free_prefix,
    enis.unmanaged,
    enis.eni_limit,
    targets.max_pods,
    targets.minimum_only,
    targets.cooling,
    targets.warm_zero,
})  # fmt: skip
"""What is not the cause in IPv6 mode, unless a call's answer or an event says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every cause, judged; those found first, the surest first, each with its prognosis."""

    facts: Facts
    found: tuple[Finding, ...]
    ruled_out: tuple[Finding, ...]
    open: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Whether pods are refused: lately, and with nothing that could be given now."""
        pool = self.facts.pool
        return bool(self.facts.refusals) and (pool is None or pool.assignable <= 0)

    @property
    def healthy(self) -> bool:
        """Whether nothing is found and no pod is refused."""
        return not self.found and not self.refused

    def verdict(self) -> str:
        """Return the diagnosis in one sentence."""
        pool = self.facts.pool
        if self.found:
            return self.found[0].title
        if self.refused:
            return "Pods are refused, and nothing given shows why"
        if self.facts.settings.enable_ipv6:
            return "Nothing wrong in what was given; in IPv6 mode the pool does not run out"
        if pool is None:
            return "Nothing wrong in what was given; it does not tell the pool"
        if pool.assignable > 0:
            return f"Nothing wrong: {pool.assignable} addresses can be given now"
        if self.facts.low:
            return "Nothing wrong: nothing is free, and the agent grows at its next look"
        return "Nothing wrong: every address is used, and no pod is refused"


def diagnose(
    case: Case, *, instance_type: str = "", max_pods: int | None = None, node: str = ""
) -> Diagnosis:
    """Judge every cause for a node and simulate the fix of each that is found.

    What is given wins over what the files tell. Cost: up to seconds, for the simulations.

    Raises:
        InputError: nothing in the case tells of the node's state, or an unknown type.
    """
    if not (case.state or case.log or case.events or case.trail):
        read = ", ".join(name for name, _ in case.files)
        raise InputError(
            f"{read}: settings alone do not show why a node is stuck; "
            "give /v1/enis or ipamd.log too"
        )
    facts = establish(case, instance_type=instance_type, max_pods=max_pods, node=node)
    findings = [_judged(cause, facts) for cause in CAUSES]
    surest = list(Certainty)
    found = sorted(
        (finding for finding in findings if finding.status is Status.FOUND),
        key=lambda finding: surest.index(finding.certainty or Certainty.POSSIBLE),
    )
    return Diagnosis(
        facts=facts,
        found=tuple(_with_prognosis(finding, facts) for finding in found),
        ruled_out=tuple(each for each in findings if each.status is Status.RULED_OUT),
        open=tuple(each for each in findings if each.status is Status.OPEN),
    )


def _judged(cause: Callable[[Facts], Finding], facts: Facts) -> Finding:
    finding = cause(facts)
    found = finding.status is Status.FOUND
    if facts.settings.enable_ipv6 and cause in _OF_TARGETS and not found:
        return ruled_out(finding.cause, "IPv6 mode: no targets, and a /80 that does not run out")
    return finding


def _with_prognosis(finding: Finding, facts: Facts) -> Finding:
    finding = replace(finding, evidence=tuple(dict.fromkeys(finding.evidence)))
    if finding.fix is None or finding.fix.change is None:
        return finding
    return replace(finding, prognosis=foresee(facts, finding.fix.change))
