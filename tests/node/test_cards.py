"""Pods with an address on every network card."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, instances
from ipam_core.errors import PoolExhaustedError
from ipam_core.node.cards import in_turn
from ipam_core.simulation.scenario.file import parse_scenarios
from ipam_core.simulation.scenario.player import Player

POD = Sandbox("pod")
RULE = replace(VPC_CNI, keep_on_refusal=True)
FULL_AFTER_ONE = """
instance_type: synthetic
limits: {max_enis: 2, ipv4_per_eni: 10}
node: {enis_per_card: [2, 2]}
env: {ENABLE_MULTI_NIC: "true", WARM_IP_TARGET: "1"}
steps:
  - {op: outside_attach, name: eni-b, role: secondary, card: 1}
  - {op: subnet, free_ips: 1}
  - {op: boot}
"""


def node_with_cards(policy, *, n_addresses=1):
    """Return a node of four cards, each with so many addresses."""
    node = Node(
        instances.limits("p4d.24xlarge"),
        Settings(enable_multi_nic=True),
        policy=policy,
        clock_ns=lambda: 0,
    )
    node.ready = True
    for card, store in enumerate(node.stores):
        store.add_eni(f"eni-{card}", device_number=0, network_card=card)
        for number in range(n_addresses):
            store.add_address(f"eni-{card}", f"10.0.{card}.{number + 1}")
    return node


def held(node, sandbox=POD):
    return [store.find(sandbox) is not None for store in node.stores]


@pytest.mark.parametrize(
    ("policy", "kept"), [(VPC_CNI, False), (RULE, True), (IPAM_CORE, True)], ids=str
)
def test_a_running_pod_that_is_refused_a_card_keeps_the_others_only_by_the_rule(policy, kept):
    node = node_with_cards(policy)
    first = node.add_pod_to_all_cards(POD, "default/pod")
    assert node.add_pod_to_all_cards(POD, "default/pod") == first
    node.stores[1].remove_eni("eni-1", force=True)
    with pytest.raises(PoolExhaustedError):
        node.add_pod_to_all_cards(POD, "default/pod")
    # Cards 2 and 3 come after the one that refuses: nobody asked them.
    assert held(node) == [kept, False, True, True]
    assert "default/pod" in node.waiting
    node.add_pod(POD, "default/pod")  # for one card only, it is served
    assert len(node.waiting) == 0


@pytest.mark.parametrize("policy", [VPC_CNI, RULE, IPAM_CORE], ids=lambda policy: policy.name)
def test_a_new_pod_that_is_refused_a_card_keeps_nothing(policy):
    """The harm that the rule could do: addresses held by nobody's pod."""
    node = node_with_cards(policy)
    node.stores[2].assign(Sandbox("other"))
    with pytest.raises(PoolExhaustedError):
        node.add_pod_to_all_cards(POD)
    assert held(node) == [False] * 4
    assert [store.stats(0).cooling for store in node.stores] == [1, 1, 0, 0]


def test_what_a_repeat_took_anew_is_given_back_and_what_ran_stays():
    node = node_with_cards(RULE)
    node.add_pod_to_all_cards(POD)
    node.stores[1].remove_eni("eni-1", force=True)
    node.stores[1].add_eni("eni-new", device_number=1, network_card=1)
    node.stores[1].add_address("eni-new", "10.0.1.9")
    node.stores[3].remove_eni("eni-3", force=True)
    with pytest.raises(PoolExhaustedError):
        node.add_pod_to_all_cards(POD)
    assert held(node) == [True, False, True, False]


class Cards:
    """What the order of cards depends on."""

    policy = VPC_CNI
    now_ns = 0
    seed = 7

    def __init__(self, n_cards):
        self.cards = list(range(n_cards))

    def clock_ns(self):
        return self.now_ns


def orders(node, n_looks):
    """Return the order of the cards at so many looks, 5 s apart."""
    found = []
    for _ in range(n_looks):
        node.now_ns += 5 * 10**9
        found.append(in_turn(node))
    return found


def test_cards_are_walked_as_a_go_map_of_one_group_is():
    """isDatastorePoolTooLow answers with a map: of n cards the first leads (9 - n) times in 8."""
    for n_cards in (2, 4, 8):
        node = Cards(n_cards)
        firsts = Counter(order[0] for order in orders(node, 4000))
        spread = 4 * math.sqrt(4000 * 1 / 8 * 7 / 8)  # four standard deviations
        assert abs(firsts[0] - 4000 * (9 - n_cards) / 8) < spread
        for card in node.cards[1:]:
            assert abs(firsts[card] - 500) < spread
        for order in orders(node, 50):  # around, in order
            assert order == [(order[0] + n) % n_cards for n in range(n_cards)]


def test_more_than_8_cards_are_walked_in_hash_order():
    firsts = Counter(order[0] for order in orders(Cards(10), 4000))
    assert all(abs(firsts[card] - 400) < 4 * math.sqrt(360) for card in range(10))


def test_the_order_of_a_look_depends_on_no_other_look():
    """A simulator leaves out looks that do nothing."""
    all_looks, fewer = orders(Cards(3), 20), Cards(3)
    fewer.now_ns = 50 * 10**9
    assert orders(fewer, 10) == all_looks[10:]
    fewer.policy, fewer.now_ns = IPAM_CORE, 0
    assert orders(fewer, 50) == [[0, 1, 2]] * 50


def test_the_card_that_comes_first_gets_the_last_address_and_the_other_waits():
    """What the order decides: a full subnet stops both cards' growth."""
    (scenario,) = parse_scenarios(FULL_AFTER_ONE)
    totals = Counter()
    for seed in range(200):
        player = Player(scenario, seed=seed, record=False)
        player.play()
        totals[tuple(store.stats(player.now_ns).total for store in player.node.stores)] += 1
    assert set(totals) == {(1, 0), (0, 1)}
    assert abs(totals[0, 1] - 200 / 8) < 4 * math.sqrt(200 * 1 / 8 * 7 / 8)
