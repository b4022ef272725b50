"""Filters: wildcards, tags, all of them and any of their values; and what they cost."""

import fnmatch
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core.endpoint.filters import literal, matches, select
from ipam_core.endpoint.tables import Table
from ipam_core.endpoint.vpc import Vpc
from support.vpcs import Clock, launch, refusal_of


@pytest.fixture
def vpc():
    clock = Clock()
    vpc = Vpc(seed=1, clock_ns=clock)
    vpc.account.add_subnet("10.0.0.0/24", subnet_id="subnet-a", zone="a")
    vpc.account.add_subnet("10.0.1.0/24", subnet_id="subnet-b", zone="b")
    node = launch(vpc, clock, SubnetId="subnet-a")
    for number, (subnet, tags) in enumerate(
        [("a", {"team": "red"}), ("a", {"team": "blue", "x": ""}), ("b", {"team": "re*d"})]
    ):
        created = vpc.call(
            "ec2",
            "CreateNetworkInterface",
            {
                "SubnetId": f"subnet-{subnet}",
                "Description": f"eni {number}",
                "PrivateIpAddresses": [
                    {"PrivateIpAddress": f"10.0.{number // 2}.{20 + number}", "Primary": True},
                    {"PrivateIpAddress": f"10.0.{number // 2}.{30 + number}"},
                ],
                "TagSpecifications": [
                    {
                        "ResourceType": "network-interface",
                        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                    }
                ],
            },
        )
        if number == 1:
            vpc.call(
                "ec2",
                "AttachNetworkInterface",
                {
                    "NetworkInterfaceId": created["NetworkInterface"]["NetworkInterfaceId"],
                    "InstanceId": node,
                    "DeviceIndex": 2,
                },
            )
    clock.move(60)
    return vpc


def found(vpc, **filters):
    """Return the descriptions of the interfaces that meet filters, `_` in a name for a dot."""
    asked = [
        {"Name": name.replace("__", ".").replace("_", "-"), "Values": list(values)}
        for name, values in filters.items()
    ]
    reply = vpc.call("ec2", "DescribeNetworkInterfaces", {"Filters": asked})
    return [each["Description"] for each in reply["NetworkInterfaces"]]


def test_each_filter_must_hold_and_one_of_its_values_is_enough(vpc):
    assert found(vpc, subnet_id=["subnet-a"]) == ["", "eni 0", "eni 1"]
    assert found(vpc, subnet_id=["subnet-a", "subnet-b"]) == ["", "eni 0", "eni 1", "eni 2"]
    assert found(vpc, subnet_id=["subnet-a"], status=["available"]) == ["eni 0"]
    assert found(vpc, subnet_id=["subnet-b"], status=["in-use"]) == []
    assert found(vpc, subnet_id=["subnet-c"]) == []


def test_filters_of_attachments_and_addresses(vpc):
    (node,) = vpc.account.instances.by_key
    (eni,) = vpc.account.enis.all_of("description", "eni 1")
    assert found(vpc, attachment__instance_id=[node]) == ["", "eni 1"]
    assert found(vpc, attachment__instance_id=[node], attachment__device_index=["2"]) == ["eni 1"]
    assert found(vpc, attachment__attachment_id=[eni.attachment_id]) == ["eni 1"]
    assert found(vpc, attachment__status=["attached"]) == ["", "eni 1"]
    assert found(vpc, attachment__delete_on_termination=["true"]) == [""]
    assert found(vpc, attachment__network_card_index=["0"]) == ["", "eni 1"]
    assert found(vpc, attachment__instance_owner_id=["111122223333"]) == ["", "eni 1"]
    assert found(vpc, addresses__private_ip_address=["10.0.0.30"]) == ["eni 0"]
    assert found(vpc, addresses__private_ip_address=["10.0.0.20", "10.0.1.32"]) == [
        "eni 0",
        "eni 2",
    ]
    assert found(vpc, addresses__private_ip_address=["10.0.*.3?"]) == ["eni 0", "eni 1", "eni 2"]
    assert found(vpc, private_ip_address=["10.0.0.30"]) == []
    assert found(vpc, addresses__primary=["false"]) == ["eni 0", "eni 1", "eni 2"]
    assert found(vpc, mac_address=[eni.mac]) == ["eni 1"]
    assert found(vpc, network_interface_id=[eni.eni_id, "eni-0"]) == ["eni 1"]
    assert found(vpc, availability_zone=["us-east-1b"]) == ["eni 2"]
    assert found(vpc, availability_zone_id=["use1-az2"]) == ["eni 2"]
    assert found(vpc, private_dns_name=["ip-10-0-1-22.ec2.internal"]) == ["eni 2"]
    assert found(vpc, group_name=["default"], interface_type=["interface"])[1:] == [
        "eni 0", "eni 1", "eni 2",
    ]  # fmt: skip


def tagged(vpc, name, *values):
    asked = [{"Name": name, "Values": list(values)}]
    reply = vpc.call("ec2", "DescribeNetworkInterfaces", {"Filters": asked})
    return [each["Description"] for each in reply["NetworkInterfaces"]]


def test_tags_by_key_and_by_value_with_wildcards(vpc):
    assert tagged(vpc, "tag:team", "red") == ["eni 0"]
    assert tagged(vpc, "tag:team", "re*d") == ["eni 0", "eni 2"]
    assert tagged(vpc, "tag:team", r"re\*d") == ["eni 2"]
    assert tagged(vpc, "tag:team", "?lue", "RED") == ["eni 1"]
    assert tagged(vpc, "tag:x", "") == ["eni 1"]
    assert tagged(vpc, "tag:x", "*") == ["eni 1"]
    assert tagged(vpc, "tag-key", "x", "y") == ["eni 1"]
    assert tagged(vpc, "tag-key", "*e*") == ["eni 0", "eni 1", "eni 2"]
    assert tagged(vpc, "tag:Team", "red") == []


