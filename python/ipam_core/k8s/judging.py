"""Each node judged: what it holds, whether it is or will be stuck, and by which rule.

`explain` plays each type once for each way it is set; the same answer holds for every node that
is equal in this. What an agent reports of its pool comes before what the model says.
"""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain import explain
from ipam_core.diagnosis.explain.finding import Severity
from ipam_core.errors import InputError
from ipam_core.instances import limits as limits_of
from ipam_core.variables import ADDRESS_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam_core.diagnosis.explain import Explanation
    from ipam_core.instances import InstanceLimits
    from ipam_core.k8s.census import NodePods
    from ipam_core.k8s.objects import KubeNode
    from ipam_core.k8s.reading import ClusterReading
    from ipam_core.manifests import Environment

LONG_WAIT_S = 120.0
"""A pod without an address for so long is named. A pool grows within some 20 s."""


class State(IntEnum):
    """What a node is, the worst first."""

    STUCK = 0
    WAITING = 1
    WILL_BE_STUCK = 2
    UNKNOWN = 3
    FINE = 4

    @property
    def words(self) -> str:
        """The state in words."""
        return self.name.lower().replace("_", " ")

    @property
    def is_problem(self) -> bool:
        """Whether pods of the node have no address, or will have none."""
        return self <= State.WILL_BE_STUCK


