"""What the API reference cannot read in the source.

Docstrings of the compiled modules, whose stubs (`.pyi`) have none; and that the `dataclass` of
`ipam_core._dataclass` is the standard library's.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

_SIGNATURE = re.compile(r"\A[\w.]+\(.*\)[^\n]*\n")


class CompiledDocstrings(griffe.Extension):
    """Take the docstring of what a stub declares from the module itself."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Add the docstring that the built module has."""
        if obj.docstring is not None or obj.filepath.suffix != ".pyi":
            return
        try:
            text = griffe.dynamic_import(obj.path).__doc__
        except (ImportError, AttributeError):
            return
        if isinstance(text, str) and text.strip():
            # The first line is the signature, from `embedsignature`; the stub has it better.
            text = _SIGNATURE.sub("", text, count=1)
            obj.docstring = griffe.Docstring(inspect.cleandoc(text), parent=obj)


_OURS, _USUAL = "ipam_core._dataclass.dataclass", "dataclasses.dataclass"


class Dataclasses(griffe.Extension):
    """Take our `dataclass` for that of the standard library: for parameters and the label."""

    def on_module_members(self, *, mod: griffe.Module, **_: Any) -> None:
        """Lead the name to the standard library in a module that imports ours."""
        name = mod.members.get("dataclass")
        if isinstance(name, griffe.Alias) and name.target_path == _OURS:
            name.target_path = _USUAL

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Label a class of ours."""
        if any(each.callable_path == _OURS for each in cls.decorators):
            cls.labels.add("dataclass")
