"""Print the versions of everything that CI installs: the content of constraints.txt.

    python tools/constraints.py > constraints.txt

What pyproject.toml names, extras and dependency groups, and all that those need, each with the
version that is installed here. `.ci/run` installs with these constraints, so that what builds
today builds next year.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_PINNED = ("ipam-core", "pip", "setuptools")
"""What an environment begins with is older than what some packages need."""
PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def declared() -> list[str]:
    """Return every requirement of the project, its extras, its groups and its build."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))
    lists = [
        project["build-system"]["requires"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return [each for given in lists for each in given if isinstance(each, str)]


def pinned(requirements: list[str]) -> dict[str, str]:
    """Return the installed versions of requirements and of what they need, by name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [Requirement(text) for text in requirements]
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if (name, frozenset(one.extras)) in seen or name in NOT_PINNED:
            continue
        seen.add((name, frozenset(one.extras)))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            sys.stderr.write(f"not installed, so not pinned: {one}\n")
            continue
        found[name] = installed.version
        for text in installed.requires or ():
            needed = Requirement(text)
            environments = [default_environment() | {"extra": extra} for extra in ("", *one.extras)]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                left.append(needed)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.stdout.write("# Made by tools/constraints.py\n")
    for name, version in pinned(declared()).items():
        sys.stdout.write(f"{name}=={version}\n")
