"""The agent's logs, read as a stream: ipamd.log, its container's log, and the CNI plugin's.

The program of a line follows from its text if that is known, else from its caller. Lines of
other programs (network policy agent, eBPF) are not the agent's: they are not used.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import (
    MOST_ADDRESSES,
    Case,
    Evidence,
    LogSummary,
    PoolCounts,
    Source,
    later,
    note,
)
from ipam_core.diagnosis.inputs.errors import ASSUME_ROLE, UNKNOWN, api_and_code
from ipam_core.diagnosis.inputs.lines import Entry, continues, entry
from ipam_core.ipamd.log_messages import AGENT_MESSAGES, PLUGIN
from ipam_core.quoting import without_container_ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ipam_core.ipamd.messages import LogMessage

LONGEST_LINE = 1 << 20
"""A longer line is not the agent's: it is cut into pieces, so that memory stays bounded."""
_KEY = 6
"""The number of first letters of a message that select the patterns to try."""
_PLUGIN_CALLERS = ("routed-eni-cni-plugin/", "driver/")
_AGENT_CALLERS = (
    "aws-k8s-agent/",
    "ipamd/",
    "awsutils/",
    "datastore/",
    "networkutils/",
    "eniconfig/",
    "k8sapi/",
)
_CONTAINER = "entrypoint.sh"
_CONTAINER_KINDS = frozenset({"waits", "timed_out", "came_up", "stopped", "refused_setting"})
"""Messages of the container's own log, found in any file."""
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
_FACTS = frozenset({
    "instance", "type", "subnet", "node", "eni_config", "eni_config_name", "places",
})  # fmt: skip
_TARGETS = {"warm_ip": "WARM_IP_TARGET", "warm_eni": "WARM_ENI_TARGET",
            "warm_prefix": "WARM_PREFIX_TARGET"}  # fmt: skip
"""Lines in which the agent names the one target that it uses."""
_ANY_CALL = frozenset({"tryAllocateENI"})
"""Messages about a failure of any call: the error itself names the call."""
_WANTS_MORE = frozenset({"eni_limit", "unschedulable", "metadata", "full_subnet"})
_GROWTH = frozenset({
    "AssignPrivateIpAddresses", "CreateNetworkInterface", "AttachNetworkInterface",
})  # fmt: skip
_GROWS = "Starting to increase "
"""Lines that the agent writes only if its pool is too low."""
NO_ERROR = "<nil>"
NO_ADDRESS = "no available IP"
"""In every form of the error that a pod gets if the store has no address."""
_MOST_STARTS = 1000
_GO = "runtime"
"""The callers of the last lines of a program that panics."""


class Kinds(NamedTuple):
    """How many lines of each log a file holds; `others` are from other programs."""

    agent: int
    container: int
    plugin: int
    others: int

    def __str__(self) -> str:
        """Return the kind of the file, by its content."""
        named = ("log", "container log", "plugin log")
        return ", ".join(kind for kind, n in zip(named, self, strict=False) if n)


def is_log_line(line: bytes) -> bool:
    """Return whether a line has the form of these logs."""
    return entry(line) is not None


def read_log(lines: Iterable[bytes], file: str, case: Case) -> Kinds:
    """Add the content of a log to the case. Memory: only what is kept, not the log's size.

    Cost: about 9 microseconds a line.
    """
    reader = _Reader(case, file)
    for number, line in enumerate(lines, 1):
        reader.line(number, line)
    return reader.finish()


