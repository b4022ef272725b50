"""Of botocore's files what a node needs: EC2's whole model takes 20 MB of memory.

botocore reads the model of all of EC2's operations, some seven hundred, and the endpoints of all
services. An agent makes fifteen calls for as long as its node lives. This module runs as a
program, too, which knows nothing heavy: memory that was used once is rarely returned to the
system, so the files are read by a process of their own (`small_session`).
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.handler import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CALLS = frozenset({
    *(effect.api for effect in METHODS if effect.api is not None),
    "DescribeInstanceTypes",
})  # fmt: skip
"""The calls that a node makes: those of its effects, and one for a type that is not known."""
_SERVICES = frozenset({"ec2", "sts"})
"""STS: credentials of a role for a service account."""
_MODEL = ("ec2", "2016-11-15", "service-2")
_ENDPOINTS = "endpoints"


def is_large(file_path: str) -> bool:
    """Return whether a file of botocore's, named without its ending, is one of the large ones."""
    path = Path(file_path)
    return path.parts[-3:] == _MODEL or path.name == _ENDPOINTS


def reduced(file_path: str, content: Any) -> Any:
    """Return of a file's content what a node needs; None stays None."""
    if content is None:
        return None
    if Path(file_path).name == _ENDPOINTS:
        for partition in content["partitions"]:
            services = partition["services"]
            partition["services"] = {name: services[name] for name in _SERVICES & services.keys()}
        return content
    operations = {name: content["operations"][name] for name in sorted(CALLS)}
    shapes = content["shapes"]
    return {
        **content,
        "operations": operations,
        "shapes": {name: shapes[name] for name in sorted(_reachable(operations.values(), shapes))},
    }


def _reachable(operations: Iterable[dict[str, Any]], shapes: dict[str, Any]) -> set[str]:
    """Return the shapes that operations are made of, and those that these are made of."""
    found: set[str] = set()
    left = [name for operation in operations for name in _shapes_of(operation)]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _shapes_of(shapes[name])
    return found


def _shapes_of(described: dict[str, Any]) -> Iterator[str]:
    for key in ("input", "output", "member", "key", "value"):
        if key in described:
            yield described[key]["shape"]
    for member in [*described.get("members", {}).values(), *described.get("errors", ())]:
        yield member["shape"]


def _read(file_path: str) -> Any:
    """Return what a file of that name holds, plain or compressed; None where there is none."""
    for path, opener in ((f"{file_path}.json", open), (f"{file_path}.json.gz", gzip.open)):
        if Path(path).is_file():
            with opener(path, "rb") as file:
                return json.load(file)
    return None


if __name__ == "__main__":
    json.dump(reduced(sys.argv[1], _read(sys.argv[1])), sys.stdout)
