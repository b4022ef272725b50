"""Docstrings of the compiled modules, whose stubs (`.pyi`) have none, for the API reference."""

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
