"""What follows from a case before any cause is judged: settings, limits, pool, decision."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.diagnosis.inputs.case import Evidence, HeldCidr, HeldEni, PoolCounts
from ipam_core.errors import ThrottledError, UnknownInstanceTypeError
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.pool import PoolView, decide
from ipam_core.settings import Settings
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from datetime import datetime

    from ipam_core.diagnosis.inputs.case import Case, Failure, Sighting
    from ipam_core.instances import InstanceLimits
    from ipam_core.pool import Decision

RECENT = timedelta(minutes=15)
"""What was not told for so long before the newest time of all is over: an agent that is
short asks again every 5 s, or 120 s after a full subnet, and CloudTrail delivers within
about 15 minutes."""
USUAL_MAX_PODS = 110
"""What Kubernetes allows where nothing else is set."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\S*")
"""What an agent built by hand logs in its place is `...` or a branch."""
LAST_WITHOUT_BRAKE = (1, 16, 0)
"""Agents up to this version grow past maxPods (PR 2745 of aws/amazon-vpc-cni-k8s, 2024)."""
LEAK_RECENT = timedelta(minutes=75)
"""The same for leaked ENIs, which the agent looks for every hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The counts of one network card, and where they are from."""

    total: int
    assigned: int
    cooling: int
    prefixes: int
    free_prefixes: int
    evidence: Evidence

    @property
    def assignable(self) -> int:
        """Addresses that a pod could be given now."""
        return self.total - self.assigned - self.cooling


@dataclass(slots=True, kw_only=True)
class Facts:
    """All that the causes are judged by: of a node's network cards, card 0.

    `others` are the pools of the cards that are not judged, by number. A pool of `brake`
    addresses does not grow: that is maxPods, where the agent's `version` has that rule.
    `assumed` says what was not told, in words.
    """

    case: Case
    variables: dict[str, Evidence]
    settings: Settings
    limits: InstanceLimits | None
    slots: int
    max_pods: int
    brake: int
    version: str
    prefix_mode: bool
    enis: tuple[HeldEni, ...] | None
    pool: Pool | None
    others: dict[int, Pool]
    decision: Decision | None
    now: datetime | None
    node: str
    refusals: tuple[Evidence, ...]
    n_waiting: int
    assumed: tuple[str, ...]

    @property
    def low(self) -> bool | None:
        """Whether the agent wants to grow; None where the pool is not known."""
        return self.decision.low if self.decision else None

    @property
    def max_enis(self) -> int | None:
        """ENIs that the type and MAX_ENI allow; None where the type is not known."""
        if self.limits is None:
            return None
        return min(self.limits.max_enis, self.settings.max_eni or self.limits.max_enis)

    @property
    def unmanaged(self) -> dict[str, Evidence]:
        """ENIs that the agent leaves alone, as it says since its last start."""
        start = self.fact("version.version")
        return {
            eni: evidence
            for eni, evidence in (self.case.log.unmanaged.items() if self.case.log else ())
            if not (start and start.time and evidence.time and evidence.time < start.time)
        }

    def knows(self, variable: str) -> bool:
        """Return whether a variable's value is told; a manifest tells that others are unset."""
        if variable in self.variables:
            return True
        unknown = self.case.unknown
        return self.case.manifest is not None and not {variable, "envFrom"} & unknown.keys()

    def n_cooling(self, cidr: HeldCidr) -> int:
        """Return how many released addresses of a CIDR cool still."""
        return _n_cooling(cidr, self.settings, self.now)

    def is_full(self) -> bool | None:
        """Whether neither an ENI has a free slot nor the node room for one; None: not known."""
        if self.enis is None or self.max_enis is None:
            return None
        places = self.max_enis - len(self.unmanaged)
        trunking = self.limits is None or self.limits.trunking
        if self.settings.enable_pod_eni and trunking and not any(eni.trunk for eni in self.enis):
            places -= 1
        return len(self.enis) >= places and not any(self.may_grow(eni) for eni in self.enis)

    def may_grow(self, eni: HeldEni) -> bool:
        """Return whether the agent would ask for addresses on an ENI (pool-rules section 5)."""
        barred = eni.trunk or eni.excluded or (eni.primary and self.settings.custom_networking)
        return not barred and len(eni.cidrs) < self.slots

    def recent(self, seen: Sighting | None, window: timedelta = RECENT) -> bool:
        """Return whether something was told lately, seen from the newest time of all."""
        if seen is None:
            return False
        when = seen.last.time
        return when is None or self.now is None or self.now - when <= window

    def sighting(self, kind: str) -> Sighting | None:
        """Return what the log told of a kind, however long ago."""
        return self.case.log.sightings.get(kind) if self.case.log else None

    def event(self, reason: str) -> Sighting | None:
        """Return the event of a reason on this node."""
        reasons = self.case.events.reasons if self.case.events else {}
        return reasons.get((reason, self.node)) or reasons.get((reason, ""))

    def failures(self) -> list[Failure]:
        """Return the failed calls that concern this node, throttled ones of all callers too."""
        found = list(self.case.log_failures.seen.values())
        known = self.fact("instance.instance_id") is not None
        for failure in self.case.trail.seen.values() if self.case.trail else ():
            others = failure.caller.startswith("i-") and known and not self.is_own(failure)
            if not others or failure.kind is ThrottledError:
                found.append(failure)
        return found

    def is_own(self, failure: Failure) -> bool:
        """Return whether a failed call is surely this node's: from its log, or by its id."""
        own = self.fact("instance.instance_id")
        return failure.caller in ("", own.value if own else "")

    def fact(self, name: str) -> Evidence | None:
        """Return a fact of the log."""
        return self.case.log.facts.get(name) if self.case.log else None


