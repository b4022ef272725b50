"""`examples/large_fleet.py`: its regions are parts, and all pods get an address."""

import json
import subprocess
import sys
from pathlib import Path

from ipam_core import simulate
from ipam_core.simulation.files import simulation_of
from ipam_core.simulation.fleet.independent import parts_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "large_fleet.py"


def test_each_region_is_a_part_and_serves_all_pods():
    said = subprocess.run(
        [sys.executable, EXAMPLE, "--regions", "3", "--nodes", "2", "--hours", "1"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    spec = simulation_of([json.loads(said)], Path())
    assert len(parts_of(spec, 0)) == 3
    result = simulate(spec)
    assert result.series["pods"][-1] == 600
    assert not result.has_failed
