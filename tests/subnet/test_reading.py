"""Files as people make them: appended in a loop, YAML, --query lists, UTF-16."""

import json

import pytest
import yaml

from ipam_core.errors import InputError
from ipam_core.subnet.inventory import read_inventory
from ipam_core.subnet.report import report_on
from support.subnet_account import account, eni, instance, pod, subnet, write

WHOLE = account(
    enis=[eni("1", 20, 21, instance="i-1"), eni("2", 40, instance="i-2", device=1)],
    instances=[instance("i-1"), instance("i-2", "m5.4xlarge")],
    pods=[pod(21)],
) | {
    "SubnetIpv4CidrReservations": [
        {"SubnetId": "subnet-1", "Cidr": "10.0.0.64/27", "ReservationType": "prefix"}
    ]
}
PARTS = [{key: WHOLE[key]} for key in WHOLE if key != "kind"]


def told(*paths):
    inventory = read_inventory(paths)
    inventory.choose(())
    return (
        report_on(inventory, "subnet-1").to_json(),
        inventory.instances,
        inventory.pods.evicted if inventory.pods else None,
    )


@pytest.fixture
def right(tmp_path):
    return told(write(tmp_path, "whole.json", WHOLE))


def test_documents_appended_in_a_loop(tmp_path, right):
    assert told(write(tmp_path, "loop.json", *PARTS)) == right
    path = tmp_path / "tight.json"
    path.write_text("".join(json.dumps(part) for part in PARTS))
    assert told(path) == right


@pytest.mark.parametrize("explicit", [False, True])
def test_yaml_of_one_document_or_several(tmp_path, right, explicit):
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(PARTS, explicit_start=explicit))
    assert told(path) == right
    path.write_text(yaml.safe_dump(WHOLE))
    assert told(path) == right


@pytest.mark.parametrize("nested", [False, True])
def test_query_lists(tmp_path, right, nested):
    instances = [one for each in WHOLE["Reservations"] for one in each["Instances"]]
    lists = [
        WHOLE["Subnets"],
        WHOLE["NetworkInterfaces"],
        WHOLE["SubnetIpv4CidrReservations"],
        [instances] if nested else instances,
        WHOLE["items"],
    ]
    paths = [write(tmp_path, f"{n}.json", each) for n, each in enumerate(lists)]
    assert told(*paths) == right
    assert told(*paths[:3], write(tmp_path, "r.json", WHOLE["Reservations"]), paths[4]) == right


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(tmp_path, right, encoding):
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(WHOLE, indent=1).replace("\n", "\r\n").encode(encoding))
    assert told(path) == right


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("----\n|  DescribeSubnets |\n+--+\n", "--output json"),
        ("subnet-1\t10.0.0.0/24\n", "--output json"),
        ('{"Subnets": []} rest', "incomplete JSON"),
        ('{"Subnets": []}{"Subnets": [', "cut off"),
        (json.dumps([{"Id": "subnet-1", "Free": 3}]), "a list of entries with Id, Free: a --query"),
        ("[]", "not the JSON of"),
        ("[[1], [2]]", "not the JSON of"),
        ("null", "--output json"),
        ("", "empty"),
        ('{"Subnets": [{"SubnetId": "subnet-1"', "cut off"),
        ("{'Subnets'}", "incomplete JSON"),
        ("[1, 2]", "describe-subnets"),
        ('{"Volumes": []}', "describe-subnets"),
        ('{"Subnets": 3}', "not a list"),
        ('{"Subnets": [3]}', "not as AWS writes it"),
        ('{"Subnets": [{"SubnetId": null}]}', "SubnetId None"),
        ('{"NetworkInterfaces": [{"SubnetId": "s"}]}', "NetworkInterfaceId"),
        ('{"Reservations": [{"Instances": [{"InstanceId": "i-1"}]}]}', "InstanceType"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path, content, why):
    path = tmp_path / "input.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=why) as caught:
        read_inventory([path])
    assert "\n" not in str(caught.value)
    assert "input.txt" in str(caught.value)


def test_deep_nesting_is_refused(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep\.json"):
        read_inventory([path])


@pytest.mark.parametrize(
    "odd",
    [
        eni("odd", instance="i-1", device=1, InterfaceType="efa-only"),
        {"NetworkInterfaceId": "eni-odd", "SubnetId": "subnet-1", "InterfaceType": "efa-only"},
    ],
)
def test_an_efa_only_interface_has_no_address_and_is_not_odd(tmp_path, odd):
    what = account(subnets=[subnet(AvailableIpAddressCount=250)], enis=[eni("1", 20), odd])
    found = told(write(tmp_path, "a.json", what))[0]
    assert found["skipped"] == []
    assert found["addresses"]["agrees"]


@pytest.mark.parametrize("n_good", [0, 1, 20])
def test_one_odd_eni_is_skipped_whatever_the_number_of_enis(tmp_path, n_good):
    good = [eni(str(n), 20 + n, instance="i-1") for n in range(n_good)]
    for odd, why in (
        (eni("odd", 20, 300, instance="i-2"), "10.0.0.300"),
        (eni("odd", 20, instance="i-2") | {"PrivateIpAddresses": [{}]}, "no 'PrivateIpAddress'"),
        ({"NetworkInterfaceId": "eni-odd", "SubnetId": "subnet-1", "PrivateIpAddress": "10.0.0.9"},
         "no 'PrivateIpAddresses'"),
    ):  # fmt: skip
        found = told(write(tmp_path, "a.json", account(enis=[*good, odd])))[0]
        assert [each["eni_id"] for each in found["skipped"]] == ["eni-odd"]
        assert why in found["skipped"][0]["why"]
        assert "Error(" not in found["skipped"][0]["why"]
        assert found["addresses"]["used"] == n_good