def establish(
    case: Case, *, instance_type: str = "", max_pods: int | None = None, node: str = ""
) -> Facts:
    """Return what follows from a case; what is given wins over what the files tell.

    Raises:
        UnknownInstanceTypeError: the type that is given is not in the table.
    """
    assumed: list[str] = []
    variables = _variables(case)
    if not variables:
        assumed.append("the settings are not told: the agent's defaults are taken")
    settings = Settings.from_env(
        {variable: evidence.value for variable, evidence in variables.items()},
        unknown=case.unknown,
    )
    told = case.log.facts if case.log else {}
    limits = _limits(instance_type, told.get("type.instance_type"))
    if limits is None:
        assumed.append("the instance type is not told: give --instance to simulate the fix")
    prefix_mode = settings.enable_prefix_delegation and (limits is None or limits.nitro)
    logged = case.log.pool.get(0) if case.log else None
    slots = limits.slots if limits else _slots(logged, prefix_mode)
    if max_pods is None:
        max_pods = int(told["max_pods"].value) if "max_pods" in told else None
    if max_pods is None:
        usual = instances.max_pods(limits, settings) if limits else None
        max_pods = usual.value if usual else USUAL_MAX_PODS
        assumed.append(
            f"maxPods is not told: {max_pods} is taken{(usual and f' ({usual.rule})') or ''}"
        )
    now = case.now()
    enis = case.state.cards.get(0) if case.state else None
    if settings.enable_ipv6:
        assumed = ["IPv6 mode: only calls that fail are judged"]
        enis = logged = None
        pools = {}
    else:
        pools = _pools(case, settings, prefix_mode, now)
    if enis is None and logged and slots:
        enis = _assumed_enis(logged[0], slots, prefix_mode, now)
        assumed.append("the ENIs are not told: taken as filled one after another")
    pool = pools.pop(0, None)
    version = _VERSION.match(told["version.version"].value if "version.version" in told else "")
    brake = max_pods if _brakes(version) else sys.maxsize
    if brake > max_pods:
        assumed.append(
            f"agent {version and version[0]}: up to v1.16.0 maxPods does not stop the pool's growth"
        )
    node = node or _node(case, told.get("node.node"))
    refusals, n_waiting = _refusals(case, node)
    facts = Facts(
        case=case,
        variables=variables,
        settings=settings,
        limits=limits,
        slots=slots,
        max_pods=max_pods,
        brake=brake,
        version=version[0] if version else "",
        prefix_mode=prefix_mode,
        enis=enis,
        pool=pool,
        others=pools,
        decision=_decision(pool, settings, slots, brake, prefix_mode, n_waiting),
        now=now,
        node=node,
        refusals=(),
        n_waiting=n_waiting,
        assumed=tuple(assumed),
    )
    facts.refusals = tuple(seen.counted() for seen in refusals if facts.recent(seen))
    return facts


def _variables(case: Case) -> dict[str, Evidence]:
    """Return the agent's variables: what it logs or its endpoint tells goes before a manifest."""
    running = dict(case.endpoint or {})
    if case.log:
        running |= {name: fact for name, fact in case.log.facts.items() if name in VARIABLES}
    manifest = case.manifest or {}
    for name in running.keys() & manifest.keys():
        runs, is_set = running[name], manifest[name]
        if Settings.from_env({name: runs.value}) != Settings.from_env({name: is_set.value}):
            case.notes.append(
                f"{name}: the agent runs with {runs.value} ({runs.file}), "
                f"{is_set.file} sets {is_set.value}: not rolled out here"
            )
    return {**manifest, **running}


def _brakes(version: re.Match[str] | None) -> bool:
    """Return whether an agent stops growing at maxPods; one that is not told is a new one."""
    return version is None or tuple(map(int, version.groups())) > LAST_WITHOUT_BRAKE


def _limits(given: str, told: Evidence | None) -> InstanceLimits | None:
    if given:
        return instances.limits(given)
    try:
        return instances.limits(told.value) if told else None
    except UnknownInstanceTypeError:
        return None


def _slots(logged: tuple[PoolCounts, Evidence] | None, prefix_mode: bool) -> int:
    """Return the slots of an ENI as the log tells them, 0 where it does not."""
    size = ADDRESSES_PER_PREFIX if prefix_mode else 1
    return logged[0].ips_per_eni // size if logged else 0


