"""The calls as CloudTrail records them, whole after each call, and what doctor makes of them."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

import pytest

from ipam_core.cli._app import run
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.diagnosis.inputs.cloudtrail import is_trail
from ipam_core.endpoint.callers import Caller
from ipam_core.endpoint.gate import ServedCall
from ipam_core.endpoint.server import VpcServer
from ipam_core.endpoint.trail import Trail, record_of
from ipam_core.errors import InputError
from ipam_core.units import NS
from support.vpc import client

pytest.importorskip("boto3")
NODE = Caller(access_key="i-0123456789abcdef0", source="10.0.0.7", user_agent="amazon-vpc-cni-k8s")
SPEC = {
    "subnets": [{"id": "one", "cidr": "10.0.0.0/26"}],
    "nodes": [{"instance_type": "m5.large", "count": 2}],
    "ec2": {"latency": False, "throttling": False},
}


def called(action, params=None, *, reply=None, error=None, time_s=0, service="ec2"):
    return ServedCall(
        request_id="7a62c49f-347e-4fc4-9331-6e8e00000000",
        service=service,
        action=action,
        params=params or {},
        caller=NODE,
        time_ns=time_s * NS,
        reply={} if reply is None and error is None else reply,
        error=error,
    )


def read(path):
    document = json.loads(path.read_text())
    assert is_trail(document)
    return document["Records"]


# --- records ------------------------------------------------------------------------------


def test_a_record_says_who_called_what_from_where():
    record = record_of(called("DescribeSubnets", time_s=90), "eu-west-1")
    assert record["userIdentity"]["arn"].endswith(":assumed-role/node/i-0123456789abcdef0")
    assert record["userIdentity"]["accessKeyId"].startswith("ASIA")
    assert (record["sourceIPAddress"], record["userAgent"]) == ("10.0.0.7", "amazon-vpc-cni-k8s")
    assert (record["eventTime"], record["awsRegion"]) == ("2026-01-01T00:01:30Z", "eu-west-1")
    assert (record["eventSource"], record["readOnly"]) == ("ec2.amazonaws.com", True)
    assert record["requestParameters"] is record["responseElements"] is None
    assert "errorCode" not in record


@pytest.mark.parametrize(
    ("action", "params", "recorded"),
    [
        ("AssignPrivateIpAddresses", {"NetworkInterfaceId": "eni-1", "Ipv4PrefixCount": 2},
         {"networkInterfaceId": "eni-1", "ipv4PrefixCount": 2}),
        ("UnassignPrivateIpAddresses",
         {"NetworkInterfaceId": "eni-1", "PrivateIpAddresses": ["10.0.0.4", "10.0.0.5"]},
         {"networkInterfaceId": "eni-1", "privateIpAddressesSet": {"items": [
             {"privateIpAddress": "10.0.0.4"}, {"privateIpAddress": "10.0.0.5"}]}}),
        ("DescribeNetworkInterfaces",
         {"NetworkInterfaceIds": ["eni-1"], "Filters": [{"Name": "status", "Values": ["x", "y"]}]},
         {"networkInterfaceIdSet": {"items": [{"networkInterfaceId": "eni-1"}]},
          "filterSet": {"items": [{"name": "status", "valueSet": {"items": [
              {"value": "x"}, {"value": "y"}]}}]}}),
        ("CreateTags", {"Resources": ["eni-1"], "Tags": [{"Key": "k", "Value": "v"}]},
         {"resourcesSet": {"items": [{"resourceId": "eni-1"}]},
          "tagSet": {"items": [{"key": "k", "value": "v"}]}}),
        ("ModifyNetworkInterfaceAttribute",
         {"NetworkInterfaceId": "eni-1",
          "Attachment": {"AttachmentId": "eni-attach-1", "DeleteOnTermination": True}},
         {"networkInterfaceId": "eni-1",
          "attachment": {"attachmentId": "eni-attach-1", "deleteOnTermination": True}}),
        ("CreateNetworkInterface",
         {"SubnetId": "subnet-1", "Groups": ["sg-1"],
          "TagSpecifications": [{"ResourceType": "network-interface",
                                 "Tags": [{"Key": "k", "Value": "v"}]}]},
         {"subnetId": "subnet-1", "groupSet": {"items": [{"groupId": "sg-1"}]},
          "tagSpecificationSet": {"items": [{"resourceType": "network-interface",
                                             "tags": [{"key": "k", "value": "v"}]}]}}),
        ("RunInstances", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 2, "SubnetId": "subnet-1"},
         {"subnetId": "subnet-1",
          "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 2}]}}),
    ],
)  # fmt: skip
def test_parameters_have_the_names_that_cloudtrail_gives_them(action, params, recorded):
    assert record_of(called(action, params), "us-east-1")["requestParameters"] == recorded


def test_what_changed_something_is_recorded_with_its_answer():
    record = record_of(
        called(
            "AssignPrivateIpAddresses",
            reply={
                "NetworkInterfaceId": "eni-1",
                "AssignedPrivateIpAddresses": [],
                "AssignedIpv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}],
            },
        ),
        "us-east-1",
    )
    assert record["responseElements"] == {
        "requestId": "7a62c49f-347e-4fc4-9331-6e8e00000000",
        "networkInterfaceId": "eni-1",
        "assignedPrivateIpAddressesSet": {},
        "assignedIpv4PrefixSet": {"items": [{"ipv4Prefix": "10.0.0.16/28"}]},
    }
    deleted = record_of(called("DeleteNetworkInterface"), "us-east-1")
    assert deleted["responseElements"]["_return"] is True


@pytest.mark.parametrize(
    ("service", "code", "recorded"),
    [
        ("ec2", "UnauthorizedOperation", "Client.UnauthorizedOperation"),
        ("ec2", "RequestLimitExceeded", "Client.RequestLimitExceeded"),
        ("ec2", "InternalError", "Server.InternalError"),
        ("eks", "ResourceNotFoundException", "ResourceNotFoundException"),
    ],
)
def test_an_error_is_recorded_with_its_side(service, code, recorded):
    record = record_of(called("X", error=Ec2Error(code, "why"), service=service), "us-east-1")
    assert (record["errorCode"], record["errorMessage"]) == (recorded, "why")
    assert record["responseElements"] is None


# --- files --------------------------------------------------------------------------------


def test_the_file_is_whole_after_each_call_and_goes_on_after_a_restart(tmp_path):
    path = tmp_path / "trail.json"
    for start in (0, 5):
        trail = Trail(path)
        for number in range(start, start + 5):
            trail.write(called("CreateTags", time_s=number))
            assert len(read(path)) == number + 1
        trail.close()
        trail.close()
    times = [record["eventTime"] for record in read(path)]
    assert times == sorted(times)


def test_a_folder_has_a_file_for_every_five_minutes_named_as_cloudtrail_does(tmp_path):
    trail = Trail(tmp_path / "trail", is_folder=True, region="eu-west-1")
    for time_s in (0, 299, 300, 3601):
        trail.write(called("CreateTags", time_s=time_s))
    trail.close()
    found = {path.name: len(read(path)) for path in (tmp_path / "trail").iterdir()}
    prefix, suffix = "111122223333_CloudTrail_eu-west-1_20260101T", "_00000000ipamcore.json"
    assert found == {f"{prefix}{time}Z{suffix}": n
                     for time, n in [("0000", 2), ("0005", 1), ("0100", 1)]}  # fmt: skip


@pytest.mark.parametrize("content", ["x", '{"Records":[\n', '{"Records":[]}', "[]\n]}\n"])
def test_a_file_that_is_no_trail_is_left_alone(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError, match="no trail of ipam-core"):
        Trail(path)
    assert path.read_text() == content


def test_a_trail_that_cannot_be_written_warns_once_and_takes_half_a_record_back(
    tmp_path, monkeypatch, caplog
):
    path = tmp_path / "trail.json"
    trail = Trail(path)
    trail.write(called("CreateTags"))
    whole = path.read_bytes()
    write = os.pwrite

    def full(file, text, at):
        return write(file, text[: len(text) // 2], at) if len(text) > 10 else write(file, text, at)

    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING):
        trail.write(called("CreateTags"))
        trail.write(called("CreateTags"))
    assert path.read_bytes() == whole
    assert len(caplog.records) == 1
    assert "is not complete" in caplog.text
    monkeypatch.undo()
    trail.write(called("DeleteTags"))
    assert [record["eventName"] for record in read(path)] == ["CreateTags", "DeleteTags"]
    trail.close()


# --- the server, and doctor ---------------------------------------------------------------


def diagnosed(capsys, *arguments):
    status = run(["doctor", *map(str, arguments)])
    return status, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("folder", [False, True])
def test_doctor_finds_in_the_trail_why_calls_fail(tmp_path, capsys, folder):
    path = tmp_path / ("trail" if folder else "trail.json")
    if folder:
        path.mkdir()
    with VpcServer(SPEC, held=True, trail=path) as server:
        ec2 = client(server, access_key=next(iter(server.imds_urls)))
        enis = ec2.describe_network_interfaces()["NetworkInterfaces"]
        for eni in enis:
            for _ in range(2):
                with suppress(Exception):
                    ec2.assign_private_ip_addresses(
                        NetworkInterfaceId=eni["NetworkInterfaceId"], Ipv4PrefixCount=2
                    )
        server.add_fault("CreateNetworkInterface", "UnauthorizedOperation")
        with pytest.raises(Exception, match="not authorized"):
            ec2.create_network_interface(SubnetId=enis[0]["SubnetId"])
        status, text = diagnosed(capsys, path)  # while it runs
    assert status == 1
    assert "may not call CreateNetworkInterface" in text
    assert "no free /28 left" in text
    assert "with the node's role (node)" in text


def test_a_throttled_call_and_who_makes_calls_are_in_the_trail(tmp_path):
    path = tmp_path / "trail.json"
    spec = {**SPEC, "ec2": {"throttling": {"DescribeVpcs": {"burst": 1, "per_second": 0}}}}
    with VpcServer(spec, held=True, trail=path) as server:
        for key in ("i-0123456789abcdef0", "AKIAIOSFODNN7EXAMPLE"):
            with suppress(Exception):
                client(server, access_key=key).describe_vpcs()
    first, second = read(path)
    assert "errorCode" not in first
    assert second["errorCode"] == "Client.RequestLimitExceeded"
    assert [one["userIdentity"]["type"] for one in (first, second)] == ["AssumedRole", "IAMUser"]
    assert "Boto3" in first["userAgent"]


def test_the_trail_of_the_example_is_read_by_whatever_reads_cloudtrail(tmp_path):
    path = tmp_path / "trail.json"
    example = Path(__file__).parents[2] / "examples" / "vpc.yaml"
    with VpcServer(example, held=True, trail=path) as server:
        ec2 = client(server)
        first = ec2.describe_subnets()["Subnets"][0]
        assert first["SubnetId"] == "subnet-0aaaaaaaaaaaaaaaa"
        [eni, *_] = ec2.describe_network_interfaces(
            Filters=[{"Name": "subnet-id", "Values": [first["SubnetId"]]}]
        )["NetworkInterfaces"]
        found = []
        for _ in range(4):
            try:
                ec2.assign_private_ip_addresses(
                    NetworkInterfaceId=eni["NetworkInterfaceId"], Ipv4PrefixCount=2
                )
                found.append("done")
            except Exception as error:
                found.append(error.response["Error"]["Code"])
        free = ec2.describe_subnets(SubnetIds=[first["SubnetId"]])["Subnets"][0]
    # The acceptance of a served VPC: prefixes, then a fragmented subnet's refusal.
    assert found == ["done", "done", "InsufficientCidrBlocks", "InsufficientCidrBlocks"]
    assert free["AvailableIpAddressCount"] > 300
    assert {"requestID", "eventID", "eventVersion"} <= read(path)[0].keys()
