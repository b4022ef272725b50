"""Findings of severity warning: every pod gets an address, but something is not as intended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam_core.diagnosis.explain.finding import UPSTREAM, Found, Severity, finds
from ipam_core.diagnosis.fixes import SPARE, set_env
from ipam_core.manifests import CHART_ENV
from ipam_core.units import counted
from ipam_core.variables import LAST_WITHOUT_BRAKE, SINCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.diagnosis.explain.finding import Facts
    from ipam_core.diagnosis.explain.play import Play


@finds(
    "value-not-read",
    Severity.WARNING,
    rule=(
        "If the agent cannot read a value, it uses the default. It ignores a variable with a "
        "misspelled name. At most its log reports this."
    ),
    change="the value: integers such as 7 or +12, booleans such as true, false, 1, 0",
    source=f"strconv.Atoi and strconv.ParseBool, as {UPSTREAM} calls them",
)
def _value_not_read(facts: Facts) -> Iterator[Found]:
    for warning in facts.settings.warnings:
        yield Found(why=(str(warning),))


@finds(
    "nothing-kept-warm",
    Severity.WARNING,
    rule=(
        "No target keeps an address ahead of demand (without IP targets the warm target, with "
        "them WARM_IP_TARGET). Then the pool grows only if no address is free. A pod that finds "
        "none waits for the next pool check (5 s) and for EC2."
    ),
    change="WARM_ENI_TARGET (WARM_PREFIX_TARGET in prefix mode), or WARM_IP_TARGET",
    source=f"{UPSTREAM}#2482; isDatastorePoolTooLow in pkg/ipamd/ipamd.go",
)
def _nothing_kept_warm(facts: Facts) -> Iterator[Found]:
    waited = [level.pods for level in facts.play.up if level.waited]
    if not waited:
        return
    shown = ", ".join(str(pods) for pods in waited[:4]) + (", ..." if len(waited) > 4 else "")
    if facts.play.top.targets_defined:
        fixes = [set_env(WARM_IP_TARGET=str(SPARE))]
    else:
        fixes = [set_env(**{facts.warm_variable: "1"})]
    fix, outcome = facts.first_fix(fixes, lambda play: _serves_as(facts, play) and not _waits(play))
    yield Found(
        why=(
            (
                f"{len(waited)} of {facts.case.n_pods} pods wait, though they start one by "
                f"one: pods {shown}"
            ),
        ),
        fix=fix,
        outcome=outcome and f"{outcome}, and no pod waits",
    )


@finds(
    "pool-flaps",
    Severity.WARNING,
    rule=(
        "The pool has enough addresses to give some back, but then too few to meet its targets. "
        "So the agent adds and frees the same ENI or prefix again and again, even if no pod "
        "starts or stops."
    ),
    change="WARM_ENI_TARGET (WARM_PREFIX_TARGET in prefix mode): at least 1; or an IP target",
    source=f"{UPSTREAM}#1451, #1775",
)
def _pool_flaps(facts: Facts) -> Iterator[Found]:
    flap = facts.play.flap
    if flap is None:
        return
    fixes = [set_env(**{facts.warm_variable: "1"})]
    fix, outcome = facts.first_fix(fixes, lambda play: _serves_as(facts, play) and not play.flap)
    yield Found(
        why=(f"with {flap.pods} pods: {flap.calls_per_hour} EC2 calls an hour, on every node",),
        fix=fix,
        outcome=outcome and f"{outcome}, and the pool is stable",
    )


@finds(
    "prefixes-unsupported",
    Severity.WARNING,
    rule=(
        "Prefixes need the Nitro hypervisor or bare metal. On other types the agent logs a "
        "warning and uses secondary IPs."
    ),
    change="the instance type, or ENABLE_PREFIX_DELEGATION and maxPods",
    source=f"IsPrefixDelegationSupported in pkg/awsutils/awsutils.go of {UPSTREAM}",
)
def _prefixes_unsupported(facts: Facts) -> Iterator[Found]:
    limits = facts.case.limits
    if facts.settings.enable_prefix_delegation and not limits.nitro:
        yield Found(
            why=(
                (
                    f"{limits.instance_type} ({limits.hypervisor}): {limits.max_addresses} "
                    f"addresses at most, not {limits.max_addresses_prefix}"
                ),
            )
        )


@finds(
    "target-out-of-reach",
    Severity.WARNING,
    rule=(
        "If the node can never reach a target, it takes all addresses that it can, even without a "
        "pod. A pool of maxPods addresses does not grow, with any target (agents after v1.16.0, "
        f"PR 2745 of {UPSTREAM}, January 2024)."
    ),
    change="the target that is too high",
    source=f"isDatastorePoolTooLow in pkg/ipamd/ipamd.go of {UPSTREAM}",
)
def _target_out_of_reach(facts: Facts) -> Iterator[Found]:
    play = facts.play
    wish = facts.without_max_pods(play.idle)
    off = facts.settings.disable_network_resource_provisioning
    if play.init_error or facts.ipv6 or off or play.idle_error or not wish.low:
        return
    held = play.up[0]
    limit = (
        f"it stops at maxPods {facts.case.max_pods}"
        if held.total >= facts.case.max_pods
        else f"its {facts.capacity} slots are filled"
    )
    holds = f"{counted(held.total, 'address')} on {counted(held.enis, 'ENI')}"
    yield Found(why=(*wish.growth_rule()[:-1], f"with no pod the node holds {holds}; {limit}"))


@finds(
    "not-in-this-agent",
    Severity.WARNING,
    rule=(
        "An agent that is older than a variable does not read it. The simulation reads it, as the "
        "newest agent does."
    ),
    change="the agent's version, or do not rely on the variable",
    source=f"the first release of each variable: README of {UPSTREAM}",
)
def _not_in_this_agent(facts: Facts) -> Iterator[Found]:
    version = tuple(map(int, facts.version.removeprefix("v").split("."))) if facts.version else ()
    if not version:
        return
    for name, since in SINCE.items():
        text = facts.case.env.get(name, "")
        if version < since and text not in ("", "false", "0", CHART_ENV.get(name)):
            first = ".".join(map(str, since))
            why = f"{name}={text} is read from v{first} on; this agent is {facts.version}"
            yield Found(why=(why,))
    if version <= LAST_WITHOUT_BRAKE and facts.play.up:
        play = facts.play
        if facts.without_max_pods(play.top).low != play.top.low:
            yield Found(why=(f"maxPods does not stop the pool's growth yet in {facts.version}",))


def _serves_as(facts: Facts, play: Play) -> bool:
    """Return whether a play serves as many pods as the play of the case."""
    return not play.init_error and play.served >= facts.play.served


def _waits(play: Play) -> bool:
    return any(level.waited for level in play.up)


CHECKS = (
    _value_not_read,
    _nothing_kept_warm,
    _pool_flaps,
    _prefixes_unsupported,
    _target_out_of_reach,
    _not_in_this_agent,
)
