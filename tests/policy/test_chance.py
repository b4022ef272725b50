"""What the agent's chance decides over a node's life, as it was measured.

Averages of the real agent (pool-rules section 9, "Chance"), within four standard errors of its
runs and ours; and apart from what an even shuffle would give.
"""

from __future__ import annotations

from math import sqrt

from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player
from support.soak import examples

N_RUNS = examples(300, 3000)
N_MEASURED = 1000
"""How often the agent was run, at least."""


def test_three_enis_remain_as_often_as_with_the_agent():
    """40 pods come one by one to 4 x 14 addresses; the 30 oldest go, and one ENI is enough."""
    one_by_one = [{"op": "add_pods", "n": 1}, {"op": "run", "seconds": 10}] * 40
    scenario = scenario_of(
        {
            "instance_type": "m5.xlarge",
            "env": {"WARM_IP_TARGET": "2"},
            "steps": [
                {"op": "boot"},
                *one_by_one,
                {"op": "del_pods", "n": 30, "order": "oldest"},
                {"op": "run", "seconds": 400},
            ],
        }
    )
    n_three = 0
    for seed in range(N_RUNS):
        player = Player(scenario, seed=seed, record=False)
        player.play()
        n_three += len(player.node.store.enis()) == 3
    share, measured, even_shuffle = n_three / N_RUNS, 0.18, 0.33
    error = sqrt(measured * (1 - measured) * (1 / N_RUNS + 1 / N_MEASURED))
    assert abs(share - measured) < 4 * error
    assert even_shuffle - share > 2 * error
