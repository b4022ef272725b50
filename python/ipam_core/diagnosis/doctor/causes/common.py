"""Shared by the judgements of several causes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.facts import LOG
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status, left_open, ruled_out
from ipam_core.diagnosis.inputs.case import Evidence, Source

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.fixes import Fix
    from ipam_core.diagnosis.inputs.case import Failure, Sighting

ATTACH_CONTROLLER = (
    "aws iam attach-role-policy --role-name CLUSTER_ROLE "
    "--policy-arn arn:aws:iam::aws:policy/AmazonEKSVPCResourceController"
)
RESTART = (
    "kubectl -n kube-system delete pod -l k8s-app=aws-node --field-selector spec.nodeName={node}"
)
CONTENT = "the pool is not low: the agent asks EC2 for nothing"
LOG_AT_WORK = "ipamd.log that shows the agent at work"
CALLS = f"{LOG_AT_WORK}, or CloudTrail"
PLACES = f"/v1/enis and the instance type, or {LOG}"


def no_matter(facts: Facts) -> Finding | None:
    """Return why a cause that stops a pool's growth does not matter now, None if it may."""
    if facts.low is False:
        return ruled_out(CONTENT)
    if facts.pool is not None and facts.pool.assignable > 0 and not facts.starved:
        return ruled_out(f"{count(facts.pool.assignable, 'address', 'es')} can be given now")
    if facts.is_full() and not facts.starved:
        return ruled_out("every slot is used: no call could add an address, and no pod is refused")
    return None


def unless_recent(facts: Facts, failures: list[Failure]) -> Finding | None:
    """Return why failed calls are not the cause now, None if they are."""
    if facts.low is False:
        return ruled_out(CONTENT)
    if any(facts.recent(failure.sighting) for failure in failures):
        return None
    if failures:
        last = max((failure.sighting for failure in failures), key=when)
        return ruled_out(over(facts, last))
    if (moot := no_matter(facts)) is not None:
        return moot
    if facts.log_judges:
        return ruled_out("EC2 gave no such answer")
    return left_open(missing(facts, CALLS))


def unless_seen(facts: Facts, seen: Sighting | None) -> Finding | None:
    """Return why a line of the log or an event is not the cause now, None if it is."""
    if facts.low is False:
        return ruled_out(CONTENT)
    if facts.recent(seen):
        return None
    if seen is not None:
        return ruled_out(over(facts, seen))
    return no_matter(facts) or unless_logged(facts)


def unless_logged(facts: Facts, needs: str = LOG_AT_WORK) -> Finding:
    """Return that the log does not say so; open if no log can rule that out."""
    if facts.log_judges:
        return ruled_out("the log does not say so")
    return left_open(missing(facts, needs))


def missing(facts: Facts, needs: str) -> str:
    """Return the missing input, and why the given log is not enough."""
    gap = facts.log_gap()
    if gap is not None:
        return f"{LOG} of the time of the refusals: it ends {span(gap.total_seconds())} before them"
    return needs


def found_failing(
    facts: Facts,
    failures: list[Failure],
    *,
    title: str,
    why: str,
    fix: Fix,
    more: tuple[Evidence, ...] = (),
    own: bool = False,
) -> Finding:
    """Return a cause found by failed calls: the latest of each kind is its evidence.

    It is certain only if a call is this node's `own`: CloudTrail shows all calls of the
    account.
    """
    recent = [failure for failure in failures if facts.recent(failure.sighting)]
    recent.sort(key=lambda failure: when(failure.sighting), reverse=True)
    alike: dict[tuple[str, str, str | None], list[Failure]] = {}
    for failure in recent:
        caller = failure.caller if facts.is_own(failure) else None  # all others as one
        alike.setdefault((failure.api, failure.code, caller), []).append(failure)
    evidence = [_of_all(group) for group in alike.values()]
    ends_start = any(ends_the_start(facts, failure) for failure in recent)
    if ends_start:
        title += ": the agent does not start"
    finding = found(facts, [*evidence, *more], title=title, why=why, fix=fix)
    if ends_start:
        return replace(finding, certainty=Certainty.CERTAIN)
    if own or any(facts.is_own(failure) for failure in recent):
        return finding
    return replace(finding, certainty=Certainty.LIKELY)


def ends_the_start(facts: Facts, failure: Failure) -> bool:
    """Return whether the agent's last start ended with a failed call."""
    ends = facts.agent.evidence if facts.agent.run is Run.FAILED else ()
    return any(failure.sighting.last == one for one in ends)


def found(facts: Facts, evidence: list[Evidence], *, title: str, why: str, fix: Fix) -> Finding:
    """Return a cause that stops the agent from growing.

    Certain if the pool is proven to be low and the log is from the time in question.
    """
    pool = [facts.pool.evidence] if facts.pool else []
    proven = facts.low is True and facts.low_is_proven and facts.log_gap() is None
    return Finding(
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if proven else Certainty.LIKELY,
        title=title,
        why=why,
        rule=(*facts.decision.growth_rule()[:-1], "so it asks for more")
        if facts.decision and facts.decision.low and facts.low and facts.targets_known
        else (),
        evidence=(*evidence, *pool, *facts.refusals),
        fix=fix,
    )


def shown(facts: Facts, *names: str) -> list[Evidence]:
    """Return where variables, or facts of the log, were read, as `NAME=value`."""
    where = []
    for name in names:
        evidence = facts.variables.get(name) or facts.fact(name)
        if evidence is not None:
            where.append(replace(evidence, value=f"{name}={evidence.value}"))
    return where


def shown_max_pods(facts: Facts) -> list[Evidence]:
    """Return where maxPods was read."""
    known = facts.max_pods
    if known is None or known.evidence is None or known.evidence.source is Source.GIVEN:
        return []
    return [replace(known.evidence, value=f"maxPods {known.value}")]


def when(seen: Sighting) -> str:
    """Return when something was last seen, in sortable form; '' is unknown."""
    time = seen.last.time
    return time.astimezone(UTC).isoformat() if time else ""


def over(facts: Facts, seen: Sighting) -> str:
    """Return how long before the newest time of its kind of file something was last seen."""
    newest = facts.case.newest.get(seen.last.source)
    if newest is None or seen.last.time is None:
        return "last seen before the newest of these files"
    seconds = (newest - seen.last.time).total_seconds()
    return f"last seen {span(seconds)} before the newest time in {seen.last.source} files"


def span(seconds: float) -> str:
    """Return a time in words: minutes, from two hours on hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def count(n: int, what: str, plural: str = "s") -> str:
    """Return a number of things in words."""
    return f"{n} {what}{'' if n == 1 else plural}"


def _of_all(failures: list[Failure]) -> Evidence:
    """Return the first of similar failures, and their number."""
    latest = failures[0].sighting
    if len(failures) == 1:
        return latest.counted()
    total = sum(failure.sighting.count for failure in failures)
    value = f"{latest.last.value} ({total} times, by {len(failures)} callers)"
    return replace(latest.last, value=value)
