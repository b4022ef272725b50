"""What the last pod leaves on an ENI whose subnet is tagged for no pods.

Source: pkg/ipamd/datastore/data_store.go, UnassignPodIPAddress and deallocateEmptyCIDR.
"""

from __future__ import annotations

import pytest

from ipam_core import IPAM_CORE, VPC_CNI
from support.node_world import World


@pytest.fixture(params=["true", "false"], ids=["prefixes", "addresses"])
def world(request):
    """Return a world with a pod on an ENI that is excluded since."""
    env = {"ENABLE_PREFIX_DELEGATION": request.param, "WARM_IP_TARGET": "1"}
    world = World("m5.large", policy=VPC_CNI, **env)
    world.drive(world.node.start())
    world.pod = world.add_pod()
    world.node.store.exclude_eni("eni-primary")
    world.node.has_excluded = True
    return world


def held(world):
    store = world.node.store
    return store.addresses("eni-primary") + store.prefixes("eni-primary")


def test_it_leaves_the_store_after_5_s_and_stays_in_ec2_and_in_the_counter_of_prefixes(world):
    (cidr,) = held(world)
    world.remove_pod(world.pod)
    world.sleep(4.999)
    world.drive(world.node.adjust())
    assert cidr in held(world)
    n_counted = world.node.decide().view.prefixes
    world.sleep(0.001)
    world.drive(world.node.reconcile())
    assert cidr not in held(world)
    eni = world.region.enis["eni-primary"]
    assert cidr in [*eni.addresses, *eni.prefixes]
    assert world.node.decide().view.prefixes == n_counted


def test_what_a_pod_leaves_on_another_eni_stays():
    """Whoever gives back what is left on excluded ENIs must not do so on the others."""
    world = World("m5.large", policy=IPAM_CORE, WARM_IP_TARGET="1")
    world.drive(world.node.start())
    pod = world.add_pod()
    world.settle(2)
    world.node.has_excluded = True
    total = world.node.store.stats().total
    world.remove_pod(pod)
    world.sleep(6)
    world.drive(world.node.reconcile())
    assert world.node.store.stats().total == total
