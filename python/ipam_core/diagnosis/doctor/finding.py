"""The judgement about one cause: whether it is there, how certain that is, and its fix."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.prognosis import Prognosis
    from ipam_core.diagnosis.fixes import Fix
    from ipam_core.diagnosis.inputs.case import Evidence


class Status(StrEnum):
    """Whether a cause is there; `OPEN`: the inputs do not show it; `COVERED`: part of another."""

    FOUND = "found"
    RULED_OUT = "ruled out"
    OPEN = "open"
    COVERED = "covered"


class Certainty(StrEnum):
    """How sure a found cause is, the surest first.

    `CERTAIN`: the node's files prove it. `LIKELY`: they are evidence for it, and some input is
    missing. `POSSIBLE`: the evidence may mean something else.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause, judged. `why` gives the reason for it, against it, or the missing input.

    `not_simulated` is the reason if a fix that could have a prognosis has none.
    """

    cause: str = ""
    status: Status
    why: str
    title: str = ""
    certainty: Certainty | None = None
    rule: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    fix: Fix | None = None
    prognosis: Prognosis | None = None
    not_simulated: str = ""


def ruled_out(why: str) -> Finding:
    """Return a cause that is ruled out, and why."""
    return Finding(status=Status.RULED_OUT, why=why)


def left_open(needs: str) -> Finding:
    """Return a cause that the inputs do not show, and which inputs would."""
    return Finding(status=Status.OPEN, why=f"needs {needs}")


def covered(by: str) -> Finding:
    """Return a cause that is part of another one, which is found."""
    return Finding(status=Status.COVERED, why=f"see {by}")
