"""Requests that are damaged in every way: EC2's error form, never a 500, and nothing changed.

Real requests of botocore, of every call that is served, are mutated and sent to a real server.
IPAM_CORE_SOAK=1 sends 10,000.
"""

from __future__ import annotations

import http.client
import os
import random
import re
from contextlib import closing
from urllib.parse import quote_plus, urlencode, urlsplit
from xml.etree import ElementTree

import pytest

from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.saved import state_of as saved
from ipam_core.testing import TestVpc

N_REQUESTS = 10_000 if os.environ.get("IPAM_CORE_SOAK") else 300
SEED = int(os.environ.get("IPAM_CORE_SEED", "19"))
SPEC = {
    "subnets": [{"id": "subnet-0aaaaaaaaaaaaaaaa", "cidr": "10.0.0.0/24", "used": 60}],
    "nodes": [{"name": "n", "instance_type": "m5.large", "count": 2}],
    "ec2": {"latency": False, "throttling": False},
}
VALUES = (
    "", " ", "0", "-1", "1e9", "99999999999999999999", "true", "TRUE", "null", "eni-0", "i-", "*",
    "10.0.0.256", "10.0.0.4/28", "::1", "\x00", "\ud7ff\U0001f600", "a" * 5000, "<&'\">", "%",
    "1.0", "eni-00000000000000000", "../../etc/passwd", "${jndi:x}", "\u202e", "0x10", "٣", "1 ",
    "+5",
)  # fmt: skip


@pytest.fixture(scope="module")
def vpc():
    with TestVpc(SPEC) as vpc:
        yield vpc


def good_requests(vpc):
    """Return one good request of EC2's Query API for each call, as pairs of name and value."""
    enis = vpc.ec2.describe_network_interfaces()["NetworkInterfaces"]
    eni, subnet, node = enis[0]["NetworkInterfaceId"], enis[0]["SubnetId"], vpc.instance_ids[0]
    attachment = enis[1]["Attachment"]["AttachmentId"]
    reserved = vpc.ec2.create_subnet_cidr_reservation(
        SubnetId=subnet, Cidr="10.0.0.128/28", ReservationType="prefix"
    )["SubnetCidrReservation"]["SubnetCidrReservationId"]
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]
    filters = [{"Name": "vpc-id", "Values": [enis[0]["VpcId"], "*"]}]
    calls = {
        "create_network_interface": {
            "SubnetId": subnet, "Groups": [enis[0]["Groups"][0]["GroupId"]], "Description": "d",
            "SecondaryPrivateIpAddressCount": 2, "ClientToken": "t", "TagSpecifications": tags,
            "PrivateIpAddress": "10.0.0.99",
        },
        "delete_network_interface": {"NetworkInterfaceId": eni},
        "modify_network_interface_attribute": {
            "NetworkInterfaceId": eni,
            "Attachment": {"AttachmentId": attachment, "DeleteOnTermination": True},
        },
        "describe_network_interfaces": {"Filters": filters, "MaxResults": 5},
        "attach_network_interface": {
            "NetworkInterfaceId": eni, "InstanceId": node, "DeviceIndex": 2, "NetworkCardIndex": 0,
        },
        "detach_network_interface": {"AttachmentId": attachment, "Force": False},
        "assign_private_ip_addresses": {"NetworkInterfaceId": eni, "Ipv4PrefixCount": 1},
        "unassign_private_ip_addresses": {
            "NetworkInterfaceId": eni, "PrivateIpAddresses": ["10.0.0.7", "10.0.0.9"],
        },
        "assign_ipv6_addresses": {"NetworkInterfaceId": eni, "Ipv6PrefixCount": 1},
        "unassign_ipv6_addresses": {"NetworkInterfaceId": eni, "Ipv6Addresses": ["2600::1"]},
        "create_tags": {"Resources": [eni], "Tags": tags[0]["Tags"]},
        "delete_tags": {"Resources": [eni], "Tags": tags[0]["Tags"]},
        "describe_tags": {"Filters": [{"Name": "resource-id", "Values": [eni]}], "MaxResults": 9},
        "run_instances": {
            "ImageId": "ami-1", "MinCount": 1, "MaxCount": 2, "InstanceType": "m5.large",
            "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet, "Ipv4PrefixCount": 1}],
        },
        "terminate_instances": {"InstanceIds": [node]},
        "describe_instances": {"InstanceIds": [node]},
        "describe_instance_types": {"InstanceTypes": ["m5.large"]},
        "create_subnet": {"VpcId": enis[0]["VpcId"], "CidrBlock": "10.0.1.0/24"},
        "describe_subnets": {"SubnetIds": [subnet], "Filters": filters},
        "create_subnet_cidr_reservation": {
            "SubnetId": subnet, "Cidr": "10.0.0.160/28", "ReservationType": "explicit",
        },
        "get_subnet_cidr_reservations": {"SubnetId": subnet, "MaxResults": 5},
        "delete_subnet_cidr_reservation": {"SubnetCidrReservationId": reserved},
        "describe_vpcs": {"Filters": filters},
        "describe_security_groups": {"Filters": filters},
        "describe_availability_zones": {"ZoneNames": ["us-east-1a"], "AllAvailabilityZones": True},
    }  # fmt: skip
    bodies = []

    def keep(params, **_):
        bodies.append(list(params["body"].items()))
        return vpc_answer

    vpc_answer = type("Http", (), {"status_code": 200})(), {}
    client = vpc.client("ec2")
    client.meta.events.register("before-call", keep)
    with closing(client):
        for name, params in calls.items():
            getattr(client, name)(**params)
    assert {dict(body)["Action"] for body in bodies} == {a for s, a in ACTIONS if s == "ec2"}
    return bodies


