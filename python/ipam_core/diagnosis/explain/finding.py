"""The parts of an explanation: the verdict, and the kinds of findings with their checks."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.play import WITHOUT_END, Play
from ipam_core.instances import ADDRESSES_PER_PREFIX
from ipam_core.pool import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ipam_core.diagnosis.explain.play import NodeCase
    from ipam_core.diagnosis.fixes import Fix
    from ipam_core.pool import Decision
    from ipam_core.settings import Settings


UPSTREAM = "aws/amazon-vpc-cni-k8s"


class Severity(StrEnum):
    """How severe a finding is, the worst first: pods do not start; not as intended; a cost."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to `n_pods` pods that start one by one; the pool settles between two.

    `stalled_at` is the first pod that never gets an address, None if all get one;
    `unused_slots` are the slots of the node, addresses or prefixes, that could be filled then.
    `burst` pods may start at once with any number running and none waits; None: all pods.
    `init_error` is why the agent does not start.
    """

    n_pods: int
    served: int
    stalled_at: int | None
    unused_slots: int
    burst: int | None
    init_error: str

    @property
    def serves_all(self) -> bool:
        """Whether every pod gets an address."""
        return self.stalled_at is None and not self.init_error

    def __str__(self) -> str:
        if self.init_error:
            return f"the agent does not start: {self.init_error}"
        if self.stalled_at is None:
            return served_text(self.n_pods, self.n_pods)
        if self.unused_slots:
            return f"stalls at pod {self.stalled_at} with {self.unused_slots} slots unused"
        return f"full: {self.served} of {self.n_pods} pods get an address"


def served_text(served: int, n_pods: int) -> str:
    """Return how many of the pods are served, in words."""
    if served < n_pods:
        return f"serves {served} of {n_pods} pods"
    return "serves its 1 pod" if n_pods == 1 else f"serves all {n_pods} pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of finding: its rule in general, and what to change."""

    identifier: str
    severity: Severity
    rule: str
    change: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A kind of finding in this case: its numbers, and a fix with the result of playing it.

    `alternatives` are other ways, each with the result of playing it.
    """

    kind: Kind
    why: tuple[str, ...]
    fix: Fix | None = None
    outcome: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check found; its kind is the check's."""

    why: tuple[str, ...]
    fix: Fix | None = None
    outcome: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The input of checks: the case as played, and `capacity`, the slots that it can fill.

    `version` is the agent's if it is known, as v1.20.1. Without `advise` no fix is tried.
    """

    play: Play
    settings: Settings
    capacity: int
    version: str = ""
    advise: bool = True

    @property
    def case(self) -> NodeCase:
        """The case that was played."""
        return self.play.case

    @property
    def prefix_mode(self) -> bool:
        """Whether a slot holds a /28."""
        return self.play.prefix_mode

    @property
    def ipv6(self) -> bool:
        """Whether pods get IPv6 addresses, which do not run out."""
        return self.play.mode == "ipv6"

    @property
    def n_cards(self) -> int:
        """Network cards that the agent manages."""
        return self.play.n_cards

    @property
    def most_addresses(self) -> int:
        """Pod addresses of the node with every slot filled."""
        return self.capacity * (ADDRESSES_PER_PREFIX if self.prefix_mode else 1)

    @property
    def warm_variable(self) -> str:
        """The warm target of the mode, which counts if no IP target is set."""
        return "WARM_PREFIX_TARGET" if self.prefix_mode else "WARM_ENI_TARGET"

    def verdict(self) -> Verdict:
        """Return what happened to the pods."""
        play = self.play
        return Verdict(
            n_pods=self.case.n_pods,
            served=play.served,
            stalled_at=None if play.serves_all or play.init_error else play.served + 1,
            unused_slots=self.capacity - sum(play.up[-1].per_eni) if play.up else 0,
            burst=play.burst,
            init_error=play.init_error,
        )

    def without_max_pods(self, decision: Decision) -> Decision:
        """Return what the rules would decide if maxPods did not stop growth."""
        return decide(replace(decision.view, max_pods=WITHOUT_END), self.case.policy)

    def first_fix(
        self, fixes: Iterable[Fix], good: Callable[[Play], bool] = lambda play: play.serves_all
    ) -> tuple[Fix | None, str]:
        """Return the first fix that helps when played, and its result.

        Without one, and if no advice is asked for, (None, "").
        """
        for fix in fixes if self.advise else ():
            assert fix.change is not None
            case = self.case.with_env(fix.change.env or {})
            play = Play(replace(case, max_pods=fix.change.max_pods or case.max_pods))
            if good(play):
                n_pods = play.case.n_pods
                return fix, served_text(n_pods if play.serves_all else play.served, n_pods)
        return None, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A kind of finding, and the function that searches a played case for it."""

    kind: Kind
    find: Callable[[Facts], Iterator[Found]]

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Yield the findings of this kind."""
        for found in self.find(facts):
            yield Finding(
                kind=self.kind,
                why=found.why,
                fix=found.fix,
                outcome=found.outcome,
                alternatives=found.alternatives,
            )


def finds(
    identifier: str, severity: Severity, *, rule: str, change: str, source: str
) -> Callable[[Callable[[Facts], Iterator[Found]]], Check]:
    """Make a function the check of a kind of finding."""
    kind = Kind(identifier=identifier, severity=severity, rule=rule, change=change, source=source)
    return lambda find: Check(kind=kind, find=find)
