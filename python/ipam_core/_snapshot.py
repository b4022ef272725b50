"""The envelope of a DataStore's snapshot: what it is, which version, and whether it is intact.

    bytes 0-7    b"ipamcore"
    bytes 8-9    version, big-endian
    bytes 10-13  CRC-32 of the rest, big-endian
    the rest     JSON, UTF-8; `DataStore.snapshot` says what is in it

It is JSON because a reader can check each value, which `restore` does: the worst that an input
can do is to be refused.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from typing import Any

from ipam_core._values import Eni, Sandbox
from ipam_core.errors import SnapshotError

_HEAD = b"ipamcore" + (1).to_bytes(2, "big")


def seal(state: dict[str, Any]) -> bytes:
    """Return a state as a snapshot."""
    text = json.dumps(state, default=_plain, separators=(",", ":")).encode()
    return _HEAD + zlib.crc32(text).to_bytes(4, "big") + text


def unseal(snapshot: bytes) -> dict[str, Any]:
    """Return the state in a snapshot. Raises `SnapshotError`."""
    head, checksum, text = snapshot[:10], snapshot[10:14], snapshot[14:]
    if head != _HEAD:
        raise SnapshotError(f"not a snapshot of this version: it begins with {head!r}")
    if zlib.crc32(text).to_bytes(4, "big") != checksum:
        raise SnapshotError("the snapshot is damaged: its checksum does not match")
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the snapshot is not JSON: {error}") from error
    if not isinstance(state, dict):
        raise SnapshotError(f"the snapshot holds a {type(state).__name__}, not a store")
    return state


def _plain(value: Sandbox | Eni) -> Any:
    """Return a value as JSON."""
    if isinstance(value, Eni):
        return asdict(value)
    return sandbox_names(value)


def sandbox_names(sandbox: Sandbox) -> list[str] | str:
    """Return a sandbox's names, or its digest if they are not known: see `sandbox_named`."""
    if not (sandbox.container_id or sandbox.ifname or sandbox.network):
        return sandbox.digest.hex()
    return [sandbox.container_id, sandbox.ifname, sandbox.network]


def sandbox_named(names: list[str] | str) -> Sandbox:
    """Return the sandbox with these names."""
    return Sandbox.from_digest(bytes.fromhex(names)) if isinstance(names, str) else Sandbox(*names)
