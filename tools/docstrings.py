"""List public names whose docstrings lack what a caller must know.

    python tools/docstrings.py

Public is what `ipam_core.__all__` names, with the public methods and properties of those classes.

- text: there is no docstring.
- errors: the code raises an error, and the docstring does not say so.
- shapes: it takes or returns an array, and the docstring names no shape.
- cost: a method of the compiled core, whose docstring says nothing of what it costs.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import ipam_core

if TYPE_CHECKING:
    from collections.abc import Iterator

COST = re.compile(r"\bcosts?\b|constant|one pass|O\(|\bview\b|\bas `\w+`", re.IGNORECASE)
ERRORS = re.compile(r"\braises?\b|\brefus|\bas `", re.IGNORECASE)
SHAPES = re.compile(r"shape|\(n|an array of|each of")
CORE = ("DataStore", "Subnet")


def public() -> Iterator[tuple[str, Any]]:
    """Yield the dotted name of everything public, and what it is."""
    for name in ipam_core.__all__:
        value = getattr(ipam_core, name)
        if inspect.ismodule(value):
            continue
        yield name, value
        if not inspect.isclass(value) or issubclass(value, BaseException):
            continue
        for member in dir(value):
            found = inspect.getattr_static(value, member)
            is_own = any(
                member in kind.__dict__ and kind.__module__.startswith("ipam_core")
                for kind in value.__mro__
            )
            if member.startswith("_") or not is_own or isinstance(found, int | str | float | tuple):
                continue
            if "Renamed" not in type(found).__name__ and not inspect.ismemberdescriptor(found):
                yield f"{name}.{member}", getattr(value, member) if callable(found) else found


def lacks(name: str, value: Any) -> Iterator[str]:
    """Yield what the docstring of a public name lacks."""
    text = inspect.getdoc(value) or ""
    if not text and (callable(value) or isinstance(value, property)):
        yield "text"
        return
    owner, _, method = name.partition(".")
    if owner in CORE and method and callable(value) and not COST.search(text):
        yield "cost"
    if not inspect.isfunction(value):
        return
    source = textwrap.dedent(inspect.getsource(value))
    if _raises(source) and not ERRORS.search(text):
        yield "errors"
    if "NDArray" in str(inspect.signature(value)) and not SHAPES.search(text):
        yield "shapes"


def _raises(source: str) -> bool:
    """Return whether a function raises an error of the package itself."""
    return any(
        isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        for node in ast.walk(ast.parse(source))
    )


def lacking() -> list[str]:
    """Return a line for each public name that lacks something."""
    return [f"{name}: {what}" for name, value in public() for what in lacks(name, value)]


if __name__ == "__main__":
    found = lacking()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.exit(bool(found))
