"""Values as JSON has them, and back: of dataclasses, by the types of their fields.

What is read is foreign: whatever is not of its type is an `InputError` that says where.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from ipam_core.errors import InputError
from ipam_core.quoting import quoted


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a dataclass as an object, a tuple as a list."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def typed(hint: Any, raw: Any, where: str) -> Any:
    """Return the value of a type that `plain` made of it. Raises `InputError`.

    Known are dataclasses, lists, tuples, dicts by text, `X | None`, and the scalars of JSON.
    """
    if is_dataclass(hint):
        return _object(hint, raw, where)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if raw is None and type(None) in inner:
            return None
        return typed(next(each for each in inner if each is not type(None)), raw, where)
    if origin in (list, tuple):
        items = _of(raw, list, where)
        if origin is list or inner[-1] is Ellipsis:
            return origin(typed(inner[0], each, f"{where}[{n}]") for n, each in enumerate(items))
        if len(items) != len(inner):
            raise InputError(f"{where} has {len(items)} items, not {len(inner)}")
        pairs = enumerate(zip(inner, items, strict=True))
        return tuple(typed(kind, each, f"{where}[{n}]") for n, (kind, each) in pairs)
    if origin is dict:
        found = _of(raw, dict, where)
        return {key: typed(inner[1], each, f"{where}.{key}") for key, each in found.items()}
    return _of(raw, hint, where)


def _object(kind: Any, raw: Any, where: str) -> Any:
    hints = _hints(kind)
    given = _of(raw, dict, where)
    for name in hints.keys() ^ given.keys():
        what = "is missing" if name in hints else "is not known"
        raise InputError(f"{where}.{quoted(name)[1:-1]} {what}")
    values = {name: typed(hints[name], given[name], f"{where}.{name}") for name in hints}
    try:
        return kind(**values)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields: its module must import them when it runs."""
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


LARGEST = 2**64 - 1
"""The largest integer: the state of a random sequence has so many values."""
_WORDS: dict[type, str] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _of(raw: Any, kind: type, where: str) -> Any:
    """Return a value of a plain type; where a float is wanted, an integer will do."""
    if kind is float and type(raw) is int:
        return raw
    if type(raw) is not kind or (isinstance(raw, int) and abs(raw) > LARGEST):
        raise InputError(f"{where} is {_WORDS[kind]}, not {quoted(raw)}")
    return raw
