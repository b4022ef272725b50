"""What the commands of `ipam-core pods` say: text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipam_core.agent.kubelet import Outcome, Started
    from ipam_core.agent.pod_book import BookedPod


def report(outcome: Outcome, as_json: bool, *, kept: bool = True) -> int:
    """Print what a command did and return its exit status. `kept`: its pods are still there."""
    from ipam_core.cli._out import print_json

    if as_json:
        print_json(_as_json(outcome))
    else:
        _say(outcome, kept)
    return 1 if outcome.waiting or outcome.not_ended else 0


def _say(outcome: Outcome, kept: bool) -> None:
    from ipam_core.cli._out import print_text

    served, waiting = outcome.served, outcome.waiting
    if served:
        got = "had" if not kept else "got"
        print_text(f"{_pods(len(served))} {got} an address: {_names(served)}")
    if waiting:
        n_tries = max(one.n_tries for one in waiting)
        longest = max(one.waited_s for one in waiting)
        wait = "waits" if len(waiting) == 1 else "wait"
        print_text(
            f"{_pods(len(waiting))} {wait if kept else 'got none'}: {_names(waiting)}; "
            f"{n_tries} {'try' if n_tries == 1 else 'tries'} in {longest:.1f} s"
        )
        for error in dict.fromkeys(one.error for one in waiting if one.error):
            print_text(error, indent="  ")
        if kept:
            print_text("To go on with them: ipam-core pods retry --wait 60")
    if outcome.ended or outcome.not_ended:
        print_text(f"{outcome.ended} sandboxes ended")
    if outcome.not_ended:
        print_text(f"{outcome.not_ended} not ended: {outcome.error}; the next command tries again")
    for what, times_s in (("ADD", outcome.add_s), ("DEL", outcome.del_s)):
        if len(times_s) > 1:
            shown = _times(times_s)
            print_text(
                f"{shown['count']} {what}s: median {shown['p50_ms']} ms, "
                f"99th percentile {shown['p99_ms']} ms, longest {shown['max_ms']} ms"
            )
    if not (served or waiting or outcome.ended or outcome.not_ended):
        print_text("no pod to act on")


def _pods(count: int) -> str:
    return f"{count} pod{'' if count == 1 else 's'}"


def _names(pods: list[Started]) -> str:
    """Return the names of pods, runs of numbers as one: "default/pod-1 to 25, default/web-3"."""
    runs: list[tuple[str, int, int]] = []
    for full in sorted((one.pod.namespace, *_numbered(one.pod.name)) for one in pods):
        base, number = f"{full[0]}/{full[1]}", full[2]
        if runs and runs[-1][0] == base and runs[-1][2] == number - 1:
            runs[-1] = (base, runs[-1][1], number)
        else:
            runs.append((base, number, number))
    return ", ".join(
        f"{base}-{first}" + (f" to {last}" if last > first else "") for base, first, last in runs
    )


def _numbered(name: str) -> tuple[str, int]:
    base, _, number = name.rpartition("-")
    return base, int(number)


def _times(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)

    def at(share: float) -> float:
        return round(1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)

    return {
        "count": len(ordered),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": round(1000 * ordered[-1], 2),
    }


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "served": [_started(one) for one in outcome.served],
        "waiting": [{**_started(one), "error": one.error} for one in outcome.waiting],
        "ended": outcome.ended,
        "not_ended": outcome.not_ended,
        "seconds": round(outcome.took_s, 3),
        "requests": {
            what: _times(times_s)
            for what, times_s in (("add", outcome.add_s), ("del", outcome.del_s))
            if times_s
        },
    }


def _started(one: Started) -> dict[str, Any]:
    return {
        "pod": str(one.pod),
        "address": one.address or None,
        "device": one.device if one.address else None,
        "tries": one.n_tries,
        "seconds": round(one.waited_s, 3),
    }


def plain(pod: BookedPod) -> dict[str, Any]:
    """Return a pod for JSON."""
    return {
        "pod": str(pod),
        "address": pod.address or None,
        "device": pod.device if pod.address else None,
        "since": pod.since,
    }
