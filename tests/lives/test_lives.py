"""Whatever happens to a node, it ends whole: 500 lives in CI, 10,000 in `make soak`."""

from __future__ import annotations

import os

import pytest

from lives.life import life, told, verdict

N_LIVES = 10_000 if os.environ.get("IPAM_CORE_SOAK") else 500
PER_TEST = 50


@pytest.mark.parametrize("first", range(0, N_LIVES, PER_TEST))
def test_every_life_ends_whole(first):
    for seed in range(first, first + PER_TEST):
        if verdict(life(seed)) is not None:
            pytest.fail(told(life(seed)))