class Mutations:
    """Damages requests at random."""

    def __init__(self, requests, seed):
        self.requests = requests
        self.chance = random.Random(seed)

    def one(self):
        """Return the body and the headers of a request that something is done to."""
        chance = self.chance
        pairs = [(name, str(value)) for name, value in chance.choice(self.requests)]
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        for _ in range(chance.choice((1, 1, 2, 3))):
            pairs = getattr(self, chance.choice(PAIRS))(pairs)
        body = urlencode(pairs, errors="surrogatepass").encode()
        if chance.random() < 0.2:
            body, headers = getattr(self, chance.choice(BYTES))(body, headers)
        return body, headers

    # --- names and values ---

    def value(self, pairs):
        at = self.chance.randrange(len(pairs))
        return [*pairs[:at], (pairs[at][0], self.chance.choice(VALUES)), *pairs[at + 1 :]]

    def missing(self, pairs):
        at = self.chance.randrange(len(pairs))
        return [*pairs[:at], *pairs[at + 1 :]] or pairs

    def twice(self, pairs):
        return [*pairs, self.chance.choice(pairs)]

    def name(self, pairs):
        at = self.chance.randrange(len(pairs))
        old = pairs[at][0]
        new = self.chance.choice(
            [f"{old}.1", f"{old}.0", f"{old}.-1", f"{old}.99999", f".{old}", f"{old}.", old.lower(),
             "", re.sub(r"\d+", "x", old), re.sub(r"\d+", "7", old), old[1:], "Filter.1.Value.1"]
        )  # fmt: skip
        return [*pairs[:at], (new, pairs[at][1]), *pairs[at + 1 :]]

    def more(self, pairs):
        others = dict(self.chance.choice(self.requests))
        name = self.chance.choice(list(others))
        return [*pairs, (name, self.chance.choice([str(others[name]), *VALUES]))]

    def crossed(self, pairs):
        """Keep the parameters, and ask for another call."""
        other = dict(self.chance.choice(self.requests))["Action"]
        return [(name, other if name == "Action" else value) for name, value in pairs]

    def dry(self, pairs):
        return [*pairs, ("DryRun", self.chance.choice(("true", "false", "maybe")))]

    # --- bytes ---

    def cut(self, body, headers):
        return body[: self.chance.randrange(len(body))], headers

    def flipped(self, body, headers):
        at = self.chance.randrange(len(body))
        return body[:at] + bytes([self.chance.randrange(256)]) + body[at + 1 :], headers

    def noise(self, body, headers):
        return self.chance.randbytes(self.chance.randrange(200)), headers

    def typed(self, body, headers):
        kinds = ("application/json", "text/xml", "", "multipart/form-data", "x")
        return body, {"Content-Type": self.chance.choice(kinds)}

    def quoted(self, body, headers):
        return quote_plus(body).encode(), headers


PAIRS = ("value", "value", "value", "missing", "twice", "name", "name", "more", "crossed", "dry")
BYTES = ("cut", "flipped", "noise", "typed", "quoted")


def state_of(vpc):
    """Return all that a VPC has, as its saved state has it: not what will be drawn next."""
    found = vpc.server.do(lambda served: saved(served.account))
    for subnet in found["subnets"]:
        del subnet["random"], subnet["order"]
    return {name: each for name, each in found.items() if name not in ("chance", "n_made")}


def test_damaged_requests_get_ec2s_error_form_and_change_nothing(vpc):
    mutations = Mutations(good_requests(vpc), SEED)
    target = urlsplit(vpc.endpoint_url)
    codes, before = {}, state_of(vpc)
    signed = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/ec2/aws4_request, Signature=0"
    with closing(http.client.HTTPConnection(target.netloc, timeout=30)) as connection:
        for number in range(N_REQUESTS):
            body, headers = mutations.one()
            connection.request("POST", "/", body, {"Authorization": signed, **headers})
            answer = connection.getresponse()
            text = answer.read()
            said = f"request {number} of seed {SEED}: {body!r} {headers}: {answer.status} {text!r}"
            assert answer.status in (200, 400, 403, 412), said
            root = ElementTree.fromstring(text)
            if answer.status == 200:
                codes[None] = codes.get(None, 0) + 1
                assert root.tag.endswith("Response"), said
                before = state_of(vpc)
                continue
            assert root.tag == "Response", said
            assert [child.tag for child in root] == ["Errors", "RequestID"], said
            code = root.findtext("Errors/Error/Code")
            codes[code] = codes.get(code, 0) + 1
            assert re.fullmatch(r"[A-Z][A-Za-z0-9.]+", code), said
            assert root.findtext("Errors/Error/Message"), said
            assert state_of(vpc) == before, said
    assert codes[None] > N_REQUESTS / 50  # some are not damaged enough to be refused
    assert len(codes) > 12, codes


def test_a_call_that_changes_something_is_seen_in_the_state_that_is_compared(vpc):
    before = state_of(vpc)
    vpc.ec2.create_tags(Resources=[vpc.instance_ids[0]], Tags=[{"Key": "k", "Value": "v"}])
    assert state_of(vpc) != before
