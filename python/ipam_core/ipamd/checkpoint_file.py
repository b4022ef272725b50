"""The agent's own checkpoint, read and written, so that a node can change over and back.

One JSON file a network card: `ipam.json` for card 0, `ipam-nic-1.json` for card 1.
Source: pkg/ipamd/datastore/data_store.go (CheckpointData, CheckpointEntry, IPAMKey,
IPAMMetadata) and checkpoint.go (a temporary file, synced, renamed) of
aws/amazon-vpc-cni-k8s.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam_core._store import Sandbox
from ipam_core.checkpoint.entry import Entry
from ipam_core.disk import sync
from ipam_core.documents import load_json, read_text
from ipam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam_core.checkpoint.checkpoint import Checkpoint

VERSION = "vpc-cni-ipam/1"
MOST_BYTES = 64 << 20
"""More than twice what 64 ENIs of 63 /28s take, the most that a card can hold."""

_INT64 = range(-(1 << 63), 1 << 63)


def card_files(path: Path) -> dict[int, Path]:
    """Return the files of a node's network cards, of which `path` is card 0's.

    Raises `InputError` where `path` is not there.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    files = {0: path}
    pattern = re.compile(re.escape(path.stem) + r"-nic-([0-9]+)" + re.escape(path.suffix))
    for other in path.parent.iterdir():
        if match := pattern.fullmatch(other.name):
            if len(match[1]) > 3:
                raise InputError(f"{other}: a network card is a number below 1000")
            card = int(match[1])
            if card in files:
                raise InputError(f"{files[card]} and {other}: two files for network card {card}")
            files[card] = other
    return dict(sorted(files.items()))


def card_file(path: Path, network_card: int) -> Path:
    """Return the file of a network card next to `path`, which is card 0's."""
    return path.with_stem(f"{path.stem}-nic-{network_card}") if network_card else path


def read(path: Path, network_card: int = 0) -> list[Entry]:
    """Return the allocations of a network card's file.

    Fields that the agent left out in earlier versions may be missing: the time of the
    allocation (then 0) and all metadata. Unknown fields are ignored, as the agent does.

    Raises:
        InputError: it is not such a file; the message quotes what is wrong.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{path}: {size} bytes; no checkpoint has more than {MOST_BYTES}")
    try:
        document = load_json(read_text(path, MOST_BYTES))
    except (InputError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    try:
        return _entries(document, network_card)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def import_node(checkpoint: Checkpoint, path: Path, *, replace: bool = False) -> list[Entry]:
    """Take over the files of all of a node's network cards, in one commit.

    They are added to the entries of the checkpoint, or replace them. Returns the
    entries read. Nothing changes on error.

    Raises:
        InputError: a file is not such a file, or contradicts another or the checkpoint.
        CheckpointWriteError: the checkpoint could not be written.
    """
    entries = [
        entry for card, file in card_files(path).items() for entry in read(file, network_card=card)
    ]
    before = [] if replace else [entry for entry in checkpoint.entries() if entry.sandbox]
    _check_consistent([*before, *entries])
    if replace:
        checkpoint.replace(entries)
    else:
        checkpoint.put(*entries)
    return entries


def export_node(entries: Iterable[Entry], path: Path) -> list[Path]:
    """Write each network card's allocations next to `path`, card 0's; return the files.

    Files of cards without allocations are written too if they exist.
    """
    by_card: dict[int, list[Entry]] = {0: []}
    if path.exists():
        by_card = {card: [] for card in card_files(path)}
    for entry in entries:
        by_card.setdefault(entry.network_card, []).append(entry)
    for card, of_card in by_card.items():
        write(card_file(path, card), of_card)
    return [card_file(path, card) for card in by_card]


def as_document(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return these entries in the agent's form; entries without a holder are left out."""
    return {"version": VERSION, "allocations": [_allocation(e) for e in entries if e.sandbox]}


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a network card's file durably, and completely or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(as_document(entries), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
    sync(path.parent)


def _entries(document: Any, network_card: int) -> list[Entry]:
    _require(document, dict, "the file", "an object")
    version = _field(document, "version", str, "")
    if version != VERSION:
        raise InputError(f"version {version!r}; known: {VERSION!r}")
    entries = [
        _entry(allocation, f"allocations[{number}]", network_card)
        for number, allocation in enumerate(_field(document, "allocations", list, ""))
    ]
    places: dict[object, int] = {}
    for number, entry in enumerate(entries):
        for value in (entry.address, entry.sandbox):
            if (first := places.setdefault(value, number)) != number:
                raise InputError(f"allocations[{number}]: {value!r} is in allocations[{first}] too")
    return entries


