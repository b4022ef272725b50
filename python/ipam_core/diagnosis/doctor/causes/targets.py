"""Causes in the pool's own rules: the agent has what its targets need, and pods wait."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.diagnosis.doctor.causes.common import (
    count,
    missing,
    shown,
    shown_max_pods,
)
from ipam_core.diagnosis.doctor.causes.places import full
from ipam_core.diagnosis.doctor.facts import SETTINGS
from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status, left_open, ruled_out
from ipam_core.diagnosis.fixes import SPARE, Change, Fix, set_env
from ipam_core.diagnosis.inputs.events import TOO_MANY_PODS

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Evidence

_STATE = "/v1/enis or ipamd.log"
_NODES = re.compile(r"0/(?P<nodes>\d+) nodes are available:.*?(?P<full>\d+) Too many pods")


def _certainty(facts: Facts) -> Certainty:
    """Return how certain a finding is: missing lines of the log could contradict it."""
    return Certainty.CERTAIN if facts.log_gap() is None else Certainty.LIKELY


def minimum_only(facts: Facts) -> Finding:
    """Judge MINIMUM_IP_TARGET alone: at the minimum, short stays 0 (#2650)."""
    settings, pool = facts.settings, facts.pool
    if not _known(facts, "MINIMUM_IP_TARGET", "WARM_IP_TARGET"):
        return left_open(SETTINGS)
    if settings.minimum_ip_target == 0:
        return ruled_out("MINIMUM_IP_TARGET is not set")
    if settings.warm_ip_target:
        return ruled_out(f"WARM_IP_TARGET is {settings.warm_ip_target}, not 0")
    if pool is None or facts.decision is None:
        return left_open(missing(facts, _STATE))
    if facts.decision.low:
        return ruled_out(f"short is {facts.decision.short}: the agent wants to grow")
    capped = facts.max_pods is not None and facts.max_pods.evidence is not None
    if capped and pool.total >= facts.growth_cap:
        return ruled_out(f"the pool holds {pool.total} of maxPods {facts.growth_cap}")
    verb = "stopped" if pool.total - pool.assigned <= 0 else "will stop"
    return Finding(
        status=Status.FOUND,
        certainty=_certainty(facts),
        title=(
            f"MINIMUM_IP_TARGET={settings.minimum_ip_target} without WARM_IP_TARGET: "
            f"the pool {verb} at {pool.total} addresses"
        ),
        why="either IP target switches WARM_ENI_TARGET off, and then",
        rule=facts.decision.growth_rule(),
        evidence=(
            *shown(facts, "MINIMUM_IP_TARGET", "WARM_IP_TARGET"),
            pool.evidence,
            *facts.refusals,
        ),
        fix=set_env(WARM_IP_TARGET=str(max(SPARE, facts.n_waiting))),
    )


def warm_zero(facts: Facts) -> Finding:
    """Judge a warm target of 0 without IP targets: growth only when nothing is free (#2482)."""
    settings, pool = facts.settings, facts.pool
    name = "WARM_PREFIX_TARGET" if facts.prefix_mode else "WARM_ENI_TARGET"
    warm = settings.warm_prefix_target if facts.prefix_mode else settings.warm_eni_target
    if not _known(facts, name, "MINIMUM_IP_TARGET", "WARM_IP_TARGET"):
        return left_open(SETTINGS)
    if settings.ip_targets_defined:
        return ruled_out(f"an IP target is set, so {name} does not count")
    if warm:
        return ruled_out(f"{name} is {warm}")
    if pool is None:
        return left_open(missing(facts, _STATE))
    if pool.assignable > 0 and not facts.starved:
        return ruled_out(f"{pool.assignable} addresses can be given, and no pod is refused")
    if full(facts):
        return ruled_out("every slot is used: no target could add an address")
    return Finding(
        status=Status.FOUND,
        certainty=_certainty(facts),
        title=f"{name}=0 and no IP target: the pool grows only once nothing is free",
        why="every pod that finds none waits for a pool check (5 s) and for EC2",
        rule=facts.decision.growth_rule() if facts.decision else (),
        evidence=(*shown(facts, name), pool.evidence, *facts.refusals),
        fix=replace(set_env(**{name: "1"}), change=Change(env={name: "1"}, delays=True)),
    )


def cooling(facts: Facts) -> Finding:
    """Judge whether every free address is cooling: those count as available (#2896)."""
    pool, decision = facts.pool, facts.decision
    if pool is None or decision is None:
        return left_open(missing(facts, _STATE))
    if pool.cooling == 0:
        return ruled_out("no address cools")
    if pool.assignable > 0:
        return ruled_out(f"{pool.assignable} addresses can be given next to those that cool")
    if facts.low or decision.low:
        return ruled_out("the agent wants to grow anyway")
    capped = facts.max_pods is not None and facts.max_pods.evidence is not None
    if capped and pool.total >= facts.growth_cap:
        return ruled_out(f"at maxPods {facts.growth_cap} no setting makes the pool grow")
    if not facts.targets_known:
        return left_open(SETTINGS)
    settings = facts.settings
    if settings.ip_targets_defined:
        fix = set_env(WARM_IP_TARGET=str(settings.warm_ip_target + pool.cooling))
    else:
        name = "WARM_PREFIX_TARGET" if facts.prefix_mode else "WARM_ENI_TARGET"
        fix = set_env(**{name: str(decision.warm + 1)})
    return Finding(
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if facts.log_judges else Certainty.LIKELY,
        title=(
            f"All {pool.cooling} free addresses cool ({settings.cooldown_s:g} s after their pods), "
            "and count as available"
        ),
        why="the agent counts enough addresses, but none can be assigned",
        rule=decision.growth_rule(),
        evidence=(
            pool.evidence,
            *shown(facts, "WARM_IP_TARGET", "IP_COOLDOWN_PERIOD"),
            *facts.refusals,
        ),
        fix=replace(
            fix,
            note="Rolling updates release many addresses at once: this number is kept warm in "
            "addition.",
        ),
    )


def max_pods(facts: Facts) -> Finding:
    """Judge maxPods: a pool of maxPods addresses does not grow (PR 2745, January 2024)."""
    pool, known = facts.pool, facts.max_pods
    event = facts.event(TOO_MANY_PODS)
    scheduler = event.counted() if event is not None and facts.recent(event) else None
    held = (
        pool is not None
        and known is not None
        and known.evidence is not None
        and pool.total >= facts.growth_cap
        and pool.assignable <= 0
        and bool(facts.refusals)
    )
    if scheduler is not None and not held:
        return _scheduler_full(facts, scheduler)
    if pool is None:
        return left_open(missing(facts, _STATE))
    if known is None or known.evidence is None:
        if pool.assignable > 0:
            return ruled_out(f"{count(pool.assignable, 'address', 'es')} can be given")
        return left_open("maxPods: the Node, the kubelet's configuration, or --max-pods")
    if pool.total < known.value:
        return ruled_out(f"the pool holds {pool.total} addresses, maxPods is {known.value}")
    if facts.growth_cap > known.value:
        return ruled_out(f"agent {facts.version} grows past it, as all up to v1.16.0")
    if not held:
        return ruled_out("no pod that is placed here is refused for it")
    return Finding(
        status=Status.FOUND,
        certainty=_certainty(facts),
        title=f"maxPods {known.value} is reached",
        why="the agent (after v1.16.0) stops growing at maxPods addresses",
        rule=facts.decision.growth_rule() if facts.decision else (),
        evidence=(
            pool.evidence,
            *shown_max_pods(facts),
            *((scheduler,) if scheduler else ()),
            *facts.refusals,
        ),
        fix=_more_pods(facts),
    )


def _scheduler_full(facts: Facts, event: Evidence) -> Finding:
    """Return the scheduler's message that nodes hold as many pods as their maxPods."""
    said = _NODES.search(event.value)
    every = said is not None and said["nodes"] == said["full"]
    known = facts.max_pods
    number = f" ({known.value})" if known is not None and known.evidence is not None else ""
    return Finding(
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if every else Certainty.POSSIBLE,
        title=(
            f"Every node holds as many pods as its maxPods{number} allows"
            if every
            else f"Some nodes hold as many pods as their maxPods{number} allows"
        ),
        why=(
            "the scheduler places no pod there; it counts pods, not addresses"
            if every
            else "the scheduler finds nodes full; it does not name them"
        ),
        evidence=(event, *shown_max_pods(facts), *([facts.pool.evidence] if facts.pool else [])),
        fix=_more_pods(facts),
    )


def _more_pods(facts: Facts) -> Fix:
    """Return the node group to create: maxPods by AWS's rule, if that is more."""
    limits, known = facts.limits, facts.max_pods
    if limits is None:
        return Fix(
            commands=("kubectl describe node NODE",),
            note="More nodes, or a larger type. The command shows the node's type and maxPods "
            "(Allocatable, pods); `ipam-core instances TYPE --prefixes` says what prefix mode "
            "would allow on it (not on Xen types as t2: they have no prefix mode).",
        )
    usual = instances.max_pods(limits, facts.settings)
    if known is not None and usual.calculated > known.value:
        return Fix(
            commands=(
                (
                    f"eksctl create nodegroup --cluster CLUSTER --node-type "
                    f"{limits.instance_type} --max-pods-per-node {usual.calculated}"
                ),
            ),
            note="The kubelet reads maxPods when it starts: this node keeps its own.",
            change=Change(max_pods=usual.calculated),
        )
    holds = f"{limits.max_enis} ENIs x {limits.slots} = {limits.max_addresses} addresses"
    if limits.nitro and not facts.prefix_mode:
        return Fix(
            commands=(),
            note=f"{limits.instance_type} holds {holds}. More nodes, a larger type, or prefix mode "
            "with a higher maxPods (`ipam-core instances "
            f"{limits.instance_type} --prefixes`), where the subnet has free /28s.",
        )
    return Fix(
        commands=(),
        note=f"{limits.instance_type} holds {holds}"
        + (", and no more" if not limits.nitro else "")
        + ": more nodes, or a larger type.",
    )


def _known(facts: Facts, *variables: str) -> bool:
    return facts.targets_known or all(map(facts.knows, variables))
