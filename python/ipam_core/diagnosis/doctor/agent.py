"""Does the agent run? Its last start, its last work, and failed calls to it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.inputs.case import Evidence, later

if TYPE_CHECKING:
    from ipam_core.diagnosis.inputs.case import Case, LogSummary


class Run(StrEnum):
    """The agent's state at the end of the files."""

    WORKS = "works"
    FAILED = "failed to start"
    NO_API_SERVER = "cannot reach the API server"
    STARTS = "started, and shows no work since"
    WAITED_FOR = "its container waits for it"
    UNKNOWN = "not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The agent's state. `starts`: how often it started since it last worked."""

    run: Run
    evidence: tuple[Evidence, ...] = ()
    starts: int = 0
    reason: str = ""
    worked: Evidence | None = None


def agent_of(case: Case) -> Agent:
    """Return the agent's state in the files: its own log first, then its container's."""
    by_log = _by_log(case.log) if case.log else None
    if by_log and by_log.run not in (Run.UNKNOWN, Run.STARTS):
        return by_log
    by_container = _by_container(case.container) if case.container else None
    for found in (by_container, by_log):
        if found and found.run not in (Run.UNKNOWN, Run.WORKS):
            return found
    answer = _answer(case)
    if answer is not None:
        return Agent(run=Run.WORKS, evidence=(answer,), worked=answer)
    return by_container or by_log or Agent(run=Run.UNKNOWN)


def _answer(case: Case) -> Evidence | None:
    """Return what the agent itself answered on its endpoint."""
    if case.state:
        return case.state.evidence
    if case.endpoint:
        return next(iter(case.endpoint.values()))
    return next(iter(case.metrics.values()), None)


def _by_log(log: LogSummary) -> Agent:
    worked = _last(log, "works", "served", "serves")
    start = log.starts[-1] if log.starts else None
    since = [each for each in log.starts if worked is None or after(each, worked)]
    failed, no_server = _last(log, "no_start"), _last(log, "api_server")
    reached = _last(log, "api_server_works")

    def is_last(one: Evidence | None) -> bool:
        return one is not None and not any(
            other is not None and after(other, one) for other in (worked, start)
        )

    if is_last(no_server) and not (reached and no_server and after(reached, no_server)):
        assert no_server is not None
        evidence = tuple(each for each in (no_server, failed if is_last(failed) else None) if each)
        return Agent(
            run=Run.NO_API_SERVER,
            evidence=evidence,
            starts=len(since),
            reason=_reason(no_server),
            worked=worked,
        )
    if is_last(failed):
        assert failed is not None
        return Agent(
            run=Run.FAILED,
            evidence=(failed,),
            starts=len(since),
            reason=_reason(failed),
            worked=worked,
        )
    if worked is not None and not (start and after(start, worked)):
        return Agent(run=Run.WORKS, evidence=(worked,), worked=worked)
    if start is not None:
        return Agent(
            run=Run.STARTS,
            evidence=(since[0], since[-1]) if len(since) > 1 else (start,),
            starts=len(since),
            worked=worked,
        )
    return Agent(run=Run.UNKNOWN)


def _by_container(log: LogSummary) -> Agent:
    up, stopped = _last(log, "came_up"), _last(log, "stopped", "no_start")
    refused = _last(log, "refused_setting")
    waits, timed_out = log.sightings.get("waits"), _last(log, "timed_out")
    if refused is not None and not (up and after(up, refused)):
        return Agent(run=Run.FAILED, evidence=(refused,), reason=refused.value)
    if stopped is not None and not (up and after(up, stopped)):
        return Agent(run=Run.FAILED, evidence=(stopped,), reason=_reason(stopped))
    if waits is not None and not (up and after(up, waits.last)):
        evidence = (timed_out or waits.counted(),)
        return Agent(run=Run.WAITED_FOR, evidence=evidence, starts=waits.count)
    if up is not None:
        return Agent(run=Run.WORKS, evidence=(up,), worked=up)
    return Agent(run=Run.UNKNOWN)


def _last(log: LogSummary, *kinds: str) -> Evidence | None:
    found: Evidence | None = None
    for kind in kinds:
        seen = log.sightings.get(kind)
        if seen and (found is None or later(seen.last, found)):
            found = seen.last
    return found


def after(one: Evidence, than: Evidence) -> bool:
    """Return whether `one` is after another line of the same log: by time, then by line number."""
    if one.time is not None and than.time is not None and one.time != than.time:
        return one.time > than.time
    return one.file == than.file and (one.line or 0) > (than.line or 0)


def _reason(evidence: Evidence) -> str:
    """Return a line's reason: the text after its fixed start."""
    line = " ".join(evidence.value.split())
    for end in (": ", ", "):
        head, found, rest = line.partition(end)
        if found and len(head) < 45:
            return rest
    return line
