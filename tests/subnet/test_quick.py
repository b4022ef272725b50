"""Parsing with msgspec gives the report, and the refusal, that the standard library's gives."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam_core.errors import IpamError
from ipam_core.subnet import quick, reading
from ipam_core.subnet.inventory import read_inventory
from ipam_core.subnet.report import report_on
from support.mutation import mutated, mutations


def reports(paths):
    """Return all that is reported of files, or the refusal."""
    try:
        inventory = read_inventory(paths)
        found = [report_on(inventory, name).to_json() for name in inventory.choose(())]
    except IpamError as error:
        return str(error)
    pods = inventory.pods
    return (
        found,
        inventory.notices,
        sorted(inventory.nodes),
        sorted(inventory.listed_nodes()),
        pods and (pods.evicted, sorted(pods.addresses), pods.n_pods),
    )


def both(paths):
    """Return the reports as they are, and those without msgspec."""
    quickly = reports(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "quick_document", lambda _: None)
        return quickly, reports(paths)


PODS = {
    "kind": "PodList",
    "items": [
        {
            "metadata": {"name": "web", "ownerReferences": [{"kind": "ReplicaSet", "uid": "1"}]},
            "spec": {"nodeName": "ip-10-0-0-1"},
            "status": {"phase": "Running", "podIP": "10.20.0.9", "hostIP": "10.20.0.4"},
        },
        {
            "kind": "Pod",
            "metadata": {"name": "kube-proxy", "ownerReferences": [{"kind": "DaemonSet"}]},
            "spec": {"hostNetwork": True},
            "status": {"phase": "Running", "podIP": "10.20.0.4", "hostIP": "10.20.0.4"},
        },
    ],
}


@pytest.fixture(scope="module")
def documents():
    """What AWS and kubectl print for a small subnet, with all that a report uses."""
    tags = [{"Key": "cluster.k8s.amazonaws.com/name", "Value": "example"}]
    return {
        "subnets.json": {
            "Subnets": [
                {
                    "SubnetId": "subnet-1", "CidrBlock": "10.20.0.0/24", "OwnerId": "1",
                    "AvailableIpAddressCount": 230, "VpcId": "vpc-1",
                }
            ]
        },
        "interfaces.json": {
            "NetworkInterfaces": [
                {
                    "NetworkInterfaceId": f"eni-{number}",
                    "SubnetId": "subnet-1",
                    "OwnerId": "1",
                    "MacAddress": "02:1b:2c:3d:4e:5f",
                    "PrivateIpAddress": f"10.20.0.{4 + number}",
                    "PrivateIpAddresses": [
                        {"PrivateIpAddress": f"10.20.0.{4 + number}", "Primary": True},
                        {"PrivateIpAddress": f"10.20.0.{9 + 20 * number}", "Primary": False},
                    ],
                    "Ipv4Prefixes": [{"Ipv4Prefix": f"10.20.0.{64 + 16 * number}/28"}],
                    "Description": "aws-K8S-i-1" if number else "",
                    "InterfaceType": "interface",
                    "Status": "in-use" if number < 3 else "available",
                    "Attachment": {"InstanceId": f"i-{number}", "DeviceIndex": 0},
                    "TagSet": tags,
                }
                for number in range(4)
            ]
        },
        "instances.json": {
            "Reservations": [
                {"Instances": [{"InstanceId": "i-1", "InstanceType": "m5.large", "Tags": tags}]}
            ]
        },
        "reservations.json": {
            "SubnetIpv4CidrReservations": [
                {"SubnetId": "subnet-1", "Cidr": "10.20.0.128/26", "ReservationType": "prefix"}
            ]
        },
        "pods.json": PODS,
    }  # fmt: skip


def write(folder, documents):
    paths = []
    for name, document in documents.items():
        (path := folder / name).write_text(json.dumps(document))
        paths.append(path)
    return paths


def test_the_report_is_the_same(documents, tmp_path):
    quickly, usually = both(write(tmp_path, documents))
    assert quickly == usually
    assert quickly[0][0]["subnet_id"] == "subnet-1"
    assert quickly[4][2] == 2  # pods


def test_it_is_read_quickly_and_what_is_not_used_is_skipped(documents):
    for document in documents.values():
        assert quick.quick_document(json.dumps(document)) is not None
    (interface, *_) = quick.quick_document(json.dumps(documents["interfaces.json"]))[
        "NetworkInterfaces"
    ]
    assert "MacAddress" not in interface
    assert "SubnetId" in interface


@settings(max_examples=60)
@given(data=st.data())
def test_a_changed_document_is_reported_or_refused_alike(documents, tmp_path_factory, data):
    changed = copy.deepcopy(documents)
    name = data.draw(st.sampled_from(sorted(changed)))
    changed[name] = mutated(changed[name], data.draw(mutations))
    quickly, usually = both(write(tmp_path_factory.mktemp("changed"), changed))
    assert quickly == usually


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{} {}", '{"a": 1}', '{"Subnets": 3}', '{"Subnets": [], "Subnets": [1]}',
        '{"items": [{"kind": 5}]}', '{"Subnets": [NaN]}', '{"Subnets": [{"a": "\\ud800"}]}',
        '{"Subnets": ' + "[" * 3000 + "]" * 3000 + "}", '{"Subnets": [' + "9" * 5000 + "]}",
    ],
)  # fmt: skip
def test_what_is_not_as_aws_writes_it_has_one_answer(text, tmp_path):
    (path := tmp_path / "x.json").write_text(text)
    quickly, usually = both([path])
    assert quickly == usually


def test_without_msgspec_the_standard_library_reads(documents, tmp_path, monkeypatch):
    paths = write(tmp_path, documents)
    expected = reports(paths)
    monkeypatch.setitem(__import__("sys").modules, "msgspec", None)
    quick._decoder.cache_clear()
    try:
        assert quick.quick_document("{}") is None
        assert reports(paths) == expected
    finally:
        quick._decoder.cache_clear()
