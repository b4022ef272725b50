"""The forecast: placements compared under one churn, and what it must conserve."""

import pytest

from ipam_core._subnet import Subnet
from ipam_core.instances import limits
from ipam_core.settings import Settings
from ipam_core.subnet.draw import node_draws
from ipam_core.subnet.forecast import Churn, _Life, forecast

CHURN = Churn(nodes=12, node_life_h=10, pods_per_node=8, pod_life_h=1, hours=12, samples=6)
LIMITS = limits("m5.large")


def test_random_breaks_blocks_that_densest_keeps():
    found = forecast(Subnet("10.0.0.0/22"), LIMITS, Settings(), CHURN)
    least = {
        name: min(sample.free_prefixes for sample in samples)
        for name, samples in found.samples.items()
    }
    assert least["random"] < 15
    assert min(least["densest"], least["lowest"]) > 35


def test_a_seed_decides_the_forecast():
    first, again, other = (
        forecast(
            Subnet("10.0.0.0/23"), LIMITS, Settings(), CHURN, seed=seed, placements=("random",)
        )
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert [sample.hour for sample in first.samples["random"]] == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("prefix_mode", [False, True])
def test_nothing_is_lost_and_what_was_there_stays(prefix_mode):
    start = Subnet("10.0.0.0/23")
    start.take_given_prefix("10.0.0.32/28")
    taken = start.take_addresses(20)
    draws = node_draws(
        LIMITS, Settings(warm_ip_target=2), prefix_mode=prefix_mode, max_pods=LIMITS.max_pods
    )
    life = _Life(start.copy(), draws, CHURN, 3)
    samples = list(life.run())
    life.subnet._check()
    for node in life.nodes:
        draw = draws.at(node.pods)
        assert 1 <= len(node.addresses) <= draw.singles
        assert len(node.prefixes) <= draw.prefixes
    held = sum(len(node.addresses) + 16 * len(node.prefixes) for node in life.nodes)
    assert start.n_free - life.subnet.n_free == held
    assert not any(life.subnet.is_free(address) for address in taken)
    assert samples[-1].nodes == len(life.nodes)
    assert sum(node.pods for node in life.nodes) == len(life.pods)
    assert samples[-1].pods + samples[-1].unserved == len(life.pods)


def test_pods_and_nodes_stay_about_their_means():
    samples = forecast(
        Subnet("10.0.0.0/20"),
        LIMITS,
        Settings(),
        Churn(nodes=40, node_life_h=5, pods_per_node=10, pod_life_h=2, hours=60, samples=60),
        placements=("densest",),
    ).samples["densest"]
    nodes = sum(sample.nodes for sample in samples) / len(samples)
    pods = sum(sample.pods for sample in samples) / len(samples)
    assert 32 < nodes < 48  # Poisson: a deviation of 6 each, averaged over about 12 lifetimes
    assert 360 < pods < 440


def test_progress_is_told_up_to_the_whole():
    shares = []
    forecast(Subnet("10.0.0.0/24"), LIMITS, Settings(), CHURN, on_progress=shares.append)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (3 * 7, 1)


def test_a_subnet_that_is_too_small_refuses():
    samples = forecast(
        Subnet("10.0.0.0/26"), LIMITS, Settings(), CHURN, placements=("random",)
    ).samples["random"]
    assert samples[-1].refused > 0
