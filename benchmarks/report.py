"""Print a run of the benchmarks as ratios, and judge it: `python report.py bench.json`.

With `--memory` the bytes of an address are measured too. With `--check` the status is 1 where a
goal is missed by more than its noise, or was not measured.
"""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

from figures import Figure, Run, exponent, read
from goals import judged

WIDTH = 60


def memory() -> dict[str, tuple[float, float]]:
    """Return traced and resident bytes a free address and an assigned one.

    Beyond the caller's own strings, and over many stores at once, so that the
    allocator's steps and pages do not show.
    """
    from subjects import build, cidrs, sandboxes  # noqa: PLC0415 - loads NumPy and the peers

    n_stores = 100
    sizes = {}
    for mode, n in (("secondary-ip", 1624), ("prefix", 3712)):
        attached = cidrs(mode, n)
        pods = sandboxes(n)
        for measure in (resident, traced):
            tracemalloc.start() if measure is traced else tracemalloc.stop()
            before = measure()
            stores = [build(mode, attached) for _ in range(n_stores)]
            between = measure()
            for store in stores:
                for pod in pods:
                    store.assign(pod, None, 1)
            after = measure()
            for what, size in (("a free", between - before), ("an assigned", after - between)):
                sizes.setdefault(f"{what} address, {mode}", []).append(size / n / n_stores)
            del stores, store
        tracemalloc.stop()
    return {what: tuple(pair) for what, pair in sizes.items()}


def traced() -> int:
    """Return the bytes that Python's allocators have given; the store asks them too."""
    return tracemalloc.get_traced_memory()[0]


def resident() -> int:
    """Return this process's resident bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def print_times(run: Run) -> None:
    """Print the time of each subject, and its ratio to the floor's."""
    print(f"{'':34}{'ns':>9}{'x floor':>10}")
    for group, subjects in run.times.items():
        print(group)
        for subject, ns in sorted(subjects.items(), key=lambda entry: entry[1]):
            of_floor = run.ratio(group, subject)
            print(f"  {subject:32}{ns:9.0f}" + (f"{of_floor.value:10.2f}" if of_floor else ""))


def print_growth(run: Run) -> None:
    """Print the seconds of 1, 10 and 100 times as much work, and the exponent."""
    print(f"{'growth: seconds at':34}{'1x':>9}{'10x':>10}{'100x':>10}{'exponent':>10}")
    for what, seconds in run.growth.items():
        times = "".join(f"{seconds[scale]:10.3f}" for scale in sorted(seconds))
        power = f"{exponent(seconds):10.2f}" if len(seconds) > 1 else ""
        print(f"  {what:31}{times:<30}{power}")


def print_goals(run: Run) -> bool:
    """Print each goal with the figure and the verdict; return whether all are met."""
    verdicts = judged(run)
    print(f"{'goal':{WIDTH}}{'most':>7}{'figure':>8}{'noise':>7}  verdict")
    for verdict in verdicts:
        goal, figure = verdict.goal, verdict.figure
        numbers = f"{figure.value:8.2f}{figure.noise:7.2f}" if figure else f"{'':15}"
        print(f"{goal.name:{WIDTH}}{goal.most:7.2f}{numbers}  {verdict}")
    shown = {verdict.goal.name for verdict in verdicts}
    for name, figure in run.figures.items():
        if name not in shown:
            print(f"{name:{WIDTH}}{'':7}{figure.value:8.2f}{figure.noise:7.2f}")
    return all(verdict.figure is not None and not verdict.misses for verdict in verdicts)


def main(arguments: list[str]) -> int:
    """Print a run; return the exit status."""
    run = read(Path(arguments[0]))
    if run.times:
        print_times(run)
    if run.growth:
        print_growth(run)
    for what, size in run.written.items():
        print(f"bytes written, {what:50}{size:11.0f}")
    if run.waits:
        print(f"{'an ADD takes, in ms':58}{'median':>9}{'p99':>9}")
    for what, (median_ms, p99_ms) in run.waits.items():
        print(f"  {what:56}{median_ms:9.2f}{p99_ms:9.2f}")
    if "--memory" in arguments:
        print(f"{'bytes':34}{'resident':>9}{'traced':>10}")
        for what, (size, counted) in memory().items():
            print(f"  {what:32}{size:9.1f}{counted:10.1f}")
            run.figures[f"bytes of {what}"] = Figure(counted, 0.5)
    met = print_goals(run)
    return 1 if "--check" in arguments and not met else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
