"""Why is this node stuck? Judge every cause by the node's files, and simulate the fix.

"Nothing wrong" needs files that show it, and "certain" needs files that prove it. If they show
neither, the verdict is that the files do not show it, and which other files would.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.causes.table import CAUSES
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status, ruled_out
from ipam_core.diagnosis.doctor.gather import gather_facts
from ipam_core.diagnosis.doctor.plain import finding_of, plain_finding
from ipam_core.diagnosis.doctor.prognosis import simulate_fix
from ipam_core.diagnosis.doctor.shown import Shown, shown_of
from ipam_core.errors import InputError
from ipam_core.html import html_of
from ipam_core.quoting import quoted
from ipam_core.schemas import check_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.doctor.causes.table import Cause
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.fixes import Change
    from ipam_core.diagnosis.inputs.case import Case


SCHEMA = "diagnosis/1"


class Answer(StrEnum):
    """The verdict of a diagnosis."""

    FOUND = "found"
    HEALTHY = "healthy"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every cause, judged; those found first, the surest first, each with its prognosis.

    `covered` causes are included in one that is found. `doubts`: why the verdict is not
    "nothing wrong" although nothing is found. `shown` is what else is said of the node.
    """

    found: tuple[Finding, ...]
    ruled_out: tuple[Finding, ...]
    open: tuple[Finding, ...]
    covered: tuple[Finding, ...]
    doubts: tuple[str, ...]
    shown: Shown
    _facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """What was judged. Raises `InputError` where the diagnosis was read from JSON."""
        if self._facts is None:
            raise InputError("a diagnosis read from JSON has no facts: diagnose the files again")
        return self._facts

    @property
    def answer(self) -> Answer:
        """The verdict."""
        if self.found:
            return Answer.FOUND
        return Answer.CANNOT_TELL if self.doubts else Answer.HEALTHY

    @property
    def healthy(self) -> bool:
        """Whether the files show that nothing is wrong."""
        return self.answer is Answer.HEALTHY

    def verdict(self) -> str:
        """Return the diagnosis in one sentence."""
        return self.shown.verdict

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, of schema `diagnosis/1`: what `doctor --json` prints."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict(),
            "answer": str(self.answer),
            "healthy": self.healthy,
            "doubts": list(self.doubts),
            "found": [plain_finding(finding) for finding in self.found],
            "ruled_out": {finding.cause: finding.why for finding in self.ruled_out},
            "covered": {finding.cause: finding.why for finding in self.covered},
            "not_judged": {finding.cause: finding.why for finding in self.open},
            **self.shown.to_dict(),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Diagnosis:
        """Return the diagnosis of which these are the plain values.

        It says the same, and its `to_dict` gives the same. What it was judged by is not in the
        JSON: it has no `facts`, its fixes have no change to simulate, and evidence no kind of
        file.

        Raises:
            InputError: not of schema `diagnosis/1`, or not what `to_dict` gives.
        """
        check_schema(given, SCHEMA)

        def judged(key: str, status: Status) -> tuple[Finding, ...]:
            return tuple(
                Finding(cause=cause, status=status, why=why) for cause, why in given[key].items()
            )

        try:
            read = cls(
                found=tuple(map(finding_of, given["found"])),
                ruled_out=judged("ruled_out", Status.RULED_OUT),
                open=judged("not_judged", Status.OPEN),
                covered=judged("covered", Status.COVERED),
                doubts=tuple(given["doubts"]),
                shown=Shown.from_dict(given),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"no diagnosis: {error!r}") from error
        if read.answer != given.get("answer"):
            said = quoted(given.get("answer"))
            raise InputError(f"no diagnosis: answer {said}, and what was found says {read.answer}")
        return read

    def _repr_html_(self) -> str:
        """Return the verdict and the causes that are found, for notebooks."""
        columns = ("cause", "certainty", "why")
        rows = [(each.title, each.certainty or "", each.why) for each in self.found]
        return html_of(self.verdict(), columns, rows)

    def notes(self) -> tuple[str, ...]:
        """Return what is worth knowing of the node and of what was read, a line each."""
        return self.shown.notes

    def gives(self) -> tuple[str, ...]:
        """Return the missing inputs that would show more, each with the way to get it."""
        return self.shown.gives


