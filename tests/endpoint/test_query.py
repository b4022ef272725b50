"""Every action there and back: botocore's serializer, `parse`, the action, `render`, its parser."""

import base64
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from ipam_core.cloud import refusals
from ipam_core.cloud.refusals import Ec2Error
from ipam_core.endpoint import query, replies, requests
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.models import operation
from ipam_core.endpoint.vpc import Vpc
from support.loopback import loopback as client

VERSION = "Version=2016-11-15"


def parsed(text, service="ec2"):
    return query.parse(service, {}, text.encode(), "/")


def refused(text, service="ec2"):
    with pytest.raises(Ec2Error) as caught:
        parsed(text, service)
    return caught.value.code, caught.value.message


@pytest.fixture(autouse=True)
def answers_are_validated():
    """Some replies here are empty on purpose."""


def test_each_kind_of_parameter_arrives_as_botocore_sent_it():
    """Structures, lists in lists, blobs, times, booleans and counts of RunInstances and others."""
    vpc, seen = Vpc(), []
    vpc.call = lambda service, action, params: seen.append((action, params)) or {}
    sent = {
        "ImageId": "ami-1",
        "MinCount": 1,
        "MaxCount": 2,
        "UserData": "#!/bin/sh & <é>",
        "EbsOptimized": True,
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": False}}
        ],
        "SecurityGroupIds": [f"sg-{number}" for number in range(12)],
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "Groups": ["sg-1", "sg-2"],
                "PrivateIpAddresses": [
                    {"Primary": True, "PrivateIpAddress": "10.0.0.4"},
                    {"PrivateIpAddress": "10.0.0.5"},
                ],
                "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}],
            }
        ],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": ""}]}],
        "ClientToken": "t",
    }
    ec2 = client(vpc)
    ec2.run_instances(**sent)
    sent["UserData"] = base64.b64encode(sent["UserData"].encode()).decode()  # botocore's own
    assert seen.pop() == ("RunInstances", sent)
    window = {"StartTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}
    ec2.describe_spot_price_history(**window)
    assert seen.pop() == ("DescribeSpotPriceHistory", window)
    blob = {"KeyName": "k", "PublicKeyMaterial": b"\x00\xff"}
    ec2.import_key_pair(**blob)
    assert seen.pop() == ("ImportKeyPair", blob)
    ec2.request_spot_fleet(
        SpotFleetRequestConfig={
            "IamFleetRole": "r", "TargetCapacity": 1,
            "LaunchSpecifications": [{"WeightedCapacity": 2.5}],
        }
    )  # fmt: skip
    (_, params) = seen.pop()
    assert params["SpotFleetRequestConfig"]["LaunchSpecifications"] == [{"WeightedCapacity": 2.5}]


def test_items_are_in_order_of_their_numbers_and_gaps_close():
    text = f"Action=CreateTags&{VERSION}&ResourceId.10=c&ResourceId.2=b&ResourceId.1=a&Tag.1.Key=k"
    assert parsed(text)[1]["Resources"] == ["a", "b", "c"]


def test_what_a_query_is_signed_with_is_no_parameter():
    text = f"Action=DescribeVpcs&{VERSION}&AWSAccessKeyId=x&Signature=y&X-Amz-Date=z"
    assert parsed(text) == ("DescribeVpcs", {})
    assert query.parse("ec2", {}, b"", f"/?Action=DescribeVpcs&{VERSION}", method="GET") == (
        "DescribeVpcs",
        {},
    )


BAD = {
    "": ("MissingAction", "The request must contain the parameter Action."),
    "Action=DescribeVpcs": ("MissingParameter", "The request must contain the parameter Version"),
    f"Action=Fly&{VERSION}": (
        "InvalidAction",
        "The action Fly is not valid for this web service.",
    ),
    "Action=DescribeVpcs&Version=2016-11-16": (
        "NoSuchVersion",
        "The requested version (2016-11-16) of service Amazon EC2 does not exist",
    ),
    f"Action=DescribeVpcs&{VERSION}&Fly=1": (
        "UnknownParameter",
        "The parameter Fly is not recognized",
    ),
    f"Action=DescribeVpcs&{VERSION}&Filter.1.Name.Fly=1": ("UnknownParameter", None),
    f"Action=DescribeVpcs&{VERSION}&Filter.1=1": ("UnknownParameter", None),
    f"Action=DescribeVpcs&{VERSION}&Filter.0.Name=1": ("UnknownParameter", None),
    f"Action=DescribeVpcs&{VERSION}&Filter.99999.Name=1": ("UnknownParameter", None),
    f"Action=DescribeVpcs&{VERSION}&Filter.x.Name=1": ("UnknownParameter", None),
    f"Action=DescribeVpcs&{VERSION}&Filter.²=1": ("MalformedQueryString", None),
    f"Action=DescribeVpcs&{VERSION}&MaxResults=1": (
        "InvalidParameterValue",
        "Value ( 1 ) for parameter MaxResults is invalid. Expecting a value greater than 5.",
    ),
    f"Action=DescribeVpcs&{VERSION}&MaxResults=1001": (
        "InvalidParameterValue",
        "Value ( 1001 ) for parameter MaxResults is invalid. Expecting a value less than 1000.",
    ),
    f"Action=DescribeVpcs&{VERSION}&MaxResults=many": (
        "InvalidParameterValue",
        "Value (many) for parameter MaxResults is invalid. Parameter must be an integer.",
    ),
    f"Action=DescribeVpcs&{VERSION}&MaxResults=99999999999": ("InvalidParameterValue", None),
    f"Action=DescribeVpcs&{VERSION}&DryRun=perhaps": ("InvalidParameterValue", None),
    f"Action=ImportKeyPair&{VERSION}&KeyName=k&PublicKeyMaterial=_": (
        "InvalidParameterValue",
        None,
    ),
    f"Action=DescribeSpotPriceHistory&{VERSION}&StartTime=noon": ("InvalidParameterValue", None),
    f"Action=AttachNetworkInterface&{VERSION}&DeviceIndex=1&InstanceId=i-1": (
        "MissingParameter",
        "The request must contain the parameter networkInterfaceId",
    ),
    f"Action=CreateTags&{VERSION}&ResourceId.1=a": ("MissingParameter", None),
    f"Action=DescribeVpcs&{VERSION}&VpcId.1=%ff": ("MalformedQueryString", None),
    f"Action=DescribeVpcs&{VERSION}&VpcId.1=%00": ("InvalidCharacter", None),
    f"Action=DescribeVpcs&{VERSION}&VpcId.1=a&VpcId.1=b": ("MalformedQueryString", None),
    "Action=DescribeVpcs&" + "&".join(f"a{n}=" for n in range(10_001)): (
        "MalformedQueryString",
        None,
    ),
    "Action=" + "x" * (1 << 20): ("MalformedQueryString", None),
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:80])
def test_a_bad_request_gets_ec2s_own_error(text):
    code, message = BAD[text]
    found = refused(text)
    assert found[0] == code
    assert message is None or found[1] == message
    assert len(found[1]) < 1000


