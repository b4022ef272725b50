"""Causes in the places for ENIs: all taken, taken by others, or fewer than maxPods needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.causes.common import (
    CONTENT,
    PLACES,
    found,
    missing,
    no_matter,
    shown,
    shown_max_pods,
    unless_logged,
)
from ipam_core.diagnosis.doctor.causes.places import (
    full,
    limits_are_wrong,
    more_places,
    room,
    unknown_to_agent,
)
from ipam_core.diagnosis.doctor.finding import (
    Certainty,
    Finding,
    covered,
    left_open,
    ruled_out,
)
from ipam_core.diagnosis.fixes import Change, Fix, set_env
from ipam_core.instances import ADDRESSES_PER_PREFIX, HOST_NETWORK_PODS

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Evidence

ABOVE = "maxPods above the addresses"


def eni_limit(facts: Facts) -> Finding:
    """Judge whether every place for an ENI is taken, and every slot on them."""
    if facts.settings.custom_networking:
        return ruled_out("under custom networking it is judged there")
    return full_node(facts, _title(facts), "there is no slot left, on an ENI or for one")


def full_node(facts: Facts, title: str, why: str) -> Finding:
    """Judge whether a node has no place and no slot left, and pods are refused because of it."""
    if facts.low is False:
        return ruled_out(CONTENT)
    evidence = full(facts)
    if evidence is None:
        return no_matter(facts) or left_open(missing(facts, PLACES))
    if not evidence:
        return no_matter(facts) or ruled_out(room(facts))
    if facts.unmanaged:
        return covered("unmanaged ENIs")
    if unknown_to_agent(facts):
        return covered("attached ENIs that the agent does not use")
    if limits_are_wrong(facts):
        return covered("limits of the type")
    if _above(facts):
        return covered(ABOVE)
    if (moot := no_matter(facts)) is not None and not _kept_small(facts):
        return moot
    finding = found(
        facts,
        [*evidence, *shown(facts, "MAX_ENI", "ENABLE_POD_ENI")],
        title=title,
        why=why,
        fix=more_places(facts),
    )
    if not facts.starved:
        return replace(finding, certainty=Certainty.POSSIBLE)
    return replace(finding, certainty=_proof(facts, evidence))


def _kept_small(facts: Facts) -> bool:
    """Return whether a setting keeps the node below the usual maxPods."""
    most = facts.allowed_pods
    if most is None or facts.pool is None or facts.pool.assignable > 0:
        return False
    return facts.max_pods is not None and facts.max_pods.value > most


def _proof(facts: Facts, evidence: list[Evidence]) -> Certainty:
    """Return how certain a full node is: by its own log, or its ENIs and a type not assumed."""
    in_use = facts.pool is None or facts.pool.assignable <= 0
    return Certainty.CERTAIN if evidence and in_use and not facts.log_gap() else Certainty.LIKELY


def _title(facts: Facts) -> str:
    n_enis, most = facts.n_enis, facts.max_enis
    counts = f"{n_enis} of {most} ENIs" if n_enis and most else "all ENIs"
    if facts.trunk_place:
        return (
            f"Every slot is used on {counts}: the other place is kept for a trunk ENI "
            "(ENABLE_POD_ENI), which is not attached"
        )
    total = facts.pool.total if facts.pool and facts.pool.assignable <= 0 else 0
    used = f": all {total} addresses are used" if total else ""
    return f"Every place for an ENI is taken, and every slot on them{used}"


def above_addresses(facts: Facts) -> Finding:
    """Judge whether the kubelet's maxPods admits more pods than the node has addresses for."""
    allowed = facts.allowed_pods
    if allowed is None or facts.max_pods is None or facts.max_pods.evidence is None:
        if facts.low is False:
            return ruled_out(CONTENT)
        return no_matter(facts) or left_open("maxPods (the Node, or --max-pods) and the type")
    n_addresses = allowed - HOST_NETWORK_PODS
    if facts.max_pods.value <= allowed:
        return ruled_out(f"maxPods {facts.max_pods.value}, and {n_addresses} addresses, 2 pods")
    evidence = full(facts)
    if not evidence or not _above(facts):
        return no_matter(facts) or ruled_out("the addresses are not used up")
    # Two of those pods are on the host's network, and more if there are such DaemonSets.
    finding = found(
        facts,
        [
            *shown_max_pods(facts),
            *evidence,
            *shown(facts, "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "ENABLE_POD_ENI", "MAX_ENI"),
        ],
        title=(
            f"maxPods {facts.max_pods.value} lets in more pods than the node has addresses "
            f"for: {allowed} is right ({_sum(facts)} = {n_addresses}, and 2 pods of the "
            "host network)"
        ),
        why=_less(facts)
        or "every slot of the type is used; pods beyond are placed here and get no address",
        fix=more_places(facts),
    )
    certainty = _proof(facts, evidence) if facts.starved else Certainty.POSSIBLE
    return replace(finding, certainty=certainty)


def _above(facts: Facts) -> bool:
    known, allowed = facts.max_pods, facts.allowed_pods
    if known is None or known.evidence is None or allowed is None or not full(facts):
        return False
    if known.value <= allowed:
        return False
    if limits_are_wrong(facts) or unknown_to_agent(facts):
        return False
    return bool(facts.starved) and (facts.pool is None or facts.pool.assignable <= 0)


def _sum(facts: Facts) -> str:
    """Return the addresses of the node as a product: ENIs that serve pods x slots."""
    limits, settings = facts.limits, facts.settings
    assert limits is not None
    enis = min(limits.max_enis, settings.max_eni or limits.max_enis) - settings.custom_networking
    enis -= (settings.enable_pod_eni and limits.trunking) or facts.lost_places
    size = f" x {ADDRESSES_PER_PREFIX}" if facts.prefix_mode else ""
    return f"{enis} ENIs x {limits.slots}{size}"


def _less(facts: Facts) -> str:
    """Return which settings take places away, '' if none does."""
    settings, limits = facts.settings, facts.limits
    takes = []
    if settings.custom_networking:
        takes.append("under custom networking the primary ENI serves no pod")
    if (settings.enable_pod_eni and limits and limits.trunking) or facts.lost_places:
        takes.append("ENABLE_POD_ENI keeps a place for a trunk ENI")
    if settings.max_eni and limits and settings.max_eni < limits.max_enis:
        takes.append(f"MAX_ENI={settings.max_eni} allows no more ENIs")
    return "; ".join(takes)


def unmanaged(facts: Facts) -> Finding:
    """Judge whether ENIs that the agent does not manage take the places (#1077)."""
    if not facts.unmanaged:
        return no_matter(facts) or unless_logged(facts)
    if facts.low is False:
        return ruled_out(CONTENT)
    evidence = full(facts)
    if evidence is None:
        return left_open(PLACES)
    if not evidence:
        return ruled_out(f"{len(facts.unmanaged)}, and {room(facts)}")
    if (moot := no_matter(facts)) is not None:
        return moot
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
            note="Or detach them. First find out who attached them.",
        )
    )
    return found(
        facts,
        [*facts.unmanaged.values(), *evidence],
        title=f"{len(facts.unmanaged)} unmanaged ENIs use up ENIs that the pool needs",
        why="the agent does not manage them, but they count towards the ENI limit",
        fix=replace(fix, change=Change(freed_places=len(facts.unmanaged))),
    )
