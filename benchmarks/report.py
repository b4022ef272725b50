"""Print a run of the benchmarks as ratios: `python report.py bench.json`."""

from __future__ import annotations

import json
import math
import sys
import tracemalloc
from pathlib import Path


def rows(path: Path) -> dict[str, dict[str, float]]:
    """Return median nanoseconds an operation, by group and subject."""
    found: dict[str, dict[str, float]] = {}
    for bench in json.loads(path.read_text())["benchmarks"]:
        facts = bench["extra_info"]
        if "subject" not in facts:
            continue
        median_ns = bench["stats"]["median"] * 1e9 / facts["per_call"]
        found.setdefault(bench["group"], {})[facts["subject"]] = median_ns
    return found


def growth(path: Path) -> dict[str, dict[int, float]]:
    """Return the seconds of each kind of work, by how many times as much of it there was."""
    found: dict[str, dict[int, float]] = {}
    for bench in json.loads(path.read_text())["benchmarks"]:
        facts = bench["extra_info"]
        if "growth" in facts:
            found.setdefault(facts["growth"], {})[facts["scale"]] = bench["stats"]["min"]
    return found


def exponent(seconds: dict[int, float]) -> float:
    """Return by which power of the work the last step's time grows."""
    less, more = sorted(seconds)[-2:]
    return math.log(seconds[more] / seconds[less]) / math.log(more / less)


def written(path: Path) -> list[tuple[str, float]]:
    """Return the bytes that an operation writes, of the benchmarks that count them."""
    return [
        (f"{bench['group']}: {bench['extra_info']['subject']}", bench["extra_info"]["bytes"])
        for bench in json.loads(path.read_text())["benchmarks"]
        if "bytes" in bench["extra_info"]
    ]


def waits(path: Path) -> list[tuple[str, float, float]]:
    """Return the median and the 99th percentile of an ADD in ms, by group and subject."""
    return [
        (
            f"{bench['group']}: {bench['extra_info']['subject']}",
            bench["extra_info"]["add_p50_ms"],
            bench["extra_info"]["add_p99_ms"],
        )
        for bench in json.loads(path.read_text())["benchmarks"]
        if "add_p50_ms" in bench["extra_info"]
    ]


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
            for what, size in (("free", between - before), ("assigned", after - between)):
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


def main() -> None:
    table = rows(Path(sys.argv[1]))
    print(f"{'':34}{'ns':>9}{'x floor':>10}")
    for group, subjects in table.items():
        print(group)
        floor = subjects.get("floor")
        for subject, ns in sorted(subjects.items(), key=lambda entry: entry[1]):
            ratio = f"{ns / floor:10.2f}" if floor else ""
            print(f"  {subject:32}{ns:9.0f}{ratio}")
    few, many = (table.get(f"pair, {n} pods", {}).get("ipam_core") for n in (29, 11000))
    if few and many:
        print(f"{'11,000 pods against 29':34}{many / few:19.2f}")
    grown = growth(Path(sys.argv[1]))
    if grown:
        print(f"{'growth: seconds at':34}{'1x':>9}{'10x':>10}{'100x':>10}{'exponent':>10}")
    for what, seconds in grown.items():
        times = "".join(f"{seconds[scale]:10.3f}" for scale in sorted(seconds))
        power = f"{exponent(seconds):10.2f}" if len(seconds) > 1 else ""
        print(f"  {what:31}{times:<30}{power}")
    for what, size in written(Path(sys.argv[1])):
        print(f"bytes written, {what:50}{size:11.0f}")
    asked = waits(Path(sys.argv[1]))
    if asked:
        print(f"{'an ADD takes, in ms':58}{'median':>9}{'p99':>9}")
    for what, median_ms, p99_ms in asked:
        print(f"  {what:56}{median_ms:9.2f}{p99_ms:9.2f}")
    if "--memory" in sys.argv:
        print(f"{'bytes':34}{'resident':>9}{'traced':>10}")
        for what, (size, counted) in memory().items():
            print(f"  {what:32}{size:9.1f}{counted:10.1f}")


if __name__ == "__main__":
    main()