def test_a_text_is_escaped_and_read_back_unchanged():
    vpc = Vpc()
    subnet = vpc.account.add_subnet("10.0.0.0/24")
    ec2 = client(vpc)
    odd = "<&>\"' \t]]> é \U0001f980"
    made = ec2.create_network_interface(SubnetId=subnet.subnet_id, Description=odd)
    assert made["NetworkInterface"]["Description"] == odd
    assert replies.escaped("a\rb\x00") == "a&#13;b\ufffd"


def test_an_action_without_a_reply_of_its_own_returns_true():
    """As EC2's examples of CreateTags, DeleteNetworkInterface and others show."""
    assert (
        query.render("ec2", "CreateTags", {}, "r-1")
        .decode()
        .endswith(
            '<CreateTagsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            "<requestId>r-1</requestId><return>true</return></CreateTagsResponse>"
        )
    )


def test_a_member_that_the_model_does_not_have_is_a_fault_of_ours():
    with pytest.raises(KeyError):
        query.render("ec2", "DescribeVpcs", {"Vpc": []}, "r")
    with pytest.raises(KeyError):
        query.render("ec2", "CreateTags", {"Return": True}, "r")
    with pytest.raises(KeyError):
        query.render("eks", "DescribeCluster", {"Cluster": {}}, "r")


def test_errors_have_the_form_of_their_service():
    limit = refusals.REQUEST_LIMIT()
    status, text = query.render_error(limit, "r-1")
    assert status == 503
    assert text.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code>"
        "<Message>Request limit exceeded.</Message></Error></Errors>"
        "<RequestID>r-1</RequestID></Response>"
    )
    vpc = Vpc(cluster="demo")
    eks = client(vpc, "eks")
    with pytest.raises(eks.exceptions.ResourceNotFoundException) as caught:
        eks.list_nodegroups(clusterName="other")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    vpc.call = lambda *_: (_ for _ in ()).throw(Ec2Error("ExpiredToken", "<late>", 403))
    with pytest.raises(ClientError, match=r"ExpiredToken.*<late>"):
        client(vpc, "sts").get_caller_identity()


def test_every_action_that_is_there_is_one_of_the_services():
    assert all(operation(service, action) for service, action in ACTIONS)
    assert len(ACTIONS) == 28


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("eks", "GET", "/nowhere"),
        ("eks", "POST", "/clusters/demo"),
        ("eks", "GET", "/clusters/%00"),
        ("eks", "GET", "/clusters/%ff"),
        ("eks", "GET", "/clusters/demo/node-groups?maxResults=x"),
        ("eks", "GET", "/clusters/demo/node-groups?maxResults=%ff"),
    ],
)
def test_a_bad_path_is_refused(service, method, path):
    with pytest.raises(Ec2Error):
        query.parse(service, {}, b"", path, method=method)


def test_a_body_that_is_no_form_is_refused():
    with pytest.raises(Ec2Error) as caught:
        query.parse("ec2", {"Content-Type": "text/plain"}, b"Action=DescribeVpcs", "/")
    assert caught.value.code == "MalformedQueryString"
    assert requests.MOST_BYTES == 1 << 20
