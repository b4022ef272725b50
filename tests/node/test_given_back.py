"""What the agent does with an address that it gave back, and has again.

Source: pkg/ipamd/ipamd.go, verifyAndAddIPsToDatastore and verifyAndAddPrefixesToDatastore.
"""

from __future__ import annotations

import pytest

from ipam_core import effects as fx
from ipam_core.cloud import drive
from ipam_core.errors import NotFoundError, UnreachableError
from support.node_world import Failing, World

NO_ENI = NotFoundError("x", "InvalidNetworkInterfaceID.NotFound")


def watched(**env):
    world = World("m5.large", **env)
    world.cloud = Failing(world.instance)
    world.drive = lambda step: drive(step, world.cloud, sleep=world.sleep)
    world.drive(world.node.start())
    return world


def asked(world, kind):
    return sum(isinstance(effect, kind) for effect in world.cloud.performed)


def reconciled(world):
    """Let a reconcile become due and run; return how often it asked EC2 about an ENI."""
    world.sleep(61)
    before = asked(world, fx.DescribeEnis)
    world.drive(world.node.reconcile())
    return asked(world, fx.DescribeEnis) - before


@pytest.fixture(params=["addresses", "prefixes"])
def world_and_cidr(request):
    """Return a world whose node has what it gave back 100 s ago, and metadata too."""
    prefixes = request.param == "prefixes"
    world = watched(WARM_IP_TARGET="2", ENABLE_PREFIX_DELEGATION=str(prefixes).lower())
    held = world.node.store.prefixes if prefixes else world.node.store.addresses
    cidr = held("eni-primary")[0]
    world.node.timers.note_given_back(cidr, world.now_ns)
    world.sleep(100)
    return world, cidr, held


def test_it_is_verified_with_ec2_once(world_and_cidr):
    world, cidr, held = world_and_cidr
    assert reconciled(world) == 1
    assert cidr in held("eni-primary")
    assert reconciled(world) == 0


def test_while_ec2_cannot_be_asked_it_is_kept_and_asked_for_again(world_and_cidr):
    world, cidr, held = world_and_cidr
    world.cloud.fails[fx.DescribeEnis] = UnreachableError("x", "Timeout")
    assert reconciled(world) == 1
    assert cidr in held("eni-primary")
    world.cloud.fails.clear()
    assert reconciled(world) == 1
    assert reconciled(world) == 0


def test_where_ec2_does_not_know_it_it_is_dropped(world_and_cidr, monkeypatch):
    """Metadata was stale: the one that shows it is not believed."""
    world, cidr, held = world_and_cidr
    shown = world.drive(one(fx.ReadAttachedEnis()))
    eni = world.region.enis["eni-primary"]
    for kind in (eni.addresses, eni.prefixes):
        if cidr in kind:
            kind.remove(cidr)
    perform = world.cloud.perform
    monkeypatch.setattr(
        world.cloud,
        "perform",
        lambda effect: shown if isinstance(effect, fx.ReadAttachedEnis) else perform(effect),
    )
    assert reconciled(world) == 1
    assert cidr not in held("eni-primary")


def test_where_metadata_differs_all_the_same_ec2_is_asked_once_and_it_is_forgotten(world_and_cidr):
    world, cidr, held = world_and_cidr
    world.drive(one(fx.AssignPrivateIps("eni-primary", 1)))
    world.drive(one(fx.AssignPrefixes("eni-primary", 1)))
    kinds_that_differ = 2
    assert reconciled(world) == kinds_that_differ
    assert cidr in held("eni-primary")
    assert reconciled(world) == 0


def one(effect):
    return (yield effect)


@pytest.mark.parametrize(
    ("kind", "most"), [(fx.DetachEni, 12), (fx.DeleteEni, 1)], ids=["detach", "delete"]
)
def test_only_a_delete_takes_an_eni_that_is_not_found_for_done(kind, most):
    """freeENI tries a detach 12 times whatever fails; deleteENI takes not found for deleted."""
    world = watched(WARM_ENI_TARGET="1")
    sandbox = world.add_pod()
    world.settle(20)
    assert len(world.node.store.enis()) == 2
    world.cloud.fails[kind] = NO_ENI
    world.remove_pod(sandbox)
    world.sleep(61)
    world.drive(world.node.adjust())
    assert len(world.node.store.enis()) == 1
    assert asked(world, kind) == most


def test_tagging_an_eni_that_is_not_found_is_tried_5_times():
    world = watched(WARM_ENI_TARGET="1")
    world.cloud.fails[fx.TagEni] = NO_ENI
    eni = world.region.place_eni("eni-outside", "primary", n_addresses=2)
    eni.tags = {}
    world.instance.attach(eni, world.instance.free_device())
    world.sleep(61)
    world.cloud.performed.clear()
    world.drive(world.node.reconcile())
    assert asked(world, fx.TagEni) == 5
    assert "eni-outside" not in world.node.store
