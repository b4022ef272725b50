"""The agent's own file: a node moves here and back; bad input is refused in one line."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam_core import Sandbox
from ipam_core.checkpoint import Entry
from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.ipamd import checkpoint_file
from support.checkpointing import open_checkpoint, sandbox

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "ipam.json"

ALLOCATION = {
    "networkName": "aws-cni",
    "containerID": "c" * 64,
    "ifName": "eth0",
    "ipv4": "10.0.0.1",
    "allocationTimestamp": 1_764_000_000_123_456_789,
    "metadata": {"k8sPodNamespace": "default", "k8sPodName": "web-0", "interfacesCount": 1},
}


def document(*allocations):
    return {"version": "vpc-cni-ipam/1", "allocations": list(allocations)}


def allocation(**changes):
    return {**copy.deepcopy(ALLOCATION), **changes}


def refused(tmp_path, content):
    """Return the line with which a file of this content is refused, by the command too."""
    path = tmp_path / "ipam.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content))
    with pytest.raises(InputError) as raised:
        checkpoint_file.read(path)
    line = str(raised.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        checkpoint.put(Entry(address="10.9.9.9", sandbox=sandbox(9), assigned_ns=1))
        before = checkpoint.entries()
    assert run(["checkpoint", "import", str(path), "--checkpoint", str(tmp_path / "ipam.db")]) == 2
    with open_checkpoint(tmp_path / "ipam.db") as checkpoint:
        assert checkpoint.entries() == before
    return line.removeprefix(f"{path}: ")


# --- there and back ---------------------------------------------------------------


def test_import_then_export_gives_the_same_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # importing again changes nothing
        assert run(["checkpoint", "import", str(EXAMPLE)]) == 0
        capsys.readouterr()
        assert run(["checkpoint", "export"]) == 0
        assert capsys.readouterr().out == EXAMPLE.read_text()
    assert run(["checkpoint", "export", "--output", "back.json"]) == 0
    assert Path("back.json").read_text() == EXAMPLE.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "back.json",
        "ipam.db",
        "ipam.db.lock",
    ]


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
ENTRIES = st.lists(
    st.builds(
        Entry,
        address=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
        sandbox=st.builds(Sandbox, NAMES, NAMES, NAMES),
        pod=st.one_of(st.none(), NAMES, st.builds("{}/{}".format, NAMES, NAMES)),
        interfaces_count=st.integers(0, 16),
        network_card=st.just(0),
        eni_id=st.just(""),
        released_ns=st.none(),
        assigned_ns=st.integers(-(1 << 63), (1 << 63) - 1),
    ),
    max_size=5,
    unique_by=(lambda e: e.address, lambda e: e.sandbox),
)


@given(entries=ENTRIES)
def test_whatever_is_written_is_read_again(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("files") / "ipam.json"
    checkpoint_file.write(path, entries)
    assert checkpoint_file.read(path) == entries


def test_files_of_all_network_cards_travel_together(tmp_path, capsys):
    def name(suffix):
        return tmp_path / f"ipam{suffix}.json"

    addresses = {"": "10.0.0.1", "-nic-1": "10.0.1.1", "-nic-12": "10.0.2.1"}
    for suffix, address in addresses.items():  # one pod on three cards
        name(suffix).write_text(json.dumps(document(allocation(ipv4=address))))
    (tmp_path / "ipam-nic-x.json").write_text("not a card's")
    database = str(tmp_path / "ipam.db")
    assert run(["checkpoint", "import", str(name("")), "--checkpoint", database]) == 0
    with open_checkpoint(database) as checkpoint:
        assert {e.network_card: e.address for e in checkpoint.entries()} == {
            0: "10.0.0.1",
            1: "10.0.1.1",
            12: "10.0.2.1",
        }
        checkpoint.settle(forgotten=["10.0.1.1"])
    capsys.readouterr()
    assert run(["checkpoint", "export", "--checkpoint", database]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == document(allocation())
    assert "not shown: network cards 12" in captured.err
    output = ["--checkpoint", database, "--output", str(name(""))]
    assert run(["checkpoint", "export", *output]) == 0
    back = {suffix: json.loads(name(suffix).read_text())["allocations"] for suffix in addresses}
    assert back == {
        "": [allocation()],
        "-nic-1": [],  # nothing is left there, and the file must not say otherwise
        "-nic-12": [allocation(ipv4="10.0.2.1")],
    }


def test_fields_that_earlier_agents_left_out(tmp_path):
    """v1.7 wrote no time and no metadata; Go's zero time is a date of 1754."""
    path = tmp_path / "ipam.json"
    bare = allocation(ipv6="2600::0:1", extra="ignored, as the agent does")
    for key in ("ipv4", "allocationTimestamp", "metadata"):
        del bare[key]
    odd = allocation(
        ipv4="10.0.0.2",
        containerID="d",
        allocationTimestamp=-6795364578871345152,
        metadata={"k8sPodName": "alone"},
    )
    path.write_text(json.dumps(document(bare, odd)))
    first, second = checkpoint_file.read(path)
    assert (first.address, first.pod, first.assigned_ns) == ("2600::1", None, 0)
    assert (second.pod, second.pod_namespace, second.pod_name) == ("alone", "", "alone")
    again = json.loads(json.dumps(checkpoint_file.as_document([second])))
    assert again["allocations"] == [odd]


