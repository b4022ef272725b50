"""`examples/large_fleet.py`: its regions are parts, and all pods get an address."""

import json
import subprocess
import sys
from pathlib import Path

from ipam_core import simulate
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.independent import parts_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "large_fleet.py"


def printed(*arguments):
    return subprocess.run(
        [sys.executable, EXAMPLE, *arguments], check=False, capture_output=True, text=True
    )


def test_each_region_is_a_part_and_serves_all_pods():
    made = printed("--regions", "3", "--nodes", "2", "--hours", "1")
    spec = simulation_of([json.loads(made.stdout)], Path())
    assert len(parts_of(spec, 0)) == 3
    result = simulate(spec)
    assert result.series["pods"][-1] == 600
    assert not result.has_failed


def test_a_region_of_100_000_nodes_has_subnets_enough():
    made = printed("--regions", "1", "--nodes", "100000")
    spec = simulation_of([json.loads(made.stdout)], Path())
    assert len(spec.subnets) * 333 >= 100_000


def test_a_region_that_is_too_large_is_refused_in_one_line():
    refused = printed("--regions", "1", "--nodes", "111889")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "large_fleet.py: error: --nodes 111889: a region has room for 111888"
    )