class Pool(NamedTuple):
    """What a node holds. `told`: by its agent; else what the settled model holds."""

    enis: int | None
    total: int
    free: int
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node.

    Attributes:
        explanation: of its type as set, None where that is not known.
        pool: None where neither the agent nor the model says.
        stalls_at: the first pod without an address, of those that the node may run; else None.
        waits_s: since when the longest waiting pod has no address, None without one.
        why: the state's reason, "" where it is fine.
    """

    node: KubeNode
    pods: NodePods
    environment: Environment | None
    explanation: Explanation | None
    pool: Pool | None
    stalls_at: int | None
    waits_s: float | None
    state: State
    why: str

    @property
    def burst(self) -> int | None:
        """The number of pods that may start at once without a wait; None: any, or not known."""
        return self.explanation.verdict.burst if self.explanation else None


@dataclass(slots=True)
class Judge:
    """Judges nodes; what it has played it plays no more."""

    types: Mapping[str, InstanceLimits] = field(default_factory=dict)
    _played: dict[object, Explanation] = field(default_factory=dict)

    def nodes(self, reading: ClusterReading, now_s: float) -> list[NodeReport]:
        """Return every node that aws-node serves, the worst first.

        `now_s` is Unix time. A type that is not in the table is named in `reading.unread`.
        Cost: 20 to 200 ms for each type, maxPods and settings; microseconds for a node.
        """
        unknown: dict[str, str] = {}
        found = [
            self._node(reading, node, now_s, unknown)
            for node in reading.nodes.values()
            if node.runs_agent
        ]
        reading.unread += unknown.values()
        return sorted(found, key=_badness)

    def _node(
        self, reading: ClusterReading, node: KubeNode, now_s: float, unknown: dict[str, str]
    ) -> NodeReport:
        pods = reading.pods.of(node.name)
        environment = reading.environment_of(node.name)
        explanation = None
        if environment is not None:
            try:
                explanation = self.explanation(node.instance_type, node.max_pods, environment)
            except InputError as error:
                unknown.setdefault(node.instance_type, f"not judged: {error}")
        stalls_at = _stalls_at(explanation, node, pods)
        pool = _pool(reading, node, pods, explanation)
        waits_s = now_s - min(pods.waiting.values()) if pods.waiting else None
        state, why = _state(reading, node, pods, explanation, pool, stalls_at, waits_s)
        return NodeReport(
            node=node,
            pods=pods,
            environment=environment,
            explanation=explanation,
            pool=pool,
            stalls_at=stalls_at,
            waits_s=waits_s,
            state=state,
            why=why,
        )

    def explanation(
        self, instance_type: str, max_pods: int | None, environment: Environment
    ) -> Explanation:
        """Return what `explain` says of a type as set. Raises `InputError`: an unknown type."""
        env = {k: v for k, v in environment.variables.items() if k in ADDRESS_VARIABLES}
        key = (
            instance_type,
            max_pods,
            environment.version,
            frozenset(env.items()),
            frozenset(environment.unknown),
        )
        if key not in self._played:
            self._played[key] = explain(
                self.types.get(instance_type) or limits_of(instance_type),
                env,
                unknown=environment.unknown,
                version=environment.version,
                max_pods=max_pods,
                least=Severity.ERROR,
            )
        return self._played[key]


def _stalls_at(explanation: Explanation | None, node: KubeNode, pods: NodePods) -> int | None:
    """Return the pod at which the node stalls, None where it cannot run so many."""
    stalled_at = explanation.verdict.stalled_at if explanation else None
    if stalled_at is None or node.max_pods is None:
        return stalled_at
    return stalled_at if stalled_at <= node.max_pods - pods.n_host - pods.n_branch else None


def _pool(
    reading: ClusterReading, node: KubeNode, pods: NodePods, explanation: Explanation | None
) -> Pool | None:
    told = reading.pools.get(node.name)
    if told is not None:
        return Pool(told.enis, told.total, told.free, True)
    if explanation is None or not explanation.play.up or not reading.pods_read:
        return None
    levels = explanation.play.up
    level = levels[min(pods.n_pods, len(levels) - 1)]
    return Pool(level.enis, level.total, level.free, False)


def _state(
    reading: ClusterReading,
    node: KubeNode,
    pods: NodePods,
    explanation: Explanation | None,
    pool: Pool | None,
    stalls_at: int | None,
    waits_s: float | None,
) -> tuple[State, str]:
    verdict = explanation.verdict if explanation else None
    waiting = f"{_pods(len(pods.waiting))} {'wait' if len(pods.waiting) > 1 else 'waits'}"
    if verdict is not None and verdict.init_error:
        return State.STUCK, f"the agent does not start: {verdict.init_error}"
    # The list of pods may be incomplete, and a node that joins has no agent yet.
    if reading.pods_read and reading.daemonset is not None and not node.not_ready:
        agent = pods.agent
        if agent is None or agent[2] != "Running":
            what = "there is no pod aws-node" if agent is None else f"aws-node is {agent[2]}"
            return State.STUCK, what
    if waits_s is not None:
        if pool is not None and pool.told and pool.free == 0 and stalls_at is not None:
            return State.STUCK, f"stalls at pod {stalls_at}, {waiting}"
        if pool is not None and pool.told and pool.free == 0 and waits_s >= LONG_WAIT_S:
            return State.STUCK, f"no address is free, {waiting}"
        told_free = pool is not None and pool.told and pool.free > 0
        if not told_free and stalls_at is not None and pods.n_pods >= stalls_at:
            return State.STUCK, f"stalls at pod {stalls_at}, {waiting}"
        if waits_s >= LONG_WAIT_S:
            return State.WAITING, f"{waiting} for {minutes(waits_s)}"
    if stalls_at is not None:
        return State.WILL_BE_STUCK, f"stalls at pod {stalls_at}"
    if explanation is None:
        return State.UNKNOWN, "not judged"
    if node.not_ready:
        return State.UNKNOWN, f"not ready: {node.not_ready}"
    return State.FINE, ""


def _badness(report: NodeReport) -> tuple[int, int, int, str]:
    left = (report.stalls_at or 0) - report.pods.n_pods
    return report.state, -len(report.pods.waiting), left, report.node.name


def _pods(count: int) -> str:
    return f"{count} pod{'s' * (count != 1)}"


def minutes(seconds: float) -> str:
    """Return a time as a person says it: 45 s, 14 min, 3 h."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


# --- equal nodes together ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes that are equal: in type, maxPods, settings, state and its reason."""

    nodes: tuple[NodeReport, ...]

    @property
    def first(self) -> NodeReport:
        """The worst of them."""
        return self.nodes[0]

    def span(self, what: str) -> tuple[int, int] | None:
        """Return the least and the most of a count; None where none of them has it."""
        counts = [count for each in self.nodes if (count := _counted(each, what)) is not None]
        return (min(counts), max(counts)) if counts else None


def _counted(report: NodeReport, what: str) -> int | None:
    if what == "pods":
        return report.pods.n_pods
    return getattr(report.pool, what) if report.pool is not None else None


def fold(reports: list[NodeReport]) -> list[NodeGroup]:
    """Put equal nodes together, in the order of the first of each."""
    groups: dict[object, list[NodeReport]] = {}
    for each in reports:
        environment = each.environment
        key = (
            each.state,
            each.stalls_at,
            "" if each.pods.waiting else each.why,
            each.node.instance_type,
            each.node.max_pods,
            id(each.explanation),
            environment.version if environment else "",
        )
        groups.setdefault(key, []).append(each)
    return [NodeGroup(nodes=tuple(each)) for each in groups.values()]
