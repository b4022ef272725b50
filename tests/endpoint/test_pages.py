"""MaxResults, NextToken, client tokens and DryRun."""

import random

import pytest

from ipam_core.endpoint.actions import tags as tags_module
from ipam_core.endpoint.actions.table import ACTIONS
from ipam_core.endpoint.models import operation
from ipam_core.endpoint.vpc import Vpc
from support.loopback import loopback as client
from support.vpcs import Clock, launch, refusal_of

NO_DRY_RUN = {
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
    "AssignIpv6Addresses",
    "UnassignIpv6Addresses",
}
"""Actions that EC2's model has no DryRun for."""


@pytest.fixture
def vpc():
    vpc = Vpc(seed=1, clock_ns=Clock())
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a")
    return vpc


def create(vpc, **params):
    params = {"SubnetId": "subnet-a"} | params
    reply = vpc.call("ec2", "CreateNetworkInterface", params)
    return reply["NetworkInterface"]["NetworkInterfaceId"]


def pages(vpc, action, key, **params):
    """Yield the items of each page."""
    token = {}
    while True:
        reply = vpc.call("ec2", action, params | token)
        yield reply[key]
        if "NextToken" not in reply:
            return
        token = {"NextToken": reply["NextToken"]}


def test_pages_are_full_and_together_are_all(vpc):
    made = [create(vpc) for _ in range(23)]
    found = list(pages(vpc, "DescribeNetworkInterfaces", "NetworkInterfaces", MaxResults=5))
    assert list(map(len, found)) == [5, 5, 5, 5, 3]
    assert [eni["NetworkInterfaceId"] for page in found for eni in page] == made
    found = list(pages(vpc, "DescribeNetworkInterfaces", "NetworkInterfaces", MaxResults=23))
    assert list(map(len, found)) == [23]  # no token, and no empty page


def test_botocores_paginator_goes_through_all(vpc):
    made = [create(vpc) for _ in range(12)]
    ec2 = client(vpc)
    paginator = ec2.get_paginator("describe_network_interfaces")
    found = paginator.paginate(PaginationConfig={"PageSize": 5}).build_full_result()
    assert [eni["NetworkInterfaceId"] for eni in found["NetworkInterfaces"]] == made


def test_what_comes_and_goes_between_pages_moves_nothing(vpc):
    made = [create(vpc) for _ in range(12)]
    ask = {"MaxResults": 5}
    first = vpc.call("ec2", "DescribeNetworkInterfaces", ask)
    vpc.call("ec2", "DeleteNetworkInterface", {"NetworkInterfaceId": made[4]})  # the last given
    vpc.call("ec2", "DeleteNetworkInterface", {"NetworkInterfaceId": made[6]})
    late = create(vpc)
    rest = []
    while "NextToken" in first:
        first = vpc.call(
            "ec2", "DescribeNetworkInterfaces", ask | {"NextToken": first["NextToken"]}
        )
        rest += [eni["NetworkInterfaceId"] for eni in first["NetworkInterfaces"]]
    assert rest == [*made[5:6], *made[7:], late]


def test_a_token_is_good_for_its_own_request_only(vpc):
    for _ in range(12):
        create(vpc)
    by_subnet = {"Filters": [{"Name": "subnet-id", "Values": ["subnet-a"]}], "MaxResults": 5}
    token = vpc.call("ec2", "DescribeNetworkInterfaces", by_subnet)["NextToken"]
    refusal = (
        "InvalidParameterValue",
        f"Value ( {token} ) for parameter NextToken is invalid. The token is invalid.",
    )
    for action, params in (
        ("DescribeNetworkInterfaces", {"MaxResults": 5}),
        ("DescribeInstances", by_subnet),
        ("DescribeSubnets", by_subnet),
    ):
        assert refusal_of(vpc, action, params | {"NextToken": token}) == refusal
    vpc.call("ec2", "DescribeNetworkInterfaces", by_subnet | {"NextToken": token, "MaxResults": 7})


