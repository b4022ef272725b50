"""Text of the AWS command line and of kubectl as documents, in every form they have.

One JSON document; several, appended in a loop (`get-subnet-cidr-reservations` takes one
subnet a call); `--output yaml`; a list, as `--query 'Subnets[]'` prints it; UTF-8 or
UTF-16, with a byte order mark or without.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

from ipam_core.documents import load_documents, load_json_values, may_be_read, text_of
from ipam_core.errors import InputError
from ipam_core.subnet.quick import quick_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = {
    "Subnets": "aws ec2 describe-subnets",
    "NetworkInterfaces": "aws ec2 describe-network-interfaces",
    "SubnetIpv4CidrReservations": "aws ec2 get-subnet-cidr-reservations",
    "Reservations": "aws ec2 describe-instances",
    "items": "kubectl get pods -A -o json",
}
"""The key that identifies each document, and the command that prints it."""

_OF_LISTS = {
    "Subnets": ("SubnetId", "CidrBlock"),
    "NetworkInterfaces": ("NetworkInterfaceId", "SubnetId", "PrivateIpAddresses"),
    "SubnetIpv4CidrReservations": ("SubnetId", "Cidr", "ReservationType"),
    "Reservations": ("Instances",),
    "Instances": ("InstanceId", "InstanceType"),
    "items": ("kind", "metadata", "spec"),
}
"""The keys that identify the entries of a `--query` list, and that they need."""


def documents_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the documents of a file, each with one or more of the keys of `KNOWN`.

    Raises as `documents_in`. `OSError`: unreadable.
    """
    with path.open("rb") as stream:
        yield from documents_in(stream, str(path))


def documents_in(stream: IO[bytes], source: str) -> Iterator[dict[str, Any]]:
    """Yield the documents in a stream, which messages call `source`.

    Cost: that of parsing it.

    Raises `InputError`: not text, not JSON or YAML, incomplete, or something else; larger,
    with more values or nested deeper than `ipam_core.documents` allows.
    """
    try:
        text = text_of(stream)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    for value in _values_of(text, source):
        yield as_document(value, source)


def as_document(value: Any, source: str) -> dict[str, Any]:
    """Return a value as a document with a key of `KNOWN`; a `--query` list gets its key.

    Raises `InputError`: it is not a known document.
    """
    if isinstance(value, dict) and not KNOWN.keys().isdisjoint(value):
        return value
    if isinstance(value, list):
        entries = value
        while entries and all(isinstance(each, list) for each in entries):
            entries = [entry for each in entries for entry in each]  # Reservations[].Instances
        if entries and all(isinstance(each, dict) for each in entries):
            return _of_list(entries, source)
    raise InputError(f"{source}: not the JSON of {', '.join(KNOWN.values())}")


def _of_list(entries: list[dict[str, Any]], source: str) -> dict[str, Any]:
    for key, needed in _OF_LISTS.items():
        if all(name in entry for entry in entries for name in needed):
            if key == "Instances":
                return {"Reservations": [{"Instances": entries}]}
            return {key: entries}
    keys = ", ".join(map(str, list(entries[0])[:4])) or "nothing"
    raise InputError(
        f"{source}: a list of entries with {keys}: a --query list needs whole entries, as "
        "--query 'NetworkInterfaces[]' prints"
    )


def _values_of(text: str, source: str) -> Iterator[Any]:
    """Yield the values that a text holds: JSON, one after the other, or YAML."""
    first = text.lstrip()[:1]
    if not first:
        raise InputError(f"{source}: incomplete JSON: empty")
    if first not in "[{":
        yield from _yaml_values(text, source)
        return
    if first == "{" and (whole := _quick(text)) is not None:
        yield whole
        return
    try:
        yield from load_json_values(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1
        problem = "cut off" if cut else error.msg
        raise InputError(
            f"{source}: incomplete JSON: {problem} (line {error.lineno}, column {error.colno})"
        ) from None
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _quick(text: str) -> dict[str, Any] | None:
    """Return the one known document of a text if it can be read quickly, else None."""
    found = quick_document(text) if may_be_read(text) else None
    return None if found is None or KNOWN.keys().isdisjoint(found) else found


def _yaml_values(text: str, source: str) -> list[Any]:
    hint = "give what the AWS command line prints with --output json (or yaml)"
    try:
        values = load_documents(text)
    except InputError as error:
        raise InputError(f"{source}: {error}; {hint}") from None
    if not values or not all(isinstance(each, dict | list) for each in values):
        raise InputError(f"{source}: neither JSON nor YAML; {hint}")
    return values
