"""Addresses and prefixes of interfaces, by number and by name, IPv4 and IPv6."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from ipam_core.endpoint.vpc import Vpc
from support.vpcs import Clock, launch, refusal_of

FULL = "The specified subnet does not have enough free addresses to satisfy the request."
FRAGMENTED = "The specified subnet does not have enough free cidr blocks to satisfy the request."


@pytest.fixture
def vpc():
    vpc = Vpc(seed=1, clock_ns=Clock())
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a")
    return vpc


@pytest.fixture
def subnet(vpc):
    return vpc.account.subnets.by_key["subnet-a"]


def create(vpc, **params):
    params = {"SubnetId": "subnet-a"} | params
    return vpc.call("ec2", "CreateNetworkInterface", params)["NetworkInterface"]


def assign(vpc, eni, **params):
    params = {"NetworkInterfaceId": eni["NetworkInterfaceId"]} | params
    reply = vpc.call("ec2", "AssignPrivateIpAddresses", params)
    assert reply["NetworkInterfaceId"] == eni["NetworkInterfaceId"]
    return (
        [each["PrivateIpAddress"] for each in reply["AssignedPrivateIpAddresses"]],
        [each["Ipv4Prefix"] for each in reply["AssignedIpv4Prefixes"]],
    )


def of(eni, **params):
    return {"NetworkInterfaceId": eni["NetworkInterfaceId"]} | params


def shown(vpc, eni):
    """Return the secondary addresses and the prefixes that EC2 describes."""
    params = {"NetworkInterfaceIds": [eni["NetworkInterfaceId"]]}
    (found,) = vpc.call("ec2", "DescribeNetworkInterfaces", params)["NetworkInterfaces"]
    addresses = found["PrivateIpAddresses"]
    assert [each["Primary"] for each in addresses] == [True] + [False] * (len(addresses) - 1)
    return (
        [each["PrivateIpAddress"] for each in addresses[1:]],
        [each["Ipv4Prefix"] for each in found.get("Ipv4Prefixes", ())],
    )


# --- a new interface ------------------------------------------------------------------------------


def test_a_new_interface_takes_its_address_and_as_many_more_as_asked_for(vpc, subnet):
    eni = create(vpc, SecondaryPrivateIpAddressCount=3)
    addresses, prefixes = shown(vpc, eni)
    assert len({eni["PrivateIpAddress"], *addresses}) == 4
    assert all(IPv4Address(each) in IPv4Network("10.0.0.0/24") for each in addresses)
    assert prefixes == []
    assert subnet.available_addresses == 251 - 4


def test_a_new_interface_takes_what_is_named(vpc, subnet):
    eni = create(
        vpc,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.0.9"},
            {"PrivateIpAddress": "10.0.0.8", "Primary": True},
        ],
    )
    assert eni["PrivateIpAddress"] == "10.0.0.8"
    assert shown(vpc, eni) == (["10.0.0.9"], [])
    eni = create(vpc, PrivateIpAddress="10.0.0.10", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.32/28"}])
    assert eni["PrivateIpAddress"] == "10.0.0.10"
    assert shown(vpc, eni) == ([], ["10.0.0.32/28"])
    eni = create(vpc, PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.50"}])
    assert eni["PrivateIpAddress"] != "10.0.0.50"  # none was said to be the primary one
    assert shown(vpc, eni) == (["10.0.0.50"], [])
    both = create(
        vpc,
        PrivateIpAddress="10.0.0.60",
        PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.60"}, {"PrivateIpAddress": "10.0.0.61"}],
    )
    assert both["PrivateIpAddress"] == "10.0.0.60"
    assert shown(vpc, both) == (["10.0.0.61"], [])
    assert subnet.holders["10.0.0.61"].eni_id == both["NetworkInterfaceId"]


REFUSED = {
    "in use": ({"PrivateIpAddress": "10.0.0.200"}, "InvalidIPAddress.InUse"),
    "in a prefix": ({"PrivateIpAddress": "10.0.0.33"}, "InvalidIPAddress.InUse"),
    "secondary in use": (
        {"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.200"}]},
        "InvalidIPAddress.InUse",
    ),
    "outside": ({"PrivateIpAddress": "10.0.1.9"}, "InvalidParameterValue"),
    "AWS's": ({"PrivateIpAddress": "10.0.0.3"}, "InvalidParameterValue"),
    "broadcast": ({"PrivateIpAddress": "10.0.0.255"}, "InvalidParameterValue"),
    "no address": ({"PrivateIpAddress": "10.0.0"}, "InvalidParameterValue"),
    "IPv6": ({"PrivateIpAddress": "::1"}, "InvalidParameterValue"),
    "empty": ({"PrivateIpAddresses": [{}]}, "InvalidParameterValue"),
    "two primaries": (
        {
            "PrivateIpAddresses": [
                {"PrivateIpAddress": f"10.0.0.{number}", "Primary": True} for number in (20, 21)
            ]
        },
        "InvalidParameterCombination",
    ),
    "two ways": (
        {"SecondaryPrivateIpAddressCount": 1, "Ipv4PrefixCount": 1},
        "InvalidParameterCombination",
    ),
    "no count": ({"SecondaryPrivateIpAddressCount": 0}, "InvalidParameterValue"),
    "less": ({"Ipv4PrefixCount": -1}, "InvalidParameterValue"),
    "more than any type": ({"SecondaryPrivateIpAddressCount": 64}, "PrivateIpAddressLimitExceeded"),
    "a /28 in use": ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.32/28"}]}, "InvalidIPAddress.InUse"),
    "half a /28": ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.40/29"}]}, "InvalidParameterValue"),
    "AWS's /28": ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.0/28"}]}, "InvalidIPAddress.InUse"),
    "a /28 elsewhere": ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.9.0.0/28"}]}, "InvalidParameterValue"),
    "no subnet": ({"SubnetId": "subnet-00000000"}, "InvalidSubnetID.NotFound"),
    "no id": ({"SubnetId": "subnet"}, "InvalidSubnetId.Malformed"),
    "no group": ({"Groups": ["sg-00000000"]}, "InvalidGroup.NotFound"),
    "no id of a group": ({"Groups": ["sg"]}, "InvalidGroupId.Malformed"),
    "no type": ({"InterfaceType": "fast"}, "InvalidParameterValue"),
    "a long text": ({"Description": "x" * 256}, "InvalidParameterValue"),
    "tags of another": (
        {"TagSpecifications": [{"ResourceType": "subnet", "Tags": []}]},
        "InvalidParameterValue",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_new_interface_that_cannot_be_takes_nothing(vpc, name):
    create(vpc, PrivateIpAddress="10.0.0.200", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.32/28"}])
    vpc.account.settle()
    before = vpc.to_state()
    params, code = REFUSED[name]
    assert refusal_of(vpc, "CreateNetworkInterface", {"SubnetId": "subnet-a"} | params)[0] == code
    assert vpc.to_state() == before


def test_an_address_of_a_prefix_is_in_use_and_named_so(vpc):
    create(vpc, PrivateIpAddress="10.0.0.200")
    params = {"SubnetId": "subnet-a", "PrivateIpAddress": "10.0.0.200"}
    assert refusal_of(vpc, "CreateNetworkInterface", params) == (
        "InvalidIPAddress.InUse",
        "The specified address is already in use.",
    )
    params["PrivateIpAddress"] = "10.0.0.2"
    assert refusal_of(vpc, "CreateNetworkInterface", params)[1] == (
        "Address 10.0.0.2 is in subnet's reserved address range"
    )


# --- assignments ----------------------------------------------------------------------------------


def test_addresses_and_prefixes_are_assigned_by_number(vpc, subnet):
    eni = create(vpc)
    addresses, _ = assign(vpc, eni, SecondaryPrivateIpAddressCount=2)
    _, prefixes = assign(vpc, eni, Ipv4PrefixCount=2)
    assert shown(vpc, eni) == (addresses, prefixes)
    assert (len(addresses), len(prefixes)) == (2, 2)
    assert subnet.available_addresses == 251 - 1 - 2 - 32


def test_what_is_named_is_assigned_and_what_is_held_already_stays(vpc, subnet):
    eni = create(vpc)
    assert assign(vpc, eni, PrivateIpAddresses=["10.0.0.70", "10.0.0.71"]) == (
        ["10.0.0.70", "10.0.0.71"],
        [],
    )
    assert assign(vpc, eni, PrivateIpAddresses=["10.0.0.71", "10.0.0.72"]) == (
        ["10.0.0.71", "10.0.0.72"],
        [],
    )
    assert assign(vpc, eni, Ipv4Prefixes=["10.0.0.80/28"]) == ([], ["10.0.0.80/28"])
    assert assign(vpc, eni, Ipv4Prefixes=["10.0.0.80/28"]) == ([], ["10.0.0.80/28"])
    assert shown(vpc, eni) == (["10.0.0.70", "10.0.0.71", "10.0.0.72"], ["10.0.0.80/28"])
    assert subnet.available_addresses == 251 - 1 - 3 - 16


def test_an_address_moves_only_where_that_is_allowed(vpc, subnet):
    one = create(vpc, PrivateIpAddress="10.0.0.10")
    other = create(vpc)
    assign(vpc, one, PrivateIpAddresses=["10.0.0.70", "10.0.0.71"])
    move = of(other, PrivateIpAddresses=["10.0.0.70", "10.0.0.99"])
    assert refusal_of(vpc, "AssignPrivateIpAddresses", move) == (
        "InvalidParameterValue",
        "[10.0.0.70] assigned, but move is not allowed.",
    )
    assert assign(vpc, other, **move, AllowReassignment=True) == (["10.0.0.70", "10.0.0.99"], [])
    assert shown(vpc, one) == (["10.0.0.71"], [])
    assert shown(vpc, other) == (["10.0.0.70", "10.0.0.99"], [])
    assert subnet.available_addresses == 251 - 2 - 3
    primary = of(other, PrivateIpAddresses=["10.0.0.10"], AllowReassignment=True)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", primary)[0] == "InvalidIPAddress.InUse"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "InvalidParameter"),
        ({"PrivateIpAddresses": []}, "InvalidParameter"),
        (
            {"SecondaryPrivateIpAddressCount": 1, "PrivateIpAddresses": ["10.0.0.9"]},
            "InvalidParameterCombination",
        ),
        ({"SecondaryPrivateIpAddressCount": 0}, "InvalidParameterValue"),
        ({"PrivateIpAddresses": ["10.0.1.9"]}, "InvalidParameterValue"),
        ({"NetworkInterfaceId": "eni-00000000"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"NetworkInterfaceId": "eni-x"}, "InvalidNetworkInterfaceId.Malformed"),
    ],
)
def test_an_assignment_that_asks_for_nothing_or_too_much_is_refused(vpc, params, code):
    eni = create(vpc)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", of(eni) | params)[0] == code


def test_the_agent_finds_the_id_of_an_unknown_interface_in_the_text(vpc):
    """Upstream's awsutils.go matches on it."""
    eni_id = "eni-00000000000000000"
    assert refusal_of(vpc, "DescribeNetworkInterfaces", {"NetworkInterfaceIds": [eni_id]}) == (
        "InvalidNetworkInterfaceID.NotFound",
        f"The networkInterface ID '{eni_id}' does not exist",
    )


