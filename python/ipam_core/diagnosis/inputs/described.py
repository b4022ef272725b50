"""kubectl's text for people: `get events`, and `describe` of a pod, a node or a DaemonSet.

Ages (`5m11s`, `3m (x12 over 10m)`) count from the time of printing, which is not in the text.
They become times before `PRINTED`, so that they can be compared only with each other.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ipam_core.diagnosis.inputs.case import Case, Evidence, NodeObject, Source
from ipam_core.diagnosis.inputs.events import Event, add_events

if TYPE_CHECKING:
    from collections.abc import Iterator

PRINTED = datetime(1970, 1, 2, tzinfo=UTC)
"""The time of printing, on a clock of its own."""
_AGE = r"(?:<unknown>|<invalid>|(?:\d+[ywdhms])+)"
_TABLE_HEAD = re.compile(r"^(?:NAMESPACE +)?(?:LAST SEEN|LASTSEEN)\b.*\bREASON\b.*\bMESSAGE\s*$")
_DESCRIBED_EVENT = re.compile(
    rf"^\s+(?P<type>Normal|Warning)\s+(?P<reason>\w+)\s+"
    rf"(?P<age>{_AGE})(?: \(x(?P<count>\d+) over {_AGE}\))?\s+"
    r"(?P<source>\S+?(?:, (?P<host>\S+))?)\s{2,}(?P<message>.*)$"
)
_FIELD = re.compile(r"^(?P<name>[A-Z][\w /-]*):\s*(?P<value>.*)$")
_UNITS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def is_event_table(lines: list[str]) -> bool:
    """Return whether lines are what `kubectl get events` prints."""
    return any(_TABLE_HEAD.match(line) for line in lines)


def is_description(lines: list[str]) -> bool:
    """Return whether lines are what `kubectl describe` prints for an object."""
    named = [line for line in lines if line.startswith("Name:")]
    return bool(named) and any(
        line.startswith(("Events:", "Containers:", "Capacity:", "Pod Template:", "Namespace:"))
        for line in lines
    )


def read_event_table(content: str, file: str, case: Case) -> None:
    """Add the events of a table to the case. Columns are found by the heading."""
    add_events(_table(content), file, case, Source.PRINTED)


def read_description(content: str, file: str, case: Case) -> str:
    """Add the content of a description to the case; return its kind: node, pod or DaemonSet."""
    lines = content.splitlines()
    fields = _fields(lines)
    name = fields.get("Name", (1, ""))[1]
    host = fields.get("Node", (1, ""))[1].partition("/")[0]
    kind = "pod" if host or "Containers" in fields else "DaemonSet"
    if "Capacity" in fields or "Allocatable" in fields:
        kind, host = "node", name
        case.nodes[name] = _node(name, lines, fields, file)
    namespace = fields.get("Namespace", (1, "default"))[1]
    add_events(_described(lines, kind, namespace, name, host), file, case, Source.PRINTED)
    return kind


def _table(content: str) -> Iterator[Event]:
    columns: dict[str, tuple[int, int | None]] = {}
    namespace = "default"
    for number, line in enumerate(content.splitlines(), 1):
        if _TABLE_HEAD.match(line):
            heads = list(re.finditer(r"\S+(?: \S+)*", line))
            ends = [head.start() for head in heads[1:]] + [None]
            columns = {head[0]: (head.start(), end) for head, end in zip(heads, ends, strict=True)}
            continue
        if not columns or not line.strip():
            continue
        cells = {name: line[start:end].strip() for name, (start, end) in columns.items()}
        age = cells.get("LAST SEEN", cells.get("LASTSEEN", ""))
        match = re.match(rf"(?P<age>{_AGE})(?: \(x(?P<count>\d+) over {_AGE}\))?", age)
        if match is None:
            continue
        kind, _, name = cells.get("OBJECT", cells.get("KIND", "")).partition("/")
        source = cells.get("SOURCE", cells.get("FROM", ""))
        yield Event(
            reason=cells.get("REASON", ""),
            kind=kind.capitalize(),
            namespace=cells.get("NAMESPACE", namespace),
            name=name or cells.get("NAME", ""),
            message=cells.get("MESSAGE", ""),
            host=source.partition(", ")[2],
            times=int(match["count"] or cells.get("COUNT", "1") or 1),
            time=_time(match["age"]),
            line=number,
        )


def _described(
    lines: list[str], kind: str, namespace: str, name: str, host: str
) -> Iterator[Event]:
    for number, line in enumerate(lines, 1):
        match = _DESCRIBED_EVENT.match(line)
        if match is None:
            continue
        yield Event(
            reason=match["reason"],
            kind=kind.capitalize(),
            namespace=namespace,
            name=name,
            message=match["message"].strip(),
            host=(match["host"] or host) if match["source"].startswith("kubelet") else "",
            times=int(match["count"] or 1),
            time=_time(match["age"]),
            line=number,
        )


def _node(name: str, lines: list[str], fields: dict[str, tuple[int, str]], file: str) -> NodeObject:
    labels = re.search(r"instance-type=(\S+)", "\n".join(lines))
    start = fields.get("Allocatable", fields.get("Capacity", (1, "")))[0]
    counts = _indented(lines, start)
    conditions = "\n".join(lines)
    ready = re.search(r"^\s+Ready\s+(False|Unknown)\s.*$", conditions, re.MULTILINE)
    pods = counts.get("pods", "")
    branch = counts.get("vpc.amazonaws.com/pod-eni", "")
    return NodeObject(
        name=name,
        evidence=Evidence(
            file=file, line=start, value=f"node {name}: pods {pods}", source=Source.NODE
        ),
        instance_type=labels[1] if labels else "",
        max_pods=int(pods) if pods.isdigit() else None,
        branch_enis=int(branch) if branch.isdigit() else None,
        unschedulable=fields.get("Unschedulable", (1, ""))[1] == "true",
        not_ready=" ".join(ready[0].split()) if ready else "",
    )


def _fields(lines: list[str]) -> dict[str, tuple[int, str]]:
    """Return the fields that start a line, with their lines' numbers."""
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        if match := _FIELD.match(line):
            found.setdefault(match["name"], (number, match["value"].strip()))
    return found


def _indented(lines: list[str], start: int) -> dict[str, str]:
    """Return the `name: value` lines below line `start`, until one is not indented."""
    found = {}
    for line in lines[start:]:
        if not line.startswith(" "):
            break
        name, _, value = line.strip().partition(":")
        found[name] = value.strip()
    return found


def _time(age: str) -> datetime | None:
    if age.startswith("<"):
        return None
    seconds = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([ywdhms])", age))
    try:
        return PRINTED - timedelta(seconds=seconds)
    except OverflowError:
        return None
