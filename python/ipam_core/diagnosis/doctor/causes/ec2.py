"""Causes in EC2's answers: the agent asks for more, and is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.cloud.codes import INSUFFICIENT_ADDRESSES, INSUFFICIENT_PREFIXES
from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.causes.common import (
    found_failing,
    unless_recent,
)
from ipam_core.diagnosis.doctor.causes.denials import (
    DISCOVERS_GROUPS,
    NOT_IN_THE_POLICY,
    allow,
    denier,
    lift,
    without_groups,
)
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, left_open, ruled_out
from ipam_core.diagnosis.fixes import SPARE, Change, Fix
from ipam_core.diagnosis.inputs.case import Evidence
from ipam_core.diagnosis.inputs.errors import ASSUME_ROLE
from ipam_core.errors import (
    DeniedError,
    SubnetFullError,
    ThrottledError,
)

if TYPE_CHECKING:
    from typing import Any

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Failure

_POLICY = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
_NO_ENI = (
    "without it an agent of v1.22 or later attaches no ENI: the call says whether a subnet may be "
    "used, even the primary ENI's. Agents of v1.18 to v1.21 then use the primary ENI's subnet"
)
FIRST_WITH_DISCOVERY = (1, 18)
"""The first release that uses addresses of other subnets, by their tag (PR 2714)."""
_RESERVE = (
    "aws ec2 create-subnet-cidr-reservation --subnet-id SUBNET_WITH_ROOM "
    "--cidr CIDR --reservation-type prefix"
)
_KEEPS_FREE = " The reservation keeps its /28s free of single addresses."
_RESTART = "kubectl -n kube-system rollout restart ds/aws-node"


def missing_permission(facts: Facts) -> Finding:
    """Judge whether the agent's role may not make a call."""
    failures = [failure for failure in facts.failures() if failure.kind is DeniedError]
    event = facts.event("MissingIAMPermissions")
    if not facts.recent(event):
        event = None
    recent = [failure for failure in failures if facts.recent(failure.sighting)]
    denied = bool(recent) or event is not None
    starting = facts.agent.run not in (Run.WORKS, Run.UNKNOWN)
    if not denied or (facts.low is False and not starting):
        # A call that is denied at the start matters with any state of the pool.
        return unless_recent(facts, failures) or left_open("ipamd.log")
    apis = {failure.api for failure in recent} - {"EC2"}
    if event is not None:
        apis |= _apis_named(event.last.value)
    called = ", ".join(sorted(apis)) or "EC2"
    title = f"The agent's role may not call {called}"
    who = denier(recent)
    if who:
        title = f"{who[0].upper() + who[1:]} denies the agent {called}"
    if ASSUME_ROLE in apis:
        title = "aws-node may not take the role of its service account"
    finding = found_failing(
        facts,
        failures,
        title=title,
        why=_NO_ENI
        if "DescribeSubnets" in apis
        else "EC2 refuses the call, even if the subnet has room",
        more=(event.last,) if event else (),
        own=event is not None,
        fix=lift(who, _role_in(recent), sorted(apis))
        if who
        else _permit(facts, recent, sorted(apis)),
    )
    own = any(not failure.caller for failure in recent)
    if own or event is not None:  # this node's own log or event reports its own call
        finding = replace(finding, certainty=Certainty.CERTAIN)
    return finding


def _apis_named(text: str) -> set[str]:
    """Return the calls that the event of checkAPIErrorAndBroadcastEvent names."""
    named = {
        word.partition(":")[2].rstrip(".,") for word in text.split() if word.startswith("ec2:")
    } - {""}
    return {_RENAMED.get(name, name) for name in named}


_RENAMED = {"AssignPrivateIpv6Addresses": "AssignIpv6Addresses"}
"""The agent's name of a call, by the name in EC2 and IAM."""