def test_an_interface_holds_what_its_instance_type_allows(vpc):
    clock = Clock()
    vpc.account.simulated.clock_ns = clock
    node = launch(vpc, clock, InstanceType="m5.large")  # 3 interfaces, 10 addresses on each
    eni = create(vpc, SecondaryPrivateIpAddressCount=9)
    assign(vpc, eni, SecondaryPrivateIpAddressCount=1)  # attached to nothing it may
    attach = of(eni, InstanceId=node, DeviceIndex=1)
    limit = ("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
    assert refusal_of(vpc, "AttachNetworkInterface", attach) == limit
    vpc.call(
        "ec2",
        "UnassignPrivateIpAddresses",
        of(eni, PrivateIpAddresses=shown(vpc, eni)[0][:2]),
    )
    vpc.call("ec2", "AttachNetworkInterface", attach)
    for params in (
        {"SecondaryPrivateIpAddressCount": 2},
        {"Ipv4PrefixCount": 2},
        {"PrivateIpAddresses": ["10.0.0.5", "10.0.0.6", "10.0.0.7"]},
    ):
        assert refusal_of(vpc, "AssignPrivateIpAddresses", of(eni, **params)) == limit
    assign(vpc, eni, Ipv4PrefixCount=1)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", of(eni, Ipv4PrefixCount=1)) == limit
    other = create(vpc, SecondaryPrivateIpAddressCount=1)
    move = {"PrivateIpAddresses": shown(vpc, other)[0], "AllowReassignment": True}
    assert refusal_of(vpc, "AssignPrivateIpAddresses", of(eni, **move)) == limit
    assert len(shown(vpc, other)[0]) == 1


def test_a_full_subnet_and_a_fragmented_one_say_which_they_are():
    vpc = Vpc(seed=1)
    subnet = vpc.account.add_subnet("10.0.0.0/27", subnet_id="subnet-a")  # no /28 is whole
    eni = create(vpc)
    asked = of(eni, Ipv4PrefixCount=1)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", asked) == (
        "InsufficientCidrBlocks",
        FRAGMENTED,
    )
    assign(vpc, eni, SecondaryPrivateIpAddressCount=subnet.available_addresses)
    asked = of(eni, SecondaryPrivateIpAddressCount=1)
    full = ("InsufficientFreeAddressesInSubnet", FULL)
    assert refusal_of(vpc, "AssignPrivateIpAddresses", asked) == full
    assert refusal_of(vpc, "CreateNetworkInterface", {"SubnetId": "subnet-a"}) == full
    assert subnet.available_addresses == 0


