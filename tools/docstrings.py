"""List public names whose docstrings lack what a caller must know.

    python tools/docstrings.py

Public is what `ipam_core.__all__` names, with the public methods and properties of those classes,
and what the modules `pool` and `instances` define.

- text: there is no docstring.
- errors: the code raises an error, and the docstring does not say so.
- shapes: it takes or returns an array, and the docstring names no shape.
- units: a parameter is a float whose name ends in no unit, and the docstring does not name it.
- cost: a method of the compiled core, or a rule, whose docstring says nothing of what it costs.
- source: it says what the agent, AWS or EC2 does, and not where that is written.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import ipam_core
from ipam_core import instances, pool

if TYPE_CHECKING:
    from collections.abc import Iterator

COST = re.compile(r"\bcosts?\b|constant|one pass|O\(|\bview\b|\bas `\w+`", re.IGNORECASE)
ERRORS = re.compile(r"\braises?\b|\brefus|\bas `", re.IGNORECASE)
SHAPES = re.compile(r"shape|\(n|an array of|each of")
CORE = ("DataStore", "Subnet")
UNITS = re.compile(r"(_s|_ns|seconds|_share)$")
SOURCE = re.compile(r"[Ss]ource|pool-rules section|https://|pkg/")
SOURCED = (
    "InstanceLimits", "Node", "Node.adjust", "Node.clean_leaked", "Node.drain", "Node.free_eni",
    "Node.reconcile", "Node.set_max_pods", "Node.start", "Policy", "Settings", "Settings.from_env",
    "Settings.from_helm_values", "Subnet", "DataStore", "instances.limits", "instances.max_pods",
    "pool.aim", "pool.decide", "pool.settled",
)  # fmt: skip
"""Names that stand for what the agent, AWS or EC2 does; their members refer to them."""
COSTED = ("pool.aim", "pool.climb", "pool.decide", "pool.settled", "pool.settled_many")


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
    for module in (pool, instances):
        for name in getattr(module, "__all__", vars(module)):
            value = getattr(module, name)
            home = getattr(value, "__module__", "")
            if not name.startswith("_") and callable(value) and _is_of(home, module.__name__):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", value


def _is_of(home: str, module: str) -> bool:
    """Return whether a module shows what is of another as its own."""
    return home == module or (module == "ipam_core.pool" and home.startswith("ipam_core."))


def lacks(name: str, value: Any) -> Iterator[str]:
    """Yield what the docstring of a public name lacks."""
    text = inspect.getdoc(value) or ""
    if not text and (callable(value) or isinstance(value, property)):
        yield "text"
        return
    owner, _, method = name.partition(".")
    is_costed = (owner in CORE and method and callable(value)) or name in COSTED
    if is_costed and not COST.search(text):
        yield "cost"
    if name in SOURCED and not SOURCE.search(text):
        yield "source"
    if not inspect.isfunction(value):
        return
    source = textwrap.dedent(inspect.getsource(value))
    if _raises(source) and not ERRORS.search(text):
        yield "errors"
    if "NDArray" in str(inspect.signature(value)) and not SHAPES.search(text):
        yield "shapes"
    for parameter in inspect.signature(value).parameters.values():
        is_number = re.search(r"\bfloat\b", str(parameter.annotation))
        if is_number and not UNITS.search(parameter.name) and f"`{parameter.name}`" not in text:
            yield f"units of {parameter.name}"


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
