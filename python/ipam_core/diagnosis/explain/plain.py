"""The parts of an explanation as plain values, and back: what `--json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.explain.finding import Finding, Kind, Severity, Verdict
from ipam_core.diagnosis.explain.play import NodeCase
from ipam_core.diagnosis.fixes import Change, Fix
from ipam_core.errors import InputError
from ipam_core.instances import InstanceLimits
from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


def plain_kind(kind: Kind) -> dict[str, Any]:
    """Return a kind of finding as plain values."""
    return {
        "identifier": kind.identifier,
        "severity": str(kind.severity),
        "rule": kind.rule,
        "change": kind.change,
        "source": kind.source,
    }


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values."""
    fix = finding.fix
    change = fix.change if fix else None
    return {
        **plain_kind(finding.kind),
        "why": list(finding.why),
        "fix": None
        if fix is None
        else {
            "commands": list(fix.commands),
            "note": fix.note,
            "env": change.env if change else None,
            "max_pods": change.max_pods if change else None,
            "outcome": finding.outcome,
        },
        "alternatives": list(finding.alternatives),
    }


def finding_of(given: Mapping[str, Any]) -> Finding:
    """Return the finding that `plain_finding` gave."""
    kind = Kind(
        identifier=given["identifier"],
        severity=Severity(given["severity"]),
        rule=given["rule"],
        change=given["change"],
        source=given["source"],
    )
    fix = given["fix"]
    return Finding(
        kind=kind,
        why=tuple(given["why"]),
        fix=None if fix is None else _fix_of(fix),
        outcome="" if fix is None else fix["outcome"],
        alternatives=tuple(given["alternatives"]),
    )


def _fix_of(given: Mapping[str, Any]) -> Fix:
    env, max_pods = given["env"], given["max_pods"]
    change = None if env is None and max_pods is None else Change(env=env, max_pods=max_pods)
    return Fix(commands=tuple(given["commands"]), note=given["note"], change=change)


def verdict_of(given: Mapping[str, Any]) -> Verdict:
    """Return a verdict of its plain values."""
    names = ("n_pods", "served", "stalled_at", "unused_slots", "burst", "init_error")
    return Verdict(**{name: given[name] for name in names})


def case_of(given: Mapping[str, Any]) -> NodeCase:
    """Return the case of an explanation's plain values. Raises `InputError` for an own policy."""
    policies = {policy.name: policy for policy in (VPC_CNI, IPAM_CORE)}
    if given["policy"] not in policies:
        raise InputError(
            f"policy {quoted(given['policy'])}: only {' and '.join(policies)} can be read"
        )
    limits = dict(given["limits"])
    cards = tuple(limits.pop("enis_per_network_card"))
    return NodeCase(
        limits=InstanceLimits(**limits, enis_per_network_card=cards),
        env=dict(given["env"]),
        max_pods=given["max_pods"],
        policy=policies[given["policy"]],
        subnet_free=given["subnet_free"],
        seed=given["seed"],
    )