def test_a_new_interface_with_prefixes_says_whether_addresses_or_whole_blocks_are_missing(vpc):
    """Cilium tells the two apart by code and text."""
    for block in range(1, 14):
        create(vpc, PrivateIpAddress=f"10.0.0.{16 * block + 5}")  # one /28 is left
    asked = {"SubnetId": "subnet-a", "Ipv4PrefixCount": 2}
    assert refusal_of(vpc, "CreateNetworkInterface", asked) == (
        "InsufficientCidrBlocks",
        FRAGMENTED,
    )
    asked["Ipv4PrefixCount"] = 15
    assert refusal_of(vpc, "CreateNetworkInterface", asked) == (
        "InvalidParameterValue",
        "There aren't sufficient free Ipv4 addresses or prefixes",
    )
    create(vpc, PrivateIpAddress="10.0.0.20", Ipv4PrefixCount=1)


def test_what_is_not_assigned_cannot_be_unassigned(vpc):
    eni = create(vpc, PrivateIpAddress="10.0.0.10")
    assign(vpc, eni, PrivateIpAddresses=["10.0.0.70"])
    vpc.account.settle()
    before = vpc.to_state()
    unassign = "UnassignPrivateIpAddresses"
    eni_id = eni["NetworkInterfaceId"]
    not_assigned = (
        "InvalidParameterValue",
        f"Some of the specified addresses are not assigned to interface {eni_id}",
    )
    for params in (
        {"PrivateIpAddresses": ["10.0.0.71"]},
        {"PrivateIpAddresses": ["10.0.0.70", "10.0.0.71"]},
        {"Ipv4Prefixes": ["10.0.0.64/28"]},
    ):
        assert refusal_of(vpc, unassign, of(eni, **params)) == not_assigned
    assert refusal_of(vpc, unassign, of(eni, PrivateIpAddresses=["10.0.0.10"]))[1].endswith(
        "The primary IP address of an interface cannot be unassigned."
    )
    assert refusal_of(vpc, unassign, of(eni))[0] == "MissingParameter"
    assert vpc.to_state() == before
    vpc.call("ec2", unassign, of(eni, PrivateIpAddresses=["10.0.0.70", "10.0.0.70"]))
    assert shown(vpc, eni) == ([], [])


