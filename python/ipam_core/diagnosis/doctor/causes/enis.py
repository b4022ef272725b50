"""Causes in the places for ENIs: all taken, taken by others, or leaked away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipam_core.cloud.codes import ATTACHMENT_LIMIT
from ipam_core.diagnosis.doctor.causes.ec2 import CONTENT, found, found_failing
from ipam_core.diagnosis.doctor.causes.targets import SETTINGS, told
from ipam_core.diagnosis.doctor.facts import LEAK_RECENT
from ipam_core.diagnosis.doctor.finding import Certainty, left_open, ruled_out
from ipam_core.diagnosis.fixes import Change, Fix, set_env
from ipam_core.errors import SubnetFullError

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding
    from ipam_core.diagnosis.inputs.case import Evidence

_PLACES = "/v1/enis and the instance type, or ipamd.log"


def eni_limit(facts: Facts) -> Finding:
    """Judge whether every place for an ENI is taken, and every slot on them."""
    cause = "ENI limit"
    if facts.low is False:
        return ruled_out(cause, CONTENT)
    if facts.settings.custom_networking:
        return ruled_out(cause, "judged as custom networking without room")
    evidence = _full(facts)
    if evidence is None:
        return left_open(cause, _PLACES)
    if not evidence:
        return ruled_out(cause, _room(facts))
    if facts.unmanaged:
        return ruled_out(cause, f"{len(facts.unmanaged)} unmanaged ENIs take the places")
    return found(
        facts,
        cause,
        [*evidence, *told(facts, "MAX_ENI")],
        title="Every place for an ENI is taken, and every slot on them",
        why="there is no slot left, on an ENI or for one",
        fix=_more_places(facts),
    )


def unmanaged(facts: Facts) -> Finding:
    """Judge whether ENIs that the agent leaves alone take the places (#1077)."""
    cause = "unmanaged ENIs"
    if not facts.unmanaged:
        if facts.case.log:
            return ruled_out(cause, "the log names none")
        return left_open(cause, "ipamd.log")
    if facts.low is False:
        return ruled_out(cause, CONTENT)
    evidence = _full(facts)
    if evidence is None:
        return left_open(cause, _PLACES)
    if not evidence:
        return ruled_out(cause, f"{len(facts.unmanaged)}, and {_room(facts)}")
    names = " ".join(sorted(facts.unmanaged))
    untagged = not facts.settings.manage_untagged_eni
    fix = (
        set_env(MANAGE_UNTAGGED_ENI="true")
        if untagged
        else Fix(
            commands=(
                (
                    f"aws ec2 delete-tags --resources {names} "
                    "--tags Key=node.k8s.amazonaws.com/no_manage"
                ),
                "kubectl -n kube-system rollout restart ds/aws-node",
            ),
            note="Or detach them. Ask first who put them there.",
        )
    )
    return found(
        facts,
        cause,
        [*facts.unmanaged.values(), *evidence],
        title=f"{len(facts.unmanaged)} unmanaged ENIs take places that the pool needs",
        why="the agent leaves them alone and counts their places as taken",
        fix=replace(fix, change=Change(freed_places=len(facts.unmanaged))),
    )


def leaked(facts: Facts) -> Finding:
    """Judge whether detached ENIs of the agent's stay and hold addresses of the subnet."""
    cause = "leaked ENIs"
    log = facts.case.log
    if log is None:
        return left_open(cause, "ipamd.log")
    stay = {
        eni: evidence
        for eni, evidence in log.leaked.items()
        if evidence.time is None or facts.now is None or facts.now - evidence.time <= LEAK_RECENT
    }
    if not stay:
        return ruled_out(cause, "the log names none that stays")
    full = [
        failure
        for failure in facts.failures()
        if failure.kind is SubnetFullError and facts.recent(failure.sighting)
    ]
    blocks = bool(full) and facts.low is not False
    finding = found_failing(
        facts,
        cause,
        full,
        title=f"{len(stay)} leaked ENIs hold addresses of the subnet",
        why=(
            "the subnet is full, and these hold addresses for nobody"
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
                fault=(_room_of("primary", 0),),
                mend=(_room_of("primary", len(stay)),),
            )
            if blocks and not facts.prefix_mode
            else None,
        ),
    )
    return replace(finding, certainty=Certainty.LIKELY if blocks else Certainty.POSSIBLE)