def _permit(facts: Facts, recent: list[Failure], apis: list[str]) -> Fix:
    callers = [failure.caller for failure in recent if failure.caller]
    role = next((facts.case.roles[c] for c in callers if c in facts.case.roles), "")
    role = role or _role_in(recent)
    attach = f"aws iam attach-role-policy --role-name {role or 'ROLE'} --policy-arn {_POLICY}"
    lacking = NOT_IN_THE_POLICY & set(apis)
    if lacking:
        attach = allow(apis, role)
    change = Change(
        fault=tuple(
            {"op": "ec2_fail", "api": api, "code": "UnauthorizedOperation"}
            for api in apis
            if api != ASSUME_ROLE
        ),
        repair=({"op": "ec2_heal"},),
    )
    account = "kubectl -n kube-system get serviceaccount aws-node -o yaml"
    if ASSUME_ROLE in apis:
        return Fix(
            commands=(account,),
            note=(
                "Compare its role's trust policy with the cluster's OIDC provider: issuer, "
                "audience sts.amazonaws.com, subject system:serviceaccount:kube-system:aws-node."
            ),
        )
    node_role = any(caller.startswith("i-") for caller in callers)
    if node_role and facts.case.own_role is not None:
        return Fix(
            commands=(_RESTART,),
            note=(
                f"The call was made with the node's role ({role}), and aws-node has a role of "
                "its own (IRSA or pod identity): pods of aws-node that started before it was "
                "set still use the node's. Do not attach the policy to the node's role."
            ),
            change=change,
        )
    if node_role:
        return Fix(
            commands=(account, _RESTART, attach),
            note=(
                f"The call was made with the node's role ({role}). If aws-node has a role of its "
                "own (an annotation eks.amazonaws.com/role-arn, or pod identity), the second "
                "command is the fix: a pod of aws-node that started before still uses the "
                "node's role. Only if it has none, the third."
            ),
            change=change,
        )
    more = f" It must allow ec2:{', ec2:'.join(apis)}." if apis else ""
    if lacking:
        more += f" AmazonEKS_CNI_Policy may lack ec2:{', ec2:'.join(sorted(lacking))}."
    note = (
        ("" if role else "ROLE is that of aws-node's service account, else the node's.")
        + more
        + (
            " A role that has it, but was given to aws-node after its pods started, "
            f"counts after `{_RESTART}`."
        )
    ).strip()
    if DISCOVERS_GROUPS in apis and facts.settings.enable_subnet_discovery:
        return without_groups(attach, note, change)
    return Fix(commands=(attach,), note=note, change=change)


def _role_in(failures: list[Failure]) -> str:
    """Return the role that EC2's message names."""
    for failure in failures:
        _, found, rest = failure.sighting.last.value.partition(":assumed-role/")
        if found:
            return rest.partition("/")[0]
    return ""


def throttled(facts: Facts) -> Finding:
    """Judge whether EC2 throttles calls."""
    failures = [failure for failure in facts.failures() if failure.kind is ThrottledError]
    if (other := unless_recent(facts, failures)) is not None:
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
        failures,
        title="EC2 throttles the account's calls",
        why="the limit is the region's, shared with every other caller",
        more=_callers(facts),
        fix=Fix(
            commands=tuple(commands),
            note="The first command shows who calls so often. Larger targets need fewer calls.",
            change=Change(fault=_failing(failures), repair=({"op": "ec2_heal"},), env=env),
        ),
    )


def _callers(facts: Facts) -> tuple[Evidence, ...]:
    calls = sorted(facts.case.callers.items(), key=lambda item: -item[1])[:3]
    if not calls:
        return ()
    shown = ", ".join(f"{caller} {n_calls}" for caller, n_calls in calls)
    return (Evidence(file="CloudTrail", line=None, value=f"calls by caller: {shown}"),)


def subnet_full(facts: Facts) -> Finding:
    """Judge whether the subnet has no free address."""
    return _full(facts, prefixes=False)


def no_free_prefix(facts: Facts) -> Finding:
    """Judge whether the subnet has addresses, but no free /28 (#2749)."""
    return _full(facts, prefixes=True)