# --- IPv6 -----------------------------------------------------------------------------------------


def test_ipv6_addresses_and_prefixes_are_of_the_subnet_and_nobody_elses(vpc, subnet):
    block = IPv6Network(subnet.ipv6.cidr)
    eni = create(vpc, Ipv6PrefixCount=2)
    reply = vpc.call("ec2", "AssignIpv6Addresses", of(eni, Ipv6AddressCount=3))
    assert reply["AssignedIpv6Prefixes"] == []
    addresses = reply["AssignedIpv6Addresses"]
    prefixes = [IPv6Network(each["Ipv6Prefix"]) for each in eni["Ipv6Prefixes"]]
    assert len(set(addresses)) == 3
    assert all(prefix.prefixlen == 80 and prefix.subnet_of(block) for prefix in prefixes)
    for address in map(IPv6Address, addresses):
        assert address in block
        assert not any(address in prefix for prefix in prefixes)
    found = vpc.account.enis.by_key[eni["NetworkInterfaceId"]]
    assert found.ipv6_addresses == addresses


def test_ipv6_by_name_once(vpc, subnet):
    base = subnet.ipv6.network.network_address
    address, prefix = str(base + 0x1234_0000_0000_0007), f"{base + (5 << 48)}/80"
    eni = create(vpc, Ipv6Addresses=[{"Ipv6Address": address}], EnablePrimaryIpv6=True)
    assert eni["Ipv6Address"] == address
    assert eni["Ipv6Addresses"] == [{"Ipv6Address": address, "IsPrimaryIpv6": True}]
    reply = vpc.call("ec2", "AssignIpv6Addresses", of(eni, Ipv6Prefixes=[prefix]))
    assert reply["AssignedIpv6Prefixes"] == [prefix]
    other = create(vpc)
    for params, code in (
        ({"Ipv6Addresses": [address]}, "InvalidIPAddress.InUse"),
        ({"Ipv6Addresses": [str(base + (5 << 48) + 9)]}, "InvalidIPAddress.InUse"),
        ({"Ipv6Addresses": [str(base + 1)]}, "InvalidIPAddress.InUse"),  # AWS's
        ({"Ipv6Prefixes": [prefix]}, "InvalidIPAddress.InUse"),
        ({"Ipv6Prefixes": [f"{base + (0x1234 << 48)}/80"]}, "InvalidIPAddress.InUse"),
        ({"Ipv6Prefixes": [f"{base + (6 << 48)}/96"]}, "InvalidParameterValue"),
        ({"Ipv6Prefixes": [str(base)]}, "InvalidParameterValue"),
        ({"Ipv6Addresses": ["2001:db8::1"]}, "InvalidParameterValue"),
        ({"Ipv6Addresses": ["fe80::1%eth0"]}, "InvalidParameterValue"),
        ({"Ipv6Addresses": [str(base + (7 << 48))] * 2}, "InvalidParameterValue"),
        ({"Ipv6AddressCount": 1, "Ipv6PrefixCount": 1}, "InvalidParameterCombination"),
        ({"Ipv6AddressCount": 0}, "InvalidParameterValue"),
        ({"Ipv6AddressCount": 65}, "Ipv6AddressLimitExceeded"),
        ({}, "InvalidParameter"),
    ):
        assert refusal_of(vpc, "AssignIpv6Addresses", of(other, **params))[0] == code, params


