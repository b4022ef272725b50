"""Replies as XML and JSON, by the service's model.

What a reply holds that its model does not have is a `KeyError`: a fault of the action, which
no client would ever see otherwise.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from ipam_core.endpoint.models import model_of, operation, wire_name

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[Any, list[str]], None]

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TO_ESCAPE = re.compile("[&<>\r]|[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


def escaped(text: str) -> str:
    """Return a text as XML has it; a character that XML does not have becomes U+FFFD."""
    if _TO_ESCAPE.search(text) is None:
        return text
    return _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found[0], "\ufffd"), text)


def xml_reply(service: str, action: str, reply: dict[str, Any], request_id: str) -> bytes:
    """Return a reply in the form of EC2, or for another service of the AWS Query protocol.

    Cost: proportional to the reply.
    """
    out: list[str] = []
    write = _writer_of(service, action)
    if write is not None:
        write(reply, out)
    elif reply:
        raise KeyError(f"{action} has no members in its reply")
    space = model_of(service).metadata["xmlNamespace"]
    if service == "ec2":
        # An action without a reply of its own answers that it was done.
        inner = "".join(out) if write is not None else "<return>true</return>"
        body = f"<requestId>{request_id}</requestId>{inner}"
        space += "/"
    else:
        body = (
            f"<{action}Result>{''.join(out)}</{action}Result>"
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        )
    text = f'{_DECLARATION}<{action}Response xmlns="{space}">{body}</{action}Response>'
    return text.encode()


def json_reply(service: str, action: str, reply: dict[str, Any]) -> bytes:
    """Return a reply in the form of a REST-JSON service."""
    shape = operation(service, action).output_shape  # type: ignore[union-attr]
    return json.dumps(_plain(shape, reply)).encode()


def _plain(shape: Any, value: Any) -> Any:
    """Return a value as JSON has it: times in seconds."""
    if shape.type_name == "structure":
        return {
            wire_name(shape.members[name], name): _plain(shape.members[name], each)
            for name, each in value.items()
        }
    if shape.type_name == "list":
        return [_plain(shape.member, each) for each in value]
    return value.timestamp() if isinstance(value, datetime) else value


@cache
def _writer_of(service: str, action: str) -> Write | None:
    """Return what writes an action's reply, None where it has none."""
    found = operation(service, action)
    shape = None if found is None else found.output_shape
    return None if shape is None else _structure(shape)


def _writer(shape: Any) -> Write:
    if shape.type_name == "structure":
        return _structure(shape)
    if shape.type_name == "list":
        return _list(shape)
    text = _TEXTS[shape.type_name]
    return lambda value, out: out.append(text(value))


def _structure(shape: Any) -> Write:
    members: dict[str, tuple[str, str, Write]] = {}

    def write(value: dict[str, Any], out: list[str]) -> None:
        for name, each in value.items():
            member = members.get(name)
            if member is None:  # made when first met: shapes may hold themselves
                tag = wire_name(shape.members[name], name)
                member = f"<{tag}>", f"</{tag}>", _writer(shape.members[name])
                members[name] = member
            before, after, write_member = member
            out.append(before)
            write_member(each, out)
            out.append(after)

    return write


def _list(shape: Any) -> Write:
    tag = wire_name(shape.member, "member")
    before, after = f"<{tag}>", f"</{tag}>"
    items: list[Write] = []

    def write(value: list[Any], out: list[str]) -> None:
        if not items:
            items.append(_writer(shape.member))
        write_item = items[0]
        for each in value:
            out.append(before)
            write_item(each, out)
            out.append(after)

    return write


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TEXTS: dict[str, Callable[[Any], str]] = {
    "string": escaped,
    "integer": int.__str__,
    "long": int.__str__,
    "boolean": {True: "true", False: "false"}.__getitem__,
    "double": repr,
    "float": repr,
    "timestamp": _time,
}