def _full(facts: Facts, *, prefixes: bool) -> Finding:
    if prefixes and not facts.prefix_mode and facts.knows("ENABLE_PREFIX_DELEGATION"):
        return ruled_out("prefix mode is off")
    if facts.settings.custom_networking:
        return ruled_out("under custom networking the ENIConfig's subnet counts")
    failures = [
        failure
        for failure in facts.failures()
        if failure.kind is SubnetFullError and _lacks_prefixes(failure, facts) == prefixes
    ]
    if (other := unless_recent(facts, failures)) is not None:
        return other
    lack: dict[str, Any] = {"op": "subnet", "free_prefixes": 0}
    if not prefixes:
        lack["free_ips"] = 0
    if facts.before(FIRST_WITH_DISCOVERY):
        return _found_full(facts, failures, _larger_subnet(facts, prefixes=prefixes), prefixes)
    commands = [
        "aws ec2 create-tags --resources SUBNET_WITH_ROOM --tags Key=kubernetes.io/role/cni,Value=1"
    ]
    env: dict[str, str | None] | None = None
    if not facts.settings.enable_subnet_discovery:
        env = {"ENABLE_SUBNET_DISCOVERY": "true"}
        commands.append("kubectl -n kube-system set env ds/aws-node ENABLE_SUBNET_DISCOVERY=true")
    if prefixes:
        commands.append(_RESERVE)
    fix = Fix(
        commands=tuple(commands),
        note=(
            "SUBNET_WITH_ROOM is another one of this zone; its addresses come with new "
            "ENIs, after the agent's pause of 120 s at the latest."
            + ("" if facts.release else " Agents before v1.18 use the node's own subnet only.")
            + (_KEEPS_FREE if prefixes else "")
        ),
        change=Change(
            fault=(lack,), repair=({"op": "subnet", "id": "another", "tag": "1"},), env=env
        ),
    )
    return _found_full(facts, failures, fix, prefixes)


def _found_full(facts: Facts, failures: list[Failure], fix: Fix, prefixes: bool) -> Finding:
    return found_failing(
        facts,
        failures,
        title=(
            "The subnet has no free /28 left: it may have free addresses, but not 16 in a row"
            if prefixes
            else "The subnet has no free address"
        ),
        why="EC2 refuses the agent's request; the agent pauses for 120 s and asks again",
        fix=fix,
    )


def _larger_subnet(facts: Facts, *, prefixes: bool) -> Fix:
    """Return the fix for an agent that uses the node's own subnet only: other nodes."""
    of_type = f" --node-type {facts.limits.instance_type}" if facts.limits else ""
    commands = [
        f"eksctl create nodegroup --cluster CLUSTER{of_type} --subnet-ids SUBNET_WITH_ROOM",
    ]
    if prefixes:
        commands.insert(0, _RESERVE)
    return Fix(
        commands=tuple(commands),
        note=(
            f"This agent ({facts.version}) uses the node's own subnet only, so other nodes in "
            "another subnet are needed; one from v1.18 could take the addresses of a subnet that "
            "is tagged kubernetes.io/role/cni=1." + (_KEEPS_FREE if prefixes else "")
        ),
    )


def _lacks_prefixes(failure: Failure, facts: Facts) -> bool:
    """Return whether an answer says that free /28s are missing, not single addresses."""
    if failure.code in (INSUFFICIENT_ADDRESSES, INSUFFICIENT_PREFIXES):
        return failure.code == INSUFFICIENT_PREFIXES
    return facts.prefix_mode  # the wording of #3105 names both


def no_subnet(facts: Facts) -> Finding:
    """Judge whether every subnet is excluded by its tag (agents from v1.22)."""
    failures = [failure for failure in facts.failures() if EXCLUDED in failure.sighting.last.value]
    if (other := unless_recent(facts, failures)) is not None:
        return other
    return found_failing(
        facts,
        failures,
        title="No subnet is allowed for ENIs: all are tagged kubernetes.io/role/cni=0, or none is",
        why="an agent from v1.22 makes ENIs only in the node's subnet unless it is tagged 0, "
        "and in those tagged 1",
        fix=Fix(
            commands=(
                "aws ec2 create-tags --resources SUBNET --tags Key=kubernetes.io/role/cni,Value=1",
            ),
            note="SUBNET is one of the node's zone with room.",
        ),
    )


EXCLUDED = "no valid subnets available for ENI creation"


def _failing(failures: list[Failure]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"op": "ec2_fail", "api": failure.api, "code": failure.code} for failure in failures
    )