def diagnose(
    case: Case, *, instance_type: str = "", max_pods: int | None = None, node: str = ""
) -> Diagnosis:
    """Judge every cause for a node and simulate the fix of each that is found.

    Given values replace those in the files. Cost: up to seconds, for the simulations.

    Raises:
        InputError: nothing in the case shows the node's state, or an unknown type.
    """
    if not any((
        case.state, case.log, case.container, case.plugin, case.events, case.trail, case.metrics,
        case.bad_checkpoints, any(one.not_ready for one in case.nodes.values()),
    )):  # fmt: skip
        read = ", ".join(name for name, _ in case.files)
        only = {kind for _, kind in case.files}
        more = "".join(f"; {unread}" for unread in case.unread)
        if only == {"checkpoint"}:
            raise InputError(
                f"{read}: can be restored, and does not show why a node is stuck; `ipam-core "
                f"checkpoint import` reads it{more}"
            )
        raise InputError(
            f"{read}: settings alone do not show why a node is stuck; "
            f"give /v1/enis or ipamd.log too{more}"
        )
    facts = gather_facts(case, instance_type=instance_type, max_pods=max_pods, node=node)
    findings = [_judged(cause, facts) for cause in CAUSES]
    surest = list(Certainty)
    found = sorted(
        (finding for finding in findings if finding.status is Status.FOUND),
        key=lambda finding: surest.index(finding.certainty or Certainty.POSSIBLE),
    )
    is_open = tuple(each for each in findings if each.status is Status.OPEN)
    doubts = tuple(_doubts(facts, len(is_open)))
    return Diagnosis(
        found=tuple(_with_prognosis(finding, facts) for finding in found),
        ruled_out=tuple(each for each in findings if each.status is Status.RULED_OUT),
        open=is_open,
        covered=tuple(each for each in findings if each.status is Status.COVERED),
        doubts=doubts,
        shown=shown_of(facts, found, doubts, _remarks(facts)),
        _facts=facts,
    )


def _judged(cause: Cause, facts: Facts) -> Finding:
    finding = replace(cause.judge(facts), cause=cause.name)
    if facts.settings.enable_ipv6 and cause.of_pool and finding.status is not Status.FOUND:
        why = "IPv6 mode: no targets, and a /80 that does not run out"
        return replace(ruled_out(why), cause=cause.name)
    return finding


def _doubts(facts: Facts, n_open: int) -> list[str]:
    """Return why the files do not show that nothing is wrong; empty if they do."""
    doubts = [f"the inputs contradict each other: {each}" for each in facts.contradictions]
    run, pool = facts.agent.run, facts.pool
    if facts.refusals:
        doubts.append("pods are refused, and nothing given shows why")
    if run is Run.STARTS:
        doubts.append("the agent started, and what was given shows no work of it since")
    elif run is not Run.WORKS:
        doubts.append("nothing given shows that the agent runs")
    doubts += [str(each) for each in facts.case.unread]
    if not facts.settings.enable_ipv6:
        if pool is None:
            doubts.append("the pool is not shown")
        elif pool.assignable <= 0 and not facts.refusals and not _at_capacity(facts):
            doubts.append("no address is free, and what would add one is not shown")
    if n_open > len(CAUSES) / 2:
        doubts.append(f"{n_open} of {len(CAUSES)} causes cannot be judged")
    return doubts


def _at_capacity(facts: Facts) -> bool:
    """Return whether a node without a free address is full: no pod can come."""
    return facts.low is False or bool(facts.is_full())


def _remarks(facts: Facts) -> list[str]:
    pool, limits = facts.pool, facts.limits
    if facts.sighting("not_nitro"):
        return ["prefix mode is on, and the type is not nitro: the agent uses secondary IPs"]
    if pool is None or limits is None or not facts.is_full():
        return []
    used = f"all {pool.total} addresses of the node are attached, {pool.assigned} in use"
    return [f"{used}: it can hold no more in this mode"]


def _with_prognosis(finding: Finding, facts: Facts) -> Finding:
    finding = replace(finding, evidence=tuple(dict.fromkeys(finding.evidence)))
    if finding.fix is None or finding.fix.change is None:
        return finding
    prognosis = simulate_fix(facts, finding.fix.change)
    if prognosis is None:
        return replace(finding, not_simulated="that needs the node's ENIs and its type")
    if prognosis.as_it_is.waiting == 0 and _waits_for_ever(finding.fix.change, facts):
        return replace(finding, not_simulated=_OTHERWISE)
    return replace(finding, prognosis=prognosis)


_OTHERWISE = (
    "by what was given, the simulated node serves the refused pod as it is; so it is not in the "
    "state that the node was in"
)


def _waits_for_ever(change: Change, facts: Facts) -> bool:
    """Return whether the node itself refused a pod, and no cause of a delay only is known."""
    cools = facts.pool is not None and facts.pool.cooling > 0
    return bool(facts.starved) and not change.delays and not cools
