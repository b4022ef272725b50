"""ipamd.log, streamed: JSON lines of the agent's logger, of which only what tells is kept.

A line is `{"level": ..., "ts": ..., "caller": ..., "msg": ...}` (pkg/utils/logger/
zaplogger.go of aws/amazon-vpc-cni-k8s); the texts are `messages.AGENT_MESSAGES`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Case, Evidence, LogSummary, PoolCounts, Sighting
from ipam_core.ipamd.messages import AGENT_MESSAGES, AgentMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_LINE = 1 << 20
"""A longer line is not the agent's: it is cut into broken ones, so that memory stays bounded."""
_KEY = 6
"""So many first letters of a message tell which patterns are worth a try."""
_PLUGIN_CALLERS = ("routed-eni-cni-plugin/", "driver/")
_CODE = re.compile(r"api error (?P<v2>[\w.]+)|^(?:[\w ]+: )*?(?P<v1>[A-Z]\w+(?:\.\w+)*): ")
"""The error code as the AWS SDK for Go writes it: version 2, or 1."""
_VARIABLES = {
    "warm_ip": "WARM_IP_TARGET",
    "minimum_ip": "MINIMUM_IP_TARGET",
    "warm_prefix": "WARM_PREFIX_TARGET",
    "warm_eni": "WARM_ENI_TARGET",
}
_SWITCHES = {
    "custom_networking": "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "subnet_discovery": "ENABLE_SUBNET_DISCOVERY",
    "prefix_delegation": "ENABLE_PREFIX_DELEGATION",
    "max_eni": "MAX_ENI",
}


def is_log_line(line: bytes) -> bool:
    """Return whether a line is one of the agent's log, and not of its CNI plugin's."""
    parsed = _parsed(line)
    return (
        parsed is not None
        and "level" in parsed
        and not str(parsed.get("caller", "")).startswith(_PLUGIN_CALLERS)
    )


def read_log(lines: Iterable[bytes], file: str, case: Case) -> None:
    """Add what a log tells to the case. Memory: what is kept, not the log's size.

    Cost: about 3 microseconds a line.
    """
    summary = case.log = case.log or LogSummary()
    by_key = _by_key()
    last = ""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        summary.n_lines += 1
        parsed = _parsed(line)
        if parsed is None:
            summary.n_broken += 1
            continue
        message = parsed["msg"]
        last = parsed.get("ts") or last
        for known, pattern in by_key.get(message[:_KEY], ()):
            if found := pattern.match(message):
                evidence = Evidence(
                    file=file, line=number, value=message.strip(), time=dig.time(parsed.get("ts"))
                )
                try:
                    _note(case, summary, known, found, evidence)
                except ValueError:  # a number of thousands of digits
                    summary.n_broken += 1
                break
    newest = dig.time(last)
    if newest and (summary.newest is None or newest > summary.newest):
        summary.newest = newest


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's fields, None where it is not one of the agent's."""
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and isinstance(parsed.get("msg"), str) else None


@cache
def _by_key() -> dict[str, list[tuple[AgentMessage, re.Pattern[str]]]]:
    """Return the patterns by the first letters that they match."""
    found: dict[str, list[tuple[AgentMessage, re.Pattern[str]]]] = {}
    for known in AGENT_MESSAGES:
        for start in _starts(known.pattern):
            entry = (known, re.compile(known.pattern, re.DOTALL))
            found.setdefault(start[:_KEY], []).append(entry)
    return found


def _starts(pattern: str) -> list[str]:
    """Return the literal texts with which a pattern starts: it may open with (?:one|other)."""
    opened = re.match(r"\(\?:(?P<choices>[^)]*)\)(?P<rest>.*)", pattern, re.DOTALL)
    if opened is None:
        return [pattern]
    return [choice + opened["rest"] for choice in opened["choices"].split("|")]


def _note(
    case: Case,
    summary: LogSummary,
    known: AgentMessage,
    found: re.Match[str],
    evidence: Evidence,
) -> None:
    values = found.groupdict()
    if known.api:
        code = _CODE.search(values["error"])
        name = (code["v2"] or code["v1"]) if code else "Unknown"
        case.log_failures.add(known.api, name, values["error"], evidence)
    if known.kind == "pool":
        _note_pool(summary, values, evidence)
    elif known.kind == "targets":
        for group, variable in _VARIABLES.items():
            _note_fact(summary, variable, values[group], evidence)
        _note_fact(summary, "max_pods", values["max_pods"], evidence)
    elif known.kind == "target":
        _note_fact(summary, values["variable"], values["value"], evidence)
    elif known.kind in _SWITCHES:
        _note_fact(summary, _SWITCHES[known.kind], values["value"], evidence)
    elif known.kind == "unmanaged":
        summary.unmanaged[values["eni"]] = evidence
    elif known.kind == "leak_stays":
        summary.leaked[values["eni"]] = evidence
    elif known.kind in ("version", "instance", "type", "subnet", "node", "eni_config"):
        for group, value in values.items():
            _note_fact(summary, f"{known.kind}.{group}", value, evidence)
    elif known.kind in summary.sightings:
        summary.sightings[known.kind].again(evidence)
    else:
        summary.sightings[known.kind] = Sighting(last=evidence)


def _note_fact(summary: LogSummary, name: str, value: str, evidence: Evidence) -> None:
    """Keep a fact, and the latest one only."""
    met = summary.facts.get(name)
    if met is None or not _older(evidence, met):
        summary.facts[name] = Evidence(
            file=evidence.file, line=evidence.line, value=value, time=evidence.time
        )


def _note_pool(summary: LogSummary, values: dict[str, str | None], evidence: Evidence) -> None:
    card = int(values.get("card") or 0)
    met = summary.pool.get(card)
    if met is not None and _older(evidence, met[1]):
        return
    kept = met[0] if met else PoolCounts(total=0, assigned=0, cooling=0)

    def count(name: str, default: int = 0) -> int:
        return int(values.get(name) or default)

    counts = PoolCounts(
        total=count("total"),
        assigned=count("assigned"),
        cooling=count("cooling"),
        prefixes=count("prefixes", kept.prefixes),  # only one of the two lines tells it
        ips_per_eni=count("per_eni", kept.ips_per_eni),
    )
    summary.pool[card] = (counts, evidence)


def _older(evidence: Evidence, than: Evidence) -> bool:
    return evidence.time is not None and than.time is not None and evidence.time < than.time