def _check_consistent(entries: Iterable[Entry]) -> None:
    """Refuse two sandboxes of one address, and two addresses of one sandbox on a card.

    An allocation that was imported before is none of these.
    """
    by_address: dict[str, Entry] = {}
    by_sandbox: dict[tuple[int, Sandbox | None], Entry] = {}
    for entry in entries:
        other = by_address.setdefault(entry.address, entry)
        if other.sandbox != entry.sandbox or other.network_card != entry.network_card:
            raise InputError(f"{entry.address} is held by {other.sandbox!r} and {entry.sandbox!r}")
        other = by_sandbox.setdefault((entry.network_card, entry.sandbox), entry)
        if other.address != entry.address:
            raise InputError(f"{entry.sandbox!r} holds {other.address} and {entry.address}")


def _entry(allocation: Any, where: str, network_card: int) -> Entry:
    _require(allocation, dict, where, "an object")
    where += "."
    container_id = _field(allocation, "containerID", str, where)
    if not container_id:
        raise InputError(f"{where}containerID is empty")
    try:
        sandbox = Sandbox(
            container_id,
            _field(allocation, "ifName", str, where),
            _field(allocation, "networkName", str, where),
        )
    except ValueError as error:
        raise InputError(f"{where}containerID: {error}") from error
    metadata = _field(allocation, "metadata", dict, where, {})
    namespace, name = (
        _field(metadata, key, str, f"{where}metadata.", "")
        for key in ("k8sPodNamespace", "k8sPodName")
    )
    if "/" in namespace + name:
        raise InputError(f"{where}metadata: a slash in {namespace!r} or {name!r}")
    count = _integer(metadata, "interfacesCount", f"{where}metadata.")
    if count < 0:
        raise InputError(f"{where}metadata.interfacesCount is {count}")
    entry = Entry(
        address=_address(allocation, where),
        sandbox=sandbox,
        pod=(f"{namespace}/{name}" if namespace else name) or None,
        network_card=network_card,
        interfaces_count=count,
        assigned_ns=_integer(allocation, "allocationTimestamp", where),
    )
    try:
        entry.row()
    except ValueError as error:
        raise InputError(f"{where[:-1]}: {error}") from None
    return entry


def _address(allocation: dict[str, Any], where: str) -> str:
    found = {}
    for key, parse in (("ipv4", ipaddress.IPv4Address), ("ipv6", ipaddress.IPv6Address)):
        if text := _field(allocation, key, str, where, ""):
            try:
                found[key] = str(parse(text))
            except ValueError:
                raise InputError(f"{where}{key} is {text!r}, not an address") from None
    if len(found) != 1:
        raise InputError(f"{where[:-1]} needs ipv4 or ipv6, one of the two")
    return next(iter(found.values()))


def _integer(holder: dict[str, Any], key: str, where: str) -> int:
    value: int = _field(holder, key, int, where, 0)
    if isinstance(value, bool) or value not in _INT64:
        raise InputError(f"{where}{key} is {_quoted(value)}, not an integer of 64 bits")
    return value


def _field(holder: dict[str, Any], key: str, kind: type, where: str, default: Any = None) -> Any:
    """Return a field of an object; one that is missing is `default`, if there is one."""
    if key not in holder:
        if default is None:
            raise InputError(f"{where}{key} is missing")
        return default
    names = {str: "a string", list: "a list", dict: "an object", int: "an integer"}
    _require(holder[key], kind, where + key, names[kind])
    return holder[key]


def _require(value: Any, kind: type, where: str, wanted: str) -> None:
    if not isinstance(value, kind):
        raise InputError(f"{where} is {_quoted(value)}, not {wanted}")


def _quoted(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _allocation(entry: Entry) -> dict[str, Any]:
    assert entry.sandbox is not None
    metadata = {
        "k8sPodNamespace": entry.pod_namespace,
        "k8sPodName": entry.pod_name,
        "interfacesCount": entry.interfaces_count,
    }
    return {
        "networkName": entry.sandbox.network,
        "containerID": entry.sandbox.container_id,
        "ifName": entry.sandbox.ifname,
        "ipv6" if ":" in entry.address else "ipv4": entry.address,
        "allocationTimestamp": entry.assigned_ns,
        "metadata": {key: value for key, value in metadata.items() if value},
    }
