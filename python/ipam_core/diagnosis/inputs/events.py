"""Kubernetes' events, as `kubectl get events -A -o json` prints them."""

from __future__ import annotations

from typing import Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Case, EventSummary, Evidence, Sighting
from ipam_core.ipamd.messages import POD_EVENT, POD_EVENT_REASON

_NO_ADDRESS = POD_EVENT.rpartition("add cmd: ")[2]
"""How the kubelet's event ends in every version; what stands before differs."""
TOO_MANY_PODS = "Too many pods"
"""What the scheduler says of a node whose maxPods is reached."""
STARTED = "Started"
KEPT_REASONS = frozenset({
    "MissingIAMPermissions",  # awsutils.checkAPIErrorAndBroadcastEvent
    "NodeNotSchedulable",
    "NodeSchedulable",
})  # fmt: skip


def is_events(document: Any) -> bool:
    """Return whether a JSON document is a list of events, or one."""
    if not isinstance(document, dict):
        return False
    if document.get("kind") == "Event":
        return True
    items = document.get("items")
    return (
        isinstance(items, list)
        and bool(items)
        and all(
            isinstance(item, dict) and item.get("kind", "Event") == "Event" and "reason" in item
            for item in items
        )
    )


def read_events(document: dict[str, Any], file: str, content: str, case: Case) -> None:
    """Add to the case what the events tell; a pod that started since is not refused."""
    summary = case.events = case.events or EventSummary()
    items = dig.sequence(document.get("items"), f"{file}: items") or [document]
    lines = dig.Lines(content)
    told = []
    for event in items:
        metadata = dig.mapping(event.get("metadata"), f"{file}: an event's metadata")
        line = lines.find(dig.text(metadata.get("uid")) or dig.text(event.get("message")))
        told.append((str(_when(event) or ""), line, event))
    for _, line, event in sorted(told, key=lambda one: one[0]):
        _read(event, file, line, summary)


def _read(event: dict[str, Any], file: str, line: int | None, summary: EventSummary) -> None:
    reason, message = dig.text(event.get("reason")), dig.text(event.get("message"))
    where = f"{file}: an event's"
    about = dig.mapping(event.get("involvedObject", event.get("regarding")), f"{where} object")
    name = dig.text(about.get("name"))
    when = _when(event)
    if when and (summary.newest is None or when > summary.newest):
        summary.newest = when
    evidence = Evidence(file=file, line=line, value=f"{reason} {name}: {message}", time=when)
    count = max(dig.whole(event.get("count"), 1), 1)
    # The kubelet names its node; of other reporters only an event about a node has one.
    source = dig.mapping(event.get("source"), f"{where} source")
    kubelets = dig.text(source.get("host")) or dig.text(event.get("reportingInstance"))
    refused = summary.refused.setdefault(kubelets, {})
    pod = f"{dig.text(about.get('namespace')) or 'default'}/{name}"
    if reason == POD_EVENT_REASON and _NO_ADDRESS in message:
        _note(refused, pod, evidence, count)
    elif reason == STARTED:
        refused.pop(pod, None)
    elif reason in KEPT_REASONS:
        node = name if about.get("kind") == "Node" else ""
        _note(summary.reasons, (reason, node), evidence, count)
    elif reason == "FailedScheduling" and TOO_MANY_PODS in message:
        _note(summary.reasons, (TOO_MANY_PODS, ""), evidence, count)


def _note(into: dict[Any, Sighting], key: Any, evidence: Evidence, count: int) -> None:
    if key in into:
        into[key].again(evidence, count)
    else:
        into[key] = Sighting(last=evidence, count=count)


def _when(event: Any) -> Any:
    if not isinstance(event, dict):
        return None
    series = event.get("series")
    last = series.get("lastObservedTime") if isinstance(series, dict) else None
    times = (event.get("lastTimestamp"), last, event.get("eventTime"), event.get("firstTimestamp"))
    return next((time for time in map(dig.time, times) if time is not None), None)