def test_import_that_contradicts_the_checkpoint_changes_nothing(tmp_path, capsys):
    path, database = tmp_path / "ipam.json", tmp_path / "ipam.db"
    command = ["checkpoint", "import", str(path), "--checkpoint", str(database)]
    path.write_text(json.dumps(document(allocation())))
    assert run(command) == 0
    for change in ({"containerID": "other"}, {"ipv4": "10.0.0.2"}):
        path.write_text(json.dumps(document(allocation(**change))))
        assert run(command) == 2
        assert "10.0.0.1" in capsys.readouterr().err
        with open_checkpoint(database) as checkpoint:
            assert [(e.address, e.sandbox.container_id) for e in checkpoint.entries()] == [
                ("10.0.0.1", "c" * 64)
            ]
    assert run([*command, "--replace"]) == 0
    with open_checkpoint(database) as checkpoint:
        assert [e.address for e in checkpoint.entries()] == ["10.0.0.2"]


def test_two_cards_with_one_address_are_refused(tmp_path, capsys):
    for suffix in ("", "-nic-1"):
        (tmp_path / f"ipam{suffix}.json").write_text(json.dumps(document(allocation())))
    database = tmp_path / "ipam.db"
    command = ["checkpoint", "import", str(tmp_path / "ipam.json")]
    assert run([*command, "--checkpoint", str(database)]) == 2
    assert "10.0.0.1 is held by" in capsys.readouterr().err


# --- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["networkName", "containerID", "ifName", "ipv4"])
def test_missing_field_of_an_allocation(tmp_path, key):
    bad = allocation()
    del bad[key]
    line = refused(tmp_path, document(allocation(ipv4="10.0.0.2", containerID="d"), bad))
    assert line.startswith("allocations[1]")
    assert key in line


@pytest.mark.parametrize("key", ["version", "allocations"])
def test_missing_field_of_the_file(tmp_path, key):
    bad = document(allocation())
    del bad[key]
    assert refused(tmp_path, bad) == f"{key} is missing"


WRONG = [None, True, 1, 1.5, "x", [], {}, [1], {"a": 1}, "10.0.0.1/32", 1 << 63, -(1 << 64)]
TEXTS = ["networkName", "containerID", "ifName"]