class _Reader:
    """Reads the lines of one file; the lines of each log go to that log's summary."""

    def __init__(self, case: Case, file: str) -> None:
        self._case = case
        self._file = file
        self._n = dict.fromkeys(("agent", "container", "plugin", "others"), 0)
        self._broken = 0
        self._lines = 0
        self._whose = Source.LOG
        self._last: dict[Source, str] = {}

    def line(self, number: int, line: bytes) -> None:
        if line.isspace():
            return
        self._lines += 1
        found = entry(line)
        if found is None:
            self._broken += not continues(line)
            return
        known = _match(found.message)
        if known and known[0].function == _GO and not (self._n["agent"] or self._n["container"]):
            known = None  # the end of another program, in a log of all programs of the node
        source = _whose(found, known[0].kind if known else "")
        if source is None:
            self._n["others"] += 1
            return
        self._whose = source
        self._last[source] = found.ts or self._last.get(source, "")
        summary = self._summary(source)
        if known is None:
            return
        summary.n_known += 1
        evidence = Evidence(
            file=self._file,
            line=number,
            value=without_container_ids(found.message.strip()),
            time=dig.time(found.ts),
            source=source,
        )
        try:
            _note(self._case, summary, known[0], known[1], evidence)
        except ValueError:  # a number of thousands of digits
            self._broken += 1

    def finish(self) -> Kinds:
        for source, ts in self._last.items():
            self._case.saw(source, dig.time(ts))
        for name, summary in (("agent", self._case.log), ("container", self._case.container)):
            if self._n[name] and summary is not None:
                summary.n_lines += self._lines
                summary.n_broken += self._broken
                break
        return Kinds(**self._n)

    def _summary(self, source: Source) -> LogSummary:
        case = self._case
        if source is Source.PLUGIN:
            self._n["plugin"] += 1
            case.plugin = case.plugin or LogSummary()
            return case.plugin
        if source is Source.CONTAINER:
            self._n["container"] += 1
            case.container = case.container or LogSummary()
            return case.container
        self._n["agent"] += 1
        case.log = case.log or LogSummary()
        return case.log


def _whose(found: Entry, kind: str) -> Source | None:
    """Return which log a line belongs to, None for other programs."""
    if kind.startswith("plugin.") or found.caller.startswith(_PLUGIN_CALLERS):
        return Source.PLUGIN
    if found.caller == _CONTAINER or kind in _CONTAINER_KINDS:
        return Source.CONTAINER
    if kind or found.caller.startswith(_AGENT_CALLERS):
        return Source.LOG
    return None


def _match(message: str) -> tuple[LogMessage, re.Match[str]] | None:
    for known, pattern in _by_key().get(message[:_KEY], ()):
        if found := pattern.match(message):
            return known, found
    return None


@cache
def _by_key() -> dict[str, list[tuple[LogMessage, re.Pattern[str]]]]:
    """Return the patterns by the first letters that they match."""
    plugin = [known._replace(kind=f"plugin.{known.kind}") for known in PLUGIN]
    found: dict[str, list[tuple[LogMessage, re.Pattern[str]]]] = {}
    for known in (*AGENT_MESSAGES, *plugin):
        compiled = re.compile(known.pattern, re.DOTALL)
        for start in starts(known.pattern):
            found.setdefault(start[:_KEY], []).append((known, compiled))
    return found


def starts(pattern: str) -> list[str]:
    """Return the literal texts at the start of a pattern: it may start with (?:one|other)."""
    opened = re.match(r"(?:\(\?P<\w+>)?\(\?:(?P<choices>[^)]*)\)(?P<rest>.*)", pattern, re.DOTALL)
    if opened is None:
        return [pattern.replace("\\", "")]
    return [(choice + opened["rest"]).replace("\\", "") for choice in opened["choices"].split("|")]


