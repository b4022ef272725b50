"""The output of `explain` for machines: JSON, JUnit (test reports), SARIF (code scanning)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from xml.etree.ElementTree import Element

    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.finding import Kind
    from ipam_core.diagnosis.explain.together import Together

SARIF_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def plain_together(
    found: Together | None, explained: Sequence[Explanation]
) -> dict[str, Any] | None:
    """Return the one change for all kinds of finding as plain values, None if there is none."""
    from ipam_core.diagnosis.explain.together import prices

    if found is None:
        return None
    env = (found.fix.change.env if found.fix.change else None) or {}
    return {
        "commands": list(found.fix.commands),
        "env": env,
        "fixes": list(found.kinds),
        "left": list(found.left),
        "outcome": found.outcome,
        "idle_half_full": [asdict(price) for price in prices(explained, env)],
    }


def plain_prices(explained: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Return what each change of variables that a finding suggests costs, each change once."""
    from ipam_core.diagnosis.explain.together import prices

    envs: list[dict[str, str | None]] = []
    for each in explained:
        for finding in each.findings:
            env = finding.fix.change.env if finding.fix and finding.fix.change else None
            if env and env not in envs:
                envs.append(env)
    return [
        {"env": env, "idle_half_full": [asdict(price) for price in prices(explained, env)]}
        for env in envs
    ]


def junit(
    explained: Sequence[Explanation], kinds: Iterable[Kind], fails: Callable[[str], bool]
) -> Element:
    """Return a JUnit report: a case for each type and kind of finding, failed if it `fails`."""
    from xml.etree import ElementTree

    suites = ElementTree.Element("testsuites", name="ipam-core explain")
    for each in explained:
        name = each.case.limits.instance_type
        suite = ElementTree.SubElement(suites, "testsuite", name=name)
        failed = skipped = cases = 0
        for kind in kinds:
            cases += 1
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"ipam-core.{name}", name=kind.identifier
            )
            found = [f for f in each.findings if f.kind.identifier == kind.identifier]
            if not found:
                continue
            why = "\n".join(line for finding in found for line in finding.why)
            if fails(str(kind.severity)):
                failed += 1
                failure = ElementTree.SubElement(
                    case, "failure", type=str(kind.severity), message=found[0].why[0]
                )
                failure.text = f"{kind.rule}\n{why}"
            else:
                ElementTree.SubElement(case, "system-out").text = why
        suite.attrib |= {"tests": str(cases), "failures": str(failed), "skipped": str(skipped)}
    return suites


def sarif(explained: Sequence[Explanation], kinds: Iterable[Kind], origin: str) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log; results are in `origin`, the file of the settings."""
    from importlib.metadata import version

    place: dict[str, Any] = (
        {
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": origin.replace("\\", "/")}}}
            ]
        }
        if origin
        else {}
    )
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ipam-core",
                        "version": version("ipam-core"),
                        "rules": [
                            {
                                "id": kind.identifier,
                                "shortDescription": {"text": kind.rule},
                                "help": {"text": f"To change: {kind.change}. {kind.source}"},
                                "defaultConfiguration": {"level": SARIF_LEVELS[kind.severity]},
                            }
                            for kind in kinds
                        ],
                    }
                },
                "results": [
                    {
                        "ruleId": finding.kind.identifier,
                        "level": SARIF_LEVELS[finding.kind.severity],
                        "message": {
                            "text": f"{each.case.limits.instance_type}: {'; '.join(finding.why)}"
                        },
                        **place,
                    }
                    for each in explained
                    for finding in each.findings
                ],
            }
        ],
    }
