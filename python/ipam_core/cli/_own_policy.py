"""A policy of one's own by its module and name, as `--policy my_rules:predict`."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.policy import VPC_CNI, Policy

if TYPE_CHECKING:
    from types import ModuleType


def own_policy(given: str) -> Policy:
    """Return what `MODULE:NAME` names: a `Policy`, or a rule, then with VPC_CNI's switches.

    The module is imported, which runs it: as Python finds it, and else in the current folder.

    Raises:
        InputError: not of that form, no such module or name, a module that does not load, or
            neither a policy nor a function, or one that cannot be sent to another process.
    """
    module_name, _, name = given.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise InputError(
            f"--policy {given!r}: MODULE:NAME is needed, as Python imports it: my_rules:predict"
        )
    found: Any = _module(given, module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"--policy {given!r}: module {module_name} has no {name}")
        found = getattr(found, part)
    if callable(found) and not isinstance(found, type):
        found = replace(VPC_CNI, name=given, rule=found)
    if not isinstance(found, Policy):
        raise InputError(
            f"--policy {given!r}: a Policy or a rule, a function of a PoolView, is needed, not a "
            f"{type(found).__name__}"
        )
    try:
        pickle.dumps(found)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"--policy {given!r}: its functions must be of a module, for several processes: {error}"
        ) from error
    return found


def _module(given: str, name: str) -> ModuleType:
    """Import a module. The current folder comes last: what is in it hides no installed module."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InputError(f"--policy {given!r}: {name} does not load: {error}") from error
        raise InputError(
            f"--policy {given!r}: no module {name}, neither installed nor in {here}"
        ) from error
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"--policy {given!r}: {name} does not load: {said}") from error
