"""Faults on the way to EC2: typed, logged once, nothing leaked, and the node goes on."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ipam_core import Node, Sandbox, Settings, drive
from ipam_core import effects as fx
from ipam_core.cloud.aws import AwsCloud
from ipam_core.errors import (
    CloudError,
    DeniedError,
    InputError,
    ThrottledError,
    UnreachableError,
)
from ipam_core.instances import limits
from support.clock import Clock
from support.servers import REQUEST_ID, Fault

WARM_5 = Settings(warm_ip_target=5)


@pytest.fixture
def clock():
    return Clock()


def logged(caplog):
    return [each for each in caplog.records if each.name.startswith("ipam_core")]


# --- one effect -------------------------------------------------------------------

FAULTS = {
    "throttled": (Fault("*", "RequestLimitExceeded", status=503), ThrottledError),
    "expired": (Fault("*", "RequestExpired"), DeniedError),
    "denied": (Fault("*", "UnauthorizedOperation", status=403), DeniedError),
    "server error": (Fault("*", "InternalError", status=500), UnreachableError),
    "unknown": (Fault("*", "SomethingOfNextYear"), CloudError),
    "late": (Fault("*", "late", after_s=1.5), UnreachableError),
    "lost": (Fault("*", "lost"), UnreachableError),
    "half a reply": (Fault("*", "half"), UnreachableError),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_typed_and_logged_once_with_the_request_id(world, caplog, name):
    fault, kind = FAULTS[name]
    world.proxy.faults = [fault]
    cloud = world.cloud(attempts=2, read_timeout_s=0.3)
    with pytest.raises(CloudError) as caught:
        cloud.perform(fx.DescribeEnis((world.primary(),)))
    error = caught.value
    assert type(error) is kind
    assert error.api == "DescribeNetworkInterfaces"
    (record,) = logged(caplog)
    assert record.getMessage() == str(error)
    if name == "late":  # before the server gives up by itself
        assert error.code == "ReadTimeoutError"
    if fault.kind[0].isupper():
        assert (error.code, error.message) == (fault.kind, "said the test")
        assert error.request_id == record.request_id == REQUEST_ID


def test_connection_refused(world, caplog):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    cloud = world.cloud(endpoint_url=f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError) as caught:
        cloud.perform(fx.DescribeSubnets())
    assert caught.value.code == "EndpointConnectionError"
    assert len(logged(caplog)) == 1


def test_nobody_accepts_the_connection(world):
    """A server whose queue is full: packets go nowhere, as behind a security group."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        cloud = world.cloud(
            endpoint_url=f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.2
        )
        with pytest.raises(UnreachableError) as caught:
            cloud.perform(fx.DescribeSubnets())
    assert caught.value.code == "ConnectTimeoutError"


def test_no_credentials(world, monkeypatch, caplog):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    cloud = AwsCloud(boto3.Session(), endpoint_url=world.proxy_url, instance_id=world.instance_id)
    with pytest.raises(DeniedError) as caught:
        cloud.perform(fx.ReadAttachedEnis())
    assert caught.value.code == "NoCredentialsError"
    assert len(logged(caplog)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"endpoint_url": "not a url"}, "not a url"), ({"retry_mode": "harder"}, "harder")],
)
def test_options_that_cannot_be_are_refused(world, options, message):
    with pytest.raises(InputError, match=message):
        world.cloud(**options)


def test_attempts_retry_mode_and_user_agent_are_botocores(world):
    world.proxy.faults = [Fault("DescribeSubnets", "RequestLimitExceeded", times=2, status=503)]
    cloud = world.cloud(attempts=3, retry_mode="standard", user_agent="my-agent/7")
    cloud.perform(fx.DescribeSubnets())
    assert world.proxy.calls()["DescribeSubnets"] == 3
    agent = world.proxy.requests[-1]["User-Agent"]
    assert "ipam-core/" in agent
    assert agent.endswith("my-agent/7")
    assert "cfg/retry-mode#standard" in agent


# --- nothing twice, nothing leaked ------------------------------------------------


def creations(world):
    return [each for each in world.proxy.requests if each["Action"] == "CreateNetworkInterface"]