def test_a_token_that_was_made_up_is_refused(vpc):
    for _ in range(12):
        create(vpc)
    token = vpc.call("ec2", "DescribeNetworkInterfaces", {"MaxResults": 5})["NextToken"]
    chance = random.Random(1)
    odd = ["", " ", "é", "x" * 10_000, token[:-1], token + "A", token.swapcase(), token + "\n"]
    for _ in range(100):
        at = chance.randrange(len(token))
        odd.append(token[:at] + chance.choice("ABCdef123_-=") + token[at + 1 :])
    for made_up in set(odd) - {token}:
        code, text = refusal_of(
            vpc, "DescribeNetworkInterfaces", {"MaxResults": 5, "NextToken": made_up}
        )
        assert code == "InvalidParameterValue"
        assert len(text) < 300


def test_the_size_of_a_page_has_bounds(vpc):
    for action in ("DescribeNetworkInterfaces", "DescribeInstances", "DescribeTags"):
        assert refusal_of(vpc, action, {"MaxResults": 4})[1] == (
            "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5."
        )
        assert refusal_of(vpc, action, {"MaxResults": 1001})[0] == "InvalidParameterValue"
    assert refusal_of(vpc, "DescribeInstanceTypes", {"MaxResults": 101})[0] == (
        "InvalidParameterValue"
    )


def test_ids_and_pages_exclude_each_other_where_ec2_says_so(vpc):
    eni = create(vpc)
    for action, params, name in (
        ("DescribeNetworkInterfaces", {"NetworkInterfaceIds": [eni]}, "networkInterfaceIdSet"),
        ("DescribeInstances", {"InstanceIds": ["i-1"]}, "instancesSet"),
    ):
        assert refusal_of(vpc, action, params | {"MaxResults": 5}) == (
            "InvalidParameterCombination",
            f"The parameter {name} cannot be used with the parameter maxResults",
        )
    found = vpc.call("ec2", "DescribeSubnets", {"SubnetIds": ["subnet-a"], "MaxResults": 5})
    assert len(found["Subnets"]) == 1


def test_tags_and_types_and_reservations_have_pages_too(vpc):
    for number in range(4):
        tags = [{"Key": f"k{each}", "Value": str(number)} for each in range(3)]
        create(vpc, TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}])
        vpc.account.add_subnet(
            f"10.1.{number}.0/24", reservations=[(f"10.1.{number}.64/28", "prefix")]
        )
    found = list(pages(vpc, "DescribeTags", "Tags", MaxResults=5))
    assert list(map(len, found)) == [5, 5, 2]
    found = list(pages(vpc, "DescribeInstanceTypes", "InstanceTypes", MaxResults=100))
    assert sum(map(len, found)) > 800
    for block in range(6):
        vpc.account.note_reservation(
            vpc.account.subnets.by_key["subnet-a"], f"10.0.0.{16 * block}/28", "prefix"
        )
    key = "SubnetIpv4CidrReservations"
    ask = {"SubnetId": "subnet-a", "MaxResults": 5}
    assert list(map(len, pages(vpc, "GetSubnetCidrReservations", key, **ask))) == [5, 1]


