"""The target rules against the formulas of their specification, written again here.

Expectations come from the rules' text (docs/rules.md, section on short and over) and
from the cases that AWS documents print, never from the code under test.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.policy import IPAM_CORE, VPC_CNI, Policy
from ipam_core.pool import PoolView, decide
from ipam_core.settings import Settings

targets = st.integers(0, 60)


def views(*, prefix_mode):
    """Pools that can exist: assigned and cooling fit total, prefixes fit total."""

    @st.composite
    def build(draw):
        prefixes = draw(st.integers(0, 40)) if prefix_mode else draw(st.integers(0, 3))
        total = 16 * prefixes if prefix_mode else draw(st.integers(0, 250))
        assigned = draw(st.integers(0, total))
        fewest_used = math.ceil(assigned / 16) if prefix_mode else 0
        return PoolView(
            settings=Settings(
                warm_ip_target=draw(targets),
                minimum_ip_target=draw(targets),
                warm_eni_target=draw(st.integers(0, 3)),
                warm_prefix_target=draw(st.integers(0, 3)),
            ),
            slots=draw(st.integers(1, 49)),
            max_pods=draw(st.integers(1, 300)),
            prefix_mode=prefix_mode,
            total=total,
            assigned=assigned,
            cooling=draw(st.integers(0, total - assigned)),
            prefixes=prefixes,
            free_prefixes=draw(st.integers(0, prefixes - fewest_used)),
        )

    return build()


@given(views(prefix_mode=False))
def test_secondary_ip_mode_follows_the_formulas(view):
    s = view.settings
    decision = decide(view)
    available = view.total - view.assigned
    assert decision.available == available
    assert decision.targets_defined == (s.warm_ip_target != 0 or s.minimum_ip_target != 0)
    if decision.targets_defined:
        short = max(s.warm_ip_target - available, s.minimum_ip_target - view.total, 0)
        over = max(min(available - s.warm_ip_target, view.total - s.minimum_ip_target), 0)
        assert (decision.short, decision.over) == (short, over)
        assert decision.low == (short > 0 and view.total < view.max_pods)
        assert decision.high == (over > 0)
        assert decision.want_new_eni == min(short, view.slots)
    else:
        assert (decision.short, decision.over, decision.give_back) == (0, 0, 0)
        few = available < view.slots * s.warm_eni_target or (
            s.warm_eni_target == 0 and available == 0
        )
        assert decision.low == (few and view.total < view.max_pods)
        assert not decision.high
        assert decision.want_new_eni == view.slots
        assert decision.enis_to_spare == (available >= (s.warm_eni_target + 1) * view.slots)


@given(views(prefix_mode=True))
def test_prefix_mode_follows_the_formulas(view):
    s = view.settings
    decision = decide(view)
    available = view.total - view.assigned
    if decision.targets_defined:
        short = max(s.warm_ip_target - available, s.minimum_ip_target - view.total, 0)
        short = math.ceil(short / 16)
        over = max(
            min(
                view.free_prefixes,
                view.prefixes - math.ceil((view.assigned + s.warm_ip_target) / 16),
                view.prefixes - math.ceil(s.minimum_ip_target / 16),
            ),
            0,
        )
        assert (decision.short, decision.over) == (short, over)
        assert decision.low == (short > 0 and view.total < view.max_pods)
        assert (decision.high, decision.give_back) == (over > 0, over)
        assert decision.want == max(1, short)
    else:
        few = available < 16 * s.warm_prefix_target or (
            s.warm_prefix_target == 0 and available == 0
        )
        assert decision.low == (few and view.total < view.max_pods)
        assert decision.high == (view.free_prefixes > s.warm_prefix_target)
        assert decision.want == max(1, s.warm_prefix_target - view.free_prefixes)
    assert decision.want_new_eni == min(decision.want, view.slots)


@given(views(prefix_mode=True), st.integers(1, 3))
def test_cards_above_0_have_targets_of_their_own(view, card):
    """They use 1 and 1, and their `over` counts addresses even in prefix mode."""
    fields = {f: getattr(view, f) for f in PoolView.__slots__}
    decision = decide(PoolView(**{**fields, "network_card": card}))
    available = view.total - view.assigned
    assert (decision.warm_ip, decision.minimum_ip) == (1, 1)
    assert decision.short == math.ceil(max(1 - available, 1 - view.total, 0) / 16)
    assert decision.over == max(min(available - 1, view.total - 1), 0)


def pool(total, assigned, *, slots=29, max_pods=234, policy=VPC_CNI, waiting=0, cooling=0, **env):
    settings = Settings(**env)
    view = PoolView(
        settings=settings,
        slots=slots,
        max_pods=max_pods,
        total=total,
        assigned=assigned,
        cooling=cooling,
        waiting=waiting,
    )
    return decide(view, policy)


def test_minimum_alone_stalls_at_the_minimum():
    """The incident: at total 25 and assigned 25 nothing is short, for ever."""
    decision = pool(25, 25, minimum_ip_target=25)
    assert (decision.short, decision.low, decision.want) == (0, False, 0)
    assert decision.growth_rule() == (
        "short = max(WARM_IP_TARGET 0 - available 0,",
        "            MINIMUM_IP_TARGET 25 - total 25, 0)",
        "      = max(0, 0, 0) = 0",
        "the pool does not grow",
    )


def test_warm_ip_10_mends_it():
    assert pool(25, 25, minimum_ip_target=25, warm_ip_target=10).short == 10


@pytest.mark.parametrize(("available", "low"), [(28, True), (29, False), (30, False)])
def test_low_is_strictly_below_the_warm_target(available, low):
    assert pool(58, 58 - available).low is low


@pytest.mark.parametrize(("available", "to_spare"), [(57, False), (58, True)])
def test_freeing_an_eni_needs_one_warm_eni_more(available, to_spare):
    assert pool(87, 87 - available).enis_to_spare is to_spare


@pytest.mark.parametrize(("total", "low"), [(19, True), (20, False), (21, False)])
def test_max_pods_stops_growth(total, low):
    assert pool(total, total, max_pods=20, warm_ip_target=5).low is low


def test_max_pods_does_not_cap_what_is_asked_for():
    assert pool(19, 19, max_pods=20, warm_ip_target=5).want == 5
    capped = Policy(name="capped", cap_at_max_pods=True)
    assert pool(19, 19, max_pods=20, warm_ip_target=5, policy=capped).want == 1


def test_cooling_addresses_count_as_available_only_for_the_agent():
    """#2896: a node can have nothing to give and believe that it has enough."""
    asked = {"warm_ip_target": 2, "minimum_ip_target": 23, "cooling": 4}
    assert pool(23, 19, **asked).short == 0
    assert pool(23, 19, policy=IPAM_CORE, **asked).short == 2


