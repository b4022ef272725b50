"""Write a page of results over releases: `python releases.py 0.1.0=old.json 0.2.0=bench.json`.

Each argument is a release and the `bench.json` of its `make bench`. The page is Markdown, on the
standard output: a column for each release, the newest last, and a row for each goal and figure.
Only ratios are shown, because releases may be measured on different machines.
"""

from __future__ import annotations

import sys
from pathlib import Path

from figures import Run, read
from goals import judged


def page(runs: dict[str, Run]) -> str:
    """Return the page of the runs, by release."""
    rows: dict[str, dict[str, str]] = {}
    most: dict[str, str] = {}
    for release, run in runs.items():
        for verdict in judged(run):
            name = verdict.goal.name
            most[name] = f"{verdict.goal.most:g}"
            if verdict.figure is not None:
                shown = f"{verdict.figure.value:.2f}"
                rows.setdefault(name, {})[release] = f"**{shown}**" if verdict.misses else shown
        for name, figure in run.figures.items():
            rows.setdefault(name, {}).setdefault(release, f"{figure.value:.2f}")
        for group, subjects in run.times.items():
            for subject in subjects:
                ratio = run.ratio(group, subject)
                if ratio is not None and subject != "floor":
                    name = f"{group}: {subject}"
                    rows.setdefault(name, {})[release] = f"{ratio.value:.2f}"
    lines = [
        "# Results over releases",
        "",
        "Ratios to the floor of the same run, exponents and bytes. Bold: the goal is missed.",
        "",
        "| | goal | " + " | ".join(runs) + " |",
        "| --- " * (len(runs) + 2) + "|",
        "| measured | | " + " | ".join(run.about for run in runs.values()) + " |",
    ]
    for name in sorted(rows, key=lambda name: (name not in most, name)):
        cells = [rows[name].get(release, "") for release in runs]
        lines.append(f"| {name} | {most.get(name, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page; return the exit status."""
    runs = {}
    for argument in arguments:
        release, equals, path = argument.partition("=")
        if not equals or not Path(path).is_file():
            print(f"releases.py takes RELEASE=FILE, not {argument!r}", file=sys.stderr)
            return 2
        runs[release] = read(Path(path))
    if not runs:
        print("releases.py takes RELEASE=FILE, one for each release", file=sys.stderr)
        return 2
    sys.stdout.write(page(runs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