def test_ipv6_given_back_is_free_again(vpc, subnet):
    eni = create(vpc, Ipv6AddressCount=2)
    addresses = [each["Ipv6Address"] for each in eni["Ipv6Addresses"]]
    reply = vpc.call("ec2", "UnassignIpv6Addresses", of(eni, Ipv6Addresses=addresses[:1]))
    assert reply == of(eni, UnassignedIpv6Addresses=addresses[:1], UnassignedIpv6Prefixes=[])
    again = of(eni, Ipv6Addresses=addresses[:1])
    assert refusal_of(vpc, "UnassignIpv6Addresses", again)[0] == "InvalidParameterValue"
    assert refusal_of(vpc, "UnassignIpv6Addresses", of(eni))[0] == "MissingParameter"
    vpc.call("ec2", "AssignIpv6Addresses", again)
    vpc.call("ec2", "DeleteNetworkInterface", of(eni))
    other = create(vpc, Ipv6Addresses=[{"Ipv6Address": each} for each in addresses])
    assert [each["Ipv6Address"] for each in other["Ipv6Addresses"]] == addresses


def test_a_subnet_without_ipv6_has_none_to_give():
    vpc = Vpc()
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a", ipv6=False)
    eni = create(vpc)
    for action in ("AssignIpv6Addresses", "UnassignIpv6Addresses"):
        asked = of(eni, Ipv6AddressCount=1)
        assert refusal_of(vpc, action, asked)[1] == (
            "Subnet subnet-a does not have an IPv6 CIDR block associated with it."
        )


def test_a_new_interfaces_address_is_given_back_where_no_prefix_is_free(vpc):
    """The subnet has addresses enough for a /28, but no free one."""
    subnet = vpc.account.add_subnet("10.0.1.0/27", subnet_id="subnet-b")
    for address in ("10.0.1.8", "10.0.1.20"):
        create(vpc, SubnetId="subnet-b", PrivateIpAddress=address)
    n_free = subnet.available_addresses
    assert n_free > 17
    for wanted in ({}, {"PrivateIpAddress": "10.0.1.9"}):
        asked = {"SubnetId": "subnet-b", "Ipv4PrefixCount": 1, **wanted}
        refused = refusal_of(vpc, "CreateNetworkInterface", asked)
        assert refused == ("InsufficientCidrBlocks", FRAGMENTED)
        assert subnet.available_addresses == n_free
    create(vpc, SubnetId="subnet-b", PrivateIpAddress="10.0.1.9")
