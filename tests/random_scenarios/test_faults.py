"""Nothing is lost whatever fails, is lost on the way or is done twice.

30 scenarios under both policies in CI, 5,000 in `make soak`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ipam_core import effects as fx
from ipam_core.policy import IPAM_CORE, VPC_CNI
from support.faulty_scenarios import HOWS, goes_wrong
from support.soak import examples

N_SCENARIOS = examples(30, 5_000)
PER_TEST = 30
NOT_MET = {
    "Sleep",
    "AssignIpv6Prefix",
    "SetUpHost",
    "SetUpEni",
    "SetUpPodRules",
    "TearDownEni",
    "SetSecurityGroups",
    "ReadSecurityGroups",
}
"""What no scenario asks for: tests/node/test_failures.py has the start of an IPv6 node.

tests/host has what is asked of the host's network, and how it fails.
"""


@pytest.mark.parametrize("first", range(0, N_SCENARIOS, PER_TEST))
def test_every_faulty_scenario_ends_with_every_invariant_intact(first):
    met: Counter[tuple[str, str]] = Counter()
    for seed in range(first, first + PER_TEST):
        for policy in (VPC_CNI, IPAM_CORE):
            wrong = goes_wrong(seed, policy, met)
            assert wrong is None, wrong
    if first == 0:
        kinds = {kind.__name__ for kind in fx.Effect.__subclasses__()} - NOT_MET
        assert kinds == {kind for kind, _ in met}
        assert {*HOWS, "lacks an ENI"} == {how for _, how in met}


def test_they_would_show_a_running_pod_whose_address_is_given_away():
    careless = replace(IPAM_CORE, ask_before_forgetting=False)
    assert any("is given to" in (goes_wrong(seed, careless) or "") for seed in range(30))
