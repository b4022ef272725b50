"""Causes outside the pool: pods are refused although addresses are free, or never placed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.causes.common import (
    ATTACH_CONTROLLER,
    count,
    found,
    missing,
    no_matter,
    unless_logged,
    unless_seen,
    when,
)
from ipam_core.diagnosis.doctor.causes.targets import warm_zero
from ipam_core.diagnosis.doctor.finding import (
    Certainty,
    Finding,
    Status,
    covered,
    left_open,
    ruled_out,
)
from ipam_core.diagnosis.fixes import Change, Fix
from ipam_core.diagnosis.inputs.case import Refusal
from ipam_core.diagnosis.inputs.events import NO_BRANCH_ENI

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Evidence


def unschedulable(facts: Facts) -> Finding:
    """Judge whether the node is cordoned: the agent attaches nothing there (#608)."""
    if facts.settings.manage_enis_non_schedulable:
        return ruled_out("AWS_MANAGE_ENIS_NON_SCHEDULABLE is true")
    seen = [facts.sighting("unschedulable"), facts.event("NodeNotSchedulable")]
    recent = [each for each in seen if facts.recent(each)] or seen
    cordoned = max((each for each in recent if each is not None), key=when, default=None)
    node = facts.case.nodes.get(facts.node)
    marked = [node.evidence] if node is not None and node.unschedulable else []
    if not marked and (other := unless_seen(facts, cordoned)) is not None:
        return other
    if (moot := no_matter(facts)) is not None:
        return moot
    freed = facts.event("NodeSchedulable")
    if freed and cordoned and when(freed) > when(cordoned):
        return ruled_out("the node is schedulable again")
    return found(
        facts,
        [*marked, *(each.last for each in seen if each is not None)],
        title=f"Node {facts.node} is unschedulable".replace("  ", " "),
        why="on such a node the agent attaches no address and no ENI",
        fix=Fix(
            commands=(f"kubectl uncordon {facts.node or 'NODE'}",),
            note="Or AWS_MANAGE_ENIS_NON_SCHEDULABLE=true, if DaemonSets must start there.",
            change=Change(fault=({"op": "cordon"},), repair=({"op": "uncordon"},)),
        ),
    )


def branch_enis(facts: Facts) -> Finding:
    """Judge pods with security groups: no branch ENI left, none given, or no trunk (#3112)."""
    short = facts.event(NO_BRANCH_ENI)
    failed = facts.event("BranchAllocationFailed", "BranchENIAnnotationFailed")
    trunk_failed = facts.event("TrunkENICreationFailed")
    refused = facts.refused.get(Refusal.OTHER, ())
    no_trunk = [one for one in refused if "No trunk ENI" in one.value]
    not_given = [one for one in refused if "failed to get Branch ENI" in one.value]
    events = facts.starved
    placeless = facts.sighting("no_trunk_place")
    if facts.recent(placeless) and not (facts.recent(trunk_failed) or no_trunk):
        assert placeless is not None
        return _found(
            facts,
            [placeless.counted(), *events],
            Certainty.LIKELY if refused or events else Certainty.POSSIBLE,
            "No place for a trunk ENI is left: pods with security groups get no address",
            "ENABLE_POD_ENI is on, and the node's ENIs took every place before the trunk came",
            ("kubectl drain NODE --ignore-daemonsets --delete-emptydir-data",),
            "Replace the node: a new one keeps room for the trunk from its start.",
        )
    if facts.recent(trunk_failed) or no_trunk:
        assert trunk_failed is not None or no_trunk
        evidence = [*no_trunk, *((trunk_failed.last,) if trunk_failed else ())]
        return _found(
            facts,
            [*evidence, *events],
            Certainty.CERTAIN,
            "The node has no trunk ENI: pods with security groups get no address",
            "their addresses come with branch ENIs, and those need a trunk ENI, which the VPC "
            "resource controller attaches",
            (ATTACH_CONTROLLER,),
            "CLUSTER_ROLE is the cluster's own role, not the node's. Is the type trunk-capable "
            "(`ipam-core instances TYPE`), and is a place for an ENI left?",
        )
    if facts.recent(short):
        assert short is not None
        return _found(
            facts,
            [short.counted()],
            Certainty.CERTAIN,
            "No branch ENI is left for a pod with a security group (vpc.amazonaws.com/pod-eni)",
            "each such pod takes a branch ENI, and the type has few of them: this is no lack of "
            "addresses, and prefix mode does not help",
            (),
            "A type with more branch ENIs, more nodes, or fewer pods that a SecurityGroupPolicy "
            "selects. `kubectl describe node` shows vpc.amazonaws.com/pod-eni: if it is missing "
            "there, the trunk ENI is.",
        )
    if facts.recent(failed):
        assert failed is not None
        return _found(
            facts,
            [failed.counted(), *not_given, *events],
            Certainty.CERTAIN,
            "The VPC resource controller cannot give a pod its branch ENI",
            "its event says why; the pod's address comes with that ENI, not from the pool",
            (ATTACH_CONTROLLER,),
            "If the event speaks of a permission: CLUSTER_ROLE is the cluster's own role. Else "
            "look at the security groups and the subnet that it names.",
        )
    if not_given:
        return _found(
            facts,
            [*not_given, *events],
            Certainty.LIKELY,
            "A pod with a security group waits for its branch ENI",
            "the VPC resource controller annotates the pod with it; the first try is often too "
            "early, and the next one succeeds",
            (
                "kubectl get events -A --field-selector reason=BranchAllocationFailed",
                ATTACH_CONTROLLER,
            ),
            "If the pod still waits after a minute, the event or a missing policy of the "
            "cluster's role (CLUSTER_ROLE) says why.",
        )
    if facts.case.events is None and not facts.log_judges:
        return left_open("the events of the pods")
    return ruled_out("no pod waits for a branch ENI in what was given")


def checkpoint_unwritable(facts: Facts) -> Finding:
    """Judge whether the agent cannot write its checkpoint and so undoes assignments."""
    seen = facts.sighting("not_written")
    if not facts.recent(seen):
        return unless_logged(facts)
    assert seen is not None
    error = facts.fact("not_written.error")
    reason = " ".join(error.value.split()) if error else ""
    full = "no space" in reason
    return _found(
        facts,
        [seen.counted(), *facts.refusals],
        Certainty.CERTAIN if facts.refusals else Certainty.LIKELY,
        f"The agent cannot write its checkpoint file: {reason.rpartition(': ')[2]}",
        "it keeps every assignment in this file, and undoes one that it cannot write: pods are "
        "refused although addresses are free",
        ("df -h /var/run/aws-node", "df -i /var/run/aws-node")
        if full
        else ("ls -la /var/run/aws-node", "df -h /var/run/aws-node"),
        "Free space on the node's disk (or replace the node): the next try then succeeds."
        if full
        else "The line shows the answer of the file system.",
    )


def dropped_at_restart(facts: Facts) -> Finding:
    """Judge whether the agent dropped running pods' addresses when it started (PR 3876)."""
    log = facts.case.log
    stale = log.stale if log else {}
    start = facts.fact("version.version")
    since = {
        address: evidence
        for address, evidence in stale.items()
        if not (start and start.time and evidence.time and evidence.time < start.time)
    }
    if not since:
        return unless_logged(facts)
    named = sorted(since)
    shown_addresses = "|".join(named[:10])
    return _found(
        facts,
        [*list(since.values())[:3], *(log.starts[-1:] if log else ())],
        Certainty.LIKELY,
        f"The agent dropped the addresses of {count(len(since), 'pod')} when it started",
        "instance metadata did not show those addresses, so it took the pods for dead. Those "
        f"that still run cannot be reached: {', '.join(named[:10])}"
        + (" and more" if len(named) > 10 else ""),
        (
            (
                "kubectl get pods -A -o wide --field-selector "
                f"spec.nodeName={facts.node or 'NODE'} | grep -E '{shown_addresses}'"
            ),
            "kubectl -n NAMESPACE delete pod NAME",
        ),
        "Delete each pod that the first command shows: its successor gets an address that the "
        "agent knows. A pod that it does not show no longer exists, and needs no action.",
    )


def plugin_version(facts: Facts) -> Finding:
    """Judge whether the agent rejects the plugin, which has another version."""
    rejected = [
        one
        for one in (*facts.refused.get(Refusal.OTHER, ()),)
        if "Rejecting AddNetwork" in one.value or "wrong client version" in one.value
    ]
    if not rejected:
        return unless_logged(facts)
    return _found(
        facts,
        rejected,
        Certainty.CERTAIN,
        "The agent rejects the CNI plugin: the two are of different versions",
        "the plugin on the node's disk is not the one that came with this agent",
        (
            (
                "kubectl -n kube-system delete pod -l k8s-app=aws-node "
                f"--field-selector spec.nodeName={facts.node or 'NODE'}"
            ),
        ),
        "A new pod of aws-node copies its plugin to /opt/cni/bin when it starts.",
    )


def refused_although_free(facts: Facts) -> Finding:
    """Judge the rest: pods are refused recently, while addresses can be given."""
    other = facts.refused.get(Refusal.OTHER, ())
    free = facts.pool.assignable if facts.pool else 0
    if not other and not (facts.starved and free > 0):
        if facts.refusals:
            return ruled_out("the refusals say why")
        return (
            ruled_out("the given files show no refusal that continues")
            if facts.log_judges or facts.case.events or facts.case.state
            else left_open(missing(facts, "ipamd.log, or the events of the pods"))
        )
    named = ("failed to get Branch ENI", "No trunk ENI", "Rejecting AddNetwork", "wrong client")
    unnamed = [one for one in other if not any(text in one.value for text in named)]
    written = facts.sighting("not_written")
    if not unnamed and other:
        return covered("the cause that names the refusal")
    if facts.recent(written):
        return covered("checkpoint cannot be written")
    if not unnamed and warm_zero(facts).status is Status.FOUND:
        return covered("warm target 0")
    if unnamed:
        return _found(
            facts,
            [*unnamed, *_pool(facts)],
            Certainty.CERTAIN,
            "Pods are refused for a reason outside the pool: " + _reason(unnamed[0].value),
            "the reply names another error than a missing address",
            (),
            "The line names what failed.",
        )
    return _found(
        facts,
        [*facts.starved, *_pool(facts)],
        Certainty.POSSIBLE,
        f"Pods are refused although {count(free, 'address', 'es')} can be given",
        "the two contradict each other: the counts are of another moment than the refusals, or "
        "the refusal has another reason (a pod with a security group, a checkpoint that cannot "
        "be written)",
        ("curl -s localhost:61679/v1/enis", "sudo tail -n 2000 /var/log/aws-routed-eni/ipamd.log"),
        "Run both on the node while pods wait, and give both outputs together.",
    )


def _reason(line: str) -> str:
    text = " ".join(line.split()).rpartition("err: ")[2]
    for mark in ("failed (add): ", "network: "):
        text = text.rpartition(mark)[2]
    return text if len(text) <= 120 else f"{text[:117]}..."


def _pool(facts: Facts) -> list[Evidence]:
    return [facts.pool.evidence] if facts.pool else []


def _found(
    facts: Facts,
    evidence: list[Evidence],
    certainty: Certainty,
    title: str,
    why: str,
    commands: tuple[str, ...],
    note: str,
) -> Finding:
    return Finding(
        status=Status.FOUND,
        certainty=certainty,
        title=title,
        why=why,
        evidence=tuple(evidence),
        fix=Fix(commands=commands, note=note),
    )
