"""What a file says is read as it says it, or refused by name: kinds, keys, ids, wide letters."""

from __future__ import annotations

import io
import json
import tarfile
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

from ipam_core.cli._app import run
from ipam_core.cli._out import print_xml
from ipam_core.diagnosis.inputs.collect import read_case
from ipam_core.documents import load_documents
from ipam_core.errors import InputError
from ipam_core.quoting import without_container_ids
from support.file_readers import ENIS, EVENTS, FLEET, LOG, MANIFEST, SCENARIO, SUBNETS, _lines

ID = "9c1f0e5ab1b34f5d8a6de2b7c8f90123456789abcdef0123456789abcdef0123"


def told(capsys, *arguments):
    status = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# --- the kinds of AWS's values ----------------------------------------------------------------


def subnets_with(key, value):
    """What AWS prints, with a value at every place of that name."""

    def changed(part):
        if isinstance(part, dict):
            return {name: value if name == key else changed(each) for name, each in part.items()}
        return [changed(each) for each in part] if isinstance(part, list) else part

    return changed(SUBNETS)


@pytest.mark.parametrize("value", [True, None, 7, 1.5, "", [], ["m5.large"], {"a": 1}], ids=repr)
@pytest.mark.parametrize(
    "key",
    ["InstanceId", "InstanceType", "SubnetId", "NetworkInterfaceId", "Cidr", "ReservationType"],
)
def test_a_name_that_is_no_text_is_refused_or_no_name(tmp_path, capsys, key, value):
    file = tmp_path / "file.json"
    document = subnets_with(key, value)
    if key == "InstanceId":  # of an attachment it may be missing: the interface is no node's
        document["NetworkInterfaces"] = SUBNETS["NetworkInterfaces"]
    file.write_text(json.dumps(document))
    status, out, err = told(capsys, "subnet", "report", file)
    assert (status, out) == (2, "")
    assert f"{key} {value!r} is no text" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("value", [True, 7, 1.5, ["10.0.0.0/24"], {"a": 1}], ids=repr)
def test_a_block_that_is_no_text_is_no_subnet(tmp_path, capsys, value):
    """Python's ipaddress takes True and 7 for addresses: 0.0.0.1/32 would be reported on."""
    file = tmp_path / "file.json"
    file.write_text(json.dumps(subnets_with("CidrBlock", value)))
    status, out, err = told(capsys, "subnet", "report", file)
    assert (status, out) == (2, "")
    assert f"CidrBlock {value!r} is no text" in err


@pytest.mark.parametrize("value", [True, None, 7, "x", [7], [None], {"Key": 1}, [{"Key": []}]])
@pytest.mark.parametrize("key", ["Tags", "TagSet", "State", "Attachment", "Status"])
def test_tags_and_states_of_any_kind_are_no_traceback(tmp_path, capsys, key, value):
    file = tmp_path / "file.json"
    document = json.loads(json.dumps(SUBNETS))
    for held in (document["Reservations"][0]["Instances"][0], document["NetworkInterfaces"][0]):
        held[key] = value
    file.write_text(json.dumps(document))
    status, out, err = told(capsys, "subnet", "report", file, "--solve-seconds", "1")
    assert status in (0, 1, 2)
    assert bool(out) == (status != 2)
    assert len(err.splitlines()) == (status == 2)


# --- a key that is there twice ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice in one mapping"),
        ("a: 1\nb:\n  c: 1\n  d: [x, x]\n  c: 2\n", "line 5: the key 'c' is there twice"),
        ("a: 1\n'a': 2\n", "line 2: the key 'a'"),
        ("- a: {}\n  b: []\n  a:\n", "line 3: the key 'a'"),
        ("a: 1\n---\nb: 1\nb: 2\n", "line 4: the key 'b'"),
    ],
)
def test_a_key_twice_is_named(text, message):
    with pytest.raises(InputError, match=message):
        load_documents(text, each_key_once=True)
    assert load_documents(text)  # as kubectl and AWS write none, theirs are not looked through


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 1}, {"b": {"a": 1}, "a": "b"}]',
        "a: &x {q: 1}\nb: {<<: *x, q: 2}\nc: {<<: *x, <<: *x}\n",
        "1: a\n'1': b\nx: x\n",
        "a: 1\n---\na: 1\n",
        "- [a, a]\n- {a: a, b: a}\n",
    ],
)
def test_keys_of_different_mappings_are_different_keys(text):
    assert load_documents(text, each_key_once=True) == load_documents(text)


