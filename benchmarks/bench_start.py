"""Commands as a user runs them: the processor time of the whole process, start included.

The floor is `python -c pass`: in turn with each command, both by the same interpreter.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from side_by_side import side_by_side

SHORT = bool(os.environ.get("BENCH_SHORT"))
EXAMPLES = Path(__file__).parent.parent / "examples"
COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "explain": ["explain", "m5.large"],
    "explain --all": ["explain", "--all", "-e", "MINIMUM_IP_TARGET=25"],
    "instances": ["instances", "m5.large"],
    "simulate": ["simulate", str(EXAMPLES / "stall.yaml")],
    "subnet report": ["subnet", "report", *map(str, sorted((EXAMPLES / "subnet").glob("*.json")))],
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which modules are compiled once, as by an installer, not at each start."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}


def run(arguments, environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr


def children_s():
    """Return the processor time of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark(timer=children_s)
@pytest.mark.parametrize("name", COMMANDS)
def test_command(benchmark, name, environment):
    benchmark.group = f"command, {name}"
    benchmark.extra_info["subject"] = "ipam_core"
    side_by_side(
        benchmark,
        f"command {name}, against python -c pass",
        lambda arguments: run(arguments, environment),
        lambda _: run(["-c", "pass"], environment),
        lambda: ["-m", "ipam_core", *COMMANDS[name]],
        per_call=1,
        rounds=3 if SHORT else 15,
        timer=children_s,
    )
