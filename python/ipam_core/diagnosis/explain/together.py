"""One DaemonSet, several instance types: advice that is valid for all, and its price.

The agent's settings are one set for the cluster. So a fix that one type suggests is played on
every type given, from no pod to maxPods, and is kept only if no type becomes worse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam_core._dataclass import dataclass
from ipam_core.diagnosis.explain.costs import SHORT_WAIT_S
from ipam_core.diagnosis.explain.explanation import CHECKS, explain
from ipam_core.diagnosis.explain.finding import Facts, Severity
from ipam_core.diagnosis.explain.play import Play
from ipam_core.diagnosis.explain.rolling import rolling_update
from ipam_core.diagnosis.fixes import Fix, set_env
from ipam_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ipam_core.diagnosis.explain.explanation import Explanation
    from ipam_core.diagnosis.explain.finding import Finding

_CHECK_OF = {check.kind.identifier: check for check in CHECKS}
LOWER_TARGETS = (10, 5, 3, 2, 1)
"""Values of WARM_IP_TARGET that are tried if a larger one harms a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Idle addresses of a half-full node of one type: now, and with the advice."""

    instance_type: str
    before: int
    after: int


def agree(explained: Sequence[Explanation]) -> list[Explanation]:
    """Return the explanations with advice that is valid for all of them.

    Findings of one kind get one change of variables: the smallest of those that the types
    suggest that fixes the finding on each type, as played, and makes none worse: as many pods
    served, no new error or warning. If there is none, no change is advised. A variable is
    called ignored only if it is on every type. Cost: for each change tried and each type that
    of `explain` without advice, and of findings of severity info only the kind to be fixed.
    """
    ignored = _ignored_by_all(explained)
    kinds = {finding.kind.identifier for each in explained for finding in each.findings}
    played = _Played(explained)
    advice = {kind: _advice(kind, played) for kind in sorted(kinds)}
    return [
        replace(
            each,
            findings=tuple(
                _agreed(finding, advice[finding.kind.identifier])
                for finding in each.findings
                if finding.kind.identifier != "setting-ignored" or _variable(finding) in ignored
            ),
        )
        for each in explained
    ]


def again(
    each: Explanation, env: Mapping[str, str | None], *, least: Severity = Severity.INFO
) -> Explanation:
    """Return the explanation of the same node with variables set, or removed if None.

    No further fix is tried, and no finding less severe than `least` is searched.
    """
    case = each.case.with_env(env)
    return explain(
        case.limits,
        case.env,
        version=each.version,
        max_pods=case.max_pods,
        subnet_free=case.subnet_free,
        policy=case.policy,
        seed=case.seed,
        least=least,
        advise=False,
    )


class _Played:
    """Explanations of several types, and of the same with a change: each played once.

    A change is compared by its errors and warnings: findings of severity info are not searched.
    """

    def __init__(self, explained: Sequence[Explanation]) -> None:
        self.explained = explained
        self._after: dict[tuple[tuple[str, str | None], ...], list[Explanation]] = {}

    def unless_worse(self, env: Mapping[str, str | None]) -> list[Explanation] | None:
        """Return the explanation of each type with a change; None if it makes a type worse."""
        after = self._after.setdefault(tuple(sorted(env.items())), [])
        for number, before in enumerate(self.explained):
            if number == len(after):
                after.append(again(before, env, least=Severity.WARNING))
            if worse(before, after[number]):
                return None
        return after


def idle_half_full(play: Play) -> int:
    """Return the idle addresses of a node with half of its pods, 0 if it stalls before.

    With IPv6 none is counted: the addresses do not run out.
    """
    half = play.case.n_pods // 2
    if play.mode == "ipv6" or half >= len(play.up):
        return 0
    return play.up[half].total - half


def prices(explained: Iterable[Explanation], env: Mapping[str, str | None]) -> list[Price]:
    """Return what a change of variables costs in idle addresses, a price a type."""
    return [
        Price(
            instance_type=each.case.limits.instance_type,
            before=idle_half_full(each.play),
            after=idle_half_full(Play(each.case.with_env(env), n_pods=each.case.n_pods // 2)),
        )
        for each in explained
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """One change of the DaemonSet for several kinds of finding, and the result of playing it.

    `kinds` are those that it fixes on every type, `left` those whose advice it leaves out.
    """

    fix: Fix
    kinds: tuple[str, ...]
    left: tuple[str, ...]
    outcome: str


def one_for_all(explained: Sequence[Explanation]) -> Together | None:
    """Return one change for all kinds of finding that have an agreed change of their own.

    Each change alone, then all of them combined with the larger of two targets, are played on
    every type. The first is returned that fixes every kind on the types that have it, and
    makes no type worse. If there is none, the least severe kind is left out, and so on; None
    if less than two are left. Cost: that of `agree` for each change tried.
    """
    advised = _advised(explained)
    kinds = list(advised)
    played = _Played(explained)
    for n_kinds in range(len(kinds), 1, -1):
        wanted = kinds[:n_kinds]
        envs = [advised[kind] for kind in wanted]
        for env in (*envs, _merged(envs)):
            after = played.unless_worse(env)
            if after is not None and all(
                _helps(kind, new)
                for kind in wanted
                for old, new in zip(explained, after, strict=True)
                if _of_kind(old, kind)
            ):
                return Together(
                    fix=set_env(**env),
                    kinds=tuple(wanted),
                    left=tuple(kinds[n_kinds:]),
                    outcome=_outcome("", explained, after),
                )
    return None


def _advised(explained: Sequence[Explanation]) -> dict[str, dict[str, str | None]]:
    """Return the agreed change of variables of each kind that has one, the worst first."""
    found = {}
    for severity in Severity:
        for each in explained:
            for finding in each.findings:
                change = finding.fix.change if finding.fix else None
                if finding.kind.severity is severity and change is not None and change.env:
                    found[finding.kind.identifier] = change.env
    return found


def _merged(envs: Iterable[Mapping[str, str | None]]) -> dict[str, str | None]:
    """Return several changes as one: a value instead of none, the larger of two numbers."""
    merged: dict[str, str | None] = {}
    for env in envs:
        for name, value in env.items():
            had = merged.get(name)
            numbers = [int(each) for each in (had, value) if each and each.isdecimal()]
            if had is None or (len(numbers) == 2 and numbers[1] > numbers[0]):
                merged[name] = value
    return merged


def worse(before: Explanation, after: Explanation) -> bool:
    """Return whether a node serves fewer pods than before, or has a new error or warning."""
    return after.verdict.served < before.verdict.served or bool(bad(after) - bad(before))


def bad(each: Explanation) -> set[str]:
    """Return the kinds of errors and warnings of an explanation."""
    return {
        finding.kind.identifier
        for finding in each.findings
        if finding.kind.severity is not Severity.INFO
    }


def _advice(kind: str, played: _Played) -> tuple[Fix, str] | None:
    """Return the first change that helps every type with the finding, and its result."""
    with_it = [each for each in played.explained if _of_kind(each, kind)]
    for env in _candidates(kind, with_it):
        after = played.unless_worse(env)
        if after is None:
            continue
        if all(_helps(kind, new) for new in after if new.case.limits in _limits(with_it)):
            return set_env(**env), _outcome(kind, with_it, after)
    return None


def _candidates(kind: str, with_it: Sequence[Explanation]) -> Iterator[dict[str, str | None]]:
    """Yield the changes that the types suggest: the largest of all, then the rest."""
    suggested: list[dict[str, str | None]] = []
    for each in with_it:
        for finding in _of_kind(each, kind):
            change = finding.fix.change if finding.fix else None
            if change is not None and change.env and change.env not in suggested:
                suggested.append(change.env)
    if len({tuple(env) for env in suggested}) == 1 and len(suggested) > 1:
        (names,) = {tuple(env) for env in suggested}
        if all((env[name] or "").isdigit() for env in suggested for name in names):
            suggested.sort(key=lambda env: [int(env[name] or 0) for name in names])
    yield from suggested
    targets = [env for env in suggested if set(env) == {"WARM_IP_TARGET"}]
    if targets and kind != "cooldown-exhausted":
        least = min(int(env["WARM_IP_TARGET"] or 0) for env in targets)
        for value in LOWER_TARGETS:
            if value < least:
                yield {"WARM_IP_TARGET": str(value)}


def _helps(kind: str, after: Explanation) -> bool:
    """Return whether a kind of finding is gone, or for a rolling update, is fixed well enough."""
    if kind == "cooldown-exhausted":
        met = rolling_update(after.case)
        if met is None or met.longest_wait_s <= SHORT_WAIT_S:
            return True
    check = _CHECK_OF[kind]
    if check.kind.severity is not Severity.INFO:
        return not _of_kind(after, kind)
    facts = Facts(
        play=after.play,
        settings=Settings.from_env(after.case.env),
        capacity=after.capacity_slots,
        version=after.version,
        advise=False,
    )
    return next(check(facts), None) is None


def _outcome(kind: str, with_it: Sequence[Explanation], after: Sequence[Explanation]) -> str:
    """Return the result of a change, in words: of one type, else of all types."""
    if len(after) == 1:
        own = next((f.outcome for each in with_it for f in _of_kind(each, kind)), "")
        verdict = after[0].verdict
        stated = "serves all" in own or "serves" not in own
        return own if stated and own else str(verdict)
    stalled = [each for each in after if not each.verdict.serves_all]
    if stalled:
        names = ", ".join(each.case.limits.instance_type for each in stalled)
        return f"on {len(after)} types, of which {names} still stall"
    return f"on all {len(after)} types every pod is served, and none is worse off"


def _agreed(finding: Finding, advice: tuple[Fix, str] | None) -> Finding:
    """Return a finding with the agreed change instead of its own change of variables."""
    if finding.fix is None or not (finding.fix.change and finding.fix.change.env):
        return finding  # maxPods, a subnet: each type's own
    if advice is None:
        return replace(finding, fix=None, outcome="")
    fix, outcome = advice
    return replace(finding, fix=fix, outcome=outcome)


def _ignored_by_all(explained: Sequence[Explanation]) -> set[str]:
    """Return the variables that are ignored on each type on which the agent starts."""
    each_ignores = [
        {_variable(finding) for finding in _of_kind(each, "setting-ignored")}
        for each in explained
        if not each.verdict.init_error
    ]
    return set.intersection(*each_ignores) if each_ignores else set()


def _variable(finding: Finding) -> str:
    return finding.why[0].partition("=")[0]


def _of_kind(each: Explanation, kind: str) -> list[Finding]:
    return [finding for finding in each.findings if finding.kind.identifier == kind]


def _limits(explained: Iterable[Explanation]) -> list[object]:
    return [each.case.limits for each in explained]
