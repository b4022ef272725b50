"""A served VPC as a file: JSON that is complete or not there, and is checked completely when read.

Saved are the account, EC2's behaviour and the time. Not saved: what metadata has yet to show
(it shows it at once), and sessions of instance metadata (clients begin new ones).
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.latency import Latency  # noqa: TC001 - `plain` reads the fields of `_Ec2`
from ipam_core.cloud.region import Fault  # noqa: TC001
from ipam_core.cloud.throttling import Bucket  # noqa: TC001
from ipam_core.disk import sync_names
from ipam_core.documents import load_json, read_text
from ipam_core.endpoint import plain
from ipam_core.endpoint.clock import LATEST_NS
from ipam_core.endpoint.vpc import Vpc
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam_core.endpoint.gate import Gate
    from ipam_core.endpoint.metadata import Metadata

FORMAT = "ipam-core served vpc"
VERSION = 1


@dataclass(slots=True, kw_only=True)
class _Ec2:
    """EC2's behaviour. `throttling` None is none."""

    start_ns: int
    chances: list[tuple[int, tuple[int, ...], float | None]]
    latencies: dict[str, Latency]
    throttling: dict[str, Bucket] | None
    tokens: dict[str, float]
    filled_s: dict[str, int]
    n_faults: int
    faults: dict[str, Fault]
    metadata_lag_ns: int


class Saved:
    """A saved VPC: what `read` returns.

    Attributes:
        now_ns: what its clock showed.
    """

    def __init__(self, path: Path, raw: dict[str, Any]) -> None:
        self._path = path
        self._vpc: Any = raw.get("vpc")
        self._ec2: _Ec2 = plain.typed(_Ec2, raw.get("ec2"), "ec2")
        self.now_ns: int = plain.typed(int, raw.get("now_ns"), "now_ns")
        if not 0 <= self.now_ns <= LATEST_NS:
            raise InputError(f"now_ns is from 0 to {LATEST_NS}, not {self.now_ns}")

    def vpc(self, clock_ns: Callable[[], int]) -> Vpc:
        """Return the VPC, by a clock that shows `now_ns` or later. Raises `InputError`."""
        try:
            return Vpc.from_state(self._vpc, clock_ns)
        except InputError as error:
            raise InputError(f"{self._path}: damaged: {error}") from error

    def fill(self, gate: Gate, metadata: Metadata) -> None:
        """Put EC2's behaviour into a gate that has none. Raises `InputError`."""
        saved = {each.name: getattr(self._ec2, each.name) for each in fields(self._ec2)}
        metadata.lag_ns = saved.pop("metadata_lag_ns")
        try:
            gate.restore(**saved)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{self._path}: damaged: {error}") from error


def dump(vpc: Vpc, gate: Gate, metadata: Metadata) -> dict[str, Any]:
    """Return a VPC as JSON has it. Cost: about 10 microseconds a resource."""
    vpc.account.settle()
    return {
        "format": FORMAT,
        "version": VERSION,
        "now_ns": vpc.account.now_ns(),
        "vpc": vpc.to_state(),
        "ec2": plain.plain(_Ec2(**gate.saved(), metadata_lag_ns=metadata.lag_ns)),
    }


def check_place(path: Path) -> None:
    """Raise `OSError` where a state could not be written: better now than at the end."""
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a state: the file has the old one or the new one, whatever happens.

    Raises `OSError`.
    """
    folder = path.parent
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(state, separators=(",", ":")))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_names(folder)  # a name is durable with its folder
    except OSError as error:  # a disk that is full names no file
        Path(name).unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> Saved:
    """Read a state and check its form. Raises `OSError` and, where it is damaged, `InputError`."""
    try:
        raw = load_json(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no state of a VPC: {error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError(f"{path}: no state of a VPC: its format is not {FORMAT!r}")
    if raw.get("version") != VERSION:
        raise InputError(f"{path}: version {raw.get('version')!r}; {VERSION} is known")
    try:
        return Saved(path, raw)
    except InputError as error:
        raise InputError(f"{path}: damaged: {error}") from error
