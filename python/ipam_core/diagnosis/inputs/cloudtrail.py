"""CloudTrail: EC2 calls that failed, and who makes calls.

Two forms: a file as CloudTrail delivers it (`{"Records": [...]}`), and what
`aws cloudtrail lookup-events` prints (`{"Events": [{"CloudTrailEvent": "{...}"}]}`).
Source: the CloudTrail user guide, "CloudTrail record contents".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Case, Evidence, Failures, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_EC2 = "ec2.amazonaws.com"
_STS = "sts.amazonaws.com"
_SERVICE_ACCOUNT = "system:serviceaccount:kube-system:aws-node"


def is_trail(document: Any) -> bool:
    """Return whether a JSON document is one of the forms."""
    if not isinstance(document, dict):
        return False
    records, events = document.get("Records"), document.get("Events")
    if isinstance(records, list):
        return all(isinstance(one, dict) and "eventSource" in one for one in records)
    return isinstance(events, list) and all(
        isinstance(one, dict) and "CloudTrailEvent" in one for one in events
    )


def read_trail(document: dict[str, Any], file: str, content: str, case: Case) -> None:
    """Add to the case what EC2 refused."""
    failures = case.trail = case.trail or Failures()
    lines = dig.Lines(content)
    for record in _records(document, case, file):
        if record.get("eventSource") == _STS and _SERVICE_ACCOUNT in str(record):
            case.own_role = Evidence(
                file=file, line=None, value="aws-node takes a role of its own", source=Source.TRAIL
            )
        if record.get("eventSource") != _EC2:
            continue
        identity = dig.mapping(record.get("userIdentity"), f"{file}: userIdentity")
        role, session = _role_and_session(dig.text(identity.get("arn")))
        caller = session or dig.text(record.get("userAgent")) or "unknown"
        case.callers[caller] = case.callers.get(caller, 0) + 1
        when = dig.time(record.get("eventTime"))
        case.saw(Source.TRAIL, when)
        code = dig.text(record.get("errorCode")).removeprefix("Client.").removeprefix("Server.")
        if not code:
            continue
        api, message = dig.text(record.get("eventName")), dig.text(record.get("errorMessage"))
        evidence = Evidence(
            file=file,
            line=lines.find(dig.text(record.get("eventID")) or code),
            value=f"{api}: {code}: {message}",
            time=when,
            source=Source.TRAIL,
        )
        failures.add(api, code, message, evidence, session)
        if role:
            case.roles[session] = role


def _records(document: dict[str, Any], case: Case, file: str) -> Iterator[dict[str, Any]]:
    yield from dig.sequence(document.get("Records"), f"{file}: Records")
    broken = 0
    for event in dig.sequence(document.get("Events"), f"{file}: Events"):
        try:
            yield dig.mapping(json.loads(event["CloudTrailEvent"]), "CloudTrailEvent")
        except (ValueError, TypeError, RecursionError):
            broken += 1
    if broken:
        case.notes.append(f"{file}: {broken} events are not JSON")


def _role_and_session(arn: str) -> tuple[str, str]:
    """Return ROLE and SESSION of an ARN such as arn:aws:sts::1:assumed-role/ROLE/SESSION."""
    _, found, rest = arn.partition(":assumed-role/")
    role, _, session = rest.partition("/")
    return (role, session) if found else ("", "")
