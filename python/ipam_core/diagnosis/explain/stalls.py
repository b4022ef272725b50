"""Findings of severity error: pods that never get an address, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.explain.finding import UPSTREAM, Found, Severity, finds, served_text
from ipam_core.diagnosis.explain.play import Play
from ipam_core.diagnosis.fixes import SPARE, Change, Fix, set_env
from ipam_core.instances import HOST_NETWORK_PODS, max_pods
from ipam_core.variables import PROVISIONING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam_core.diagnosis.explain.finding import Facts


@finds(
    "agent-does-not-start",
    Severity.ERROR,
    rule=(
        "The agent refuses some combinations of settings. Under custom networking it also does "
        "not start on a node to which no ENI can be attached."
    ),
    change="the settings that the error names",
    source=f"isConfigValid and nodeInit in pkg/ipamd/ipamd.go of {UPSTREAM}",
)
def _agent_does_not_start(facts: Facts) -> Iterator[Found]:
    if not facts.play.init_error:
        return
    fix, outcome = facts.first_fix(
        set_env(**changes)
        for changes in (
            {"ENABLE_IPv4": "true"},
            {"ENABLE_PREFIX_DELEGATION": "true"},
            {"ENABLE_IPv4": "false", "ENABLE_PREFIX_DELEGATION": "true"},
            {"ENABLE_IPv6": "false"},
            {"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false"},
        )
    )
    yield Found(why=(facts.play.init_error,), fix=fix, outcome=outcome)


@finds(
    "provisioning-off",
    Severity.ERROR,
    rule=(
        "With DISABLE_NETWORK_RESOURCE_PROVISIONING the agent attaches nothing. Pods get only "
        "addresses that something else attached to the node, and here nothing does."
    ),
    change="DISABLE_NETWORK_RESOURCE_PROVISIONING (and ENABLE_IMDS_ONLY_MODE, which implies it)",
    source=f"updateIPPoolIfRequired in pkg/ipamd/ipamd.go of {UPSTREAM}",
)
def _provisioning_off(facts: Facts) -> Iterator[Found]:
    if _stalls(facts) and facts.settings.disable_network_resource_provisioning:
        named = {name: None for name in PROVISIONING if name in facts.case.env}
        fix, outcome = facts.first_fix([set_env(**named)])
        yield Found(
            why=(f"the node has {facts.play.up[-1].total} addresses, and gets no more",),
            fix=fix,
            outcome=outcome,
        )


@finds(
    "minimum-without-warm",
    Severity.ERROR,
    rule=(
        "Either IP target switches WARM_ENI_TARGET and WARM_PREFIX_TARGET off. MINIMUM_IP_TARGET "
        "alone means WARM_IP_TARGET 0: above the minimum no address is kept ahead of demand, and "
        "waiting pods do not make the pool grow."
    ),
    change="WARM_IP_TARGET: at least 1, or better the number of pods that start within seconds",
    source=f"{UPSTREAM}#2650; datastoreTargetState in pkg/ipamd/ipamd.go",
)
def _minimum_without_warm(facts: Facts) -> Iterator[Found]:
    top, off = facts.play.top, facts.settings.disable_network_resource_provisioning
    if _stalls(facts) and not top.low and top.targets_defined and not off:
        fix, outcome = facts.first_fix([set_env(WARM_IP_TARGET=str(SPARE))])
        yield Found(why=top.growth_rule(), fix=fix, outcome=outcome)


@finds(
    "subnet-too-small",
    Severity.ERROR,
    rule=(
        "EC2 gives all requested addresses or none. Each ENI also takes its own address. A prefix "
        "takes 16 free aligned addresses."
    ),
    change=(
        "the subnet (a larger one, or another one tagged kubernetes.io/role/cni=1), or a lower "
        "warm target"
    ),
    source=f"{UPSTREAM}#3105; InsufficientFreeAddressesInSubnet, InsufficientCidrBlocks of EC2",
)
def _subnet_too_small(facts: Facts) -> Iterator[Found]:
    play, free = facts.play, facts.case.subnet_free
    if free is None or not _stalls(facts):
        return
    endless = Play(replace(facts.case, subnet_free=None))
    if endless.served <= play.served:
        return
    needed = max(level.taken for level in endless.up)
    fix, outcome = facts.first_fix([set_env(WARM_IP_TARGET="1", MINIMUM_IP_TARGET=None)])
    if fix is None and facts.advise:
        enough = Play(replace(facts.case, subnet_free=needed))
        own = needed + 1  # the primary ENI's own address is in the subnet too
        fix = Fix(commands=(), note=f"use a subnet with {own} free addresses for each node")
        outcome = served_text(enough.served, enough.case.n_pods) if enough.serves_all else ""
    refused = (f"{play.top_error.api}: {play.top_error.code}",) if play.top_error else ()
    yield Found(
        why=(
            *refused,
            f"the node takes {needed} of the subnet's addresses, and {free} are free",
        ),
        fix=fix,
        outcome=outcome,
    )


@finds(
    "max-pods-above-capacity",
    Severity.ERROR,
    rule=(
        "The scheduler places maxPods pods even if there are not enough addresses. Two of them "
        "are assumed to be on the host network (aws-node and kube-proxy)."
    ),
    change="the kubelet's maxPods, MAX_ENI, prefix mode, or the instance type",
    source="AWS: eni-max-pods.txt, ENIs x (addresses of an ENI - 1) + 2",
)
def _max_pods_above_capacity(facts: Facts) -> Iterator[Found]:
    verdict = facts.verdict()
    if not _stalls(facts) or verdict.served < facts.most_addresses:
        return
    case = facts.case
    held = verdict.served + HOST_NETWORK_PODS
    lower = Fix(
        commands=(),
        note=f"set the kubelet's maxPods to {held}",
        change=Change(max_pods=held),
    )
    wider = set_env(ENABLE_PREFIX_DELEGATION="true", WARM_PREFIX_TARGET="1")
    fixes = [lower]
    if case.limits.nitro and not facts.prefix_mode and case.max_pods > case.limits.max_pods:
        fixes.insert(0, wider)  # so many pods were asked for
    if "MAX_ENI" in case.env:
        fixes.insert(0, set_env(MAX_ENI=None))
    fix, outcome = facts.first_fix(fixes)
    calculated = max_pods(case.limits, facts.settings).calculated
    yield Found(
        why=(
            (
                f"maxPods {case.max_pods} are {case.n_pods} pods that need an address; "
                f"all {facts.capacity} slots hold {facts.most_addresses}"
            ),
            *(
                (f"AWS's max-pods calculator says {calculated} for these settings",)
                if calculated < case.max_pods
                else ()
            ),
        ),
        fix=fix,
        outcome=outcome,
    )


def _stalls(facts: Facts) -> bool:
    return facts.verdict().stalled_at is not None


CHECKS = (
    _agent_does_not_start,
    _provisioning_off,
    _minimum_without_warm,
    _subnet_too_small,
    _max_pods_above_capacity,
)