def _n_cooling(cidr: HeldCidr, settings: Settings, now: datetime | None) -> int:
    """Return how many released addresses of a CIDR cool still at the newest time of all."""
    if now is None:
        return 0
    period = timedelta(seconds=settings.cooldown_s)
    return sum(now - released <= period for released in cidr.released)


def _pools(
    case: Case, settings: Settings, prefix_mode: bool, now: datetime | None
) -> dict[int, Pool]:
    """Return the counts of each network card: of its ENIs, else as the log has them."""
    logged = case.log.pool if case.log else {}
    pools = {card: _logged_pool(*counts) for card, counts in logged.items()}
    if case.state:
        for card, enis in case.state.cards.items():
            pools[card] = _pool_of(enis, settings, prefix_mode, case.state.evidence, now)
    return pools


def _pool_of(
    enis: tuple[HeldEni, ...],
    settings: Settings,
    prefix_mode: bool,
    evidence: Evidence,
    now: datetime | None,
) -> Pool:
    """Return the counts as the agent's statistics have them (pool-rules section 3)."""
    own = [
        cidr
        for eni in enis
        if not eni.excluded
        for cidr in eni.cidrs
        if cidr.is_prefix == prefix_mode
    ]
    prefixes = [cidr for eni in enis for cidr in eni.cidrs if cidr.is_prefix]
    return Pool(
        total=len(own) * (ADDRESSES_PER_PREFIX if prefix_mode else 1),
        assigned=sum(len(cidr.pods) for cidr in own),
        cooling=sum(_n_cooling(cidr, settings, now) for cidr in own),
        prefixes=len(prefixes),
        free_prefixes=sum(not cidr.pods for cidr in prefixes),
        evidence=evidence,
    )


def _logged_pool(counts: PoolCounts, evidence: Evidence) -> Pool:
    """Return the counts that the agent logged; free prefixes are at least so many."""
    in_use = counts.assigned + counts.cooling
    return Pool(
        total=counts.total,
        assigned=counts.assigned,
        cooling=counts.cooling,
        prefixes=counts.prefixes,
        free_prefixes=max(counts.prefixes - in_use, 0),
        evidence=evidence,
    )


def _assumed_enis(
    counts: PoolCounts, slots: int, prefix_mode: bool, now: datetime | None
) -> tuple[HeldEni, ...]:
    """Return ENIs that would give these counts: filled, and used, one after another."""
    size = ADDRESSES_PER_PREFIX if prefix_mode else 1
    assigned, cooling = counts.assigned, counts.cooling if now else 0
    cidrs = []
    for number in range(counts.total // size):
        n_pods = min(assigned, size)
        n_cooling = min(cooling, size - n_pods)
        assigned, cooling = assigned - n_pods, cooling - n_cooling
        cidrs.append(
            HeldCidr(
                cidr=f"assumed-{number}",
                is_prefix=prefix_mode,
                pods=("",) * n_pods,
                released=(now,) * n_cooling if now else (),
            )
        )
    n_enis = max(-(-len(cidrs) // slots), 1)
    return tuple(
        HeldEni(
            eni_id=f"assumed-eni-{number}",
            device_number=number,
            primary=number == 0,
            trunk=False,
            efa=False,
            excluded=False,
            subnet_id="",
            cidrs=tuple(cidrs[number * slots : (number + 1) * slots]),
        )
        for number in range(n_enis)
    )


def _decision(
    pool: Pool | None,
    settings: Settings,
    slots: int,
    brake: int,
    prefix_mode: bool,
    n_waiting: int,
) -> Decision | None:
    """Return what the rules say, None where the pool, or a size they need, is not known."""
    if pool is None or not (slots or prefix_mode or settings.ip_targets_defined):
        return None
    return decide(
        PoolView(
            settings=settings,
            slots=slots,
            max_pods=brake,
            prefix_mode=prefix_mode,
            total=pool.total,
            assigned=pool.assigned,
            cooling=pool.cooling,
            prefixes=pool.prefixes,
            free_prefixes=pool.free_prefixes,
            waiting=n_waiting,
        )
    )


def _node(case: Case, told: Evidence | None) -> str:
    """Return the node's name: as the log tells it, else the one that refuses the most pods."""
    if told is not None:
        return told.value
    refused = case.events.refused if case.events else {}
    by_pods = sorted(refused, key=lambda node: len(refused[node]), reverse=True)
    if len([node for node in by_pods if refused[node]]) > 1:
        case.notes.append(
            f"events of several nodes: {by_pods[0]} refuses most pods, --node chooses"
        )
    return by_pods[0] if by_pods else ""


def _refusals(case: Case, node: str) -> tuple[list[Sighting], int]:
    """Return who tells that pods are refused, and how many pods wait: one where that is all."""
    told = case.log.sightings if case.log else {}
    log = next((told[kind] for kind in ("refused", "no_address") if kind in told), None)
    pods = list(case.events.refused.get(node, {}).values()) if case.events else []
    return [*([log] if log else []), *pods], max(len(pods), 1)
