"""Delete ENIs that were created for a node that no longer exists.

Source: pool-rules section 5, "Leaked ENIs"; pkg/awsutils/awsutils.go
(getLeakedENIs, cleanUpLeakedENIs).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.effects import DeleteEni, FindNodelessEnis, TagCreatedAt
from ipam_core.errors import IpamError, NotFoundError
from ipam_core.node.tries import DELETE, TAG, persist
from ipam_core.tags import CREATED_AT_TAG, DESCRIPTION_PREFIX

if TYPE_CHECKING:
    from ipam_core.effects import Effect, EniDescription, Step
    from ipam_core.node.state import NodeState
    from ipam_core.node.tries import Tries

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)")
LEAK_INTERVAL_S = 3600
"""How often the task runs."""
LEAKED_AFTER_S = 300
"""An ENI is leaked when it was created longer ago than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What one run did: the ENIs deleted, and those that got a date for a later run.

    `not_deleted` are the ENIs that had to go and stay, each with the error of its last try.
    """

    deleted: tuple[str, ...]
    tagged_created_at: tuple[str, ...]
    not_deleted: tuple[tuple[str, IpamError], ...] = ()


def clean(node: NodeState, now_s: float) -> Step[Cleanup]:
    """Run the task once; `now_s` is wall-clock time (Unix seconds).

    If the search fails, nothing is found; an ENI that cannot be deleted or tagged stays for
    the next run. Failures are noted.
    """
    leaked: list[str] = []
    deleted: list[str] = []
    tagged: list[str] = []
    stay: list[tuple[str, IpamError]] = []
    try:
        found: tuple[EniDescription, ...] = yield FindNodelessEnis()
    except IpamError as error:
        node.note_failure(error)
        found = ()
    for eni in found:
        if not eni.description.startswith(DESCRIPTION_PREFIX):
            continue
        dated = CREATED_AT_TAG in eni.tags
        created_s = _created_s(eni)
        if created_s is None and (yield from _failed(node, TagCreatedAt(eni.eni_id), TAG)) is None:
            tagged.append(eni.eni_id)
        # A date that the agent cannot read is the year 1 to it: such an ENI goes at once.
        if dated and (created_s is None or now_s - created_s >= LEAKED_AFTER_S):
            leaked.append(eni.eni_id)
    for eni_id in leaked:
        failed = yield from _failed(node, DeleteEni(eni_id), DELETE)
        if failed is None or isinstance(failed, NotFoundError):  # it is gone either way
            deleted.append(eni_id)
        else:
            stay.append((eni_id, failed))
    return Cleanup(deleted=tuple(deleted), tagged_created_at=tuple(tagged), not_deleted=tuple(stay))


def _failed(node: NodeState, effect: Effect, tries: Tries) -> Step[IpamError | None]:
    """Return the error that EC2 gave after all tries, None: it did it."""
    try:
        yield from persist(node, effect, tries)
    except NotFoundError as error:
        return error
    except IpamError as error:
        node.note_failure(error)
        return error
    return None


def _created_s(eni: EniDescription) -> float | None:
    """Return when the ENI was created (Unix seconds), None without a readable tag.

    The tag is a time as in RFC 3339, to the agent as to Go's `time.RFC3339`.
    """
    text = eni.tags.get(CREATED_AT_TAG, "")
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:  # a month of 13, the year 0
        return None
