"""A `settle` that does not come to rest fails, unless what follows says what the pool did."""

from __future__ import annotations

import pytest

from ipam_core.simulation.scenario.file import parse_scenarios
from ipam_core.simulation.scenario.player import play

FLAPS = """
instance_type: m5.large
env: {ENABLE_PREFIX_DELEGATION: "true", WARM_PREFIX_TARGET: "0"}
steps:
  - {op: boot}
  - {op: settle%s}
"""
"""A prefix comes and goes every 30 s."""
UNSETTLED = ["settle: unsettled: expected False, met True"]


@pytest.mark.parametrize(
    ("never", "after", "found"),
    [
        ("", "", UNSETTLED),
        ("", "  - {op: run, seconds: 5}", UNSETTLED),
        ("", "  - {op: expect, enis: 1}", UNSETTLED),
        ("", "  - {op: run, seconds: 5}\n  - {op: expect, ec2: {}}", UNSETTLED),
        ("", "  - {op: expect, unsettled: true}", []),
        ("", "  - {op: expect, ec2: {CreateNetworkInterface: 0}}", []),
        (", never: true", "", []),
        (", never: true", "  - {op: expect, enis: 1}", []),
    ],
)
def test_without_rest(never, after, found):
    (scenario,) = parse_scenarios(FLAPS % never + after)
    assert [str(mismatch) for mismatch in play(scenario, record=False).mismatches] == found


def test_a_pool_that_rests_where_it_never_should_fails():
    text = FLAPS.replace('TARGET: "0"', 'TARGET: "1"') % ", never: true"
    (scenario,) = parse_scenarios(text + "  - {op: expect, ec2: {}}")
    mismatches = [str(mismatch) for mismatch in play(scenario, record=False).mismatches]
    assert mismatches == ["settle: unsettled: expected True, met False"]
