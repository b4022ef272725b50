"""Scripts that are no modules of a package, such as those of tools/ and examples/."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def loaded(path: Path | str) -> ModuleType:
    """Return a Python file as a module, which no import finds. Each call runs it again."""
    spec = spec_from_file_location("loaded_by_a_test", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
