"""Gather the facts of a case, by which the causes are judged: every value with its source."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ipam_core import instances
from ipam_core.diagnosis.doctor.agent import after, agent_of
from ipam_core.diagnosis.doctor.facts import Facts, Known
from ipam_core.diagnosis.doctor.pools import assumed_enis, pools_of
from ipam_core.diagnosis.inputs.case import Evidence, Refusal, Source
from ipam_core.errors import UnknownInstanceTypeError
from ipam_core.instances import ADDRESSES_PER_PREFIX, HOST_NETWORK_PODS
from ipam_core.pool import PoolView, decide
from ipam_core.settings import Settings
from ipam_core.variables import VARIABLES

if TYPE_CHECKING:
    from ipam_core.diagnosis.doctor.pools import Pool
    from ipam_core.diagnosis.inputs.case import Case, NodeObject, PoolCounts, Sighting
    from ipam_core.instances import InstanceLimits
    from ipam_core.pool import Decision

LAST_WITHOUT_CAP = (1, 16, 0)
"""Agents up to this version grow past maxPods (PR 2745 of aws/amazon-vpc-cni-k8s, 2024)."""
SERVED_AGAIN = timedelta(seconds=30)
"""A refused pod asks again within seconds: a refusal is over if addresses are free this long
after it, and there was no further refusal."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\S*")
"""An agent built by hand logs `...` or a branch in its place."""
_PREFIXES = "ENABLE_PREFIX_DELEGATION"
_TARGETS = ("WARM_IP_TARGET", "MINIMUM_IP_TARGET", "WARM_ENI_TARGET", "WARM_PREFIX_TARGET")
_LOG_REFUSALS = {
    "refused": Refusal.NO_ADDRESS,
    "no_address": Refusal.NO_ADDRESS,
    "refused_other": Refusal.OTHER,
    "no_branch_eni": Refusal.OTHER,
    "no_trunk": Refusal.OTHER,
    "rejected": Refusal.OTHER,
}


def gather_facts(
    case: Case, *, instance_type: str = "", max_pods: int | None = None, node: str = ""
) -> Facts:
    """Return the facts of a case; given values replace those in the files.

    Raises:
        UnknownInstanceTypeError: the type that is given is not in the table.
    """
    assumed: list[str] = []
    node, contradictions = _node(case, node)
    node_object = case.nodes.get(node)
    variables = _variables(case)
    if not variables and case.manifest is None:
        assumed.append("the settings are not shown: the agent's defaults are taken")
    settings = Settings.from_env(
        {variable: evidence.value for variable, evidence in variables.items()},
        unknown=case.unknown,
    )
    limits = _limits(case, instance_type, node_object, contradictions)
    if (prefixes := _prefixes_seen(case, variables, limits)) is not None:
        variables[_PREFIXES] = prefixes
        settings = replace(settings, enable_prefix_delegation=True)
        assumed.append(f"prefix mode: by what {prefixes.file} shows of the pool")
    if limits is None:
        assumed.append("the instance type is not shown: give --instance")
    prefix_mode = settings.enable_prefix_delegation and (limits is None or limits.nitro)
    logged = case.log.pool.get(0) if case.log else None
    slots = limits.slots if limits else _slots(logged, prefix_mode)
    cooled_at = max(
        (case.newest[source] for source in (Source.STATE, Source.LOG) if source in case.newest),
        default=None,
    )
    enis = case.state.cards.get(0) if case.state else None
    pools: dict[int, Pool] = {}
    if settings.enable_ipv6:
        assumed = ["IPv6 mode: only calls that fail, starts and events are judged"]
        enis = logged = None
    else:
        pools = pools_of(case, settings, prefix_mode, cooled_at)
    if enis is None and logged and slots:
        enis = assumed_enis(
            logged[0], slots, prefix_mode, cooled_at, bare_primary=settings.custom_networking
        )
        assumed.append("the ENIs are not shown: taken as filled one after another")
    pool = pools.pop(0, None)
    known_pods = _max_pods(case, max_pods, node_object, limits, settings, pool)
    if known_pods is None:
        assumed.append("maxPods is not shown: give --max-pods")
    elif known_pods.assumed and not settings.enable_ipv6:
        assumed.append(known_pods.assumed)
    version_text = _version_text(case)
    version = _VERSION.match(version_text)
    caps = version is None or tuple(map(int, version.groups())) > LAST_WITHOUT_CAP
    growth_cap = known_pods.value if known_pods and caps else sys.maxsize
    if version and not caps:
        assumed.append(f"agent {version[0]}: up to v1.16.0 maxPods does not stop the pool's growth")
    refused, n_waiting = _refusals(case, node, pool)
    facts = Facts(
        case=case,
        agent=agent_of(case),
        variables=variables,
        settings=settings,
        targets_known=_targets_known(case, variables, prefix_mode),
        limits=limits,
        slots=slots,
        max_pods=known_pods,
        growth_cap=growth_cap,
        version=version[0] if version else "",
        prefix_mode=prefix_mode,
        enis=enis,
        pool=pool,
        others=pools,
        decision=_decision(pool, settings, slots, growth_cap, prefix_mode, n_waiting),
        cooled_at=cooled_at,
        node=node,
        refused={},
        n_waiting=n_waiting,
        assumed=tuple(assumed),
        contradictions=tuple(contradictions),
    )
    facts.refused = {
        kind: found
        for kind, seen in refused.items()
        if (found := tuple(one.counted() for one in seen if facts.recent(one)))
    }
    return facts


