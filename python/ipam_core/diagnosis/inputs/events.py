"""Kubernetes' events in the API server's form: JSON or YAML, `v1` or `events.k8s.io/v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import (
    Case,
    EventSummary,
    Evidence,
    Refusal,
    Source,
    note,
)
from ipam_core.ipamd.messages import POD_EVENT, POD_EVENT_REASON
from ipam_core.quoting import without_container_ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_NO_ADDRESS = POD_EVENT.rpartition("add cmd: ")[2]
"""The end of the kubelet's event in every version; the text before it differs."""
_UNREACHABLE = (
    "127.0.0.1:50051",
    "ipamd.sock",
    "failed to connect to backend server",
    "cni plugin not initialized",
    "cni config uninitialized",
)
"""Texts of the event, by version, if the plugin cannot reach the agent."""
_GRPC = "from AddNetwork gRPC call"
_GRPC_UNREACHABLE = ("code = Unavailable", "context deadline exceeded", "code = DeadlineExceeded")
TOO_MANY_PODS = "Too many pods"
"""The scheduler's words for a node whose maxPods is reached."""
NO_BRANCH_ENI = "Insufficient vpc.amazonaws.com/pod-eni"
"""Its words for a node without a free branch ENI."""
STARTED = "Started"
AGENT_POD = "aws-node"
_AGENT_REASONS = frozenset({"Unhealthy", "BackOff", "Failed", "FailedMount", "FailedCreate"})
AGENT_FAILS = "aws-node "
"""The prefix of the reason of an event about the agent's own pod."""
KEPT_REASONS = frozenset({
    "MissingIAMPermissions",  # awsutils.checkAPIErrorAndBroadcastEvent
    "NodeNotSchedulable",
    "NodeSchedulable",
    "NetworkNotReady",
    "NodeNotReady",
    "BranchAllocationFailed",  # the resource controller: pkg/provider/branch
    "BranchENIAnnotationFailed",
    "TrunkENICreationFailed",
})  # fmt: skip


class Event(NamedTuple):
    """One event of any form: its object, its reporter, how often, and when last."""

    reason: str
    kind: str
    namespace: str
    name: str
    message: str
    host: str
    times: int
    time: datetime | None
    line: int | None


def is_events(document: Any) -> bool:
    """Return whether a document is a list of events, or one."""
    if not isinstance(document, dict):
        return False
    if document.get("kind") in ("Event", "EventList"):
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
    """Add the content of the events to the case."""
    items = [document]
    if document.get("kind") != "Event":
        items = dig.sequence(document.get("items"), f"{file}: items")
    lines = dig.Lines(content)
    add_events([_event(item, file, lines) for item in items], file, case)


def add_events(
    events: Iterable[Event], file: str, case: Case, source: Source = Source.EVENTS
) -> None:
    """Add events of any form to the case; a pod that has started since is not refused."""
    summary = case.events = case.events or EventSummary()
    for event in sorted(events, key=lambda one: str(one.time or "")):
        summary.count += 1
        case.saw(source, event.time)
        _add(event, file, summary, source)


def _event(event: Any, file: str, lines: dig.Lines) -> Event:
    event = dig.mapping(event, f"{file}: an event")
    where = f"{file}: an event's"
    metadata = dig.mapping(event.get("metadata"), f"{where} metadata")
    about = dig.mapping(event.get("involvedObject", event.get("regarding")), f"{where} object")
    # The kubelet names its node; other reporters do so only in an event about a node.
    source = event.get("source", event.get("deprecatedSource"))
    source = dig.mapping(source, f"{where} source")
    component = dig.text(source.get("component")) or dig.text(event.get("reportingController"))
    host = dig.text(source.get("host"))
    if not host and component in ("", "kubelet"):
        host = dig.text(event.get("reportingInstance"))
    series = dig.mapping(event.get("series"), f"{where} series")
    counts = (series.get("count"), event.get("count"), event.get("deprecatedCount"))
    message = dig.text(event.get("message")) or dig.text(event.get("note"))
    return Event(
        reason=dig.text(event.get("reason")),
        kind=dig.text(about.get("kind")),
        namespace=dig.text(about.get("namespace")) or "default",
        name=dig.text(about.get("name")),
        message=message,
        host=host,
        times=max((dig.integer(count) for count in counts), default=1) or 1,
        time=_when(event, series),
        line=lines.find(dig.text(metadata.get("uid")) or message),
    )


def _when(event: dict[str, Any], series: dict[str, Any]) -> datetime | None:
    times = (
        event.get("lastTimestamp"),
        series.get("lastObservedTime"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        event.get("deprecatedFirstTimestamp"),
        dig.mapping(event.get("metadata"), "metadata").get("creationTimestamp"),
    )
    return next((time for time in map(dig.time, times) if time is not None), None)


def _add(event: Event, file: str, summary: EventSummary, source: Source) -> None:
    evidence = Evidence(
        file=file,
        line=event.line,
        value=f"{event.reason} {event.name}: {without_container_ids(event.message)}",
        time=event.time,
        source=source,
    )
    count = max(event.times, 1)
    refused = summary.refused.setdefault(event.host, {})
    pod = f"{event.namespace}/{event.name}"
    if event.reason == POD_EVENT_REASON:
        note(refused, (pod, refusal(event.message)), evidence, count)
    elif event.reason == STARTED:
        summary.started[pod] = evidence
        for each in summary.refused.values():
            for key in [key for key in each if key[0] == pod]:
                del each[key]
    if event.name.startswith(AGENT_POD) and event.reason in _AGENT_REASONS:
        note(summary.reasons, (AGENT_FAILS + event.reason, event.host), evidence, count)
    elif event.reason in KEPT_REASONS:
        node = event.name if event.kind == "Node" else ""
        note(summary.reasons, (event.reason, node), evidence, count)
    elif event.reason == "FailedScheduling":
        for text in (TOO_MANY_PODS, NO_BRANCH_ENI):
            if text in event.message:
                note(summary.reasons, (text, ""), evidence, count)


def refusal(message: str) -> Refusal:
    """Return why a pod's network could not be set up, from the kubelet's words."""
    if _NO_ADDRESS in message:
        return Refusal.NO_ADDRESS
    if any(text in message for text in _UNREACHABLE) or (
        _GRPC in message and any(text in message for text in _GRPC_UNREACHABLE)
    ):
        return Refusal.UNREACHABLE
    return Refusal.OTHER
