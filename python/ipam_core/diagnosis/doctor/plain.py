"""The parts of a diagnosis as plain values: what `doctor --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding
    from ipam_core.diagnosis.doctor.pools import Pool
    from ipam_core.diagnosis.doctor.prognosis import Prognosis
    from ipam_core.diagnosis.fixes import Option
    from ipam_core.diagnosis.inputs.case import Evidence


def max_pods_from(facts: Facts) -> str | None:
    """Return where maxPods was read; None if it is the usual value, or not known."""
    known = facts.max_pods
    return known.evidence.place if known and known.evidence else None


def plain_pool(pool: Pool) -> dict[str, int]:
    """Return a pool's counts."""
    return {
        "total": pool.total,
        "assigned": pool.assigned,
        "cooling": pool.cooling,
        "assignable": max(pool.assignable, 0),
    }


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Return a cause that is found."""
    fix = finding.fix
    return {
        "cause": finding.cause,
        "title": finding.title,
        "certainty": finding.certainty,
        "why": finding.why,
        "rule": list(finding.rule),
        "evidence": [plain_evidence(each) for each in finding.evidence],
        "fix": None
        if fix is None
        else {
            "commands": list(fix.commands),
            "note": fix.note,
            "options": [_plain(option) for option in fix.options],
        },
        "prognosis": _plain(finding.prognosis) if finding.prognosis else None,
        "not_simulated": finding.not_simulated or None,
    }


def _plain(value: Option | Prognosis) -> dict[str, Any]:
    """Return a value and those in it as plain ones, sequences as lists."""

    def fields_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: list(one) if isinstance(one, tuple) else one for name, one in pairs}

    return asdict(value, dict_factory=fields_of)


def plain_evidence(evidence: Evidence) -> dict[str, Any]:
    """Return a value and its source."""
    return {
        "file": evidence.file,
        "line": evidence.line,
        "value": evidence.value,
        "time": evidence.time.isoformat() if evidence.time else None,
    }
