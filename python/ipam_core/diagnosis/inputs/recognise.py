"""Finds the kind of a file by its content, and adds it to the case.

JSON may follow a prompt, headers or a progress meter, and a file may hold several documents:
every document that is found is read.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import checkpoint, dig, kubernetes, metrics, variables
from ipam_core.diagnosis.inputs.case import Source
from ipam_core.diagnosis.inputs.cloudtrail import is_trail, read_trail
from ipam_core.diagnosis.inputs.described import (
    is_description,
    is_event_table,
    read_description,
    read_event_table,
)
from ipam_core.diagnosis.inputs.enis import is_enis, read_enis
from ipam_core.diagnosis.inputs.events import is_events, read_events
from ipam_core.diagnosis.inputs.lines import wrapped_in
from ipam_core.diagnosis.inputs.log import LONGEST_LINE, is_log_line, read_log
from ipam_core.documents import load_documents, load_json, text_of
from ipam_core.errors import InputError
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

    from ipam_core.diagnosis.inputs.case import Case

_HEAD_LINES = 200
_MOST_TRIES = 200
"""The most braces and brackets of a file that are tried as the start of a JSON document."""
_MARK = "\ufeff"
_OURS = (
    '"AvailableIPv4Cidrs"', '"ENIIPPools"', '"AssignedIPs"', '"eventSource"', '"Records"',
    '"involvedObject"', '"vpc-cni-ipam/1"',
)  # fmt: skip
"""Words that show the kind of a document that does not parse."""
_OUR_YAML = ("DaemonSet", "involvedObject", "KubeletConfiguration")
_IN_JSON = re.compile(
    rb'"(?:AvailableIPv4Cidrs|ENIIPPools|ENIs|AssignedIPs|eventSource|CloudTrailEvent|involvedObject'
    rb'|regarding|allocations|maxPods|addonName|WARM_[A-Z_]+|kind|level|message|@message)"'
)
"""Texts in a JSON document of these kinds, anywhere in a file."""
_IN_TEXT = re.compile(rb"(?:%s)\b" % b"|".join(name.encode() for name in VARIABLES))
_YAML = re.compile(rb"^\s*(?:- )?kind:\s", re.MULTILINE)


def recognise(stream: io.BufferedReader[Any], name: str, case: Case) -> bool:
    """Read a plain stream into the case; return whether it is an input.

    A bundle has many other files: only a stream that starts like an input is read completely.

    Raises:
        InputError: it is an input, and damaged.
    """
    head = stream.peek(1 << 18)
    if not head and checkpoint.is_named_so(name):
        checkpoint.read_damaged("it is empty", name, case)
        case.files.append((name, "checkpoint"))
        return True
    head = head.removeprefix(_MARK.encode())
    lines = head.split(b"\n", _HEAD_LINES)[:_HEAD_LINES]
    text = [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
    is_log = any(map(is_log_line, lines))
    if not head or (b"\0" in head[:4096] and not is_log):
        return False
    if is_event_table(text):
        read_event_table(text_of(stream), name, case)
        case.files.append((name, "events"))
    elif is_description(text):
        content = text_of(stream)
        kind = read_description(content, name, case)
        variables.read_text(content, name, case)
        case.files.append((name, f"description of a {kind}"))
    elif is_log:
        return _log(_lines(stream), name, case)
    elif metrics.is_metrics(text):
        metrics.read_metrics(text_of(stream), name, case)
        case.files.append((name, "metrics"))
    elif _YAML.search(head) and head.lstrip()[:1] not in (b"{", b"["):
        return _yaml(text_of(stream), name, case)
    elif head.lstrip()[:1] in (b"{", b"[") or _IN_JSON.search(head):
        content = text_of(stream)
        return _json(content, name, case) or _settings(content, name, case)
    elif _IN_TEXT.search(head):
        return _settings(text_of(stream), name, case)
    else:
        return False
    return True


def _log(lines: Iterable[bytes], name: str, case: Case) -> bool:
    """Read log lines; return whether some are from the agent, its container or its plugin."""
    kinds = read_log(lines, name, case)
    if not any(kinds[:3]):
        case.other_logs.append(name)
        return False
    case.files.append((name, str(kinds)))
    return True


def _json(content: str, name: str, case: Case) -> bool:
    found = False
    if checkpoint.MARK in content and (why := _damage(content)):
        checkpoint.read_damaged(f"damaged JSON: {why}", name, case)
        case.files.append((name, "checkpoint"))
        return True
    documents = list(_documents(content))
    lines = [json.dumps(each).encode() for each in documents if _is_line(each)]
    if lines:  # a log that `jq .` printed over several lines
        return _log(lines, name, case)
    for document in documents:
        found |= _document(document, name, content, case)
    if not found and any(word in content for word in _OURS) and (why := _damage(content)):
        raise InputError(f"damaged JSON: {why}")
    return found


def _is_line(document: Any) -> bool:
    return isinstance(document, dict) and {"level", "msg"} <= document.keys()


def _damage(content: str) -> str:
    """Return why a text is not one JSON document, '' if it is."""
    try:
        load_json(content)
    except ValueError as error:
        return str(error)
    return ""


def _documents(content: str) -> Iterator[Any]:
    """Yield the JSON documents of a text, with anything between them.

    Raises `InputError` if there are more values, or deeper ones, than allowed.
    """
    try:
        yield load_json(content)
    except json.JSONDecodeError:
        yield from _embedded(content)


def _embedded(content: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    at, tries = 0, 0
    starts = re.compile(r"[{\[]")
    while tries < _MOST_TRIES and (start := starts.search(content, at)):
        tries += 1
        try:
            document, at = decoder.raw_decode(content, start.start())
        except (ValueError, RecursionError):
            at = start.end()
            continue
        yield document


def _document(document: Any, name: str, content: str, case: Case) -> bool:
    """Read one JSON or YAML document; return whether it is an input."""
    if isinstance(document, dict) and is_enis(document):
        _state(document, name, content, case)
    elif is_trail(document):
        read_trail(document, name, content, case)
        case.files.append((name, "CloudTrail"))
    elif checkpoint.is_checkpoint(document):
        checkpoint.read_checkpoint(document, name, case)
        case.files.append((name, "checkpoint"))
    elif is_events(document):
        read_events(document, name, content, case)
        case.files.append((name, "events"))
    elif kubernetes.is_node(document):
        kubernetes.read_node(document, name, content, case)
        case.files.append((name, "node"))
    elif kubernetes.is_kubelet_config(document):
        kubernetes.read_kubelet_config(document, name, content, case)
        case.files.append((name, "kubelet's configuration"))
    elif variables.is_endpoint(document):
        variables.read_endpoint(document, name, content, case)
        case.files.append((name, "settings"))
    elif (items := _items(document)) is not None:
        return _documents_of(items, name, content, case)
    elif (lines := _exported(document)) is not None:
        return _log([line.encode("utf-8", "replace") for line in lines], name, case)
    else:
        return variables.read_document(document, name, content, case)
    return True


def _documents_of(documents: list[Any], name: str, content: str, case: Case) -> bool:
    """Read every document; return whether one of them is an input."""
    found = False
    for document in documents:
        found |= _document(document, name, content, case)
    return found


def _items(document: Any) -> list[Any] | None:
    """Return the objects of a Kubernetes list, None if it is none."""
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return None
    kind = dig.text(document.get("kind"))
    items: list[Any] = document["items"]
    if kind.endswith("List") and kind != "List":
        # The items of a typed list may lack their kind.
        of_list = {"kind": kind.removesuffix("List")}
        return [of_list | item if isinstance(item, dict) else item for item in items]
    return items


def _exported(document: Any) -> list[str] | None:
    """Return the log lines of an export: CloudWatch's events or query results, or a list."""
    if isinstance(document, dict):
        rows = document.get("events", document.get("results"))
    else:
        rows = document
    if not isinstance(rows, list) or not rows:
        return None
    lines = []
    for row in rows:
        if isinstance(row, list):  # CloudWatch Logs Insights: a row of fields
            fields = [one for one in row if isinstance(one, dict) and "field" in one]
            row = {one["field"]: one.get("value") for one in fields}  # noqa: PLW2901
        line = wrapped_in(row)
        if line is None:
            return None
        lines.append(line)
    return lines if any(is_log_line(line.encode("utf-8", "replace")) for line in lines) else None


