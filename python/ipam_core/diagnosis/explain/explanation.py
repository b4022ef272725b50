"""What will these settings do on this node? Play it from 0 pods to maxPods and back."""

from __future__ import annotations

from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipam_core import instances
from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain import costs, stalls, warnings
from ipam_core.diagnosis.explain.finding import Facts, Severity
from ipam_core.diagnosis.explain.levels import plain_levels
from ipam_core.diagnosis.explain.plain import case_of, finding_of, plain_finding, verdict_of
from ipam_core.diagnosis.explain.play import NodeCase, Play, capacity_slots
from ipam_core.errors import InputError
from ipam_core.html import html_of
from ipam_core.policy import VPC_CNI
from ipam_core.schemas import check_schema
from ipam_core.settings import Settings
from ipam_core.variables import shown_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.explain.finding import Finding, Verdict
    from ipam_core.instances import InstanceLimits
    from ipam_core.policy import Policy


CHECKS = (*stalls.CHECKS, *warnings.CHECKS, *costs.CHECKS)
"""Every check, the worst kind of finding first."""
SCHEMA = "explanation/1"


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

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, of schema `explanation/1`: what `explain --json` prints.

        Only variables that the agent knows are in it, and none whose name looks like a secret.
        Cost: with the levels back, which are played at first use.
        """
        case = self.case
        return {
            "schema": SCHEMA,
            "instance_type": case.limits.instance_type,
            "limits": asdict(case.limits)
            | {"enis_per_network_card": [*case.limits.enis_per_network_card]},
            "max_pods": case.max_pods,
            "max_pods_rule": self.max_pods_rule or "given",
            "subnet_free": case.subnet_free,
            "seed": case.seed,
            "policy": case.policy.name,
            "agent_version": self.version,
            "env": shown_variables(case.env),
            "verdict": {
                "text": str(self.verdict),
                "serves_all": self.verdict.serves_all,
                **asdict(self.verdict),
            },
            "capacity_slots": self.capacity_slots,
            "healthy": self.healthy,
            "up": plain_levels(self.play.up),
            "back": plain_levels(self.play.back),
            "findings": [plain_finding(finding) for finding in self.findings],
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Explanation:
        """Return the explanation of which these are the plain values.

        Its node is played again, which costs a fifth to a half of `explain`; what was found is
        taken as it is.

        Raises:
            InputError: not of schema `explanation/1`, of a policy of one's own, or what was
                played is not what this version plays.
        """
        check_schema(given, SCHEMA)
        try:
            case = case_of(given)
            play = Play(case)
            if [plain_levels(play.up), plain_levels(play.back)] != [given["up"], given["back"]]:
                raise InputError("an explanation of rules that this version does not have")
            rule = given["max_pods_rule"]
            return cls(
                case=case,
                play=play,
                capacity_slots=given["capacity_slots"],
                verdict=verdict_of(given["verdict"]),
                findings=tuple(finding_of(each) for each in given["findings"]),
                version=given["agent_version"],
                max_pods_rule="" if rule == "given" else rule,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"no explanation: {error!r}") from error

    def _repr_html_(self) -> str:
        """Return the verdict and the levels on the way up, for notebooks."""
        heading = f"{self.case.limits.instance_type}: {self.verdict}"
        columns = ("pods", "ENIs", "addresses", "free", "EC2 calls")
        rows = [
            (
                "-".join(map(str, dict.fromkeys(row["pods"]))),
                row["enis"],
                row["addresses"],
                "-".join(map(str, dict.fromkeys(row["free"]))),
                sum(row["ec2_calls"].values()),
            )
            for row in plain_levels(self.play.up)
        ]
        return html_of(heading, columns, rows)

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
