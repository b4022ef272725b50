"""The parts of a diagnosis as plain values, and back: what `doctor --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status
from ipam_core.diagnosis.doctor.prognosis import Outcome, Prognosis
from ipam_core.diagnosis.fixes import Fix, Option
from ipam_core.diagnosis.inputs.case import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.pools import Pool


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
        "certainty": str(finding.certainty) if finding.certainty else None,
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


def finding_of(given: Mapping[str, Any]) -> Finding:
    """Return the cause that `plain_finding` gave; its fix has no change to simulate."""
    fix, prognosis, certainty = given["fix"], given["prognosis"], given["certainty"]
    return Finding(
        cause=given["cause"],
        status=Status.FOUND,
        why=given["why"],
        title=given["title"],
        certainty=None if certainty is None else Certainty(certainty),
        rule=tuple(given["rule"]),
        evidence=tuple(map(evidence_of, given["evidence"])),
        fix=None if fix is None else _fix_of(fix),
        prognosis=None if prognosis is None else _prognosis_of(prognosis),
        not_simulated=given["not_simulated"] or "",
    )


def evidence_of(given: Mapping[str, Any]) -> Evidence:
    """Return the value and source that `plain_evidence` gave."""
    time = given["time"]
    return Evidence(
        file=given["file"],
        line=given["line"],
        value=given["value"],
        time=None if time is None else datetime.fromisoformat(time),
    )


def _fix_of(given: Mapping[str, Any]) -> Fix:
    return Fix(
        commands=tuple(given["commands"]),
        note=given["note"],
        options=tuple(
            Option(
                title=each["title"],
                commands=tuple(each["commands"]),
                simulated=each["simulated"],
            )
            for each in given["options"]
        ),
    )


def _prognosis_of(given: Mapping[str, Any]) -> Prognosis:
    return Prognosis(
        waiting=given["waiting"],
        as_it_is=_outcome_of(given["as_it_is"]),
        with_fix=_outcome_of(given["with_fix"]),
        serves=given["serves"],
    )


def _outcome_of(given: Mapping[str, Any]) -> Outcome:
    return Outcome(**{**given, "requests": tuple(given["requests"])})
