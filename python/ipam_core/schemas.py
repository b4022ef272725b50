"""JSON Schemas of what results write as JSON, and the check of which one a document is of.

A result's `to_dict` names its schema under the key `schema`, as `explanation/1`; `--json` of
the command prints the same. The number rises when a key changes its meaning or goes; new keys
may come under the same number.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError
from ipam_core.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS = ("explanation/1", "diagnosis/1", "tuning/1", "node/1")


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document: `explanation/1`, and so on.

    Cost: reads a file of some KB. Raises `InputError` if there is none of the name.
    """
    if name not in SCHEMAS:
        raise InputError(f"schema {quoted(name)}: one of {', '.join(SCHEMAS)}")
    path = files("ipam_core") / "data" / "schemas" / f"{name.replace('/', '-')}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def check_schema(document: Mapping[str, Any], name: str) -> None:
    """Raise `InputError` unless a document says that it is of this schema."""
    said = document.get("schema") if isinstance(document, dict) else None
    if said != name:
        raise InputError(f"schema {quoted(said)}: this needs {quoted(name)}")
