"""Causes that lie in the pool's own rules: the agent is content, and pods wait."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.doctor.finding import Certainty, Finding, Status, left_open, ruled_out
from ipam_core.diagnosis.fixes import SPARE, Change, Fix, set_env
from ipam_core.diagnosis.inputs.events import TOO_MANY_PODS

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.inputs.case import Evidence

_STATE = "/v1/enis or ipamd.log"
SETTINGS = "the settings: the DaemonSet's manifest or ipamd.log"


def minimum_only(facts: Facts) -> Finding:
    """Judge MINIMUM_IP_TARGET alone: at the minimum, short is 0 for ever (#2650)."""
    cause, settings, pool = "minimum-only stall", facts.settings, facts.pool
    if not facts.knows("MINIMUM_IP_TARGET"):
        return left_open(cause, SETTINGS)
    if settings.minimum_ip_target == 0:
        return ruled_out(cause, "MINIMUM_IP_TARGET is not set")
    if settings.warm_ip_target:
        return ruled_out(cause, f"WARM_IP_TARGET is {settings.warm_ip_target}, not 0")
    if pool is None or facts.decision is None:
        return left_open(cause, _STATE)
    if facts.low:
        return ruled_out(cause, f"short is {facts.decision.short}: the agent wants to grow")
    if pool.total >= facts.brake:
        return ruled_out(cause, f"the pool holds {pool.total} of maxPods {facts.max_pods}")
    stalled = pool.total - pool.assigned <= 0
    verb = "stopped" if stalled else "will stop"
    return Finding(
        cause=cause,
        status=Status.FOUND,
        certainty=Certainty.CERTAIN,
        title=(
            f"MINIMUM_IP_TARGET={settings.minimum_ip_target} without WARM_IP_TARGET: "
            f"the pool {verb} at {pool.total} addresses"
        ),
        why="either IP target switches WARM_ENI_TARGET off, and then",
        rule=facts.decision.growth_rule(),
        evidence=(
            *told(facts, "MINIMUM_IP_TARGET", "WARM_IP_TARGET"),
            pool.evidence,
            *facts.refusals,
        ),
        fix=set_env(WARM_IP_TARGET=str(max(SPARE, facts.n_waiting))),
    )


def warm_zero(facts: Facts) -> Finding:
    """Judge a warm target of 0 without IP targets: growth only when nothing is free (#2482)."""
    cause, settings, pool = "warm target 0", facts.settings, facts.pool
    name = "WARM_PREFIX_TARGET" if facts.prefix_mode else "WARM_ENI_TARGET"
    warm = settings.warm_prefix_target if facts.prefix_mode else settings.warm_eni_target
    if not (facts.knows(name) and facts.knows("MINIMUM_IP_TARGET")):
        return left_open(cause, SETTINGS)
    if settings.ip_targets_defined:
        return ruled_out(cause, f"an IP target is set, so {name} does not count")
    if warm:
        return ruled_out(cause, f"{name} is {warm}")
    if pool is None:
        return left_open(cause, _STATE)
    if pool.assignable > 0 and not facts.refusals:
        return ruled_out(cause, f"{pool.assignable} addresses can be given, and no pod is refused")
    return Finding(
        cause=cause,
        status=Status.FOUND,
        certainty=Certainty.CERTAIN,
        title=f"{name}=0 and no IP target: the pool grows only once nothing is free",
        why="every pod that finds none waits for a look (5 s) and for EC2",
        rule=facts.decision.growth_rule() if facts.decision else (),
        evidence=(*told(facts, name), pool.evidence, *facts.refusals),
        fix=set_env(**{name: "1"}),
    )


def cooling(facts: Facts) -> Finding:
    """Judge whether every free address cools: those count as available (#2896)."""
    cause, pool, decision = "cooling addresses counted as available", facts.pool, facts.decision
    if pool is None or decision is None:
        return left_open(cause, _STATE)
    if pool.cooling == 0:
        return ruled_out(cause, "no address cools")
    if pool.assignable > 0:
        return ruled_out(cause, f"{pool.assignable} addresses can be given beside those that cool")
    if facts.low:
        return ruled_out(cause, "the agent wants to grow all the same")
    if pool.total >= facts.brake:
        return ruled_out(cause, f"at maxPods {facts.max_pods} no setting makes the pool grow")
    settings = facts.settings
    if settings.ip_targets_defined:
        fix = set_env(WARM_IP_TARGET=str(settings.warm_ip_target + pool.cooling))
    else:
        name = "WARM_PREFIX_TARGET" if facts.prefix_mode else "WARM_ENI_TARGET"
        fix = set_env(**{name: str(decision.warm + 1)})
    return Finding(
        cause=cause,
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if facts.case.log else Certainty.LIKELY,
        title=(
            f"All {pool.cooling} free addresses cool ({settings.cooldown_s:g} s after their pods), "
            "and count as available"
        ),
        why="the agent believes that it has enough, and has none to give",
        rule=decision.growth_rule(),
        evidence=(
            pool.evidence,
            *told(facts, "WARM_IP_TARGET", "IP_COOLDOWN_PERIOD"),
            *facts.refusals,
        ),
        fix=replace(
            fix,
            note="Rolling updates release many addresses at once: so many more are kept warm.",
        ),
    )


def max_pods(facts: Facts) -> Finding:
    """Judge maxPods: a pool of so many addresses does not grow (PR 2745, January 2024)."""
    cause, pool = "maxPods reached", facts.pool
    event = facts.event(TOO_MANY_PODS)
    scheduler = facts.recent(event)
    if pool is None and not scheduler:
        return left_open(cause, _STATE)
    held = pool is not None and pool.total >= facts.brake and pool.assignable <= 0
    if not held and not scheduler:
        total = pool.total if pool else 0
        if total >= facts.max_pods and facts.brake > facts.max_pods:
            return ruled_out(cause, f"agent {facts.version} grows past it, as all up to v1.16.0")
        return ruled_out(cause, f"the pool holds {total} addresses, maxPods is {facts.max_pods}")
    evidence: list[Evidence] = [*([pool.evidence] if pool else []), *told(facts, "max_pods")]
    if event is not None and scheduler:
        evidence.append(event.last)
    return Finding(
        cause=cause,
        status=Status.FOUND,
        certainty=Certainty.CERTAIN if held else Certainty.POSSIBLE,
        title=f"maxPods {facts.max_pods} is reached",
        why=(
            "the agent (after v1.16.0) stops growing at maxPods addresses"
            if held
            else "the scheduler finds nodes full; it does not say which"
        ),
        rule=facts.decision.growth_rule() if held and facts.decision else (),
        evidence=(*evidence, *facts.refusals),
        fix=_more_pods(facts),
    )


def _more_pods(facts: Facts) -> Fix | None:
    """Return the node group to make: maxPods as the type's addresses allow."""
    limits = facts.limits
    if limits is None:
        return None
    most = limits.max_addresses_prefix if facts.prefix_mode else limits.max_addresses
    allowed = min(most + 2, 250)
    if allowed <= facts.max_pods:
        return Fix(commands=(), note="The type holds no more: more nodes, or a larger type.")
    return Fix(
        commands=(
            (
                f"eksctl create nodegroup --cluster CLUSTER --node-type {limits.instance_type} "
                f"--max-pods-per-node {allowed}"
            ),
        ),
        note="The kubelet reads maxPods when it starts: this node keeps its own.",
        change=Change(max_pods=allowed),
    )


def told(facts: Facts, *names: str) -> list[Evidence]:
    """Return where variables, or facts of the log, were read, as `NAME=value`."""
    found = []
    for name in names:
        evidence = facts.variables.get(name) or facts.fact(name)
        if evidence is not None:
            found.append(replace(evidence, value=f"{name}={evidence.value}"))
    return found
