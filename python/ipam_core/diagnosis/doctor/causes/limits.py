"""Causes in the agent's view of the instance: its limits, its ENIs, its metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.cloud.codes import ADDRESS_LIMIT, ATTACHMENT_LIMIT
from ipam_core.diagnosis.doctor.causes.common import (
    RESTART,
    found,
    found_failing,
    no_matter,
    shown_max_pods,
    unless_logged,
    unless_seen,
)
from ipam_core.diagnosis.doctor.causes.places import (
    ATTACHED,
    node_group,
    room_of,
    unknown_to_agent,
)
from ipam_core.diagnosis.doctor.facts import LEAK_RECENT
from ipam_core.diagnosis.doctor.finding import Certainty, Finding
from ipam_core.diagnosis.fixes import Change, Fix
from ipam_core.errors import SubnetFullError
from ipam_core.instances import ADDRESSES_PER_PREFIX

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts


def unknown_enis(facts: Facts) -> Finding:
    """Judge whether EC2 counts more ENIs on the instance than the agent uses (#547)."""
    known = unknown_to_agent(facts)
    if known is None:
        return no_matter(facts) or unless_logged(facts)
    attached, used, evidence = known
    node = facts.node or "NODE"
    instance = facts.fact("instance.instance_id")
    return replace(
        found(
            facts,
            evidence,
            title=f"{attached} ENIs are attached to the instance, and the agent uses {used}",
            why=f"EC2 refuses one more ({ATTACHMENT_LIMIT}); the other {attached - used} serve "
            "no pod, because the agent does not have them in its store",
            fix=Fix(
                commands=(
                    RESTART.format(node=node),
                    (
                        "aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,"
                        f"Values={instance.value if instance else 'INSTANCE_ID'}"
                    ),
                ),
                note="At its start the agent takes over the ENIs that instance metadata shows. "
                "If it does not, the second command shows whose they are; upgrade an agent "
                "before v1.5.3, which lost ENIs.",
            ),
        ),
        certainty=Certainty.CERTAIN,
    )


def limits_wrong(facts: Facts) -> Finding:
    """Judge whether the agent's limits for the type differ from EC2's, or are missing (#1083)."""
    unknown = facts.sighting("limits_unknown")
    if unknown is not None and facts.recent(unknown):
        return replace(
            found(
                facts,
                [unknown.counted()],
                title=f"This agent does not know the instance type: {_named(facts)}",
                why="without the type's limits it does not know how many ENIs are allowed",
                fix=_upgrade(facts),
            ),
            certainty=Certainty.CERTAIN,
        )
    limits, pool = facts.limits, facts.pool
    refused = [
        failure
        for failure in facts.failures()
        if failure.code == ADDRESS_LIMIT and facts.recent(failure.sighting) and not failure.caller
    ]
    evidence = [failure.sighting.counted() for failure in refused]
    if limits is not None and pool is not None and pool.per_eni and refused:
        size = ADDRESSES_PER_PREFIX if facts.prefix_mode else 1
        if pool.per_eni > limits.slots * size:
            return replace(
                found(
                    facts,
                    evidence,
                    title=(
                        f"The agent's limits for {limits.instance_type} are wrong: it takes "
                        f"{pool.per_eni // size} {'prefixes' if size > 1 else 'addresses'} an ENI "
                        f"for allowed, EC2 allows {limits.slots}"
                    ),
                    why="it asks for more than an ENI can hold, and EC2 refuses the whole call",
                    fix=_upgrade(facts),
                ),
                certainty=Certainty.CERTAIN,
            )
    said = next(
        (
            (match, failure)
            for failure in facts.failures()
            if failure.code == ATTACHMENT_LIMIT and facts.recent(failure.sighting)
            if (match := ATTACHED.search(failure.sighting.last.value))
        ),
        None,
    )
    if said is not None and limits is not None and unknown_to_agent(facts) is None:
        allowed = int(said[0]["count"]) - 1
        if facts.n_enis == allowed:
            slots, evidence = limits.slots, [said[1].sighting.counted()]
            right = allowed * slots + instances.HOST_NETWORK_PODS
            return replace(
                found(
                    facts,
                    [*evidence, *shown_max_pods(facts)],
                    title=(
                        f"EC2 allows {allowed} ENIs on {limits.instance_type}, and the agent takes "
                        f"more for allowed: all {allowed * slots} addresses are used"
                    ),
                    why="its table of limits is not EC2's, and a maxPods by that table is too "
                    f"high: {right} is right ({allowed} ENIs x {slots}, and 2 pods of the host's "
                    "network)",
                    fix=replace(
                        node_group(facts, right),
                        note="The kubelet reads maxPods when it starts: this node keeps its own. "
                        "Or prefix mode where the subnet has free /28s, or a larger type; a "
                        "newer agent may have the right limit.",
                    ),
                ),
                certainty=Certainty.CERTAIN,
            )
    if limits is not None and pool is not None and pool.per_eni and facts.starved:
        size = ADDRESSES_PER_PREFIX if facts.prefix_mode else 1
        if pool.per_eni != limits.slots * size and facts.knows("ENABLE_PREFIX_DELEGATION"):
            return replace(
                found(
                    facts,
                    evidence,
                    title=(
                        f"The agent counts {pool.per_eni} addresses an ENI (c.maxIPsPerENI), and "
                        f"{limits.instance_type} holds {limits.slots * size}"
                    ),
                    why="its table of limits is from another release, or the type is a different "
                    "one",
                    fix=_upgrade(facts),
                ),
                certainty=Certainty.POSSIBLE,
            )
    if refused:
        return replace(
            found(
                facts,
                evidence,
                title="An ENI holds more addresses than the agent knows (its store differs from "
                "EC2)",
                why="EC2 refuses more addresses for it; the agent then reads the ENI's addresses",
                fix=Fix(
                    commands=(RESTART.format(node=facts.node or "NODE"),),
                    note="Agents from v1.7 fix this themselves at the next reconcile (60 s).",
                ),
            ),
            certainty=Certainty.LIKELY,
        )
    return no_matter(facts) or unless_logged(facts)


def _named(facts: Facts) -> str:
    named = facts.fact("limits_unknown.type")
    return named.value if named else "its table has no such type"


def _upgrade(facts: Facts) -> Fix:
    return Fix(
        commands=(
            (
                "aws eks update-addon --cluster-name CLUSTER --addon-name vpc-cni "
                "--addon-version VERSION"
            ),
        ),
        note="A newer agent has the type's limits in its table"
        + (f" ({facts.version} has not)." if facts.version else ".")
        + " Without the add-on: apply the release's manifest or chart.",
    )


def not_in_metadata(facts: Facts) -> Finding:
    """Judge whether instance metadata does not show all that is attached."""
    seen = facts.sighting("metadata", "metadata_wrong")
    stale = facts.sighting("metadata_stale")
    if seen is None and facts.starved and facts.recent(stale):
        assert stale is not None
        return replace(
            found(
                facts,
                [stale.counted()],
                title="Instance metadata and EC2 disagree on the addresses of this node",
                why="the agent believes EC2, and asks it again at each reconcile (60 s)",
                fix=Fix(
                    commands=(RESTART.format(node=facts.node or "NODE"),),
                    note="Metadata is late at times and catches up. If it does not, the restarted "
                    "agent reads both again.",
                ),
            ),
            certainty=Certainty.POSSIBLE,
        )
    if (other := unless_seen(facts, seen)) is not None:
        return other
    assert seen is not None
    wrong = "reconcile" in seen.last.value
    return found(
        facts,
        [seen.counted()],
        title="Instance metadata does not answer, or shows no ENI"
        if wrong
        else "A new ENI does not appear in instance metadata",
        why="the agent cannot compare its store with it, and adds no new addresses"
        if wrong
        else "its addresses count only once metadata shows them; it stays attached",
        fix=Fix(
            commands=(RESTART.format(node=facts.node or "NODE"),),
            note=(
                "Find out why 169.254.169.254 does not answer: too many calls, a proxy, a firewall."
                if wrong
                else "A reconcile adds it when metadata shows it. If that never happens, "
                "replace the node."
            ),
            change=None
            if wrong
            else Change(fault=({"op": "imds_hide"},), from_start=True, delays=True),
        ),
    )


def leaked(facts: Facts) -> Finding:
    """Judge whether detached ENIs of the agent remain and hold addresses of the subnet."""
    log = facts.case.log
    newest = (
        facts.case.newest.get(next(iter(log.leaked.values())).source)
        if log and log.leaked
        else None
    )
    stay = {
        eni: evidence
        for eni, evidence in (log.leaked.items() if log else ())
        if evidence.time is None or newest is None or newest - evidence.time <= LEAK_RECENT
    }
    if not stay:
        return (
            unless_logged(facts) if facts.log_judges else no_matter(facts) or unless_logged(facts)
        )
    failures = [
        failure
        for failure in facts.failures()
        if failure.kind is SubnetFullError and facts.recent(failure.sighting)
    ]
    blocks = bool(failures) and facts.low is not False
    finding = found_failing(
        facts,
        failures,
        title=f"{len(stay)} leaked ENIs hold addresses of the subnet",
        why=(
            "the subnet is full, and these ENIs hold unused addresses"
            if blocks
            else "they do no harm until the subnet is full; the agent fails to delete them"
        ),
        more=tuple(stay.values()),
        fix=Fix(
            commands=tuple(
                f"aws ec2 delete-network-interface --network-interface-id {eni}"
                for eni in sorted(stay)
            ),
            note="Simulated with one address each; they may hold more." if blocks else "",
            change=Change(
                fault=(room_of("primary", 0),),
                repair=(room_of("primary", len(stay)),),
            )
            if blocks and not facts.prefix_mode
            else None,
        ),
    )
    return replace(finding, certainty=Certainty.LIKELY if blocks else Certainty.POSSIBLE)
