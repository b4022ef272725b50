"""Delete ENIs that were made for a node and belong to none any more.

Source: pool-rules section 5, "Leaked ENIs"; pkg/awsutils/awsutils.go
(getLeakedENIs, cleanUpLeakedENIs).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ipam_core.effects import DeleteEni, FindNodelessEnis, TagCreatedAt
from ipam_core.errors import IpamError
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX

if TYPE_CHECKING:
    from ipam_core.effects import EniDescription, Step
    from ipam_core.node.node import Node

LEAKED_AFTER_S = 300
"""An ENI is leaked when it was created longer ago than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What one run did: the ENIs deleted, and those dated so that a later run can tell."""

    deleted: tuple[str, ...]
    tagged_created_at: tuple[str, ...]


def clean(node: Node, now_s: float) -> Step[Cleanup]:
    """Run the task once; `now_s` is wall-clock time (Unix seconds).

    Where the search fails nothing is found; an ENI that cannot be deleted or tagged is
    left for the next run. Failures are noted.
    """
    deleted: list[str] = []
    tagged: list[str] = []
    try:
        found: tuple[EniDescription, ...] = yield FindNodelessEnis()
    except IpamError as error:
        node.note_failure(error)
        found = ()
    for eni in found:
        if not eni.description.startswith(DESCRIPTION_PREFIX):
            continue
        created_s = _created_s(eni)
        if created_s is not None and now_s - created_s < LEAKED_AFTER_S:
            continue
        try:
            if created_s is None:
                yield TagCreatedAt(eni.eni_id)
                tagged.append(eni.eni_id)
            else:
                yield DeleteEni(eni.eni_id)
                deleted.append(eni.eni_id)
        except IpamError as error:
            node.note_failure(error)
    return Cleanup(deleted=tuple(deleted), tagged_created_at=tuple(tagged))


def _created_s(eni: EniDescription) -> float | None:
    """Return when the ENI was created (Unix seconds), None where its tag does not say."""
    try:
        return datetime.fromisoformat(eni.tags[CREATED_AT_TAG]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
