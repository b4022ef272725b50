"""Parameters of a request as values, by the service's model: names, types, what is required.

A request is foreign input. Whatever it holds, the outcome is a value of the model's types or
an `Ec2Error`; its size is bounded, and each parameter is read once.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from ipam_core.cloud import refusals
from ipam_core.endpoint.models import model_of, operation, wire_name

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 1 << 20
"""The longest request that is read."""
MOST_PARAMETERS = 10_000
"""The most parameters of a request."""
_MOST_ITEMS = 10_000
"""The highest number of a list's item."""
_NOT_PARAMETERS = frozenset({
    "Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion",
    "Timestamp", "Expires", "SecurityToken", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
    "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
})  # fmt: skip
"""What a query has in addition to its action's parameters: how it is signed."""
_NOT_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML has not: an answer could not repeat them."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_ITEM = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


# --- the Query protocols ------------------------------------------------------------------


def parse_query(service: str, text: bytes) -> tuple[str, dict[str, Any]]:
    """Return the action of a query and its parameters, by their names in the model.

    Cost: proportional to the text. Raises `Ec2Error`.
    """
    fields = _fields(text)
    model = model_of(service)
    action = fields.get("Action", "")
    if not action:
        raise refusals.MISSING_ACTION()
    version = fields.get("Version", "")
    if not version:
        raise refusals.MISSING_PARAMETER("Version")
    found = operation(service, action)
    if found is None:
        raise refusals.INVALID_ACTION(action[:200])
    if version != model.api_version:
        raise refusals.NO_SUCH_VERSION(version[:200], model.metadata["serviceAbbreviation"])
    root = _root(service, action)
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in _NOT_PARAMETERS:
            _put(root, values, name, value)
    params: dict[str, Any] = _finished(root, values)
    return action, params


def _fields(text: bytes) -> dict[str, str]:
    if len(text) > MOST_BYTES:
        raise refusals.MALFORMED_QUERY(f"it is longer than {MOST_BYTES} bytes")
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_PARAMETERS,
            errors="strict",
        )
    except UnicodeDecodeError:
        raise refusals.MALFORMED_QUERY("it is not UTF-8, percent-encoded") from None
    except ValueError:
        raise refusals.MALFORMED_QUERY(f"more than {MOST_PARAMETERS} parameters") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if _NOT_TEXT.search(name) or _NOT_TEXT.search(value):
            raise refusals.INVALID_CHARACTER()
        if fields.setdefault(name, value) is not value:
            raise refusals.MALFORMED_QUERY(f"the parameter {name[:200]} is there twice")
    return fields


class _Node:
    """A shape of the model as a request names it."""

    __slots__ = ("convert", "item", "label", "members", "required", "shape", "step")

    def __init__(self, shape: Any, label: str, *, ec2: bool) -> None:
        self.shape = shape
        self.label = label
        """The parameter's name in messages, as EC2's are: `networkInterfaceId`."""
        self.members: dict[str, tuple[str, Callable[[], _Node]]] = {}
        self.item: Callable[[], _Node] | None = None
        self.step = ""
        """What stands between a list's name and the numbers of its items."""
        self.convert = _CONVERTERS.get(shape.type_name)
        self.required: tuple[str, ...] = ()
        if shape.type_name == "structure":
            self.required = tuple(shape.required_members)
            self.members = {
                wire_name(member, name, ec2_query=ec2): (name, _later(member, name, ec2=ec2))
                for name, member in shape.members.items()
            }
        elif shape.type_name == "list":
            self.item = _later(shape.member, label, ec2=ec2)
            if not ec2 and not shape.serialization.get("flattened"):
                self.step = wire_name(shape.member, "member")


def _later(shape: Any, name: str, *, ec2: bool) -> Callable[[], _Node]:
    """Return what makes a node when it is first met: shapes may hold themselves."""
    label = str(shape.serialization.get("name", name))
    return cache(lambda: _Node(shape, label, ec2=ec2))


@cache
def _root(service: str, action: str) -> _Node:
    """Return the node of an action's parameters."""
    found = operation(service, action)
    assert found is not None  # `parse_query` has looked
    shape = found.input_shape
    return _Node(shape if shape is not None else _NO_PARAMETERS, "", ec2=service == "ec2")


class _NoParameters:
    type_name = "structure"
    required_members = ()
    members: dict[str, Any] = {}  # noqa: RUF012  (as a botocore shape has it)


_NO_PARAMETERS = _NoParameters()