def _yaml(content: str, name: str, case: Case) -> bool:
    try:
        documents = load_documents(content)
    except InputError:
        if any(word in content for word in _OUR_YAML):
            raise
        return False  # a template, or a text that only looks like it
    return _documents_of(documents, name, content, case)


def _settings(content: str, name: str, case: Case) -> bool:
    """Read a text of variables: `set env --list`, `NAME=value` lines, or YAML of values."""
    if variables.read_text(content, name, case):
        case.files.append((name, "settings"))
        return True
    if not any(variable in content for variable in VARIABLES):
        return False
    try:
        return _yaml(content, name, case)
    except InputError:  # a text that only mentions a variable
        return False


def _state(document: dict[str, Any], name: str, content: str, case: Case) -> None:
    state, known = read_enis(document, name, content), case.state
    case.files.append((name, "ENIs"))
    if known is not None:
        times = (known.newest, state.newest)
        older = None not in times and max(times) == known.newest  # type: ignore[type-var]
        left = state if older else known
        case.notes.append(f"{left.evidence.file}: another state of a node; not used")
        if older:
            return
    case.state = state
    case.saw(Source.STATE, state.newest)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; one that is too long comes in pieces, none of which is valid."""
    while line := stream.readline(LONGEST_LINE):
        yield line