def test_a_bad_filter_is_refused(vpc):
    for name in ("fly", "tag:", "tag", "Status", ""):
        refusal = refusal_of(vpc, "DescribeNetworkInterfaces", filters((name, "x")))
        assert refusal == ("InvalidParameterValue", f"The filter '{name}' is invalid")
    no_name = {"Filters": [{"Values": ["x"]}]}
    assert refusal_of(vpc, "DescribeVpcs", no_name)[1] == "The filter 'null' is invalid"
    no_value = {"Filters": [{"Name": "status"}]}
    assert refusal_of(vpc, "DescribeNetworkInterfaces", no_value)[0] == "MissingParameter"
    many = {"Filters": [{"Name": "status", "Values": [str(number) for number in range(201)]}]}
    assert refusal_of(vpc, "DescribeNetworkInterfaces", many) == (
        "FilterLimitExceeded",
        "The maximum number of filter values specified on a single call is 200",
    )


def filters(*pairs):
    return {"Filters": [{"Name": name, "Values": [value]} for name, value in pairs]}


def test_a_row_that_has_two_of_the_values_is_found_once(vpc):
    assert tagged(vpc, "tag-key", "team", "x") == ["eni 0", "eni 1", "eni 2"]


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_a_pattern_matches_what_the_shell_says(pattern, text):
    assert matches(pattern, text) == bool(re.fullmatch(fnmatch.translate(pattern), text))


@given(st.text("a*?\\", max_size=8), st.text("a*?\\", max_size=8))
def test_a_literal_stands_for_its_text_alone(text, other):
    assert matches(literal(text), other) == (text == other)


def test_a_pattern_of_many_stars_takes_no_time():
    """As a regular expression it would take years: foreign input."""
    assert not matches("*a" * 100 + "b", "a" * 250)


# --- cost -----------------------------------------------------------------------------------


@dataclass
class Card:
    """A row whose every look is counted."""

    number: int
    colour: str
    tags: dict = field(default_factory=dict)
    looks = 0

    @property
    def key(self):
        return f"c-{self.number}"


def test_a_page_costs_its_rows_whatever_the_table_holds():
    looked = []

    def size_of(card):
        looked.append(card.number)
        return (str(card.number % 2),)

    table = Table("card-id", {"colour": lambda card: (card.colour,)})
    for number in range(1, 10_001):
        tags = {"odd": "yes"} if number % 1000 == 7 else {}
        table.add(Card(number, f"{number % 50}", tags))
    known = {"colour": lambda card: (card.colour,), "size": size_of, "card-id": lambda c: (c.key,)}

    def page(after, *pairs):
        looked.clear()
        rows = select(table, filters(*pairs)["Filters"], known, after=after)
        return [next(rows).number for _ in range(5)]

    assert page(0, ("colour", "7")) == [7, 57, 107, 157, 207]
    assert page(9000, ("colour", "7")) == [9007, 9057, 9107, 9157, 9207]
    assert page(9000, ("colour", "7"), ("size", "1")) == [9007, 9057, 9107, 9157, 9207]
    assert len(looked) == 5
    assert page(2000, ("colour", "7"), ("tag-key", "odd"), ("size", "1"))[0] == 2007
    assert len(looked) == 5  # by the rarer of the two indices
    looked.clear()
    one = filters(("card-id", "c-9007"), ("size", "1"))["Filters"]
    assert [card.number for card in select(table, one, known)] == [9007]
    assert looked == [9007]


@given(st.data())
def test_a_table_selects_what_a_look_at_every_row_would(data):
    """Rows that come, change and go, each index against the rows themselves."""
    table = Table("card-id", {"colour": lambda card: (card.colour,)})
    known = {"colour": lambda card: (card.colour,), "card-id": lambda card: (card.key,)}
    numbers = st.integers(1, 12)
    for number in data.draw(st.lists(numbers, max_size=30)):
        colour = data.draw(st.sampled_from("rgb"))
        tags = data.draw(st.dictionaries(st.sampled_from("tu"), st.sampled_from("ab")))
        row = table.by_key.get(f"c-{number}")
        if row is None:
            table.add(Card(number, colour, tags))
        elif data.draw(st.booleans()):
            table.remove(row)
        else:
            row.colour, row.tags = colour, tags
            table.changed(row)
    names = {
        "colour": lambda card: [card.colour],
        "tag:t": lambda card: [card.tags["t"]] if "t" in card.tags else [],
        "tag-key": lambda card: list(card.tags),
        "card-id": lambda card: [card.key],
    }
    values = st.sampled_from(["r", "g", "a", "b", "t", "u", "*", "c-1", "c-?"])
    wanted = st.tuples(st.sampled_from(list(names)), st.lists(values, min_size=1, max_size=4))
    asked = data.draw(st.lists(wanted, max_size=4))
    after = data.draw(st.integers(0, 12))
    expected = [
        row.number
        for row in sorted(table.by_key.values(), key=lambda row: row.number)
        if row.number > after
        and all(
            any(matches(value, text) for value in wanted for text in names[name](row))
            for name, wanted in asked
        )
    ]
    filters = [{"Name": name, "Values": wanted} for name, wanted in asked]
    assert [row.number for row in select(table, filters, known, after=after)] == expected
