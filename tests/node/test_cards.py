"""Pods with an address on every network card."""

from dataclasses import replace

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Node, Sandbox, Settings, instances
from ipam_core.errors import PoolExhaustedError

POD = Sandbox("pod")
RULE = replace(VPC_CNI, keep_on_refusal=True)


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