def test_better_rules_grow_an_exhausted_pool():
    """#2650: a pod waits, nothing is free: ask for at least one address."""
    decision = pool(25, 25, minimum_ip_target=25, waiting=1, policy=IPAM_CORE)
    assert (decision.low, decision.want) == (True, 1)
    assert not pool(25, 25, minimum_ip_target=25, waiting=0, policy=IPAM_CORE).low


@given(views(prefix_mode=False))
def test_the_growth_rule_ends_in_the_decision(view):
    decision = decide(view)
    grows = decision.growth_rule()[-1] == "the pool grows"
    assert grows == decision.low


@pytest.mark.parametrize("prefix_mode", [False, True])
def test_targets_up_to_the_agents_64_bits_ask_for_more_than_any_pool(prefix_mode):
    """Products with them do not fit a machine word: nothing may wrap around to a small number."""
    most = 2**63 - 1
    for name in ("warm_ip_target", "minimum_ip_target", "warm_eni_target", "warm_prefix_target"):
        counted = {"warm_eni_target": not prefix_mode, "warm_prefix_target": prefix_mode}
        view = PoolView(
            settings=Settings(**{name: most}),
            slots=49,
            max_pods=1000,
            prefix_mode=prefix_mode,
            total=320,
            assigned=100,
            prefixes=20,
            free_prefixes=10,
        )
        decision = decide(view, IPAM_CORE)
        assert decision.low == counted.get(name, True), name
        assert not decision.low or decision.want_new_eni in (43, 49), name
        assert decision.high == (not counted.get(name, True) and prefix_mode), name
        assert getattr(decision.view.settings, name) == most
