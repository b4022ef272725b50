"""`dataclass` as of the standard library; classes of values (`frozen=True`) are defined faster.

The standard library compiles six methods of such a class, each by itself: 0.5 ms. A command
defines 80 of them before it does anything: that was a quarter of its start. Here `__init__` alone
is compiled; the other methods are closures over the names of the fields. Objects, errors, pickles
and what `dataclasses` and type checkers see are the same (tests/test_dataclass.py).
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - its name here, for mypy
    from types import CodeType
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """Do as `dataclasses.dataclass`; without `InitVar` where a class is frozen."""

        def define(cls: type) -> type:
            made_by = _frozen if _is_quick(cls, options) else dataclasses.dataclass
            return made_by(cls, **options)

        return define if cls is None else define(cls)


def _is_quick(cls: type, options: dict[str, bool]) -> bool:
    """Return whether `_frozen` can define a class; all others the standard library does."""
    return (
        options.get("frozen", False)
        and options.keys() <= {"frozen", "slots", "kw_only"}
        and cls.__doc__ is not None
        and cls.__dict__.keys().isdisjoint(("__setattr__", "__delattr__"))
        and not dataclasses.is_dataclass(cls)  # of a base
    )


def _frozen(cls: type, *, frozen: bool, slots: bool = False, kw_only: bool = False) -> Any:
    # Fields, slots and `__match_args__` are the standard library's work, and cost little.
    made: Any = dataclasses.dataclass(
        init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
    )(cls)
    shown = made.__dataclass_params__
    shown.init = shown.repr = shown.eq = shown.frozen = frozen
    every = fields(made)
    methods = {"__init__": _init(made, every)} | _compared(every) | _unchanged(made, every)
    if slots:
        methods |= _pickled(every)
    for name, method in methods.items():
        # What the class has itself is kept. With an `__eq__` of its own its hash is None: none.
        if made.__dict__.get(name) is None:
            method.__name__, method.__qualname__ = name, f"{made.__qualname__}.{name}"
            setattr(made, name, method)
    return made


def _compared(every: Sequence[Field[Any]]) -> dict[str, Any]:
    """Return what shows, compares and hashes an object."""
    shown = [each.name for each in every if each.repr]
    compared = _getter([each.name for each in every if each.compare])
    hashed = _getter(
        [each.name for each in every if (each.compare if each.hash is None else each.hash)]
    )

    def show(self: Any) -> str:
        values = ", ".join([f"{name}={getattr(self, name)!r}" for name in shown])
        return f"{self.__class__.__qualname__}({values})"

    def equal(self: Any, other: object) -> Any:
        if other.__class__ is self.__class__:
            return compared(self) == compared(other)
        return NotImplemented

    def hash_of(self: Any) -> int:
        return hash(hashed(self))

    return {"__repr__": show, "__eq__": equal, "__hash__": hash_of}


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that gives an object's attributes as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _unchanged(cls: Any, every: Sequence[Field[Any]]) -> dict[str, Any]:
    """Return what refuses changes; an attribute that a subclass has in addition is its own."""
    names = frozenset(each.name for each in every)

    def set_to(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": set_to, "__delattr__": delete}


def _pickled(every: Sequence[Field[Any]]) -> dict[str, Any]:
    """Return what pickles an object without a `__dict__`: the values in order of its fields."""
    names = [each.name for each in every]

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def take(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": state, "__setstate__": take}


# --- __init__ -----------------------------------------------------------------------------


class _Factory:
    """What `help` shows as the default of a field with a `default_factory`."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _init(cls: type, every: Sequence[Field[Any]]) -> Any:
    """Return the `__init__` of a class.

    Raises `TypeError` where a field without a default follows one with it.
    """
    known: dict[str, Any] = {"_set_": object.__setattr__, "_factory_": _FACTORY}
    known["__name__"] = cls.__module__
    positional, keyword, body = ["self"], list[str](), list[str]()
    is_optional = False
    for each in every:
        name, value = each.name, each.name
        has_default = each.default is not MISSING
        has_factory = each.default_factory is not MISSING
        if has_default:
            known[f"_default_{name}"] = each.default
        if has_factory:
            known[f"_make_{name}"] = each.default_factory
        if each.init:
            parameter = name
            if has_default:
                parameter += f"=_default_{name}"
            elif has_factory:
                parameter += "=_factory_"
                value = f"_make_{name}() if {name} is _factory_ else {name}"
            elif is_optional and not each.kw_only:
                raise TypeError(f"non-default argument {name!r} follows default argument")
            is_optional |= parameter != name and not each.kw_only
            (keyword if each.kw_only else positional).append(parameter)
        elif has_factory:
            value = f"_make_{name}()"
        elif has_default and "__slots__" in cls.__dict__:
            value = f"_default_{name}"
        else:
            continue
        body.append(f"_set_(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*positional, "*", *keyword] if keyword else positional)
    lines = [f"def __init__({parameters}):", *(body or ["pass"])]
    exec(_compiled("\n  ".join(lines)), known)
    made = known.pop("__init__")
    made.__annotations__ = {each.name: each.type for each in every if each.init}
    made.__annotations__["return"] = None
    return made


@cache
def _compiled(source: str) -> CodeType:
    """Return the code of an `__init__`; many effects have the same fields."""
    return compile(source, "<dataclass>", "exec")
