"""A served VPC as a file: whole or not there, the same when it is read, checked wholly."""

import copy
import json
import os
import random

import pytest

from ipam_core.endpoint import state as states
from ipam_core.endpoint.file import vpc_of
from ipam_core.endpoint.served import APIS, open_vpc
from ipam_core.endpoint.server import VpcServer
from ipam_core.errors import InputError
from ipam_core.units import NS
from support.vpc import http_request

SPEC = vpc_of(
    {
        "subnets": [
            {"id": "one", "cidr": "10.0.0.0/22", "used": 40,
             "reservations": [{"cidr": "10.0.3.0/24", "type": "prefix"}]},
            {"id": "two", "cidr": "10.0.8.0/24", "zone": "b"},
        ],
        "nodes": [{"instance_type": "m5.large", "count": 3},
                  {"name": "arm", "instance_type": "m8g.large", "count": 1}],
        "ec2": {"throttling": {"CreateTags": {"burst": 3, "per_second": 1}},
                "faults": [{"api": "DescribeVpcs", "code": "InternalError", "times": 5}],
                "metadata_lag": 4},
    },
    APIS,
)  # fmt: skip


def call(served, action, service="ec2", **params):
    """Make a call without the gate: nothing is late, throttled or struck."""
    return served.vpc.call(service, action, params)


def worked(served):
    """Let a VPC have something of everything."""
    first, second = [row.subnet_id for row in served.account.subnets]
    enis = [
        call(served, "CreateNetworkInterface", SubnetId=subnet, ClientToken=f"token-{n}",
             Ipv4PrefixCount=n, TagSpecifications=[{"ResourceType": "network-interface",
                                                    "Tags": [{"Key": "k", "Value": "v"}]}])
        ["NetworkInterface"]["NetworkInterfaceId"]
        for n, subnet in enumerate([first, first, second], 1)
    ]  # fmt: skip
    instance, *_, other = served.instance_ids()
    attached = call(served, "AttachNetworkInterface", NetworkInterfaceId=enis[0],
                    InstanceId=instance, DeviceIndex=1)  # fmt: skip
    served.move(5 * NS)
    call(served, "DetachNetworkInterface", AttachmentId=attached["AttachmentId"])
    call(served, "AssignPrivateIpAddresses", NetworkInterfaceId=enis[1],
         SecondaryPrivateIpAddressCount=2)  # fmt: skip
    call(served, "AssignIpv6Addresses", NetworkInterfaceId=enis[2], Ipv6PrefixCount=1)
    call(served, "CreateSubnetCidrReservation", SubnetId=second, Cidr="10.0.8.0/26",
         ReservationType="explicit")  # fmt: skip
    call(served, "TerminateInstances", InstanceIds=[other])
    return served


def described(served):
    """Return what EC2's API shows of everything, and what metadata shows."""
    shown = [
        call(served, action)
        for action in ("DescribeNetworkInterfaces", "DescribeInstances", "DescribeSubnets",
                       "DescribeVpcs", "DescribeSecurityGroups", "DescribeTags")
    ]  # fmt: skip
    shown += [
        call(served, "GetSubnetCidrReservations", SubnetId=row.subnet_id)
        for row in served.account.subnets
    ]
    return shown


def reopened(served, path, **how):
    states.write(path, states.dump(served.vpc, served.gate, served.metadata))
    return open_vpc(SPEC, held=True, state=path, **how)


def test_a_vpc_that_was_saved_is_the_same_again(tmp_path):
    served = worked(open_vpc(SPEC, held=True))
    before = described(served)
    again = reopened(served, tmp_path / "state.json")
    assert described(again) == before
    assert again.clock.now_ns() == served.clock.now_ns()
    assert again.metadata.lag_ns == 4 * NS
    assert states.dump(again.vpc, again.gate, again.metadata) == states.dump(
        served.vpc, served.gate, served.metadata
    )
    for subnet in again.account.subnets:
        subnet.subnet._check()


