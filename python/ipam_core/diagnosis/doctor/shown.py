"""What a diagnosis says of the node besides its causes: of its facts, or read from JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipam_core.diagnosis.doctor.agent import Run
from ipam_core.diagnosis.doctor.plain import evidence_of, max_pods_from, plain_evidence, plain_pool
from ipam_core.diagnosis.inputs.case import Unread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipam_core.diagnosis.doctor.facts import Facts
    from ipam_core.diagnosis.doctor.finding import Finding
    from ipam_core.diagnosis.inputs.case import Evidence

_GIVE_LOG = "/var/log/aws-routed-eni/ipamd.log of the node, of the time when pods wait"
_GIVE_STATE = "the agent's ENIs: on the node, curl -s localhost:61679/v1/enis"
_GIVE_SETTINGS = "the settings: kubectl -n kube-system get ds aws-node -o yaml"
_GIVE_NODE = "the type and maxPods: kubectl get node {node} -o yaml"
_GIVE_EVENTS = "events: kubectl get events -A -o json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A node as its diagnosis shows it. What no file shows is None or empty.

    `pool` has the counts of network card 0, `others` those of the cards that are not judged.
    `not_read` are files that look like inputs. `gives`: the missing inputs that would show
    more, each with the way to get it.
    """

    verdict: str
    agent: Run
    node: str | None
    instance_type: str | None
    max_pods: int | None
    max_pods_from: str | None
    agent_version: str | None
    pool: dict[str, int] | None
    others: dict[str, dict[str, int]]
    contradictions: tuple[str, ...]
    refusals: tuple[Evidence, ...]
    not_read: tuple[Unread, ...]
    notes: tuple[str, ...]
    gives: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, without the verdict."""
        return {
            "give_too": list(self.gives),
            "contradictions": list(self.contradictions),
            "agent": str(self.agent),
            "node": self.node,
            "instance_type": self.instance_type,
            "max_pods": self.max_pods,
            "max_pods_from": self.max_pods_from,
            "agent_version": self.agent_version,
            "pool": self.pool,
            "network_cards_not_judged": dict(self.others),
            "not_read": [{"file": each.file, "why": each.why} for each in self.not_read],
            "refusals": [plain_evidence(each) for each in self.refusals],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Shown:
        """Return what these are the plain values of."""
        same = ("node", "instance_type", "max_pods", "max_pods_from", "agent_version", "pool")
        return cls(
            verdict=given["verdict"],
            agent=Run(given["agent"]),
            others=dict(given["network_cards_not_judged"]),
            contradictions=tuple(given["contradictions"]),
            refusals=tuple(map(evidence_of, given["refusals"])),
            not_read=tuple(
                Unread(file=each["file"], why=each["why"]) for each in given["not_read"]
            ),
            notes=tuple(given["notes"]),
            gives=tuple(given["give_too"]),
            **{name: given[name] for name in same},
        )


def shown_of(
    facts: Facts, found: Sequence[Finding], doubts: Sequence[str], remarks: Sequence[str]
) -> Shown:
    """Return what is said of a node with these facts, besides its causes."""
    return Shown(
        verdict=_verdict(facts, found, doubts),
        agent=facts.agent.run,
        node=facts.node or None,
        instance_type=facts.limits.instance_type if facts.limits else None,
        max_pods=facts.max_pods.value if facts.max_pods else None,
        max_pods_from=max_pods_from(facts),
        agent_version=facts.version or None,
        pool=plain_pool(facts.pool) if facts.pool else None,
        others={str(card): plain_pool(pool) for card, pool in facts.others.items()},
        contradictions=tuple(facts.contradictions),
        refusals=facts.refusals,
        not_read=tuple(facts.case.unread),
        notes=_notes(facts, remarks),
        gives=_gives(facts),
    )


def _verdict(facts: Facts, found: Sequence[Finding], doubts: Sequence[str]) -> str:
    pool = facts.pool
    if found:
        return found[0].title
    if doubts:
        return f"Cannot tell: {doubts[0]}"
    if facts.settings.enable_ipv6:
        return "Nothing wrong in what was given; in IPv6 mode the pool does not run out"
    if pool is not None and pool.assignable > 0:
        return f"Nothing wrong: {pool.assignable} addresses can be given now"
    return "Nothing wrong: every address is used, and no pod is refused"


def _notes(facts: Facts, remarks: Sequence[str]) -> tuple[str, ...]:
    case = facts.case
    notes = [
        *remarks,
        *facts.assumed,
        *(str(warning) for warning in facts.settings.warnings),
        *map(str, case.unread),
        *case.notes,
    ]
    if case.log and case.log.n_broken:
        notes.append(f"ipamd.log: {case.log.n_broken} of {case.log.n_lines} lines are broken")
    if case.other_logs:
        notes.append(f"logs of other programs, not read: {', '.join(case.other_logs[:5])}")
    notes.append("read: " + ", ".join(f"{name} ({kind})" for name, kind in case.files))
    return tuple(notes)


def _gives(facts: Facts) -> tuple[str, ...]:
    case = facts.case
    wanted = []
    if not facts.log_judges and facts.agent.run not in (Run.FAILED, Run.NO_API_SERVER):
        wanted.append(_GIVE_LOG)
    if case.state is None and not facts.settings.enable_ipv6:
        wanted.append(_GIVE_STATE)
    if not facts.targets_known:
        wanted.append(_GIVE_SETTINGS)
    if facts.limits is None or facts.max_pods is None or facts.max_pods.assumed:
        wanted.append(_GIVE_NODE.format(node=facts.node or "NODE"))
    if case.events is None:
        wanted.append(_GIVE_EVENTS)
    return tuple(wanted)