def _note(
    case: Case,
    summary: LogSummary,
    known: LogMessage,
    found: re.Match[str],
    evidence: Evidence,
) -> None:
    values = found.groupdict()
    kind = known.kind.removeprefix("plugin.")
    if known.api or kind == "no_start":
        api, code = api_and_code(values["error"])
        if known.api and known.function not in _ANY_CALL and api != ASSUME_ROLE:
            api = known.api
        if known.api or code != UNKNOWN:
            case.log_failures.add(api or known.api or "EC2", code, values["error"], evidence)
    if kind == "pool":
        _note_pool(summary, values, evidence)
    elif kind in _TARGETS:
        _note_fact(summary, _TARGETS[kind], values["target"], evidence)
        if values.get("total") is not None:
            _note_pool(summary, values, evidence)
        if kind == "warm_eni" or int(values["short"]) > 0:
            note(summary.sightings, "too_low", evidence)
    elif kind == "targets":
        for group, variable in _VARIABLES.items():
            _note_fact(summary, variable, values[group], evidence)
        _note_fact(summary, "max_pods", values["max_pods"], evidence)
    elif kind == "target":
        _note_fact(summary, values["variable"], values["value"], evidence)
    elif kind in _SWITCHES:
        _note_fact(summary, _SWITCHES[kind], values["value"], evidence)
    elif kind == "start":
        _note_fact(summary, "version.version", values["version"], evidence)
        if len(summary.starts) < _MOST_STARTS:
            summary.starts.append(evidence)
        else:
            summary.starts[-1] = evidence
    elif kind == "unmanaged":
        summary.unmanaged[values["eni"]] = evidence
    elif kind == "leak_stays":
        summary.leaked[values["eni"]] = evidence
    elif kind == "stale":
        summary.stale[values["address"]] = evidence
    elif kind in _FACTS:
        for group, value in values.items():
            _note_fact(summary, f"{kind}.{group}", value, evidence)
    else:
        note(summary.sightings, _kind(kind, values, evidence), evidence)
        for group, value in values.items():
            if value is not None:
                _note_fact(summary, f"{kind}.{group}", value, evidence)
    if kind in ("pool", "warm_ip", "warm_eni", "warm_prefix", "reply", "eni_limit"):
        note(summary.sightings, "works", evidence)
    if kind in _WANTS_MORE or known.api in _GROWTH or evidence.value.startswith(_GROWS):
        note(summary.sightings, "too_low", evidence)


def _kind(kind: str, values: dict[str, str], evidence: Evidence) -> str:
    """Return what a reply to the plugin means: served, or refused and the kind of reason."""
    if kind != "reply":
        return kind
    error = values["error"].strip()
    if error == NO_ERROR and "Success: false" not in evidence.value:
        return "served"
    return "refused" if NO_ADDRESS in error else "refused_other"


def _note_fact(summary: LogSummary, name: str, value: str, evidence: Evidence) -> None:
    """Keep the latest value of a fact."""
    met = summary.facts.get(name)
    if met is None or later(evidence, met):
        summary.facts[name] = Evidence(
            file=evidence.file,
            line=evidence.line,
            value=value,
            time=evidence.time,
            source=evidence.source,
        )


def _note_pool(summary: LogSummary, values: dict[str, str], evidence: Evidence) -> None:
    card = int(values.get("card") or 0)
    met = summary.pool.get(card)
    if met is not None and not later(evidence, met[1]):
        return
    kept = met[0] if met else PoolCounts(total=0, assigned=0, cooling=0)
    total, assigned = int(values["total"]), int(values["assigned"])
    if max(total, assigned) > MOST_ADDRESSES:
        raise ValueError(f"{total} addresses; no node has more than {MOST_ADDRESSES}")
    # Values that a form does not have are those of the latest line.
    cooling = int(values.get("cooling") or min(kept.cooling, max(total - assigned, 0)))
    counts = PoolCounts(
        total=total,
        assigned=assigned,
        cooling=cooling,
        prefixes=int(values.get("prefixes") or kept.prefixes),
        ips_per_eni=int(values.get("per_eni") or kept.ips_per_eni),
    )
    summary.pool[card] = (counts, evidence)


def newest(summary: LogSummary, kind: str) -> datetime | None:
    """Return when something was last in a log."""
    seen = summary.sightings.get(kind)
    return seen.last.time if seen else None