def _put(root: _Node, values: dict[str, Any], name: str, text: str) -> None:
    """Put one parameter into its place: lists are dicts by number until they are finished."""
    node, place = root, values
    key: Any = None
    parts = iter(name.split("."))
    for part in parts:
        if key is not None:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise refusals.MALFORMED_QUERY(f"{name[:200]} is part of a value")
        if node.item is not None:
            if node.step and part == node.step:
                part = next(parts, "")  # noqa: PLW2901
            if not _ITEM.fullmatch(part) or int(part) > _MOST_ITEMS:
                raise refusals.UNKNOWN_PARAMETER(name[:200])
            key, node = int(part), node.item()
        elif part in node.members:
            key, later = node.members[part]
            node = later()
        else:
            raise refusals.UNKNOWN_PARAMETER(name[:200])
    if key in place:
        raise refusals.MALFORMED_QUERY(f"{name[:200]} is part of a value, and a value")
    if node.convert is not None:
        place[key] = node.convert(node, text)
    elif node.item is not None and text == "":
        place[key] = {}  # an empty list
    else:
        raise refusals.UNKNOWN_PARAMETER(name[:200])


def _finished(node: _Node, value: Any) -> Any:
    """Return a value with its lists as lists, in order of their numbers, once it is complete."""
    if node.item is not None:
        item = node.item()
        return [_finished(item, value[number]) for number in sorted(value)]
    if node.convert is not None:
        return value
    for name in node.required:
        if name not in value:
            shape = node.shape.members[name]
            raise refusals.MISSING_PARAMETER(shape.serialization.get("name", name))
    by_name = {name: later for name, later in node.members.values() if name in value}
    return {name: _finished(by_name[name](), each) for name, each in value.items()}


# --- values ---------------------------------------------------------------------------------


def _invalid(node: _Node, text: str, needed: str) -> Exception:
    return refusals.INVALID_VALUE(text[:200], node.label, needed)


def _integer(node: _Node, text: str) -> int:
    bits = 63 if node.shape.type_name == "long" else 31
    if not _INTEGER.fullmatch(text) or not -(1 << bits) <= int(text) < 1 << bits:
        raise _invalid(node, text, "Parameter must be an integer.")
    number, bounds = int(text), node.shape.metadata
    if number < bounds.get("min", number):
        raise _invalid(node, f" {text} ", f"Expecting a value greater than {bounds['min']}.")
    if number > bounds.get("max", number):
        raise _invalid(node, f" {text} ", f"Expecting a value less than {bounds['max']}.")
    return number


def _boolean(node: _Node, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise _invalid(node, text, "Parameter must be true or false.")
    return text.lower() == "true"


def _number(node: _Node, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _invalid(node, text, "Parameter must be a number.") from None


def _time(node: _Node, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(node, text, "Parameter must be a time in ISO 8601.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _blob(node: _Node, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(node, text, "Parameter must be in Base64.") from None


_CONVERTERS: dict[str, Callable[[_Node, str], Any]] = {
    "string": lambda _, text: text,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
    "float": _number,
    "double": _number,
    "timestamp": _time,
    "blob": _blob,
}


# --- REST-JSON ------------------------------------------------------------------------------


@cache
def _routes(service: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Return the method, path and action of each call: the longer paths first."""
    model = model_of(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"]))
        found.append((http["method"], re.compile(path), name))
    return tuple(sorted(found, key=lambda route: -len(route[1].pattern)))


def parse_rest(service: str, method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return the action of a REST request and its parameters in path and query.

    Bodies are not read: the actions that are served have none. Raises `Ec2Error`.
    """
    path, _, query = path.partition("?")
    for verb, pattern, action in _routes(service):
        found = pattern.fullmatch(path) if verb == method else None
        if found is None:
            continue
        params: dict[str, Any] = {}
        fields = _fields(query.encode("ascii", "replace"))
        shape = operation(service, action).input_shape  # type: ignore[union-attr]
        for name, member in shape.members.items():
            called = member.serialization.get("name", name)
            place = member.serialization.get("location")
            if place == "uri":
                text: str | None = _unquoted(found[called])
            else:
                text = fields.get(called) if place == "querystring" else None
            if text is not None:
                node = _Node(member, called, ec2=False)
                if node.convert is not None:
                    params[name] = node.convert(node, text)
        return action, params
    raise refusals.INVALID_ACTION(f"{method} {path[:200]}")


def _unquoted(text: str) -> str:
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        plain = "\0"
    if _NOT_TEXT.search(plain):
        raise refusals.INVALID_CHARACTER()
    return plain
