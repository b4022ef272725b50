"""`kubectl-ipam`, which kubectl runs as `kubectl ipam`: the questions asked of a cluster.

kubectl finds a plugin by its name, and passes on all arguments. Here `kubectl ipam` alone is
`ipam-core cluster`, and every other command is the one of ipam-core.

Source: https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
"""

from __future__ import annotations

import sys

DEFAULT = "cluster"


def arguments_of(given: list[str]) -> list[str]:
    """Return the arguments of ipam-core for those of `kubectl ipam`.

    A first word that is no option names a command; without one it is `cluster`.
    """
    if given and (not given[0].startswith("-") or given[0] in ("--help", "-h", "--version")):
        return given
    return [DEFAULT, *given]


def main() -> None:
    """Run the plugin and end the process with its exit status."""
    from ipam_core.cli import main as run

    sys.argv[1:] = arguments_of(sys.argv[1:])
    run()