@pytest.mark.parametrize(
    ("call", "document", "key"),
    [
        (["explain", "--instance", "m5.large", "--manifest"], MANIFEST, "template"),
        (
            ["explain", "--instance", "m5.large", "--values"],
            {"env": {"WARM_IP_TARGET": "5"}},
            "env",
        ),
        (
            ["explain", "--instance", "m5.large", "--settings"],
            {"env": {"WARM_IP_TARGET": "5"}},
            "WARM_IP_TARGET",
        ),
        (["explain", "--instance", "m5.large", "--addon"], {"env": {}}, "env"),
        (["simulate"], SCENARIO, "max_pods"),
        (["check"], SCENARIO, "op"),
        (["simulate"], FLEET, "duration"),
        (["tune"], FLEET, "workloads"),
    ],
)
def test_settings_scenarios_and_fleets_have_each_key_once(tmp_path, capsys, call, document, key):
    file = tmp_path / "file.json"
    file.write_text(json.dumps(document).replace(f'"{key}":', f'"{key}": 1, "{key}":', 1))
    status, out, err = told(capsys, *call, file)
    assert (status, out) == (2, "")
    assert err == f"ipam-core: {file}: the key '{key}' is there twice in one mapping\n"


def test_a_key_twice_inside_an_addons_configuration_is_refused(tmp_path, capsys):
    file = tmp_path / "addon.json"
    twice = '{"env": {"WARM_IP_TARGET": "5", "WARM_IP_TARGET": "1"}}'
    addon = {"addonName": "vpc-cni", "addonVersion": "v1", "configurationValues": twice}
    file.write_text(json.dumps({"addon": addon}))
    status, _, err = told(capsys, "explain", "--instance", "m5.large", "--addon", file)
    assert status == 2
    assert "the key 'WARM_IP_TARGET' is there twice" in err


# --- container ids ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Sandbox {ID}, ifname eth0", "Sandbox ..., ifname eth0"),
        ('sandbox "pod-1-sandbox": plugin', 'sandbox "...": plugin'),
        ('sandbox \\"ab12\\": plugin', 'sandbox \\"...\\": plugin'),
        ('K8S_POD_NAME:"web" ContainerID:"ab12" Ifname', 'K8S_POD_NAME:"web" ContainerID:"..." If'),
        (f"image x@sha256:{ID}", f"image x@sha256:{ID}"),
        (f"eni-{ID[:17]} on i-{ID[:17]}", f"eni-{ID[:17]} on i-{ID[:17]}"),
    ],
)
def test_a_container_id_is_blanked(text, shown):
    assert without_container_ids(text).startswith(shown)


@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_the_doctor_shows_no_container_id(tmp_path, capsys, how):
    enis = json.loads(json.dumps(ENIS))
    for address in enis["0"]["ENIs"]["eni-1"]["AvailableIPv4Cidrs"]["10.0.1.16/28"][
        "IPAddresses"
    ].values():
        address["IPAMKey"]["containerID"] = ID
    (tmp_path / "eni.json").write_text(json.dumps(enis))
    (tmp_path / "events.json").write_text(json.dumps(EVENTS))
    (tmp_path / "ipamd.log").write_bytes(_lines(LOG))
    status, out, _ = told(capsys, "doctor", tmp_path, "--instance", "m5.large", *how)
    assert status == 1
    assert "failed to assign an IP address" in " ".join(out.split())
    assert ID[:12] not in out


def test_no_container_id_of_a_log_or_an_event_is_kept(tmp_path):
    (tmp_path / "events.json").write_text(json.dumps(EVENTS))
    (tmp_path / "ipamd.log").write_bytes(_lines(LOG))
    kept = repr(read_case([tmp_path]))
    assert "Sandbox ..., ifname eth0" in kept
    assert 'sandbox "..."' in kept
    assert ID[:12] not in kept


# --- letters ----------------------------------------------------------------------------------


def test_wide_letters_of_an_archive_stay_within_80_columns(tmp_path, capsys):
    archive = tmp_path / "node.tar"
    with tarfile.open(archive, "w") as packed:
        events = json.loads(json.dumps(EVENTS).replace("failed to set up", "猫" * 70))
        for event in events["items"]:
            event["message"] = "猫 é " * 60 + event["message"]
        for name, body in (("猫" * 90 + ".json", events), ("eni.out", ENIS)):
            member = tarfile.TarInfo(name)
            content = json.dumps(body, ensure_ascii=False).encode()
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    _, out, err = told(capsys, "doctor", archive, "--instance", "m5.large")
    assert err == ""
    assert "猫" in out
    assert [line for line in out.splitlines() if cell_len(line) > 80] == []


def test_xml_is_ascii_and_whole_whatever_is_in_it(capsys):
    root = ElementTree.Element("a", name="\x1b[2J<猫>\u202e")
    ElementTree.SubElement(root, "b").text = "one\ntwo \x07\ud800 & é"
    print_xml(root)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.replace("\n", "").isprintable()
    read = ElementTree.fromstring(out)
    assert read.attrib["name"] == "\\x1b[2J<猫>\\u202e"
    assert read[0].text == "one\ntwo \\x07\\ud800 & é"