def _variables(case: Case) -> dict[str, Evidence]:
    """Return the agent's variables: its log or its endpoint counts before a manifest."""
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


def _prefixes_seen(
    case: Case, variables: dict[str, Evidence], limits: InstanceLimits | None
) -> Evidence | None:
    """Return the evidence for prefix mode if no setting shows it: prefixes, or an ENI's size."""
    if _PREFIXES in variables or case.manifest is not None:
        return None
    cidrs = [
        cidr for eni in (case.state.cards.get(0, ()) if case.state else ()) for cidr in eni.cidrs
    ]
    if case.state and cidrs and all(cidr.is_prefix for cidr in cidrs):
        return replace(case.state.evidence, value="true")
    logged = case.log.pool.get(0) if case.log else None
    if logged and limits and logged[0].ips_per_eni == limits.slots * ADDRESSES_PER_PREFIX:
        return replace(logged[1], value="true")
    return None


def _targets_known(case: Case, variables: dict[str, Evidence], prefix_mode: bool) -> bool:
    """Return whether every setting that decides on growth is shown.

    A manifest shows that variables that it does not set are unset. The agent's log shows it
    too: at its start it logs every target that is set, and it says that it uses
    WARM_ENI_TARGET or WARM_PREFIX_TARGET only without IP targets.
    """
    if case.manifest is not None:
        return not {*_TARGETS, "envFrom"} & case.unknown.keys()
    if all(name in variables for name in _TARGETS):
        return True
    if case.log is None:
        return False
    own = [name for name in _TARGETS if name in case.log.facts]
    started = bool(case.log.starts)
    goes_by_warm = "WARM_PREFIX_TARGET" if prefix_mode else "WARM_ENI_TARGET"
    return (started and bool(own)) or ("too_low" in case.log.sightings and own == [goes_by_warm])


def _node(case: Case, given: str) -> tuple[str, list[str]]:
    """Return the node's name, and contradictions of the files to the one that is given."""
    refused = case.events.refused if case.events else {}
    logged = case.log.facts.get("node.node") if case.log else None
    named = {*case.nodes, *filter(None, refused)} | ({logged.value} if logged else set())
    if given:
        if given in named or not named:
            return given, ([] if named else [f"--node {given}: the files name no node"])
        return given, [f"--node {given} is in none of the files; they name {_some(named)}"]
    if logged is not None:
        return logged.value, _other_nodes(case, logged.value)
    by_pods = sorted(refused, key=lambda one: len(refused[one]), reverse=True)
    if len([one for one in by_pods if one and refused[one]]) > 1:
        case.notes.append(
            f"events of several nodes: {by_pods[0]} refuses most pods, --node chooses"
        )
    if by_pods and by_pods[0]:
        return by_pods[0], []
    if len(case.nodes) > 1:
        case.notes.append(f"several nodes, --node chooses: {_some(set(case.nodes))}")
    return (next(iter(case.nodes)) if len(case.nodes) == 1 else ""), []


def _other_nodes(case: Case, logged: str) -> list[str]:
    """Return a contradiction about a log's node: Nodes are given, and it is none of them."""
    if not case.nodes or any(_host(name) == _host(logged) for name in case.nodes):
        return []
    return [f"the log is of node {logged}, and the Node given is {_some(set(case.nodes))}"]


def _host(name: str) -> str:
    return name.partition(".")[0]


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _limits(
    case: Case, given: str, node: NodeObject | None, contradictions: list[str]
) -> InstanceLimits | None:
    logged = case.log.facts.get("type.instance_type") if case.log else None
    of_node = node.instance_type if node else ""
    shown = logged.value if logged else of_node
    if given:
        limits = instances.limits(given)
        if shown and shown != limits.instance_type:
            where = f"{logged.file}:{logged.line}" if logged else "the Node"
            taken = limits.instance_type
            contradictions.append(f"--instance {taken}, but {where} says {shown}; {taken} is taken")
        return limits
    try:
        return instances.limits(shown) if shown else None
    except UnknownInstanceTypeError:
        return None


