"""All that `ipam-core cluster` shows, in one value and as JSON's types."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ipam_core._dataclass import dataclass
from ipam_core.manifests import CHART_ENV
from ipam_core.variables import ADDRESS_VARIABLES

if TYPE_CHECKING:
    from ipam_core.diagnosis.explain import Explanation
    from ipam_core.k8s.judging import NodeReport, State
    from ipam_core.k8s.reading import ClusterReading
    from ipam_core.k8s.subnets import SubnetState
    from ipam_core.manifests import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A cluster as it is shown. `nodes` are worst first; `aws`: whether subnets were asked for."""

    reading: ClusterReading
    nodes: list[NodeReport]
    subnets: list[SubnetState]
    unread: tuple[str, ...]
    aws: bool

    @property
    def complete(self) -> bool:
        """Whether settings, nodes and pods were read."""
        reading = self.reading
        return reading.nodes_read and reading.pods_read and reading.daemonset is not None

    @property
    def is_problem(self) -> bool:
        """Whether something is wrong, or could not be read."""
        return (
            not self.complete
            or any(each.state.is_problem for each in self.nodes)
            or any(each.is_problem for each in self.subnets)
        )

    @property
    def n_pods(self) -> int:
        """Pods that need an address, on all nodes that aws-node serves."""
        return sum(each.pods.n_pods for each in self.nodes)

    @property
    def n_waiting(self) -> int:
        """Those of them that have none."""
        return sum(len(each.pods.waiting) for each in self.nodes)

    @property
    def others(self) -> Counter[str]:
        """Nodes that aws-node does not serve, by what they are."""
        nodes = self.reading.nodes.values()
        return Counter(each.compute_type or each.os for each in nodes if not each.runs_agent)

    @property
    def states(self) -> Counter[State]:
        """Nodes by state."""
        return Counter(each.state for each in self.nodes)

    @property
    def versions(self) -> Counter[str]:
        """Nodes by the version of their agent, where it is known."""
        environments = (each.environment for each in self.nodes)
        return Counter(each.version for each in environments if each and each.version)

    def stalls(self) -> list[tuple[Explanation, list[str]]]:
        """Return what explains each kind of stall, and the instance types that have it."""
        found: dict[int, tuple[Explanation, list[str]]] = {}
        by_rule: dict[object, int] = {}
        for each in self.nodes:
            explanation = each.explanation
            if explanation is None or not explanation.findings:
                continue
            if each.stalls_at is None and not explanation.verdict.init_error:
                continue
            kinds = tuple(finding.kind.identifier for finding in explanation.findings)
            fixes = tuple(finding.fix.commands for finding in explanation.findings if finding.fix)
            where = each.environment.version if each.environment else ""
            key = by_rule.setdefault((kinds, fixes, where), id(explanation))
            types = found.setdefault(key, (explanation, []))[1]
            if each.node.instance_type not in types:
                types.append(each.node.instance_type)
        return list(found.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        reading = self.reading
        return {
            "complete": self.complete,
            "problem": self.is_problem,
            "unread": list(self.unread),
            "daemonset": _plain_daemonset(reading),
            "counts": {
                "nodes": len(self.nodes),
                "other_nodes": dict(self.others),
                "pods": self.n_pods,
                "waiting": self.n_waiting,
                "unscheduled": reading.pods.n_unscheduled,
                "states": {state.words: count for state, count in sorted(self.states.items())},
            },
            "nodes": [_plain_node(each) for each in self.nodes],
            "subnets": [_plain_subnet(each) for each in self.subnets] if self.aws else None,
        }


def set_variables(environment: Environment) -> dict[str, str]:
    """Return the variables about addresses that differ from the published manifest."""
    return {
        name: value
        for name, value in sorted(environment.variables.items())
        if name in ADDRESS_VARIABLES and CHART_ENV.get(name) != value
    }


def _plain_daemonset(reading: ClusterReading) -> dict[str, Any] | None:
    found = reading.daemonset
    if found is None:
        return None
    variables = found.environment.variables
    return {
        "version": found.version or None,
        "desired": found.desired,
        "ready": found.ready,
        "updated": found.updated,
        "variables": {k: v for k, v in sorted(variables.items()) if k in ADDRESS_VARIABLES},
        "unknown": found.environment.unknown,
    }


def _plain_node(report: NodeReport) -> dict[str, Any]:
    node, pods, pool = report.node, report.pods, report.pool
    explanation, environment = report.explanation, report.environment
    return {
        "name": node.name,
        "state": report.state.words,
        "why": report.why or None,
        "instance_type": node.instance_type or None,
        "instance_id": node.instance_id or None,
        "zone": node.zone or None,
        "group": node.group or None,
        "max_pods": node.max_pods,
        "unschedulable": node.unschedulable,
        "not_ready": node.not_ready or None,
        "pods": pods.n_pods,
        "host_network_pods": pods.n_host,
        "branch_eni_pods": pods.n_branch,
        "waiting": len(pods.waiting),
        "longest_wait_s": None if report.waits_s is None else round(report.waits_s),
        "agent": pods.agent[0] if pods.agent else None,
        "agent_version": (environment.version or None) if environment else None,
        "pool": None
        if pool is None
        else {
            "from": "agent" if pool.told else "model",
            "enis": pool.enis,
            "addresses": pool.total,
            "free": pool.free,
        },
        "stalls_at": report.stalls_at,
        "burst": report.burst,
        "verdict": str(explanation.verdict) if explanation else None,
        "findings": [finding.kind.identifier for finding in explanation.findings]
        if explanation
        else [],
    }


def _plain_subnet(state: SubnetState) -> dict[str, Any]:
    report = state.report
    return {
        "subnet_id": report.subnet_id,
        "cidr": report.subnet.cidr,
        "zone": state.zone or None,
        "nodes": state.nodes,
        "free": report.subnet.n_free,
        "free_unreserved": report.subnet.n_free_unreserved,
        "free_prefixes": report.subnet.n_free_prefixes,
        "score": report.fragmentation.score,
        "band": report.fragmentation.band,
        "fits": None
        if state.fits_idle is None
        else {"type": state.fits_type, "idle": state.fits_idle, "full": state.fits_full},
        "partial": report.partial,
        "problem": state.is_problem,
    }
