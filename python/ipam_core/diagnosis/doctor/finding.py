"""What is found of one cause: whether it holds, how sure that is, and what fixes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.prognosis import Prognosis
    from ipam_core.diagnosis.fixes import Fix
    from ipam_core.diagnosis.inputs.case import Evidence


class Status(StrEnum):
    """Whether a cause holds; `OPEN`: the inputs do not show it; `COVERED`: another one says it."""

    FOUND = "found"
    RULED_OUT = "ruled out"
    OPEN = "open"
    COVERED = "covered"


class Certainty(StrEnum):
    """How sure a found cause is, the surest first.

    `CERTAIN`: what this node showed proves it. `LIKELY`: what it showed speaks for it, and
    something was not shown. `POSSIBLE`: it may mean something else.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause, judged. `why` says what makes it hold, what rules it out, or what is missing.

    `not_simulated` says why there is no prognosis for a fix that could have one.
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
    """Return a cause that does not hold, and why."""
    return Finding(status=Status.RULED_OUT, why=why)


def left_open(needs: str) -> Finding:
    """Return a cause of which the inputs say nothing, and which would."""
    return Finding(status=Status.OPEN, why=f"needs {needs}")


def covered(by: str) -> Finding:
    """Return a cause that holds only in the sense of another one, which is found."""
    return Finding(status=Status.COVERED, why=f"see {by}")
