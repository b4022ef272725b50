"""`explain --compare`: the effects of a change of settings, a row for each on each type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam_core.cli._out import print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipam_core.diagnosis.explain.explanation import Explanation

Pair = tuple["Explanation", "Explanation"]


def changes(pair: Pair) -> Iterator[tuple[str, str, str]]:
    """Yield the differences of two explanations of a type: what, as it is, as it would be."""
    for what, value in _MEASURES.items():
        old, new = value(pair[0]), value(pair[1])
        if old != new:
            yield what, old, new
    old_kinds, new_kinds = (
        {finding.kind.identifier: str(finding.kind.severity) for finding in each.findings}
        for each in pair
    )
    for kind in sorted(old_kinds.keys() - new_kinds.keys()):
        yield f"{old_kinds[kind]} {kind}", "yes", "gone"
    for kind in sorted(new_kinds.keys() - old_kinds.keys()):
        yield f"{new_kinds[kind]} {kind}", "-", "new"


def print_changes(pairs: Sequence[Pair], read: Sequence[str]) -> None:
    """Print a table of what changes on each type."""
    from ipam_core.cli._tables import Table
    from ipam_core.diagnosis.explain.together import worse

    for line in read:
        print_text(line, style="dim")
    table = Table(ruled=True)
    table.text_column("instance", no_wrap=True)
    table.text_column("what")
    table.text_column("as it is")
    table.text_column("as it would be")
    same = []
    for pair in pairs:
        name = pair[0].case.limits.instance_type
        rows = list(changes(pair))
        if not rows:
            same.append(name)
        for number, row in enumerate(rows):
            bad = number == 0 and worse(*pair)
            table.row("" if number else name, *row, style="red" if bad else "")
    if len(same) < len(pairs):
        print_text("What changes:")
        print_table(table)
    if same:
        print_text(f"Nothing changes on {', '.join(same)}.")
    for pair in pairs:
        if worse(*pair):
            print_text(f"{pair[0].case.limits.instance_type}: worse than today", style="bold red")


def plain_changes(pair: Pair) -> dict[str, Any]:
    """Return the same as plain values."""
    from ipam_core.diagnosis.explain.together import worse

    return {
        "instance_type": pair[0].case.limits.instance_type,
        "worse": worse(*pair),
        "changes": [
            {"what": what, "before": old, "after": new} for what, old, new in changes(pair)
        ],
    }


def _calls(each: Explanation) -> str:
    from ipam_core.cli._levels import changing_calls

    return f"{changing_calls(each.play.up)} + {changing_calls(each.play.back)}"


def _idle(each: Explanation) -> str:
    from ipam_core.diagnosis.explain.together import idle_half_full

    return str(idle_half_full(each.play))


_MEASURES = {
    "verdict": lambda each: str(each.verdict),
    "maxPods": lambda each: str(each.case.max_pods),
    "burst limit": lambda each: (
        "no limit" if each.verdict.burst is None else str(each.verdict.burst)
    ),
    "addresses, no pod": lambda each: str(each.play.up[0].total) if each.play.up else "-",
    "idle, half full": _idle,
    "ENIs, no pod": lambda each: str(each.play.up[0].enis) if each.play.up else "-",
    "EC2 calls, up + back": _calls,
}