def test_a_page_of_tags_goes_over_all_kinds_in_order_and_makes_no_more_than_it_gives(
    vpc, monkeypatch
):
    for number in range(40):
        tags = [{"Key": key, "Value": str(number)} for key in ("a", "b")]
        create(vpc, TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}])
        vpc.account.add_subnet(f"10.1.{number}.0/24", tags={"b": "x", "c*": "y"})
    some = next(iter(vpc.account.subnets)).subnet_id, next(iter(vpc.account.enis)).eni_id
    made = []
    row = tags_module._TagRow
    monkeypatch.setattr(tags_module, "_TagRow", lambda *given: made.append(given) or row(*given))
    for filters in (
        [],
        [{"Name": "key", "Values": ["b", "a", "b"]}],
        [{"Name": "key", "Values": ["c\\*"]}],
        [{"Name": "key", "Values": ["?"]}],
        [{"Name": "resource-id", "Values": list(some)}],
        [{"Name": "resource-type", "Values": ["subnet"]}, {"Name": "value", "Values": ["y"]}],
    ):
        whole = vpc.call("ec2", "DescribeTags", {"Filters": filters})["Tags"]
        found = list(pages(vpc, "DescribeTags", "Tags", Filters=filters, MaxResults=7))
        assert [tag for page in found for tag in page] == whole
        order = [vpc.account.find(tag["ResourceId"])[1].number for tag in whole]
        assert order == sorted(order)
    assert len(vpc.call("ec2", "DescribeTags", {"Filters": filters})["Tags"]) == 40
    made.clear()
    vpc.call("ec2", "DescribeTags", {"MaxResults": 10})
    assert len(made) == 11


def test_node_groups_have_pages():
    vpc = Vpc(cluster="demo")
    vpc.account.node_groups = ("a", "b", "c")
    eks = client(vpc, "eks")
    found = eks.get_paginator("list_nodegroups").paginate(
        clusterName="demo", PaginationConfig={"PageSize": 2}
    )
    assert [page["nodegroups"] for page in found] == [["a", "b"], ["c"]]
    with pytest.raises(eks.exceptions.InvalidParameterException):
        eks.list_nodegroups(clusterName="demo", nextToken="x")


# --- client tokens ------------------------------------------------------------------------------


def test_the_same_request_again_makes_nothing_new(vpc):
    request = {"ClientToken": "t-1", "Ipv4PrefixCount": 1}
    first = create(vpc, **request)
    assert create(vpc, **request) == first
    assert len(vpc.account.enis) == 1
    assert create(vpc, **(request | {"ClientToken": "t-2"})) != first
    assert create(vpc) != create(vpc)


def test_a_token_with_other_parameters_is_refused(vpc):
    create(vpc, ClientToken="t")
    other = {"SubnetId": "subnet-a", "ClientToken": "t", "Description": "x"}
    code, text = refusal_of(vpc, "CreateNetworkInterface", other)
    assert code == "IdempotentParameterMismatch"
    assert text.startswith("Arguments on this idempotent request are inconsistent with arguments")
    for odd in ("é", "x" * 65, "a b"):
        code, _ = refusal_of(
            vpc, "CreateNetworkInterface", {"SubnetId": "subnet-a", "ClientToken": odd}
        )
        assert code == "InvalidParameterValue"
    assert len(vpc.account.enis) == 1


def test_a_token_is_forgotten_with_what_it_made(vpc):
    first = create(vpc, ClientToken="t")
    vpc.call("ec2", "DeleteNetworkInterface", {"NetworkInterfaceId": first})
    assert create(vpc, ClientToken="t") != first


def test_a_launch_has_tokens_too():
    clock = Clock()
    vpc = Vpc(clock_ns=clock)
    vpc.account.add_subnet("10.0.0.0/24")
    first = launch(vpc, clock, ClientToken="t", MaxCount=2)
    assert launch(vpc, clock, ClientToken="t", MaxCount=2) == first
    assert len(vpc.account.instances) == 2
    # The reply of the second is that of the first, as the instances are now.
    vpc.call("ec2", "TerminateInstances", {"InstanceIds": list(vpc.account.instances.by_key)})
    clock.move(3700)
    vpc.call("ec2", "DescribeInstances", {})
    assert launch(vpc, clock, ClientToken="t", MaxCount=2) != first


# --- DryRun ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [action for service, action in ACTIONS if service == "ec2"])
def test_a_dry_run_does_nothing_and_says_so(vpc, action):
    shape = operation("ec2", action).input_shape
    assert ("DryRun" in shape.members) == (action not in NO_DRY_RUN)
    if action in NO_DRY_RUN:
        return
    before = vpc.to_state()
    assert refusal_of(vpc, action, {"DryRun": True}) == (
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
    )
    assert vpc.to_state() == before