def custom_networking(facts: Facts) -> Finding:
    """Judge custom networking: its ENIConfig missing, its subnet full, or no place for ENIs."""
    cause = "custom networking without room"
    if not facts.settings.custom_networking:
        if facts.knows("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"):
            return ruled_out(cause, "custom networking is off")
        return left_open(cause, SETTINGS)
    if facts.low is False:
        return ruled_out(cause, CONTENT)
    start = facts.sighting("no_start")
    more = (start.last,) if start and facts.recent(start) else ()
    missing = facts.sighting("no_eni_config")
    if missing and facts.recent(missing):
        finding = found(
            facts,
            cause,
            [missing.last, *more],
            title="Custom networking is on, and the node has no ENIConfig",
            why="without one no ENI is created, and the primary ENI serves no pod",
            fix=Fix(
                commands=(
                    "kubectl get eniconfigs",
                    (
                        f"kubectl label node {facts.node or 'NODE'} "
                        "k8s.amazonaws.com/eniConfig=NAME --overwrite"
                    ),
                ),
                note="NAME is an ENIConfig of this zone.",
                change=Change(
                    fault=({"op": "ec2_fail", "api": "CreateNetworkInterface", "code": "None"},),
                    mend=({"op": "ec2_heal"},),
                ),
            ),
        )
        return replace(finding, certainty=Certainty.CERTAIN) if more else finding
    full = [failure for failure in facts.failures() if failure.kind is SubnetFullError]
    if any(facts.recent(failure.sighting) for failure in full):
        return found_failing(
            facts,
            cause,
            full,
            title="The ENIConfig's subnet has no room",
            why="under custom networking every pod's address comes out of that subnet",
            more=(*more, *told(facts, "eni_config.subnet_id")),
            fix=Fix(
                commands=(
                    (
                        "kubectl patch eniconfig NAME --type merge "
                        '-p \'{"spec":{"subnet":"SUBNET_WITH_ROOM"}}\''
                    ),
                ),
                note="New ENIs come from the new subnet; attached ones keep theirs.",
                change=Change(
                    # Attached ENIs stand in "primary" there, and stay in a full subnet.
                    fault=(_room_of("primary", 0), _room_of("eniconfig", 0)),
                    mend=(_room_of("eniconfig", 1 << 16),),
                ),
            ),
        )
    evidence = _full(facts)
    if evidence is None:
        return left_open(cause, _PLACES)
    if not evidence:
        return ruled_out(cause, _room(facts))
    return found(
        facts,
        cause,
        [*evidence, *more],
        title="Custom networking: the ENIs beside the primary are all full",
        why="the primary ENI takes a place and serves no pod",
        fix=_more_places(facts),
    )


def _full(facts: Facts) -> list[Evidence] | None:
    """Return what shows that every place is taken, [] where there is room, None: not known."""
    said = facts.sighting("eni_limit")
    evidence = [said.last] if said and facts.recent(said) else []
    evidence += [
        failure.sighting.last
        for failure in facts.failures()
        if failure.code == ATTACHMENT_LIMIT and facts.recent(failure.sighting)
    ]
    if evidence:
        return evidence
    full = facts.is_full() if facts.case.state else None
    if full:
        return [facts.case.state.evidence] if facts.case.state else []
    return [] if full is False or facts.case.log else None


def _room(facts: Facts) -> str:
    if facts.enis is not None and facts.max_enis is not None and facts.case.state:
        return f"{len(facts.enis)} of {facts.max_enis} ENIs, with free slots or places"
    return "the log does not say so"


def _room_of(subnet: str, n_addresses: int) -> dict[str, Any]:
    """Return the scenario step that gives a subnet so many free addresses."""
    return {"op": "subnet", "id": subnet, "free_ips": n_addresses, "free_prefixes": n_addresses}


def _more_places(facts: Facts) -> Fix:
    """Return how the node gets more: without MAX_ENI, by prefixes, or another type."""
    limits, settings = facts.limits, facts.settings
    if settings.max_eni and (limits is None or settings.max_eni < limits.max_enis):
        return set_env(MAX_ENI=None)
    if not facts.prefix_mode and (limits is None or limits.nitro):
        node = facts.node or "NODE"
        fix = set_env(ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
        return Fix(
            commands=(
                *fix.commands,
                f"kubectl drain {node} --ignore-daemonsets --delete-emptydir-data",
                f"kubectl uncordon {node}",
            ),
            note="Addresses in use keep their slots: prefixes come as their pods leave.",
            change=replace(fix.change, mend=({"op": "del_pods", "n": limits.max_addresses},))
            if fix.change and limits
            else None,
        )
    return Fix(commands=(), note="The type holds no more: more nodes, or a larger type.")
