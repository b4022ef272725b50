"""Names of a package that are loaded when first used, and old names of modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

Load = Callable[[str], Any]
"""The `__getattr__` of a module."""

MOVED = {
    "ipam_core.checkpoint.group": "ipam_core.checkpoint.group_commit",
    "ipam_core.checkpoint.restoring": "ipam_core.checkpoint.restore",
    "ipam_core.diagnosis.explain_finding": "ipam_core.diagnosis.explain.finding",
    "ipam_core.diagnosis.explain_play": "ipam_core.diagnosis.explain.play",
    "ipam_core.introspection": "ipam_core.ipamd.introspection",
    "ipam_core.messages": "ipam_core.ipamd.messages",
    "ipam_core.node.aside": "ipam_core.node.unattached",
    "ipam_core.node.starting": "ipam_core.node.start",
    "ipam_core.simulation.fleet_result": "ipam_core.simulation.fleet.result",
    "ipam_core.simulation.fleet_spec": "ipam_core.simulation.fleet.spec",
    "ipam_core.simulation.player": "ipam_core.simulation.scenario.player",
    "ipam_core.simulation.timeline": "ipam_core.simulation.scenario.timeline",
    "ipam_core.simulation.workloads": "ipam_core.simulation.fleet.workload_specs",
}
"""Modules of 0.1.0 that the API reference listed, and where they are now. Removed after 0.2."""


def loader_of(module: str, homes: Mapping[str, Sequence[str]], *, package: str = "") -> Load:
    """Return a module's `__getattr__`: each name is loaded from its home when first used.

    `homes` gives the names by module, relative to `package`, or to the module itself.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package or module}.{home_of[name]}"), name)
        setattr(sys.modules[module], name, value)
        return value

    return load


def deprecated_name(module: str, names: Mapping[str, str]) -> Load:
    """Return a module's `__getattr__`: old names give the values of new ones, and warn.

    A new name is one of the module, or, with dots, one of another module.
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = names[name].rpartition(".")
        warn_renamed(f"{module}.{name}", f"{home or module}.{new}")
        return getattr(import_module(home or module), new)

    return load


class RenamedAttribute:
    """The old name of an attribute or method: gives what has the new name, and warns."""

    def __init__(self, new: str) -> None:
        self._new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self._class, self._old = owner.__name__, name

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        warn_renamed(f"{self._class}.{self._old}", f"{self._class}.{self._new}")
        return getattr(instance, self._new)


def warn_renamed(old: str, new: str) -> None:
    """Warn the caller's caller that a name is an old one."""
    import warnings  # noqa: PLC0415  (needed only where an old name is used)

    text = f"{old} is now {new}; the old name goes after ipam-core 0.2"
    warnings.warn(text, DeprecationWarning, stacklevel=3)


class _MovedModule:
    """Gives the module of a new name for an old one."""

    def __init__(self, new: str) -> None:
        self._new = new
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module of the new name."""
        module = import_module(self._new)
        self._spec = module.__spec__
        warn_renamed(spec.name, self._new)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing: the module is there."""
        module.__spec__ = self._spec  # the import system put the old name's there


class MovedModules:
    """Finds modules by their old names. Called only for modules that nothing else finds."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of an old name is now; None for any other name."""
        del path, target
        if name not in MOVED:
            return None
        return ModuleSpec(name, _MovedModule(MOVED[name]))  # type: ignore[arg-type]  # duck-typed
