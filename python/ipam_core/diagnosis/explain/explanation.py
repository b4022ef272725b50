"""What will these settings do on this node? Play it from 0 pods to maxPods and back."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.diagnosis.explain import costs, stalls, warnings
from ipam_core.diagnosis.explain.finding import Facts, Severity
from ipam_core.diagnosis.explain.play import NodeCase, Play, capacity_slots
from ipam_core.policy import VPC_CNI
from ipam_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.explain.finding import Finding, Verdict
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy


CHECKS = (*stalls.CHECKS, *warnings.CHECKS, *costs.CHECKS)
"""Every check, the worst kind of finding first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What settings do on a node: the verdict, the levels that it is based on, and findings.

    `version` is the agent's, "" if it is not known; `max_pods_rule` is the source of maxPods,
    "" if it was given.
    """

    case: NodeCase
    play: Play
    capacity_slots: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    version: str = ""
    max_pods_rule: str = ""

    @property
    def healthy(self) -> bool:
        """Whether every pod gets an address and there is no warning."""
        return self.verdict.serves_all and not any(
            finding.kind.severity is not Severity.INFO for finding in self.findings
        )


def explain(
    instance: str | InstanceLimits,
    env: Mapping[str, str] = MappingProxyType({}),
    *,
    unknown: Mapping[str, str] | None = None,
    version: str = "",
    max_pods: int | None = None,
    subnet_free: int | None = None,
    policy: Policy = VPC_CNI,
    seed: int = 0,
    least: Severity = Severity.INFO,
    advise: bool = True,
) -> Explanation:
    """Play a new node with these variables from 0 pods to all it may run, and back.

    `env` holds the agent's environment variables as strings; `Settings.to_env()` and the
    readers of `ipam_core.manifests` give them. The readers give `unknown` too: variables kept
    elsewhere, treated as unset. `version` is the agent's, as v1.20.1: variables that it does
    not know yet are named. `max_pods` is the kubelet's maxPods, two pods on the host network
    included; left out, the usual one (`instances.max_pods`). `subnet_free` addresses are free
    in the node's subnet; left out, any number. `seed` decides what the agent leaves to chance:
    which address a pod gets. Findings less severe than `least` are not searched, and without
    `advise` no fix is played: a caller that only needs the verdict saves this cost.

    Calls take no time. Cost: 20 to 200 ms, a second for thousands of pods; a fifth to a half
    of it without advice and without findings of severity info.

    Raises:
        UnknownInstanceTypeError: the instance type is not in the table.
        TypeError: a value of `env` is not a string.
    """
    limits = instances.limits(instance) if isinstance(instance, str) else instance
    settings = Settings.from_env(env, unknown=unknown)
    usual = instances.max_pods(limits, settings)
    case = NodeCase(
        limits=limits,
        env=dict(env),
        max_pods=usual.value if max_pods is None else max_pods,
        policy=policy,
        subnet_free=subnet_free,
        seed=seed,
    )
    facts = Facts(
        play=Play(case),
        settings=settings,
        capacity=capacity_slots(case),
        version=version,
        advise=advise,
    )
    severities = list(Severity)
    checks = [
        check
        for check in CHECKS
        if severities.index(check.kind.severity) <= severities.index(least)
    ]
    return Explanation(
        case=case,
        version=version,
        max_pods_rule=usual.rule if max_pods is None else "",
        play=facts.play,
        capacity_slots=facts.capacity,
        verdict=facts.verdict(),
        findings=tuple(finding for check in checks for finding in check(facts)),
    )
