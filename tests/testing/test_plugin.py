"""The pytest plugin: its fixtures serve VPCs, and cost those nothing who do not use them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import numpy  # noqa: F401 - pytester unloads what its runs load; NumPy cannot be loaded twice
import pytest
from botocore.exceptions import ClientError

from ipam_core import Node, Sandbox, Settings, drive
from ipam_core import effects as fx
from ipam_core.errors import InputError, SubnetFullError, ThrottledError
from ipam_core.testing import CHECKS, TestVpc

pytest_plugins = ["pytester"]
HEAVY = ("boto3", "botocore", "aiohttp", "numpy", "asyncio", "yaml", "ipam_core.endpoint")


def test_the_plugin_is_found_by_its_entry_point():
    (found,) = [each for each in entry_points(group="pytest11") if each.name == "ipam_core"]
    assert found.value == "ipam_core.testing.plugin"


def test_loading_it_imports_nothing_heavy_and_no_more_than_a_few_modules():
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import ipam_core.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not {name for name in loaded for heavy in HEAVY if f"{name}.".startswith(f"{heavy}.")}
    assert len(loaded) < 8, loaded


def test_the_fixtures_in_a_project_of_somebody_else(pytester):
    pytester.makepyfile(
        """
        import pytest

        def test_as_it_is(vpc):
            (eni,) = vpc.ec2.describe_network_interfaces()["NetworkInterfaces"]
            assert eni["Attachment"]["InstanceId"] == vpc.instance_ids[0]
            assert vpc.sts.get_caller_identity()["Account"]

        class TestSpec:
            @pytest.fixture
            def vpc_spec(self):
                return {"subnets": [{"id": "subnet-a", "cidr": "10.9.0.0/24"}]}

            def test_overridden(self, vpc):
                (subnet,) = vpc.ec2.describe_subnets()["Subnets"]
                assert subnet["CidrBlock"] == "10.9.0.0/24"

        def test_two_of_them(make_vpc):
            one, two = make_vpc(seed=1), make_vpc(seed=2)
            assert one.endpoint_url != two.endpoint_url
            assert one.instance_ids != two.instance_ids
        """
    )
    pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=3)


# --- what the fixture offers -----------------------------------------------------------


def test_time_stands_until_it_is_moved(vpc):
    created = vpc.ec2.create_network_interface(SubnetId=only_subnet(vpc))["NetworkInterface"]
    vpc.ec2.attach_network_interface(
        NetworkInterfaceId=created["NetworkInterfaceId"],
        InstanceId=vpc.instance_ids[0],
        DeviceIndex=1,
    )

    def status():
        (found,) = vpc.ec2.describe_network_interfaces(
            NetworkInterfaceIds=[created["NetworkInterfaceId"]]
        )["NetworkInterfaces"]
        return found["Attachment"]["Status"]

    assert [status(), status()] == ["attaching", "attaching"]
    vpc.move(60)
    assert status() == "attached"
    with pytest.raises(InputError):
        vpc.move(-1)


def only_subnet(vpc):
    (subnet,) = vpc.ec2.describe_subnets()["Subnets"]
    return subnet["SubnetId"]


def test_faults_strike_as_often_as_they_are_told_and_reach_a_node_typed(vpc):
    cloud = vpc.cloud()
    (primary,) = cloud.perform(fx.ReadAttachedEnis())
    vpc.fault("AssignPrivateIpAddresses", "InsufficientFreeAddressesInSubnet", times=1)
    with pytest.raises(SubnetFullError):
        cloud.perform(fx.AssignPrivateIps(primary.eni_id, 1))
    assert len(cloud.perform(fx.AssignPrivateIps(primary.eni_id, 1))) == 1
    vpc.fault("DescribeNetworkInterfaces", "RequestLimitExceeded")
    with pytest.raises(ThrottledError):
        cloud.perform(fx.DescribeEnis((primary.eni_id,)))
    with pytest.raises(ClientError) as refused:
        vpc.ec2.describe_network_interfaces()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    vpc.clear_faults()
    assert len(cloud.perform(fx.DescribeEnis((primary.eni_id,)))) == 1


def test_a_node_lives_on_it_in_prefix_mode(make_vpc):
    vpc = make_vpc({"nodes": [{"name": "n", "instance_type": "m5.large", "count": 2}]})
    second = vpc.instance_ids[1]
    cloud = vpc.cloud(second, cluster="blue")
    assert cloud.instance.instance_id == second
    node = Node(cloud_limits(cloud), Settings(enable_prefix_delegation=True))
    drive(node.start(), cloud, sleep=vpc.move)
    pods = {node.add_pod(Sandbox(f"c{n}"), f"default/p{n}").address for n in range(16)}
    assert len(pods) == 16
    drive(node.adjust(), cloud, sleep=vpc.move)
    vpc.move(1)  # instance metadata lags
    (primary,) = cloud.perform(fx.ReadAttachedEnis())
    assert len(primary.prefixes) == 2


def cloud_limits(cloud):
    from ipam_core.instances import limits

    return limits(cloud.instance.instance_type)


def test_other_programs_are_given_its_environment(vpc):
    before = dict(vpc.environ)
    code = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'],"
        " boto3.client('ec2').describe_subnets()['Subnets'][0]['CidrBlock'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=before
    )
    assert done.stdout.split() == ["111122223333", "10.0.0.0/16"]


def test_a_wrong_spec_is_refused_and_nothing_is_left(recwarn):
    with pytest.raises(InputError, match="subnets"), TestVpc({"subnets": [{"cidr": "10.0.0.0/8"}]}):
        pass
    assert not recwarn


# --- the contract over it -----------------------------------------------------------------


class Served:
    """`AwsCloud` over a served VPC, as a factory of `check_cloud`; it can be closed."""

    def __init__(self, instance_type, *, cidr):
        subnets = [{"id": "subnet", "cidr": cidr}]
        nodes = [{"name": "node", "instance_type": instance_type, "count": 1}]
        ec2 = {"latency": False, "throttling": False}
        self.vpc = TestVpc({"subnets": subnets, "nodes": nodes, "ec2": ec2})
        self.vpc.__enter__()
        self.perform = self.vpc.cloud().perform
        self.close = self.vpc.__exit__


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_served_vpc_keeps_the_contract(check):
    opened = []

    def factory(*given, **named):
        opened.append(Served(*given, **named))
        return opened[-1]

    check(factory, sleep=lambda s: opened[-1].vpc.move(s))  # noqa: PLW0108 - not there yet