def test_what_was_under_way_goes_on(tmp_path):
    served = worked(open_vpc(SPEC, held=True))
    again = reopened(served, tmp_path / "state.json")
    for one in (served, again):
        one.move(60 * NS)
    assert described(again) == described(served)
    gone = [row for row in again.account.instances if row.state == "terminated"]
    assert len(gone) == 1


def test_a_client_token_is_known_after_it(tmp_path):
    served = worked(open_vpc(SPEC, held=True))
    again = reopened(served, tmp_path / "state.json")
    subnet = next(iter(again.account.subnets)).subnet_id
    params = {"SubnetId": subnet, "ClientToken": "token-1", "Ipv4PrefixCount": 1,
              "TagSpecifications": [{"ResourceType": "network-interface",
                                     "Tags": [{"Key": "k", "Value": "v"}]}]}  # fmt: skip
    n_before = len(again.account.enis)
    call(again, "CreateNetworkInterface", **params)
    assert len(again.account.enis) == n_before


def test_a_state_goes_on_as_the_vpc_that_was_saved(tmp_path):
    served = worked(open_vpc(SPEC, held=True))
    again = reopened(served, tmp_path / "state.json")

    def play(one):
        subnet = next(iter(one.account.subnets)).subnet_id
        return [call(one, "CreateNetworkInterface", SubnetId=subnet) for _ in range(5)]

    assert play(again) == play(served)


def test_a_clock_that_runs_goes_on_at_the_time_of_day_a_moved_one_where_it_was(tmp_path):
    path = tmp_path / "state.json"
    held = open_vpc(SPEC, held=True, state=path)
    held.move(60 * NS)
    held.close()
    assert open_vpc(SPEC, held=True, state=path).clock.now_ns() == 60 * NS
    assert open_vpc(SPEC, speed=2, state=path).clock.now_ns() < 120 * NS
    assert open_vpc(SPEC, state=path).clock.now_ns() > 3600 * NS
    far = open_vpc(SPEC, held=True, state=path)
    far.move(100 * 365 * 86400 * NS)
    far.close()
    assert open_vpc(SPEC, state=path).clock.now_ns() >= far.clock.now_ns()