@pytest.mark.parametrize("kind", ["lost", "half", "late"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_creation_whose_reply_was_lost_makes_one_eni(world, kind, attempts):
    """By botocore's own retries, and by the node's next step when those are used up."""
    world.proxy.faults = [Fault("CreateNetworkInterface", kind, times=1, after_s=0.5)]
    later = datetime(2026, 1, 1, tzinfo=UTC)
    clock = iter(later + timedelta(seconds=s) for s in (0, 60))
    cloud = world.cloud(attempts=attempts, read_timeout_s=0.3, now=lambda: next(clock))
    try:
        eni_id = cloud.perform(fx.CreateEni(n_addresses=2))
    except UnreachableError:
        eni_id = cloud.perform(fx.CreateEni(n_addresses=2))
    tried = creations(world)
    assert len(tried) > 1
    assert len({each["ClientToken"] for each in tried}) == 1
    assert set(world.enis()) == {world.primary(), eni_id}


def test_a_throttled_creation_is_asked_for_again_as_it_was(world):
    """A try before the one that was throttled may have created the ENI."""
    world.proxy.faults = [
        Fault("CreateNetworkInterface", "lost", times=1),
        Fault("CreateNetworkInterface", "RequestLimitExceeded", times=1, status=503),
    ]
    cloud = world.cloud(attempts=2)
    with pytest.raises(ThrottledError):
        cloud.perform(fx.CreateEni())
    eni_id = cloud.perform(fx.CreateEni())
    assert set(world.enis()) == {world.primary(), eni_id}


def test_every_creation_that_was_answered_has_a_token_of_its_own(world):
    world.proxy.faults = [
        Fault("CreateNetworkInterface", "InsufficientFreeAddressesInSubnet", times=1)
    ]
    cloud = world.cloud()
    with pytest.raises(CloudError):
        cloud.perform(fx.CreateEni())
    first, second = cloud.perform(fx.CreateEni()), cloud.perform(fx.CreateEni())
    assert len({each["ClientToken"] for each in creations(world)}) == 3
    assert first != second


def test_a_creation_is_not_asked_for_again_when_the_leak_task_may_have_come(world):
    world.proxy.faults = [Fault("CreateNetworkInterface", "lost", times=1)]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = iter((start, start + timedelta(seconds=241)))
    cloud = world.cloud(now=lambda: next(clock))
    with pytest.raises(UnreachableError):
        cloud.perform(fx.CreateEni())
    cloud.perform(fx.CreateEni())
    assert len({each["ClientToken"] for each in creations(world)}) == 2


def test_an_eni_created_in_silence_is_deleted_by_the_leak_task(world, clock):
    """The step gave up: the ENI has its tags all the same, and goes after five minutes."""
    world.proxy.faults = [Fault("CreateNetworkInterface", "lost", times=1)]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    cloud = world.cloud(now=lambda: now)
    with pytest.raises(UnreachableError):
        cloud.perform(fx.CreateEni())
    (leaked,) = set(world.enis()) - {world.primary()}
    node = Node(limits("m5.xlarge"), WARM_5, clock_ns=clock)
    for age_s, deleted in ((299, ()), (301, (leaked,))):
        cleanup = drive(node.clean_leaked(now.timestamp() + age_s), cloud, sleep=clock.sleep)
        assert cleanup.deleted == deleted
    assert set(world.enis()) == {world.primary()}


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_attachment_whose_reply_was_lost_is_found(world, attempts):
    """Tried again it would be refused, and an attached ENI taken for one to delete."""
    cloud = world.cloud(attempts=attempts)
    eni_id = cloud.perform(fx.CreateEni())
    world.proxy.faults = [Fault("AttachNetworkInterface", "lost", times=1)]
    if attempts == 2:
        world.proxy.faults.append(Fault("AttachNetworkInterface", "InvalidParameterValue"))
    attachment_id = cloud.perform(fx.AttachEni(eni_id, 1))
    assert attachment_id == world.enis()[eni_id]["Attachment"]["AttachmentId"]


def full_node(world, cloud, clock):
    """Return a node whose primary ENI is full of pods: its next look creates an ENI."""
    node = Node(limits("m5.xlarge"), WARM_5, clock_ns=clock)
    drive(node.start(), cloud, sleep=clock.sleep)
    for number in range(14):
        if node.store.stats(clock()).assignable == 0:
            drive(node.adjust(), cloud, sleep=clock.sleep)
        node.add_pod(Sandbox(f"c{number}"))
    assert set(world.enis()) == {world.primary()}
    return node


@pytest.mark.parametrize(
    "api",
    [
        "CreateNetworkInterface",
        "DescribeInstances",
        "AttachNetworkInterface",
        "ModifyNetworkInterfaceAttribute",
    ],
)
@pytest.mark.parametrize("kind", ["UnauthorizedOperation", "InternalError", "half"])
def test_a_new_eni_that_fails_half_way_is_undone_and_later_had(world, clock, api, kind):
    cloud = world.cloud()
    node = full_node(world, cloud, clock)
    world.proxy.faults = [Fault(api, kind, times=1)]
    drive(node.adjust(), cloud, sleep=clock.sleep)
    done_all_the_same = kind == "half" and api == "AttachNetworkInterface"
    in_silence = kind == "half" and api == "CreateNetworkInterface"
    assert len(world.enis()) == 1 + (done_all_the_same or in_silence)
    drive(node.adjust(), cloud, sleep=clock.sleep)
    assert world.proxy.faults == []
    assert len(world.enis()) == 2
    assert all(eni["Status"] == "in-use" for eni in world.enis().values())
    assert len(node.store.enis()) == 2


def test_an_eni_that_metadata_does_not_show_is_waited_for_within_a_bound(world, clock):
    """It stays attached, and the reconcile that sees it takes it over."""
    cloud = world.cloud()
    node = full_node(world, cloud, clock)
    shown, before = world.metadata.tree, world.metadata.tree()
    world.metadata.tree = lambda: before
    start_s = clock.now_s
    drive(node.adjust(), cloud, sleep=clock.sleep)
    assert 60 < clock.now_s - start_s < 300
    assert isinstance(node.last_error, UnreachableError)
    assert len(node.store.enis()) == 1
    assert len(world.enis()) == 2
    world.metadata.tree = shown
    clock.sleep(61)
    drive(node.reconcile(), cloud, sleep=clock.sleep)
    assert {eni.eni_id for eni in node.store.enis()} == set(world.enis())
    assert node.add_pod(Sandbox("one more")).device_number == 1


def test_an_eni_that_cannot_be_deleted_is_left_to_the_leak_task(world, clock):
    cloud = world.cloud()
    node = full_node(world, cloud, clock)
    world.proxy.faults = [
        Fault("AttachNetworkInterface", "UnauthorizedOperation"),
        Fault("DeleteNetworkInterface", "UnauthorizedOperation"),
    ]
    drive(node.adjust(), cloud, sleep=clock.sleep)
    (left,) = set(world.enis()) - {world.primary()}
    assert isinstance(node.last_error, DeniedError)
    world.proxy.faults = []
    later_s = datetime.now(UTC).timestamp() + 400
    cleanup = drive(node.clean_leaked(later_s), cloud, sleep=clock.sleep)
    assert cleanup.deleted == (left,)


# --- the node goes on ---------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault("*", "RequestLimitExceeded", status=503),
        Fault("*", "ExpiredToken"),
        Fault("*", "UnauthorizedOperation"),
        Fault("*", "lost"),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_minute_of_faults_costs_only_time(world, clock, caplog, fault):
    cloud = world.cloud()
    node = full_node(world, cloud, clock)
    caplog.clear()
    world.proxy.requests.clear()
    world.proxy.faults = [fault]
    end_s = clock.now_s + 60
    while clock.now_s < end_s:
        drive(node.adjust(), cloud, sleep=clock.sleep)
        drive(node.reconcile(), cloud, sleep=clock.sleep)
        clock.sleep(5)
    assert len(logged(caplog)) == len(world.proxy.requests) > 0  # one attempt a call here
    assert isinstance(node.last_error, CloudError)
    assert node.store.stats(clock()).assigned == 14
    world.proxy.faults = []
    drive(node.adjust(), cloud, sleep=clock.sleep)
    drive(node.reconcile(), cloud, sleep=clock.sleep)
    assert not node.decide().low
    held = {eni["NetworkInterfaceId"] for eni in world.enis().values() if "Attachment" in eni}
    assert {eni.eni_id for eni in node.store.enis()} == held == set(world.enis())
    assert node.add_pod(Sandbox("one more")).address
    node.store._check()
