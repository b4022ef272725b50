"""Arguments as values without Pydantic, whose loading takes longer than a short command.

Typer lets Pydantic check each value. Texts, numbers, paths and lists of them, as nearly all
arguments are, need no such help: `coerce_quickly` gives those that are valid directly. Whatever is
not plainly valid goes the usual way, so that what is accepted, and every message, is Typer's.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer._click import Command, Context, Parameter
    from typer._coercion import RuntimeParam
    from typer.core import TyperOption
    from typer.models import ParameterInfo

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class _NotPlainError(Exception):
    """A value needs Typer's own coercion."""


def coerce_all_quickly(command: Command) -> None:
    """Let all parameters of a command, `--help` included, coerce plain values themselves."""
    for parameter in command.params:
        coerce_quickly(parameter)
    command.get_help_option = partial(  # type: ignore[method-assign]
        _quick_help, command.get_help_option
    )


def _quick_help(usual: Callable[[Context], TyperOption | None], ctx: Context) -> TyperOption | None:
    option = usual(ctx)
    if option is not None:
        coerce_quickly(option)
    return option


def coerce_quickly(parameter: Parameter) -> None:
    """Let a parameter coerce plain values itself, and leave others to Typer."""
    of = getattr(parameter, "type_descriptor", None)
    if of is None or of.file_annotation is not None or of.parameter_info.parser is not None:
        return
    convert = _conversion(of.annotation, of.parameter_info)
    if convert is not None:
        usual = parameter.get_runtime_param  # type: ignore[attr-defined]  # of Typer's parameters
        parameter.get_runtime_param = partial(_Quick, convert, usual)  # type: ignore[attr-defined]


class _Quick:
    """The coercion of a parameter's values, in place of Typer's `RuntimeParam`."""

    def __init__(self, convert: Callable[[Any], Any], usual: Callable[[], RuntimeParam]) -> None:
        self._convert = convert
        self._usual = usual

    def coerce(self, value: Any, param: Any, ctx: Context) -> Any:
        """Return the value of an argument. Raises what Typer raises for a wrong one."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if not several or isinstance(value, list | tuple):
            try:
                return self._convert(value)
            except _NotPlainError:
                pass
        return self._usual().coerce(value, param=param, ctx=ctx)


def _conversion(annotation: Any, info: ParameterInfo) -> Callable[[Any], Any] | None:
    """Return what turns plain values into those of a type; None if nothing here does."""
    if get_origin(annotation) is list:
        each = _conversion(get_args(annotation)[0], info)
        return None if each is None else partial(_list, each)
    if annotation is str:
        return _text
    if annotation is bool:
        return _truth
    if annotation in (int, float) and not info.clamp:
        return partial(_number, annotation, info)
    if annotation is Path and info.path_type is None and not info.allow_dash:
        return partial(_path, info)
    return None


def _list(each: Callable[[Any], Any], values: Any) -> list[Any]:
    if not isinstance(values, list | tuple):
        raise _NotPlainError
    return [each(value) for value in values]


def _text(value: Any) -> str:
    if type(value) is not str or not _is_unicode(value):
        raise _NotPlainError
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _NotPlainError
    return value


def _is_unicode(text: str) -> bool:
    """Return whether a text has no bytes in it that are no UTF-8: Pydantic refuses them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(kind: type[int] | type[float], info: ParameterInfo, value: Any) -> int | float:
    if isinstance(value, str) and (_INTEGER if kind is int else _DECIMAL).fullmatch(value):
        value = kind(value)
    if type(value) is not kind:  # a default may be of the other kind
        raise _NotPlainError
    assert isinstance(value, int | float)
    if (info.min is not None and not value >= info.min) or (
        info.max is not None and not value <= info.max
    ):
        raise _NotPlainError
    return value


def _path(info: ParameterInfo, value: Any) -> Path:
    """Return a path; one that must be of some kind, or that cannot be read, is Typer's."""
    checked = info.exists or info.writable or info.resolve_path
    if checked or not (info.file_okay and info.dir_okay) or not _is_unicode(str(value)):
        raise _NotPlainError
    if not isinstance(value, str | Path):
        raise _NotPlainError
    if "\0" in str(value):
        raise _NotPlainError
    if info.readable and os.path.lexists(value) and not os.access(value, os.R_OK):
        raise _NotPlainError
    return Path(value)