def is_right(key, value):
    if key == "metadata":
        return isinstance(value, dict)
    if key == "allocationTimestamp":
        return type(value) is int and abs(value) < 1 << 63
    return key in TEXTS and isinstance(value, str)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key in [*TEXTS, "ipv4", "ipv6", "allocationTimestamp", "metadata"]
        for value in WRONG
        if not is_right(key, value)
    ],
)
def test_field_of_an_allocation_of_the_wrong_type(tmp_path, key, value):
    line = refused(tmp_path, document(allocation(**{key: value})))
    assert line.startswith("allocations[0]")
    assert key in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("version", None),
        ("version", "vpc-cni-ipam/2"),
        ("allocations", None),
        ("allocations", {}),
        ("allocations", "x"),
        ("allocations", [None]),
        ("allocations", [[]]),
        ("allocations", ["x"]),
    ],
)
def test_field_of_the_file_of_the_wrong_type(tmp_path, key, value):
    assert key in refused(tmp_path, {**document(allocation()), key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k8sPodNamespace", 1),
        ("k8sPodNamespace", "a/b"),
        ("k8sPodName", None),
        ("k8sPodName", "a/b"),
        ("interfacesCount", "2"),
        ("interfacesCount", -1),
        ("interfacesCount", True),
        ("interfacesCount", 1.0),
    ],
)
def test_metadata_of_the_wrong_type(tmp_path, key, value):
    bad = allocation()
    bad["metadata"][key] = value
    line = refused(tmp_path, document(bad))
    assert line.startswith("allocations[0].metadata")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ipv4": "10.0.0.2"}, r"allocations[1]: Sandbox('ccc"),
        ({"containerID": "d"}, "allocations[1]: '10.0.0.1' is in allocations[0] too"),
        ({}, "allocations[1]: '10.0.0.1' is in allocations[0] too"),
        ({"containerID": "d", "ipv4": "010.0.0.1"}, "'010.0.0.1', not an address"),
        ({"containerID": "d", "ipv4": "10.0.0"}, "'10.0.0', not an address"),
        ({"containerID": "d", "ipv4": "2600::1"}, "'2600::1', not an address"),
        ({"containerID": "d", "ipv4": "", "ipv6": "10.0.0.2"}, "'10.0.0.2', not an address"),
        ({"containerID": "d", "ipv6": "2600::1"}, "needs ipv4 or ipv6, one of the two"),
        ({"containerID": ""}, "containerID is empty"),
        ({"containerID": "\ud800", "ipv4": "10.0.0.2"}, "surrogates not allowed"),
    ],
)
def test_values_that_cannot_be(tmp_path, changes, said):
    assert said in refused(tmp_path, document(allocation(), allocation(**changes)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"not JSON",
        b"\xff\xfe\x00",
        b"\x80\x81",
        json.dumps(document(ALLOCATION)).encode()[:-2],
        b"[" * 100_000,
        b'{"version": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda content: f"{content[:12]}",
)
def test_not_json(tmp_path, content):
    assert refused(tmp_path, content).startswith("not JSON: ")


def test_100_mb_are_refused_unread(tmp_path):
    path = tmp_path / "ipam.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    before = time.process_time()
    with pytest.raises(InputError, match="100000000 bytes; no checkpoint has more than"):
        checkpoint_file.read(path)
    assert time.process_time() - before < 5


def test_files_that_are_not_there(tmp_path, capsys):
    for command in (["import", str(tmp_path / "none.json")], ["export"], ["show"], ["verify"]):
        target = ["--checkpoint", str(tmp_path / "none.db")]
        assert run(["checkpoint", *command, *target]) == 2
        assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_show_fits_80_columns_and_has_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with open_checkpoint("ipam.db") as checkpoint:
        checkpoint.put(
            Entry(
                address="2600:1f14:aaaa:bbbb:cccc:dddd:eeee:ffff",
                sandbox=sandbox(1),
                pod=f"{'n' * 63}/{'p' * 253}",
                network_card=1,
                assigned_ns=1_764_000_000_000_000_000,
            ),
            Entry(address="10.0.0.1", sandbox=None, assigned_ns=1, released_ns=1 << 62),
        )
    assert run(["checkpoint", "show"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "2600:1f14:aaaa:bbbb:cccc:dddd:eeee:ffff" in out
    assert "1 held, 1 released" in out
    assert run(["checkpoint", "show", "--json"]) == 0
    told = {entry["address"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert told["10.0.0.1"]["released_ns"] == 1 << 62
    assert told["10.0.0.1"]["container_id"] is None
    assert run(["checkpoint", "verify"]) == 0
    assert "is intact: 2 addresses" in capsys.readouterr().out
