"""The agent's checkpoint file, ipam.json: damage that prevents an agent from starting.

Source: pkg/ipamd/datastore/data_store.go (ReadBackingStore) of aws/amazon-vpc-cni-k8s:
a file that does not parse, is of another version, or has an address twice fails the start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.inputs import dig
from ipam_core.diagnosis.inputs.case import Evidence, Source
from ipam_core.ipamd.checkpoint_file import VERSION

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case


_NAME = re.compile(r"(?:^|/)ipam[\w-]*\.json$")
MARK = '"vpc-cni-ipam/'


def is_checkpoint(document: Any) -> bool:
    """Return whether a document is the agent's checkpoint."""
    return isinstance(document, dict) and "allocations" in document and "version" in document


def read_checkpoint(document: dict[str, Any], file: str, case: Case) -> None:
    """Add to the case what would prevent an agent from starting with a checkpoint."""
    if document["version"] != VERSION:
        _bad(f"version {dig.shown(document['version'])}; known: {VERSION}", file, case)
    seen: set[str] = set()
    for number, one in enumerate(dig.sequence(document["allocations"], f"{file}: allocations")):
        allocation = dig.mapping(one, f"{file}: allocations[{number}]")
        address = dig.text(allocation.get("ipv4")) or dig.text(allocation.get("ipv6"))
        if address and address in seen:
            _bad(f"{address} is held by two sandboxes", file, case)
        seen.add(address)


def is_named_so(name: str) -> bool:
    """Return whether a file has the name of the agent's checkpoint, or of a copy of it."""
    return _NAME.search(name) is not None


def read_damaged(why: str, file: str, case: Case) -> None:
    """Add to the case that a checkpoint is not JSON: an agent cannot start with it."""
    _bad(why, file, case)


def _bad(why: str, file: str, case: Case) -> None:
    case.bad_checkpoints.append(Evidence(file=file, line=None, value=why, source=Source.CHECKPOINT))
