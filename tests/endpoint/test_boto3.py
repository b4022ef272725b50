"""boto3's paginators and waiters on a served VPC; every answer compared with AWS's model of it."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
from botocore.exceptions import ClientError, WaiterError

from support.aws_shapes import Watch, problems

SPEC = {
    "name": "blue",
    "subnets": [
        {"id": "subnet-0aaaaaaaaaaaaaaaa", "cidr": "10.0.0.0/24"},
        {"id": "subnet-0bbbbbbbbbbbbbbbb", "cidr": "10.0.1.0/24", "zone": "b"},
    ],
    "nodes": [{"name": "n", "instance_type": "m5.large", "count": 7}],
    "ec2": {"latency": False, "throttling": False},
}
SUBNET = "subnet-0aaaaaaaaaaaaaaaa"
WAIT = {"Delay": 0.05, "MaxAttempts": 100}


@pytest.fixture
def vpc_spec():
    return SPEC


@pytest.fixture
def watch(vpc):
    watch = Watch()
    for client in (vpc.ec2, vpc.sts, vpc.eks):
        watch.on(client)
    yield watch
    watch.check()
    assert watch.n > 0


# --- paginators ------------------------------------------------------------------------


def paged(client, operation, key, **params):
    paginator = client.get_paginator(operation)
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}, **params))
    sizes = [len(page[key]) for page in pages]
    return sizes, [item for page in pages for item in page[key]]


def instances(reservations):
    return [instance for each in reservations for instance in each["Instances"]]


def test_the_pages_of_each_list_are_the_list(vpc, watch):
    for number in range(12):
        vpc.ec2.create_network_interface(
            SubnetId=SUBNET,
            TagSpecifications=[
                {
                    "ResourceType": "network-interface",
                    "Tags": [{"Key": "number", "Value": str(number)}],
                }
            ],
        )
    for number, kind in enumerate(["prefix", "explicit"] * 3):
        vpc.ec2.create_subnet_cidr_reservation(
            SubnetId=SUBNET, Cidr=f"10.0.0.{16 * number}/28", ReservationType=kind
        )
    lists = {
        "describe_network_interfaces": "NetworkInterfaces",
        "describe_tags": "Tags",
        "describe_instances": "Reservations",
        "describe_subnets": "Subnets",
        "describe_vpcs": "Vpcs",
        "describe_security_groups": "SecurityGroups",
        "describe_instance_types": "InstanceTypes",
    }
    for operation, key in lists.items():
        sizes, items = paged(vpc.ec2, operation, key)
        everything = getattr(vpc.ec2, operation)()[key]
        if key == "Reservations":  # whose instances are counted, on several pages
            items, everything = instances(items), instances(everything)
        else:
            assert all(size == 5 for size in sizes[:-1])
        assert items == everything
    sizes, enis = paged(vpc.ec2, "describe_network_interfaces", "NetworkInterfaces")
    assert len(enis) == 12 + 7
    filters = [{"Name": "tag-key", "Values": ["number"]}]
    sizes, tagged = paged(
        vpc.ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters
    )
    assert sizes == [5, 5, 2]
    assert {each["TagSet"][0]["Value"] for each in tagged} == {str(n) for n in range(12)}
    reply = vpc.ec2.get_subnet_cidr_reservations(SubnetId=SUBNET, MaxResults=5)
    assert len(reply["SubnetIpv4CidrReservations"]) == 5
    rest = vpc.ec2.get_subnet_cidr_reservations(
        SubnetId=SUBNET, MaxResults=5, NextToken=reply["NextToken"]
    )
    assert len(rest["SubnetIpv4CidrReservations"]) == 1


def test_a_token_is_good_for_its_own_request_only(vpc):
    page = vpc.ec2.describe_network_interfaces(MaxResults=5)
    for params in (
        {"MaxResults": 5, "NextToken": page["NextToken"][:-4] + "AAA="},
        {"Filters": [{"Name": "status", "Values": ["available"]}], "NextToken": page["NextToken"]},
    ):
        with pytest.raises(ClientError) as refused:
            vpc.ec2.describe_network_interfaces(**params)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


# --- waiters ---------------------------------------------------------------------------


@pytest.fixture
def running(vpc):
    """A clock that goes on while a waiter waits: half a second every 10 ms."""
    ended = threading.Event()

    def run():
        while not ended.wait(0.01):
            vpc.move(0.5)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_waiters_end_when_what_they_wait_for_has_happened(vpc, watch, running):
    reply = vpc.ec2.run_instances(
        ImageId="ami-1", InstanceType="m5.large", MinCount=1, MaxCount=1, SubnetId=SUBNET
    )
    instance_id = reply["Instances"][0]["InstanceId"]
    for name in ("instance_exists", "instance_running"):
        vpc.ec2.get_waiter(name).wait(InstanceIds=[instance_id], WaiterConfig=WAIT)
    eni_id = vpc.ec2.create_network_interface(SubnetId=SUBNET)["NetworkInterface"][
        "NetworkInterfaceId"
    ]
    waiter = vpc.ec2.get_waiter("network_interface_available")
    waiter.wait(NetworkInterfaceIds=[eni_id], WaiterConfig=WAIT)
    attachment = vpc.ec2.attach_network_interface(
        NetworkInterfaceId=eni_id, InstanceId=instance_id, DeviceIndex=1
    )["AttachmentId"]
    vpc.ec2.detach_network_interface(AttachmentId=attachment)
    waiter.wait(NetworkInterfaceIds=[eni_id], WaiterConfig=WAIT)
    vpc.ec2.delete_network_interface(NetworkInterfaceId=eni_id)
    vpc.ec2.terminate_instances(InstanceIds=[instance_id])
    vpc.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance_id], WaiterConfig=WAIT)
    subnet = vpc.ec2.create_subnet(
        VpcId=vpc.ec2.describe_vpcs()["Vpcs"][0]["VpcId"], CidrBlock="10.0.9.0/24"
    )["Subnet"]
    vpc.ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet["SubnetId"]], WaiterConfig=WAIT)
    vpc.ec2.get_waiter("vpc_available").wait(VpcIds=[subnet["VpcId"]], WaiterConfig=WAIT)
    vpc.eks.get_waiter("cluster_active").wait(name="blue", WaiterConfig=WAIT)


def test_a_waiter_fails_at_what_will_never_be(vpc):
    with pytest.raises(WaiterError, match=r"InvalidNetworkInterfaceID\.NotFound"):
        vpc.ec2.get_waiter("network_interface_available").wait(
            NetworkInterfaceIds=["eni-0123456789abcdef0"], WaiterConfig=WAIT
        )


def test_botocore_tries_a_throttled_call_again(vpc):
    vpc.fault("DescribeSubnets", "RequestLimitExceeded", times=2)
    client = vpc.client("ec2", retries={"total_max_attempts": 3, "mode": "standard"})
    with closing(client):
        started = time.monotonic()
        reply = client.describe_subnets()
    assert reply["ResponseMetadata"]["RetryAttempts"] == 2
    assert time.monotonic() - started < 10


# --- the comparison itself --------------------------------------------------------------


def test_the_other_services_answer_as_their_models_say(vpc, watch):
    assert vpc.sts.get_caller_identity()["Account"] == "111122223333"
    assert vpc.eks.describe_cluster(name="blue")["cluster"]["status"] == "ACTIVE"
    assert vpc.eks.list_nodegroups(clusterName="blue")["nodegroups"] == ["n"]


def test_the_comparison_finds_what_botocore_passes_over(vpc):
    operation = vpc.ec2.meta.service_model.operation_model("DescribeNetworkInterfaces")
    kept = []
    vpc.ec2.meta.events.register(
        "before-parse", lambda response_dict, **_: kept.append(response_dict["body"].decode())
    )
    vpc.ec2.describe_network_interfaces()
    (body,) = kept
    assert problems(operation, body) == []
    mac = "DescribeNetworkInterfaces.NetworkInterfaces[]"
    for old, new, problem in (
        ("<macAddress>", "<mac>", f"{mac}: unknown member <mac>"),
        ("<sourceDestCheck>true", "<sourceDestCheck>yes", f"{mac}.SourceDestCheck: 'yes' is no "),
        ("<interfaceType>interface", "<interfaceType>eni", f"{mac}.InterfaceType: 'eni' is no "),
        ("<requestId>", "<requestID>", "DescribeNetworkInterfaces: unknown member <requestID>"),
        ("2016-11-15", "2015-01-01", "namespace "),
        ("<deviceIndex>0", "<deviceIndex>zero", f"{mac}.Attachment.DeviceIndex: 'zero' is no "),
    ):
        damaged = body.replace(old, new).replace(old.replace("<", "</"), new.replace("<", "</"))
        assert damaged != body
        found = problems(operation, damaged)
        assert any(each.startswith(problem) for each in found), (problem, found)
