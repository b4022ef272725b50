"""Whatever happens to a node, every invariant holds at its end.

150 scenarios in CI, 10,000 in `make soak`.
"""

from __future__ import annotations

import pytest

from support.random_scenarios import random_scenario, told, verdict
from support.soak import examples

N_SCENARIOS = examples(150, 10_000)
PER_TEST = 50


@pytest.mark.parametrize("first", range(0, N_SCENARIOS, PER_TEST))
def test_every_random_scenario_ends_with_every_invariant_intact(first):
    for seed in range(first, first + PER_TEST):
        if verdict(random_scenario(seed)) is not None:
            pytest.fail(told(random_scenario(seed)))
