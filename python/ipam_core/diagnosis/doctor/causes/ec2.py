"""Causes outside the pool: the agent wants to grow, and something keeps it from growing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from ipam_core.cloud.codes import INSUFFICIENT_ADDRESSES, INSUFFICIENT_PREFIXES
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status, left_open, ruled_out
from ipam_core.diagnosis.fixes import SPARE, Change, Fix
from ipam_core.diagnosis.inputs.case import Evidence
from ipam_core.errors import DeniedError, SubnetFullError, ThrottledError

if TYPE_CHECKING:
    from typing import Any

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Failure, Sighting

CONTENT = "the pool is not low: the agent asks EC2 for nothing"
_CALLS = "ipamd.log or CloudTrail"
_POLICY = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
_DENIED_CALL = re.compile(r"failed to call ec2:(?P<api>\w+)")
"""The event of checkAPIErrorAndBroadcastEvent (pkg/awsutils/awsutils.go) names the call."""


def subnet_full(facts: Facts) -> Finding:
    """Judge whether the subnet has no free address."""
    return _full(facts, "subnet out of addresses", prefixes=False)


def no_free_prefix(facts: Facts) -> Finding:
    """Judge whether the subnet has addresses, but no whole /28 (#2749)."""
    return _full(facts, "subnet out of /28s", prefixes=True)


def _full(facts: Facts, cause: str, *, prefixes: bool) -> Finding:
    if prefixes and not facts.prefix_mode and facts.knows("ENABLE_PREFIX_DELEGATION"):
        return ruled_out(cause, "prefix mode is off")
    if facts.settings.custom_networking:
        return ruled_out(cause, "under custom networking the ENIConfig's subnet counts")
    failures = [
        failure
        for failure in facts.failures()
        if failure.kind is SubnetFullError and _lacks_prefixes(failure, facts) == prefixes
    ]
    if (other := unless_recent(facts, cause, failures)) is not None:
        return other
    lack: dict[str, Any] = {"op": "subnet", "free_prefixes": 0}
    if not prefixes:
        lack["free_ips"] = 0
    commands = [
        "aws ec2 create-tags --resources SUBNET_WITH_ROOM --tags Key=kubernetes.io/role/cni,Value=1"
    ]
    env: dict[str, str | None] | None = None
    if not facts.settings.enable_subnet_discovery:
        env = {"ENABLE_SUBNET_DISCOVERY": "true"}
        commands.append("kubectl -n kube-system set env ds/aws-node ENABLE_SUBNET_DISCOVERY=true")
    if prefixes:
        commands.append(
            "aws ec2 create-subnet-cidr-reservation --subnet-id SUBNET_WITH_ROOM "
            "--cidr CIDR --reservation-type prefix"
        )
    return found_failing(
        facts,
        cause,
        failures,
        title="The subnet has no whole /28 left" if prefixes else "The subnet has no address left",
        why="EC2 refuses what the agent asks for; it pauses for 120 s and asks again",
        fix=Fix(
            commands=tuple(commands),
            note=(
                "SUBNET_WITH_ROOM is another one of this zone; its addresses come with new "
                "ENIs, after the agent's pause of 120 s at the latest."
                + (" The reservation keeps its /28s whole." if prefixes else "")
            ),
            change=Change(
                fault=(lack,), mend=({"op": "subnet", "id": "another", "tag": "1"},), env=env
            ),
        ),
    )


def _lacks_prefixes(failure: Failure, facts: Facts) -> bool:
    """Return whether an answer says that whole /28s are missing, not single addresses."""
    if failure.code in (INSUFFICIENT_ADDRESSES, INSUFFICIENT_PREFIXES):
        return failure.code == INSUFFICIENT_PREFIXES
    return facts.prefix_mode  # the wording of #3105 names both


def throttled(facts: Facts) -> Finding:
    """Judge whether EC2 answers that calls come too fast."""
    cause = "throttled API"
    failures = [failure for failure in facts.failures() if failure.kind is ThrottledError]
    if (other := unless_recent(facts, cause, failures)) is not None:
        return other
    env: dict[str, str | None] | None = None
    commands = [
        (
            "aws cloudtrail lookup-events --lookup-attributes "
            "AttributeKey=EventSource,AttributeValue=ec2.amazonaws.com --max-results 50"
        )
    ]
    if 0 < facts.settings.warm_ip_target < SPARE:
        env = {"WARM_IP_TARGET": str(SPARE)}
        commands.append(f"kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET={SPARE}")
    return found_failing(
        facts,
        cause,
        failures,
        title="EC2 throttles the account's calls",
        why="the limit is the region's, shared with every other caller",
        more=_callers(facts),
        fix=Fix(
            commands=tuple(commands),
            note="The first shows who calls so often. Larger targets need fewer calls.",
            change=Change(fault=_failing(failures), mend=({"op": "ec2_heal"},), env=env),
        ),
    )


def _callers(facts: Facts) -> tuple[Evidence, ...]:
    calls = sorted(facts.case.callers.items(), key=lambda item: -item[1])[:3]
    if not calls:
        return ()
    shown = ", ".join(f"{caller} {count}" for caller, count in calls)
    return (Evidence(file="CloudTrail", line=None, value=f"calls by caller: {shown}"),)


def missing_permission(facts: Facts) -> Finding:
    """Judge whether the agent's role may not make a call."""
    cause = "missing permission"
    failures = [failure for failure in facts.failures() if failure.kind is DeniedError]
    event = facts.event("MissingIAMPermissions")
    if not facts.recent(event):
        event = None
    if event is None and (other := unless_recent(facts, cause, failures)) is not None:
        return other
    apis = {failure.api for failure in failures}
    if event is not None:
        apis |= {match["api"] for match in _DENIED_CALL.finditer(event.last.value)}
    return found_failing(
        facts,
        cause,
        failures,
        title=f"The agent's role may not call {', '.join(sorted(apis)) or 'EC2'}",
        why="EC2 refuses the call, whatever the subnet has",
        more=(event.last,) if event else (),
        own=event is not None,
        fix=Fix(
            commands=(
                (
                    f"aws iam attach-role-policy --role-name {facts.case.role or 'ROLE'} "
                    f"--policy-arn {_POLICY}"
                ),
            ),
            note="ROLE is that of aws-node's service account, else the node's."
            if not facts.case.role
            else "",
            change=Change(
                fault=tuple(
                    {"op": "ec2_fail", "api": api, "code": "UnauthorizedOperation"}
                    for api in sorted(apis)
                ),
                mend=({"op": "ec2_heal"},),
            ),
        ),
    )


def unschedulable(facts: Facts) -> Finding:
    """Judge whether the node is cordoned: the agent attaches nothing there (#608)."""
    cause = "unschedulable node"
    if facts.settings.manage_enis_non_schedulable:
        return ruled_out(cause, "AWS_MANAGE_ENIS_NON_SCHEDULABLE is true")
    seen = [facts.sighting("unschedulable"), facts.event("NodeNotSchedulable")]
    told = [each for each in seen if facts.recent(each)] or seen
    cordoned = max((each for each in told if each is not None), key=_when, default=None)
    if (other := _unless_told(facts, cause, cordoned)) is not None:
        return other
    freed = facts.event("NodeSchedulable")
    if freed and cordoned and _when(freed) > _when(cordoned):
        return ruled_out(cause, "the node is schedulable again")
    node = facts.node or "NODE"
    return found(
        facts,
        cause,
        [each.last for each in seen if each is not None],
        title=f"Node {facts.node} is unschedulable".replace("  ", " "),
        why="on such a node the agent attaches no address and no ENI",
        fix=Fix(
            commands=(f"kubectl uncordon {node}",),
            note="Or AWS_MANAGE_ENIS_NON_SCHEDULABLE=true, if DaemonSets must start there.",
            change=Change(fault=({"op": "cordon"},), mend=({"op": "uncordon"},)),
        ),
    )


def not_in_metadata(facts: Facts) -> Finding:
    """Judge whether a new ENI is attached, and instance metadata does not show it."""
    cause = "ENI not in instance metadata"
    seen = facts.sighting("metadata")
    if (other := _unless_told(facts, cause, seen)) is not None:
        return other
    node = facts.node or "NODE"
    return found(
        facts,
        cause,
        [seen.last] if seen else [],
        title="A new ENI does not appear in instance metadata",
        why="its addresses count only once metadata shows them; it stays attached",
        fix=Fix(
            commands=(
                (
                    "kubectl -n kube-system delete pod -l k8s-app=aws-node "
                    f"--field-selector spec.nodeName={node}"
                ),
            ),
            note=(
                "A reconcile takes it over once metadata shows it. If it never does, "
                "replace the node."
            ),
            change=Change(fault=({"op": "imds_hide"},), anew=True),
        ),
    )


# --- what these have in common ----------------------------------------------------------


def unless_recent(facts: Facts, cause: str, failures: list[Failure]) -> Finding | None:
    """Return why failing calls are not the cause now, None where they are."""
    if facts.low is False:
        return ruled_out(cause, CONTENT)
    if any(facts.recent(failure.sighting) for failure in failures):
        return None
    if failures:
        return ruled_out(
            cause, _over(facts, max((failure.sighting for failure in failures), key=_when))
        )
    if facts.case.log or facts.case.trail:
        return ruled_out(cause, "EC2 gave no such answer")
    return left_open(cause, _CALLS)


def _unless_told(facts: Facts, cause: str, seen: Sighting | None) -> Finding | None:
    if facts.low is False:
        return ruled_out(cause, CONTENT)
    if facts.recent(seen):
        return None
    if seen is not None:
        return ruled_out(cause, _over(facts, seen))
    if facts.case.log:
        return ruled_out(cause, "the log does not say so")
    return left_open(cause, "ipamd.log")


def found_failing(
    facts: Facts,
    cause: str,
    failures: list[Failure],
    *,
    title: str,
    why: str,
    fix: Fix,
    more: tuple[Evidence, ...] = (),
    own: bool = False,
) -> Finding:
    """Return a cause found by failing calls: the latest of each kind is its evidence.

    Sure only if a call is this node's `own`: CloudTrail shows the whole account's.
    """
    recent = [failure for failure in failures if facts.recent(failure.sighting)]
    recent.sort(key=lambda failure: _when(failure.sighting), reverse=True)
    alike: dict[tuple[str, str, str | None], list[Failure]] = {}
    for failure in recent:
        caller = failure.caller if facts.is_own(failure) else None  # all others as one
        alike.setdefault((failure.api, failure.code, caller), []).append(failure)
    evidence = [_of_all(group) for group in alike.values()]
    finding = found(facts, cause, [*evidence, *more], title=title, why=why, fix=fix)
    if own or any(facts.is_own(failure) for failure in recent):
        return finding
    return replace(finding, certainty=Certainty.LIKELY)


def _of_all(failures: list[Failure]) -> Evidence:
    """Return the first of failures that are alike, and how often there were such."""
    latest = failures[0].sighting
    if len(failures) == 1:
        return latest.counted()
    count = sum(failure.sighting.count for failure in failures)
    value = f"{latest.last.value} ({count} times, by {len(failures)} callers)"
    return replace(latest.last, value=value)


def found(
    facts: Facts, cause: str, evidence: list[Evidence], *, title: str, why: str, fix: Fix
) -> Finding:
    """Return a cause that keeps the agent from growing; certain where the pool is low."""
    pool = [facts.pool.evidence] if facts.pool else []
    return Finding(
        cause=cause,
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if facts.low else Certainty.LIKELY,
        title=title,
        why=why,
        rule=(*facts.decision.growth_rule()[:-1], "so it asks for more")
        if facts.decision and facts.low
        else (),
        evidence=(*evidence, *pool, *facts.refusals),
        fix=fix,
    )


def _failing(failures: list[Failure]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"op": "ec2_fail", "api": failure.api, "code": failure.code} for failure in failures
    )


def _when(seen: Sighting) -> str:
    """Return when something was last told, as what can be put in order; '' is unknown."""
    when = seen.last.time
    return when.astimezone(UTC).isoformat() if when else ""


def _over(facts: Facts, seen: Sighting) -> str:
    """Return how long before the newest time of all something was last told."""
    assert facts.now is not None
    assert seen.last.time is not None
    minutes = (facts.now - seen.last.time).total_seconds() / 60
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"last told {span} before the newest time in the files"