def _slots(logged: tuple[PoolCounts, Evidence] | None, prefix_mode: bool) -> int:
    """Return the slots of an ENI in the log, 0 if it does not have them."""
    size = ADDRESSES_PER_PREFIX if prefix_mode else 1
    return logged[0].ips_per_eni // size if logged else 0


def _max_pods(
    case: Case,
    given: int | None,
    node: NodeObject | None,
    limits: InstanceLimits | None,
    settings: Settings,
    pool: Pool | None,
) -> Known | None:
    """Return maxPods as given or shown; else the usual value, unless the files contradict it.

    As many pods with an address as the usual maxPods prove that the real one is larger: at
    least two pods of every node have none (aws-node and kube-proxy).
    """
    if given is not None:
        where = Evidence(file="--max-pods", line=None, value=str(given), source=Source.GIVEN)
        return Known(value=given, evidence=where)
    if node is not None and node.max_pods is not None:
        return Known(value=node.max_pods, evidence=node.evidence)
    if case.kubelet_max_pods is not None:
        return Known(value=int(case.kubelet_max_pods.value), evidence=case.kubelet_max_pods)
    logged = case.log.facts.get("max_pods") if case.log else None
    if logged is not None:
        return Known(value=int(logged.value), evidence=logged)
    if limits is None:
        return None
    usual = instances.max_pods(limits, settings)
    if pool is not None and pool.assigned + HOST_NETWORK_PODS > usual.value:
        return None
    return Known(
        value=usual.value,
        assumed=f"maxPods is not shown: {usual.value} is taken ({usual.rule})",
    )


def _version_text(case: Case) -> str:
    logged = case.log.facts.get("version.version") if case.log else None
    for evidence in (logged, case.metrics.get("version"), case.image):
        if evidence is not None:
            return evidence.value
    return ""


def _decision(
    pool: Pool | None,
    settings: Settings,
    slots: int,
    growth_cap: int,
    prefix_mode: bool,
    n_waiting: int,
) -> Decision | None:
    """Return the decision of the rules, None if the pool, or a size they need, is not known."""
    if pool is None or not (slots or prefix_mode or settings.ip_targets_defined):
        return None
    return decide(
        PoolView.of(
            pool,
            settings=settings,
            slots=slots,
            max_pods=growth_cap,
            prefix_mode=prefix_mode,
            waiting=n_waiting,
        )
    )


def _refusals(case: Case, node: str, pool: Pool | None) -> tuple[dict[str, list[Sighting]], int]:
    """Return the refusals that are not over, by kind, and how many pods wait: at least one."""
    found: dict[str, list[Sighting]] = {}
    log = case.log.sightings if case.log else {}
    kinds = [kind for kind in _LOG_REFUSALS if kind in log]
    if "refused" in kinds and "no_address" in kinds:
        kinds.remove("no_address")  # the line before reports the same refusal
    for kind in kinds:
        if not _over(log[kind], log.get("served"), pool, _LOG_REFUSALS[kind]):
            found.setdefault(_LOG_REFUSALS[kind], []).append(log[kind])
    plugin = case.plugin.sightings if case.plugin else {}
    for kind, reason in (("refused", Refusal.NO_ADDRESS), ("unreachable", Refusal.UNREACHABLE)):
        seen = plugin.get(kind)
        if seen is not None and not _over(seen, plugin.get("added"), None, reason):
            found.setdefault(reason, []).append(seen)
    pods: dict[tuple[str, Refusal], Sighting] = {}
    for host, by_pod in (case.events.refused if case.events else {}).items():
        if host == node or not host or not node:
            pods |= by_pod
    for (_, reason), seen in pods.items():
        found.setdefault(reason, []).append(seen)
    return found, max(len({pod for pod, _ in pods}), 1)


def _over(seen: Sighting, served: Sighting | None, pool: Pool | None, reason: Refusal) -> bool:
    """Return whether a refusal is over: a pod was served since, or addresses are free since.

    While no address is free, a served pod took the address of one that ended.
    """
    starved = reason is Refusal.NO_ADDRESS
    if starved and pool is not None and pool.assignable <= 0:
        return False
    if served is not None and after(served.last, seen.last):
        return True
    when, since = seen.last.time, pool.evidence.time if pool else None
    return (
        starved
        and pool is not None
        and pool.evidence.source is seen.last.source
        and when is not None
        and since is not None
        and since - when >= SERVED_AGAIN
    )
