"""One line of a log, with what tools put around it: its time, caller and message.

The agent logs JSON since v1.6 (zap) and `TIME [LEVEL] text` before (seelog); its container
logs JSON (entrypoint.sh), `time=... level=... msg=...` (logrus, from v1.12) or plain text
(before v1.7). A prefix of a line (grep -n, CRI, kubectl --prefix and --timestamps, journald,
fluent-bit, a CloudWatch export) is skipped; JSON around a line (docker, fluent-bit,
CloudWatch) is removed.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_JSON = b'{"level"'
_CONSOLE = re.compile(
    r"(?P<ts>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?) "
    r"\[(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL)\s*\]\s+(?P<msg>.*)",
    re.DOTALL,
)
_LOGRUS = re.compile(r'time="(?P<ts>[^"]+)" level=\w+ msg="(?P<msg>(?:[^"\\]|\\.)*)"(?P<rest>.*)')
_PLAIN = re.compile(
    r"(?:panic: |fatal error: |(?:s|S)tarting IPAM daemon|(?:c|C)hecking for IPAM connectivity"
    r"|(?:t|T)imed out waiting for IPAM daemon).*"
)
"""What the container prints as plain text: entrypoint.sh before v1.7, and Go's own."""
_WRAPPED_IN = ("log", "message", "@message", "MESSAGE", "msg")
_DECODER = json.JSONDecoder()
_DEEPEST = 3


class Entry(NamedTuple):
    """A line of a log: `ts` as it is written, '' if the line has none."""

    ts: str
    caller: str
    message: str


def entry(line: bytes) -> Entry | None:
    """Return the content of a line, None if it is not a line of these logs."""
    if line.startswith(_JSON):
        found = _of_json(line.decode("utf-8", "replace"))
        if found is not None:
            return found
    return _wrapped(line.decode("utf-8", "replace").strip(), 0)


def continues(line: bytes) -> bool:
    """Return whether a line continues the one before: an AWS error's second line."""
    return line[:1] in (b"\t", b" ")


def _wrapped(text: str, depth: int) -> Entry | None:
    at = text.find('{"level"')
    if at >= 0 and (found := _of_json(text[at:])) is not None:
        return found
    if (inner := _inner(text)) is not None and depth < _DEEPEST:
        return _wrapped(inner.strip(), depth + 1)
    for pattern in (_CONSOLE, _LOGRUS):
        if match := pattern.search(text):
            message = match["msg"]
            if pattern is _LOGRUS:
                message = message.replace('\\"', '"') + match["rest"]
            return Entry(match["ts"], "", message)
    if match := _PLAIN.search(text):
        return Entry("", "", match[0])
    return None


def _of_json(text: str) -> Entry | None:
    """Return the line that starts a text; the rest is skipped."""
    try:
        fields, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    message = fields.get("msg")
    if not isinstance(message, str):
        return None
    ts, caller = fields.get("ts"), fields.get("caller")
    return Entry(
        ts if isinstance(ts, str) else "", caller if isinstance(caller, str) else "", message
    )


def _inner(text: str) -> str | None:
    """Return the line inside a collector's JSON."""
    at = text.find("{")
    if at < 0:
        return None
    try:
        fields, _ = _DECODER.raw_decode(text[at:])
    except (ValueError, RecursionError):
        return None
    return wrapped_in(fields)


def wrapped_in(fields: Any) -> str | None:
    """Return the line in a collector's object, None if there is none."""
    if not isinstance(fields, dict):
        return None
    return next((fields[key] for key in _WRAPPED_IN if isinstance(fields.get(key), str)), None)
