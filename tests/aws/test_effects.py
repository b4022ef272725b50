"""Every effect against moto over HTTP: what EC2 holds afterwards, and what comes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ipam_core import Sandbox
from ipam_core import effects as fx
from ipam_core.cloud.metadata import Ec2Metadata
from ipam_core.errors import CloudError, NotFoundError, UnreachableError
from ipam_core.tags import CREATED_AT_TAG, NODE_TAG

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def cloud(world):
    return world.cloud(cluster="blue", tags={"team": "net"}, now=lambda: NOW)


def tags(eni):
    return {tag["Key"]: tag["Value"] for tag in eni["TagSet"]}


def test_secondary_addresses_come_and_go(world, cloud):
    primary = world.primary()
    first = cloud.perform(fx.AssignPrivateIps(primary, 3))
    second = cloud.perform(fx.AssignPrivateIps(primary, 2))
    (described,) = cloud.perform(fx.DescribeEnis((primary,)))
    assert len(set(first + second)) == 5
    assert described.addresses == first + second
    cloud.perform(fx.UnassignPrivateIps(primary, first))
    (shown,) = cloud.perform(fx.ReadAttachedEnis())
    assert shown.addresses == second
    assert shown.primary_address not in second


def test_an_eni_is_born_with_tags_groups_and_addresses(world, cloud):
    eni_id = cloud.perform(fx.CreateEni(n_addresses=4))
    eni = world.enis()[eni_id]
    assert tags(eni) == {
        NODE_TAG: world.instance_id,
        CREATED_AT_TAG: "2026-01-02T03:04:05Z",
        "cluster.k8s.amazonaws.com/name": "blue",
        "team": "net",
    }
    assert eni["Description"] == f"aws-K8S-{world.instance_id}"
    assert eni["SubnetId"] == world.subnet_id
    assert len(eni["PrivateIpAddresses"]) == 5
    primary = world.enis()[world.primary()]
    assert [g["GroupId"] for g in eni["Groups"]] == [g["GroupId"] for g in primary["Groups"]]


def test_custom_networking_names_subnet_and_groups(world, cloud):
    other = world.direct.create_subnet(VpcId=world.vpc_id, CidrBlock="10.0.64.0/18")["Subnet"]
    group = world.direct.create_security_group(GroupName="x", Description="x", VpcId=world.vpc_id)
    effect = fx.CreateEni(subnet_id=other["SubnetId"], security_groups=(group["GroupId"],))
    eni_id = cloud.perform(effect)
    eni = world.enis()[eni_id]
    assert eni["SubnetId"] == other["SubnetId"]
    assert [each["GroupId"] for each in eni["Groups"]] == [group["GroupId"]]


def test_an_eni_is_attached_at_the_lowest_free_device_and_freed(world, cloud):
    ids = []
    for expected in (1, 2, 3):
        ids.append(cloud.perform(fx.CreateEni(n_addresses=1)))
        device = cloud.perform(fx.FindFreeDevice())
        assert device == expected
        attachment = cloud.perform(fx.AttachEni(ids[-1], device))
        cloud.perform(fx.DeleteWithInstance(ids[-1], attachment))
    (middle,) = cloud.perform(fx.DescribeEnis((ids[1],)))
    assert middle.status == "in-use"
    cloud.perform(fx.DetachEni(ids[1], middle.attachment_id))
    assert cloud.perform(fx.FindFreeDevice()) == 2
    cloud.perform(fx.DeleteEni(ids[1]))
    assert set(world.enis()) == {world.primary(), ids[0], ids[2]}
    shown = cloud.perform(fx.ReadAttachedEnis())
    assert [(eni.eni_id, eni.device_number) for eni in shown] == [
        (world.primary(), 0),
        (ids[0], 1),
        (ids[2], 3),
    ]


def test_deleting_with_the_instance_is_asked_of_that_attachment(world, cloud):
    cloud.perform(fx.DeleteWithInstance(world.primary(), "eni-attach-1"))
    asked = world.proxy.requests[-1]
    assert asked["Attachment.AttachmentId"] == "eni-attach-1"
    assert asked["Attachment.DeleteOnTermination"] == "true"


def test_an_enis_security_groups_are_replaced(world, cloud):
    group = world.direct.create_security_group(GroupName="y", Description="y", VpcId=world.vpc_id)
    eni_id = cloud.perform(fx.CreateEni())
    cloud.perform(fx.SetSecurityGroups(eni_id, (group["GroupId"],)))
    assert [each["GroupId"] for each in world.enis()[eni_id]["Groups"]] == [group["GroupId"]]
    primary = world.enis()[world.primary()]["Groups"]
    assert cloud.perform(fx.ReadSecurityGroups()) == tuple(each["GroupId"] for each in primary)


def test_describing_keeps_the_order_asked_for(world, cloud):
    ids = tuple(sorted(cloud.perform(fx.CreateEni()) for _ in range(5)))
    for asked in (ids, ids[::-1]):
        assert tuple(eni.eni_id for eni in cloud.perform(fx.DescribeEnis(asked))) == asked


def test_describing_none_asks_nothing(world, cloud):
    """EC2 takes an empty list of ids for no filter at all, and describes every ENI."""
    assert cloud.perform(fx.DescribeEnis(())) == ()
    assert world.proxy.requests == []


def test_taken_over_enis_get_the_nodes_tags(world, cloud):
    primary = world.primary()
    cloud.perform(fx.TagEni(primary))
    assert tags(world.enis()[primary])[NODE_TAG] == world.instance_id
    assert CREATED_AT_TAG not in tags(world.enis()[primary])
    cloud.perform(fx.TagCreatedAt(primary))
    assert tags(world.enis()[primary])[CREATED_AT_TAG] == "2026-01-02T03:04:05Z"


def test_nodeless_enis_are_those_of_this_cluster_and_vpc(world, cloud):
    mine = cloud.perform(fx.CreateEni())
    attached = cloud.perform(fx.CreateEni())
    cloud.perform(fx.AttachEni(attached, 1))
    world.cloud(cluster="green").perform(fx.CreateEni())
    world.direct.create_network_interface(SubnetId=world.subnet_id)
    vpc = world.direct.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    far = world.direct.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    cloud.perform(fx.CreateEni(subnet_id=far))
    (found,) = cloud.perform(fx.FindNodelessEnis())
    assert found.eni_id == mine
    assert found.status == "available"
    assert found.attachment_id is None
    assert found.tags[CREATED_AT_TAG] == "2026-01-02T03:04:05Z"


def test_subnets_are_those_of_the_zone(world, cloud):
    tag = [{"Key": "kubernetes.io/role/cni", "Value": "1"}]
    world.direct.create_tags(Resources=[world.subnet_id], Tags=tag)
    world.direct.create_subnet(
        VpcId=world.vpc_id, CidrBlock="10.0.128.0/18", AvailabilityZone="eu-west-1b"
    )
    (subnet,) = cloud.perform(fx.DescribeSubnets())
    assert subnet.subnet_id == world.subnet_id
    assert subnet.tags == {"kubernetes.io/role/cni": "1"}
    assert 16000 < subnet.available_addresses < 2**14


def test_detaching_what_is_detached_is_done(world, cloud):
    """A detach whose reply was lost is asked for again, and EC2 knows the attachment no more."""
    eni_id = cloud.perform(fx.CreateEni())
    attachment = cloud.perform(fx.AttachEni(eni_id, 1))
    for _ in range(2):
        assert cloud.perform(fx.DetachEni(eni_id, attachment)) is None
    assert world.enis()[eni_id]["Status"] == "available"


@pytest.mark.parametrize(
    "effect",
    [
        fx.DescribeEnis(("eni-00000000000000bad",)),
        fx.DeleteEni("eni-00000000000000bad"),
        fx.AssignPrivateIps("eni-00000000000000bad", 1),
        fx.UnassignPrivateIps("eni-00000000000000bad", ("10.0.0.9",)),
        fx.AttachEni("eni-00000000000000bad", 1),
    ],
    ids=lambda effect: type(effect).__name__,
)
def test_an_unknown_eni_is_not_found(cloud, effect):
    with pytest.raises(NotFoundError) as caught:
        cloud.perform(effect)
    assert caught.value.code == "InvalidNetworkInterfaceID.NotFound"
    assert caught.value.api == effect.api


def test_ec2_tells_the_same_of_the_instance_as_its_metadata(world, cloud):
    for count in (2, 3):
        eni_id = cloud.perform(fx.CreateEni(n_addresses=count))
        cloud.perform(fx.AttachEni(eni_id, cloud.perform(fx.FindFreeDevice())))
    of_ec2 = Ec2Metadata(cloud.ec2, world.instance_id)
    assert of_ec2.instance() == cloud.metadata.instance()
    assert of_ec2.security_groups() == cloud.metadata.security_groups()
    assert of_ec2.attached_enis() == cloud.metadata.attached_enis()


def test_what_kubernetes_and_the_checkpoint_know_is_asked_of_them(world):
    class Kept:
        def perform(self, effect):
            return ("kept", effect)

    config = fx.EniConfig(subnet_id="subnet-1")
    told = world.cloud(unschedulable=lambda: True, eni_config=lambda: config, checkpoint=Kept())
    assert told.perform(fx.ReadUnschedulable()) is True
    assert told.perform(fx.ReadEniConfig()) is config
    for effect in (fx.ReadCheckpoint(), fx.ForgetAssignments((("10.0.0.1", Sandbox("c0")),))):
        assert told.perform(effect) == ("kept", effect)
    untold = world.cloud()
    assert untold.perform(fx.ReadUnschedulable()) is False
    assert untold.perform(fx.ReadCheckpoint()) == ()
    assert untold.perform(fx.ForgetAssignments((("10.0.0.1", Sandbox("c0")),))) is None


def test_whatever_a_kubernetes_client_raises_is_a_cloud_error(world, caplog):
    """A read of the taints that timed out ended the loop."""

    def fails():
        raise OSError("timed out")

    cloud = world.cloud(unschedulable=fails, eni_config=fails)
    for effect in (fx.ReadUnschedulable(), fx.ReadEniConfig()):
        with pytest.raises(UnreachableError, match=r"^Kubernetes: .*: OSError: timed out$"):
            cloud.perform(effect)
    assert len(caplog.records) == 2
    with pytest.raises(CloudError, match="NotGiven"):
        world.cloud().perform(fx.ReadEniConfig())
