"""ENIs have the security groups of the primary one, at the start and when those change.

RefreshSGIDs of aws/amazon-vpc-cni-k8s v1.23: seen in its calls on a served VPC, too.
"""

import pytest

from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.errors import UnreachableError
from support.node_world import World


class Noted:
    """The world's instance; effects are noted, and those of some ENIs fail."""

    def __init__(self, instance):
        self.instance, self.asked, self.failing = instance, [], set()

    def perform(self, effect):
        self.asked.append(effect)
        if isinstance(effect, fx.SetSecurityGroups) and effect.eni_id in self.failing:
            raise UnreachableError("x", "Timeout")
        return self.instance.perform(effect)


@pytest.fixture
def world():
    world = World("m5.large", WARM_IP_TARGET="12")
    world.drive(world.node.start())
    world.settle(2)
    world.cloud = Noted(world.instance)
    assert len(world.node.store.enis()) == 2
    return world


def follow(world):
    world.cloud.asked.clear()
    drive(world.node.follow_security_groups(), world.cloud)
    return [each for each in world.cloud.asked if isinstance(each, fx.SetSecurityGroups)]


def groups(world):
    return [eni.security_groups for eni in world.instance.attached()]


def test_every_eni_gets_the_groups_once_and_again_when_they_change(world):
    assert len(follow(world)) == 2
    assert groups(world) == [("sg-node",)] * 2
    assert follow(world) == []
    world.instance.security_groups = ("sg-new", "sg-node")
    assert len(follow(world)) == 2
    assert groups(world) == [("sg-new", "sg-node")] * 2
    world.instance.security_groups = ("sg-node", "sg-new")  # the same, in another order
    assert follow(world) == []


def test_an_agents_start_sets_them_before_the_pool_grows_and_goes_on_where_it_cannot():
    """The order of upstream's calls on a served VPC."""
    for failing in (set(), {"eni-primary"}):
        world = World("m5.large", WARM_IP_TARGET="5")
        world.node.follow_groups = True
        world.cloud = Noted(world.instance)
        world.cloud.failing = failing
        drive(world.node.start(), world.cloud)
        kinds = [type(each) for each in world.cloud.asked]
        assert kinds.index(fx.SetSecurityGroups) < kinds.index(fx.AssignPrivateIps)
        assert isinstance(world.node.last_error, UnreachableError) == bool(failing)
        assert world.node.store.stats(world.now_ns).total == 5
        assert follow(world) == []


def test_an_eni_that_cannot_be_changed_keeps_no_other_from_it(world):
    first = world.instance.attached()[0].eni_id
    world.cloud.failing.add(first)
    assert len(follow(world)) == 2
    assert groups(world) == [(), ("sg-node",)]
    assert isinstance(world.node.last_error, UnreachableError)
    assert follow(world) == []  # as upstream: not before they change again


def test_under_custom_networking_the_eni_config_decides():
    world = World("m5.large", AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG="true")
    world.drive(world.node.start())
    world.cloud = Noted(world.instance)
    assert follow(world) == []


def test_metadata_that_cannot_be_read_changes_nothing(world):
    class Silent(Noted):
        def perform(self, effect):
            raise UnreachableError("metadata", "Timeout")

    drive(world.node.follow_security_groups(), Silent(world.instance))
    assert groups(world) == [(), ()]
    assert len(follow(world)) == 2


def test_where_nothing_may_be_provisioned_nothing_is_read_nor_changed():
    world = World("m5.large", DISABLE_NETWORK_RESOURCE_PROVISIONING="true")
    world.drive(world.node.start())
    world.cloud = Noted(world.instance)
    assert follow(world) == []
    assert world.cloud.asked == []
