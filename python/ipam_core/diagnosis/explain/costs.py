"""Findings of severity info: the cost of the settings, and settings without effect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core.diagnosis.explain.finding import UPSTREAM, Found, Severity, finds
from ipam_core.diagnosis.explain.play import WITHOUT_END, Play
from ipam_core.diagnosis.explain.rolling import rolling_update
from ipam_core.diagnosis.fixes import set_env
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.manifests import CHART_ENV
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipam_core.diagnosis.explain.finding import Facts
    from ipam_core.diagnosis.explain.play import Level
    from ipam_core.diagnosis.explain.rolling import RollingUpdate
    from ipam_core.diagnosis.fixes import Fix

_TARGETS = (
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "MINIMUM_IP_TARGET",
    "WARM_PREFIX_TARGET",
    "MAX_ENI",
)
_ADDRESS_APIS = ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
_LOWERING = ("MAX_ENI", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "ENABLE_POD_ENI")
_FEW_PODS_PREFIX = 110
"""What AWS recommends as maxPods in prefix mode on types of less than 30 vCPUs."""
SHORT_WAIT_S = 10.0
"""The longest acceptable wait: for a pool check and the EC2 calls that it makes."""


@finds(
    "cooldown-exhausted",
    Severity.INFO,
    rule=(
        "A released address cools for IP_COOLDOWN_PERIOD, but counts as available. In a rolling "
        "update the pool then seems to have enough addresses, although none can be assigned."
    ),
    change=(
        "a warm target as large as the number of addresses released within the period, or the "
        "period"
    ),
    source=f"{UPSTREAM}#2896",
)
def _cooldown_exhausted(facts: Facts) -> Iterator[Found]:
    met = rolling_update(facts.case)
    if met is None or met.most_waiting == 0:
        return
    uncooled = rolling_update(facts.case.with_env({"IP_COOLDOWN_PERIOD": "0"}))
    if uncooled is None or uncooled.longest_wait_s >= met.longest_wait_s:
        return
    fix, outcome = _warmer(facts, met.surge) if facts.advise else (None, "")
    yield Found(
        why=(
            (
                f"{met.pods} pods replaced, {met.surge} at a time: pods wait up to "
                f"{met.longest_wait_s:g} s ({uncooled.longest_wait_s:g} s if nothing cooled)"
            ),
            (
                f"at worst: pods waiting {met.most_waiting}, addresses cooling {met.cooling}, "
                f"to the agent available {met.available}"
            ),
        ),
        fix=fix,
        outcome=outcome,
        alternatives=tuple(_other_ways(facts, met)) if facts.advise else (),
    )


@finds(
    "setting-ignored",
    Severity.INFO,
    rule=(
        "Either IP target switches WARM_ENI_TARGET and WARM_PREFIX_TARGET off. Each of these two "
        "counts in one mode only. 0 as an IP target is the same as unset. With both IP targets "
        "the larger shortfall counts: the pool has max(MINIMUM_IP_TARGET, pods + WARM_IP_TARGET) "
        "addresses."
    ),
    change="nothing, or remove the variable so that no one relies on it",
    source=f"warmIPTargetsDefined and its callers in pkg/ipamd/ipamd.go of {UPSTREAM}",
)
def _setting_ignored(facts: Facts) -> Iterator[Found]:
    play = facts.play
    if play.init_error or facts.ipv6:
        return
    unread = {warning.variable for warning in facts.settings.warnings}
    for name in _TARGETS:
        text = facts.case.env.get(name)
        if text is None or name in unread or _set_by_all(name, text, facts):
            continue
        if name == "WARM_IP_TARGET" and facts.settings.minimum_ip_target and text != "0":
            continue  # without it the minimum alone would count, and later pods stall
        value = getattr(facts.settings, VARIABLES[name])
        others = [None] if not value else [str(value + 1), str(value - 1), None]
        if all(play.same_as(facts.case.with_env({name: other})) for other in others):
            yield Found(why=(f"{name}={text}: {_ignored_because(name, facts)}",))


@finds(
    "capacity-lowered",
    Severity.INFO,
    rule=(
        "MAX_ENI lowers the number of ENIs. Under custom networking the primary ENI gets no "
        "addresses for pods. With pod ENIs, room for one trunk ENI is kept."
    ),
    change="the variable, if the addresses are needed; otherwise maxPods",
    source=f"setupENI and hasRoomForEni in pkg/ipamd/ipamd.go of {UPSTREAM}",
)
def _capacity_lowered(facts: Facts) -> Iterator[Found]:
    n_enis = sum(facts.case.limits.enis_per_network_card[: facts.n_cards])
    full = n_enis * facts.case.limits.slots
    if facts.ipv6 or facts.play.init_error or facts.capacity == full:
        return
    named = [f"{name}={facts.case.env[name]}" for name in _LOWERING if name in facts.case.env]
    why = [f"{facts.capacity} of the type's {full} slots: {', '.join(named)}"]
    if facts.settings.enable_pod_eni:
        why.append("pods on branch ENIs need none of them, and are not counted here")
    yield Found(why=tuple(why))


@finds(
    "max-pods-below-capacity",
    Severity.INFO,
    rule="Addresses beyond maxPods are part of the price of the instance but are never used.",
    change="the kubelet's maxPods, or a smaller type",
    source="AWS: at most 110 pods on types of less than 30 vCPUs, else 250, in prefix mode",
)
def _max_pods_below_capacity(facts: Facts) -> Iterator[Found]:
    usable = min(facts.most_addresses, _FEW_PODS_PREFIX if facts.prefix_mode else WITHOUT_END)
    if facts.n_cards > 1 or facts.ipv6 or not facts.play.serves_all:
        return
    if 2 * facts.case.n_pods < usable:
        yield Found(
            why=(
                (
                    f"maxPods {facts.case.max_pods} leaves {facts.case.n_pods} pods for "
                    f"{facts.most_addresses} addresses"
                ),
            )
        )


@finds(
    "max-pods-stops-growth",
    Severity.INFO,
    rule=(
        "A pool of maxPods addresses or more does not grow. In agents up to v1.16.0 it still "
        f"grows (PR 2745 of {UPSTREAM}, January 2024)."
    ),
    change="nothing: fewer addresses are idle",
    source=f"{UPSTREAM}#2793",
)
def _max_pods_stops_growth(facts: Facts) -> Iterator[Found]:
    play = facts.play
    if (
        play.serves_all
        and not facts.ipv6
        and not play.top.low
        and facts.without_max_pods(play.top).low
    ):
        unbraked = Play(replace(facts.case, max_pods=WITHOUT_END), n_pods=facts.case.n_pods)
        then = f"take {unbraked.up[-1].total}" if unbraked.up else unbraked.init_error
        yield Found(
            why=(f"with all pods: {play.up[-1].total} addresses; agents up to v1.16.0: {then}",)
        )


@finds(
    "calls-per-pod",
    Severity.INFO,
    rule=(
        "With WARM_IP_TARGET the pool follows each single address. Above MINIMUM_IP_TARGET, pods "
        "that start and stop cost EC2 calls. The account's calls are throttled for all nodes of "
        "the region."
    ),
    change="MINIMUM_IP_TARGET: a little more than the pods that a node usually runs",
    source=f"docs/eni-and-ip-target.md of {UPSTREAM}",
)
def _calls_per_pod(facts: Facts) -> Iterator[Found]:
    if not facts.play.served or not facts.play.top.targets_defined:
        return
    play = facts.play
    up, back = _address_calls(play.up), _address_calls(play.back)
    if max(up, back) * 2 > play.served:
        yield Found(
            why=(
                (
                    f"{play.served} pods cost {up} calls to assign and unassign addresses when "
                    f"they start, {back} when they end"
                ),
            )
        )


@finds(
    "idle-addresses",
    Severity.INFO,
    rule=(
        "Addresses kept ahead of demand, and the primary address of each ENI, are taken from the "
        "subnet even if no pod uses them. Reported with --subnet-free."
    ),
    change="WARM_IP_TARGET with MINIMUM_IP_TARGET, which keep fewer addresses than a full ENI",
    source=f"docs/eni-and-ip-target.md of {UPSTREAM}",
)
def _idle_addresses(facts: Facts) -> Iterator[Found]:
    free, up = facts.case.subnet_free, facts.play.up
    if free is None or not up or facts.ipv6 or facts.play.top_error:
        return
    idle, most = up[0].taken + 1, up[-1].taken + 1  # the node's own address too
    yield Found(
        why=(
            (
                f"a node takes {idle} addresses before its first pod, {up[0].free} of them for "
                f"pods; {most} with {up[-1].pods} pods"
            ),
            f"{free} free addresses are enough for {free // idle} idle or {free // most} full",
        )
    )


@finds(
    "network-cards",
    Severity.INFO,
    rule=(
        "Network cards above 0 always keep WARM_IP_TARGET=1 and MINIMUM_IP_TARGET=1 (agents from "
        f"v1.20, PR 3347 of {UPSTREAM}, July 2025)."
    ),
    change="nothing: a pod gets an address from the first card that has one",
    source=f"{UPSTREAM} PR 3347",
)
def _network_cards(facts: Facts) -> Iterator[Found]:
    if facts.n_cards > 1:
        n_enis = sum(facts.case.limits.enis_per_network_card)
        yield Found(why=(f"{facts.n_cards} cards with {n_enis} ENIs",))


def _address_calls(levels: Sequence[Level]) -> int:
    return sum(level.calls[api] for level in levels for api in _ADDRESS_APIS)


def _warmer(facts: Facts, surge: int) -> tuple[Fix | None, str]:
    """Return the smallest of a few larger targets with which no pod waits long, as played."""
    top = facts.play.top
    for n_ahead in (surge, 2 * surge, 4 * surge):
        if top.targets_defined:
            fix = set_env(WARM_IP_TARGET=str(n_ahead))
        else:
            size = ADDRESSES_PER_PREFIX if facts.prefix_mode else top.view.slots
            fix = set_env(**{facts.warm_variable: str(top.warm + -(-n_ahead // size))})
        assert fix.change is not None
        met = rolling_update(facts.case.with_env(fix.change.env or {}))
        if met is not None and met.longest_wait_s <= SHORT_WAIT_S:
            return fix, _waits(met)
    return None, ""


def _other_ways(facts: Facts, met: RollingUpdate) -> Iterator[str]:
    """Yield other ways to shorten the waits, as played: fewer at a time, less cooldown."""
    for surge in (met.surge // 2, met.surge // 4, 1):
        fewer = rolling_update(facts.case, surge=surge) if 0 < surge < met.surge else None
        if fewer is not None and fewer.longest_wait_s <= SHORT_WAIT_S:
            yield (
                f"maxSurge of the Deployments: {'1 pod' if surge == 1 else f'{surge} pods'} at a "
                f"time, {_waits(fewer)}, at no idle address"
            )
            break
    for cooldown_s in (20, 10, 5):
        if cooldown_s < facts.settings.cooldown_s:
            case = facts.case.with_env({"IP_COOLDOWN_PERIOD": str(cooldown_s)})
            shorter = rolling_update(case)
            if shorter is not None and shorter.longest_wait_s <= SHORT_WAIT_S:
                yield (
                    f"IP_COOLDOWN_PERIOD={cooldown_s}: {_waits(shorter)}; kube-proxy must forget "
                    "a pod sooner"
                )
                break


def _waits(met: RollingUpdate) -> str:
    """Return how long pods wait, in words."""
    return f"pods wait up to {met.longest_wait_s:g} s" if met.longest_wait_s else "none waits"


def _set_by_all(name: str, text: str, facts: Facts) -> bool:
    """Return whether every manifest sets this, so that no one relies on it here."""
    counted_on = name == "WARM_ENI_TARGET" and not facts.prefix_mode
    return text == CHART_ENV.get(name) and not counted_on


def _ignored_because(name: str, facts: Facts) -> str:
    settings, limits = facts.settings, facts.case.limits
    if name == "MAX_ENI":
        return f"{limits.instance_type} has {limits.max_enis} ENIs"
    if name == "WARM_ENI_TARGET" and facts.prefix_mode:
        return "prefix mode uses WARM_PREFIX_TARGET"
    if name == "WARM_PREFIX_TARGET" and not facts.prefix_mode:
        return "prefix mode is off"
    if name in ("WARM_ENI_TARGET", "WARM_PREFIX_TARGET") and settings.ip_targets_defined:
        return "an IP target is set"
    if getattr(settings, VARIABLES[name]) == 0:
        return "the same as unset"
    return "the node does the same without it"


CHECKS = (
    _cooldown_exhausted,
    _setting_ignored,
    _capacity_lowered,
    _max_pods_below_capacity,
    _max_pods_stops_growth,
    _calls_per_pod,
    _idle_addresses,
    _network_cards,
)