def test_the_server_saves_when_it_is_left_and_goes_on_from_it(tmp_path):
    path = tmp_path / "state.json"
    with VpcServer(SPEC, held=True, state=path) as server:
        server.add_fault("CreateTags", "InternalError")
        server.move(10)
        assert not path.exists()
    with VpcServer(held=True, state=path) as server:
        faults = server.do(lambda served: [each.api for each in served.gate.faults.values()])
        assert faults == ["DescribeVpcs", "CreateTags"]
        assert server.do(lambda served: served.clock.now_ns()) == 10 * NS
        assert len(server.imds_urls) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_leaving_a_server_whose_state_cannot_be_saved_raises(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    server = VpcServer(held=True, state=folder / "state.json").__enter__()
    url = server.endpoint_url
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        server.__exit__()
    with pytest.raises(ConnectionRefusedError):
        http_request(url)


def test_a_token_of_instance_metadata_is_no_longer_good_after_a_restart(tmp_path):
    """Nor is it by chance the first one that another instance gets then."""
    path = tmp_path / "state.json"
    tokens = []
    for _ in range(2):
        with VpcServer(SPEC, held=True, state=path) as server:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
            url = list(server.imds_urls.values())[len(tokens)]
            tokens.append(http_request(url, "PUT", "/latest/api/token", headers=headers)[2])
            old = {"X-aws-ec2-metadata-token": tokens[0].decode()}
            status = http_request(server.imds_url, "GET", "/latest/meta-data/mac", headers=old)[0]
            assert status == (200 if len(tokens) == 1 else 401)
            server.move(1)


def test_a_write_that_fails_leaves_the_old_state(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    states.write(path, {"old": 1})

    def fails(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space") as caught:
        states.write(path, {"new": 1})
    assert caught.value.filename == str(path)
    assert json.loads(path.read_text()) == {"old": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


# --- damage -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    served = worked(open_vpc(SPEC, held=True))
    return json.loads(json.dumps(states.dump(served.vpc, served.gate, served.metadata)))


def refused(path):
    """Return the line with which a state is refused."""
    with pytest.raises(InputError) as told:
        open_vpc(SPEC, held=True, state=path)
    line = str(told.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    assert len(line) < 400 + len(str(path))
    return line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no state of a VPC"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"[]", "its format is not 'ipam-core served vpc'"),
        (b'{"format": "ipam-core served vpc", "version": 2}', "version 2; 1 is known"),
        (b'{"format": "ipam-core served vpc", "version": 1}', "ec2 is an object, not None"),
    ],
)
def test_what_is_no_state_is_refused(tmp_path, content, words):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert words in refused(path)


def test_a_state_that_is_cut_anywhere_is_refused(tmp_path, whole):
    path = tmp_path / "state.json"
    content = json.dumps(whole)
    for end in range(1, len(content) - 1, len(content) // 40):
        path.write_text(content[:end])
        refused(path)


def places(value, at=()):
    """Yield the path of everything in a document."""
    yield at
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            if not (at and at[-1] in ("chance",)) and "chances" not in at:
                yield from places(each, (*at, key))


def changed(whole, place, to):
    """Return a document with something else in one place."""
    found = copy.deepcopy(whole)
    inner = found
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = to
    return found


def test_whatever_is_of_another_type_or_missing_is_refused(tmp_path, whole):
    path = tmp_path / "state.json"
    every = [place for place in places(whole) if place]
    chance = random.Random(1)
    for place in chance.sample(every, 40):
        path.write_text(json.dumps(changed(whole, place, {"what": ["is this"]})))
        refused(path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("vpc", "enis", 0, "subnet_id"), "subnet-00000000000000000"),
        (("vpc", "enis", 0, "instance_id"), "i-00000000000000000"),
        (("vpc", "enis", 0, "primary_address"), "10.9.9.9"),
        (("vpc", "enis", 0, "primary_address"), "\n"),
        (("vpc", "enis", 0, "prefixes"), ["10.0.0.1/28"]),
        (("vpc", "enis", 0, "groups"), ["sg-00000000000000000"]),
        (("vpc", "subnets", 0, "cidr"), "10.0.0.0/8"),
        (("vpc", "subnets", 0, "vpc_id"), "vpc-0"),
        (("vpc", "subnets", 0, "others"), ["10.0.0.1"]),
        (("vpc", "subnets", 0, "reserved"), [["10.0.0.0/24", "nonsense"]]),
        (("vpc", "pending", 0, 2), "explode"),
        (("vpc", "secret"), "xyz"),
        (("vpc", "chance"), [3, [1, 2], None]),
        (("ec2", "chances"), []),
        (("ec2", "latencies"), {"X": {"median_s": 2.0, "p99_s": 1.0}}),
        (("ec2", "faults"), {"x": None}),
        (("now_ns",), True),
        (("now_ns",), 10**40),
        (("now_ns",), 2**63),
        (("now_ns",), -1),
        (("vpc", "enis", 0, "colour"), "red"),
        (("ec2", "colour"), "red"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, whole, place, value):
    path = tmp_path / "state.json"
    path.write_text(json.dumps(changed(whole, place, value)))
    assert "damaged: " in refused(path)


def test_an_address_that_two_interfaces_hold_is_refused(tmp_path, whole):
    path = tmp_path / "state.json"
    other = whole["vpc"]["enis"][1]["primary_address"]
    subnets = [each["subnet_id"] for each in whole["vpc"]["enis"]]
    twin = subnets.index(subnets[1])
    place = ("vpc", "enis", twin, "addresses")
    path.write_text(json.dumps(changed(whole, place, [other])))
    assert "damaged: " in refused(path)
