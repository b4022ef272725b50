"""Metadata that does not show an ENI that is attached: rule `ask_before_forgetting`."""

from dataclasses import replace

import pytest

from ipam_core import IPAM_CORE, VPC_CNI, Sandbox
from ipam_core.cloud import drive
from ipam_core.effects import DescribeEnis
from ipam_core.errors import PoolExhaustedError, UnreachableError
from ipam_core.tags import NO_MANAGE_TAG
from support.node_world import World

RULE = replace(VPC_CNI, name="vpc-cni with the rule", ask_before_forgetting=True)


class Noting:
    """The world's instance; notes what is described, and fails that when told to."""

    def __init__(self, instance):
        self.instance = instance
        self.described = []
        self.silent = False

    def perform(self, effect):
        if isinstance(effect, DescribeEnis):
            self.described.append(effect.eni_ids)
            if self.silent:
                raise UnreachableError(effect.api, "Timeout")
        return self.instance.perform(effect)


def crowded(policy):
    """Return a world with 14 pods on two ENIs, and its second ENI."""
    world = World("m5.large", policy=policy, max_pods=29, WARM_IP_TARGET="3")
    world.drive(world.node.start())
    for _ in range(14):
        world.add_pod()
        world.settle(1)
    assert all(world.pods.values())
    second = next(eni for eni in world.instance.attached() if eni.device_number)
    assert world.node.store.eni_stats(second.eni_id).assigned > 0
    world.cloud = Noting(world.instance)
    return world, second


def reconcile(world):
    world.sleep(61)
    drive(world.node.reconcile(), world.cloud, sleep=world.sleep)


def given_twice(world):
    """Return the addresses of running pods that new pods get, as many as can."""
    running = {address for address in world.pods.values() if address}
    twice = set()
    for number in range(30):
        try:
            address = world.node.add_pod(Sandbox(f"new-{number}")).address
        except PoolExhaustedError:
            world.settle(1)
        else:
            twice |= running & {address}
    return twice


@pytest.mark.parametrize("policy", [VPC_CNI, RULE, IPAM_CORE], ids=lambda policy: policy.name)
def test_one_read_without_it_gives_its_pods_addresses_away_only_without_the_rule(policy):
    world, second = crowded(policy)
    world.instance.metadata_hides_enis.add(second.eni_id)
    reconcile(world)
    world.instance.metadata_hides_enis.clear()
    reconcile(world)
    if policy.ask_before_forgetting:
        assert world.cloud.described == [(second.eni_id, "eni-primary")]
        assert len(list(world.node.store.assignments())) == 14
        assert given_twice(world) == set()
        assert world.node.to_forget == []
    else:
        assert world.cloud.described[0] != (second.eni_id, "eni-primary")
        assert len(list(world.node.store.assignments())) < 14
        assert given_twice(world) != set()


def gone(world, second):
    world.region.delete_eni(second.eni_id)


def detached(world, second):
    world.region.detach(second)


def moved(world, second):
    world.region.attach(second, "i-another", 1)


@pytest.mark.parametrize("happens", [gone, detached, moved])
@pytest.mark.parametrize("policy", [RULE, IPAM_CORE], ids=lambda policy: policy.name)
def test_one_that_is_no_longer_attached_here_goes_at_once(policy, happens):
    """The harm that the rule could do: pods on addresses that are not there."""
    world, second = crowded(policy)
    on_it = [a.sandbox for a in world.node.store.assignments() if a.eni_id == second.eni_id]
    happens(world, second)
    reconcile(world)
    assert second.eni_id not in world.node.store
    assert world.cloud.described == [(second.eni_id, "eni-primary")]
    assert all(world.node.store.find(sandbox) is None for sandbox in on_it)


def test_without_an_answer_it_stays_until_there_is_one():
    world, second = crowded(IPAM_CORE)
    world.region.delete_eni(second.eni_id)
    world.cloud.silent = True
    for _ in range(3):
        reconcile(world)
        assert second.eni_id in world.node.store
    assert isinstance(world.node.last_error, UnreachableError)
    assert world.node.last_error_ns == world.now_ns
    world.cloud.silent = False
    reconcile(world)
    assert second.eni_id not in world.node.store


def test_the_primary_is_asked_about_alone():
    world, _ = crowded(IPAM_CORE)
    world.instance.metadata_hides_enis.add("eni-primary")
    reconcile(world)
    assert world.cloud.described == [("eni-primary",)]
    assert "eni-primary" in world.node.store


def test_one_that_is_tagged_as_unmanaged_goes_as_the_agent_lets_it_go():
    """Metadata shows it: there is nothing to ask."""
    world, second = crowded(IPAM_CORE)
    second.tags[NO_MANAGE_TAG] = "true"
    another = world.region.place_eni("eni-another", "primary")
    world.instance.attach(another, world.instance.free_device())
    reconcile(world)
    assert second.eni_id not in world.node.store
    assert (second.eni_id, "eni-primary") not in world.cloud.described


def test_an_eni_that_metadata_shows_costs_no_question():
    world, _ = crowded(IPAM_CORE)
    reconcile(world)
    assert world.cloud.described == []
