"""SimulatedCloud and the served VPC are one EC2: they refuse with the same codes and texts."""

from __future__ import annotations

import pytest

from ipam_core import SimulatedCloud
from ipam_core import effects as fx
from ipam_core.cloud.aws import AwsCloud
from ipam_core.cloud.metadata import Ec2Metadata
from ipam_core.endpoint.vpc import Delays, Vpc
from ipam_core.errors import CloudError
from support.loopback import loopback
from support.vpcs import Clock, launch

TYPE, CIDR = "m5.large", "10.0.0.0/26"
SOON = Delays(attached_s=0, detached_s=0, running_s=0, terminated_s=0)
UNKNOWN = "eni-00000000000000000"


def simulated():
    cloud = SimulatedCloud(TYPE, cidr=CIDR, seed=1)
    return cloud, cloud.attached()[0].eni_id


def served():
    clock = Clock()
    vpc = Vpc(seed=1, clock_ns=clock, delays=SOON)
    vpc.account.add_subnet(CIDR)
    instance_id = launch(vpc, clock, InstanceType=TYPE)
    cloud = AwsCloud(instance_id=instance_id)
    cloud.ec2.client = loopback(vpc)
    cloud.metadata = Ec2Metadata(cloud.ec2, instance_id)
    (primary,) = vpc.account.enis.by_key
    return cloud, primary


def attach_more(cloud, primary):
    """Attach interfaces until the type allows no more."""
    for device in range(1, 4):
        cloud.perform(fx.AttachEni(cloud.perform(fx.CreateEni()), device))


MISDEEDS = {
    "an unknown ENI": lambda cloud, primary: cloud.perform(fx.AssignPrivateIps(UNKNOWN, 1)),
    "too many addresses": lambda cloud, primary: cloud.perform(fx.AssignPrivateIps(primary, 10)),
    "too many prefixes": lambda cloud, primary: cloud.perform(fx.AssignPrefixes(primary, 10)),
    "no free /28": lambda cloud, primary: cloud.perform(fx.AssignPrefixes(primary, 3)),
    "no free /28 for a new ENI": lambda cloud, primary: cloud.perform(fx.CreateEni(n_prefixes=3)),
    "no room for a new ENI": lambda cloud, primary: cloud.perform(fx.CreateEni(n_prefixes=4)),
    "no free address": lambda cloud, primary: [
        cloud.perform(fx.CreateEni(n_addresses=9)) for _ in range(9)
    ],
    "one interface more": attach_more,
    "in use": lambda cloud, primary: cloud.perform(fx.DeleteEni(primary)),
    "not its address": lambda cloud, primary: cloud.perform(
        fx.UnassignPrivateIps(primary, ("10.0.0.60",))
    ),
    "not its prefix": lambda cloud, primary: cloud.perform(
        fx.UnassignPrefixes(primary, ("10.0.0.16/28",))
    ),
}


def refusal(make, misdeed):
    cloud, primary = make()
    with pytest.raises(CloudError) as caught:
        misdeed(cloud, primary)
    error = caught.value
    return type(error), error.api, error.code, error.message.replace(primary, "eni-PRIMARY")


@pytest.mark.parametrize("name", MISDEEDS)
def test_a_misdeed_is_refused_alike(name, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert refusal(served, MISDEEDS[name]) == refusal(simulated, MISDEEDS[name])
