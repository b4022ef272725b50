"""Text of JSON or YAML as documents: the one reader of both for every input that may be either."""

from __future__ import annotations

import json
from typing import Any

from ipam_core.errors import InputError


def load_documents(text: str) -> list[Any]:
    """Return the documents in `text` that are not null: one of JSON, or any number of YAML.

    JSON goes first: it is faster, and may have tabs between its tokens, which YAML may not.

    Raises:
        InputError: neither, in one line that says where.
    """
    try:
        documents = [json.loads(text)]
    except (ValueError, RecursionError):
        documents = _load_yaml(text)
    return [document for document in documents if document is not None]


def _load_yaml(text: str) -> list[Any]:
    import yaml  # noqa: PLC0415  (takes longer than the rest of the package)

    try:
        # The loader in C, which PyYAML has too, overflows the stack on deep nesting.
        return list(yaml.safe_load_all(text))
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"neither JSON nor YAML: {where}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"neither JSON nor YAML: {' '.join(str(error).split())}") from None
