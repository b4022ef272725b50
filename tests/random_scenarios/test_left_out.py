"""What a scenario's world leaves out because it would do nothing changes nothing.

15 scenarios under three policies in CI, 500 in `make soak`.
"""

from __future__ import annotations

import pytest

from ipam_core.policy import IPAM_CORE, VPC_CNI
from ipam_core.simulation.scenario.file import scenario_of
from ipam_core.simulation.scenario.player import Player
from ipam_core.simulation.scenario.world import Pod
from support.policy_replay import with_rule
from support.random_scenarios import random_scenario
from support.soak import examples


class Thorough(Player):
    """Plays every pool check and reconcile, and lets each waiting pod ask each time."""

    def check_pool(self):
        self._drive(self.node.adjust())

    def reconcile(self):
        self._drive(self.node.reconcile())

    def _try_waiting(self):
        served = [pod for pod in self.waiting if self._ask(pod)]
        self.running += served
        self.waiting = [pod for pod in self.waiting if pod not in served]


def outcome(player):
    """Return all that happened, and all that decides what happens next."""
    result = player.play()
    node, timers = player.node, player.node.timers
    return (
        result.timeline,
        list(map(str, result.mismatches)),
        list(map(repr, player.calls)),
        [[(pod.name, pod.sandbox) for pod in pods] for pods in (player.running, player.waiting)],
        [store.snapshot() for store in node.stores],
        node.waiting.refused(),
        [timers.changed_ns, timers.shrunk_ns, timers.full_ns, timers.no_prefix_ns],
        [list(peaks) for peaks in timers.peaks],
        node.chance(),
    )


@pytest.mark.parametrize("policy", [VPC_CNI, IPAM_CORE, with_rule("release_delay_s")])
def test_all_is_as_if_nothing_were_left_out(policy):
    for seed in range(examples(15, 500)):
        scenario = scenario_of(random_scenario(seed))
        quick, slow = (
            outcome(kind(scenario, policy=policy, seed=seed)) for kind in (Player, Thorough)
        )
        for mine, expected in zip(quick, slow, strict=True):
            assert mine == expected, f"seed {seed}"


def test_a_pod_that_one_card_can_serve_asks_after_one_that_needs_all():
    scenario = scenario_of(
        {
            "instance_type": "p4d.24xlarge",
            "env": {"ENABLE_MULTI_NIC": "true"},
            "node": {"enis_per_card": [2, 2]},
            "max_pods": 20,
            "steps": [{"op": "boot"}],
        }
    )
    player = Player(scenario)
    player.play()
    for eni in player.node.stores[1].enis():
        player.node.stores[1].remove_eni(eni.eni_id)
    plain = Pod(name="plain", n_refused=1)
    player.waiting = [Pod(name="of all cards", all_cards=True, n_refused=1), plain]
    player._try_waiting()
    assert player.running == [plain]
