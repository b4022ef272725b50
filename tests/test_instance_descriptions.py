"""Limits from EC2's own answer and by hand, and the script that refreshes the table."""

import json
import shutil
from pathlib import Path

import pytest

from ipam_core import instances
from ipam_core.cli._app import run
from ipam_core.errors import InputError
from ipam_core.instance_descriptions import read_descriptions
from ipam_core.instances import as_text, parse_limits
from support import python

ROOT = Path(__file__).parent.parent


def described(name, cards=(4,), ips=15, vcpus=8, hypervisor="nitro", **others):
    """Return a type in the form of DescribeInstanceTypes."""
    return {
        "InstanceType": name,
        "Hypervisor": hypervisor,
        "BareMetal": False,
        "VCpuInfo": {"DefaultVCpus": vcpus},
        "NetworkInfo": {
            "MaximumNetworkInterfaces": sum(cards),
            "Ipv4AddressesPerInterface": ips,
            "DefaultNetworkCardIndex": 0,
            "NetworkCards": [
                {"NetworkCardIndex": index, "MaximumNetworkInterfaces": n}
                for index, n in reversed(list(enumerate(cards)))
            ],
        },
    } | others


def answer(*types):
    return json.dumps({"InstanceTypes": list(types)})


def test_a_type_is_read_with_its_cards_in_order():
    (found,) = read_descriptions(answer(described("x9.large", cards=(8, 7)))).values()
    assert (found.max_enis, found.enis_per_network_card) == (8, (8, 7))
    assert (found.ipv4_per_eni, found.vcpus, found.max_pods) == (15, 8, 8 * 14 + 2)
    assert found.nitro
    assert found.trunking  # not in the table: the agent takes it to be able to


def test_whether_a_trunk_fits_is_the_tables():
    found = read_descriptions(answer(described("t3.small"), described("m5.large")))
    assert [each.trunking for each in found.values()] == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([described("x9.large")]),
        f"---\n{answer(described('x9.large'))}\n---\n{answer(described('x9.xlarge'))}",
    ],
    ids=["--query InstanceTypes", "one answer after the other"],
)
def test_other_forms_of_the_answer(text):
    assert "x9.large" in read_descriptions(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no instance type in it"),
        (answer(), "no instance type in it"),
        (answer({}), "without InstanceType"),
        (answer({"InstanceType": "x9.large"}), "x9.large: MaximumNetworkInterfaces is None"),
        (answer(described("x9.large", ips=65)), "Ipv4AddressesPerInterface is 65"),
        (answer(described("x9.large", cards=(True,))), "MaximumNetworkInterfaces is True"),
    ],
)
def test_answers_that_lack_something_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        read_descriptions(text)


def test_limits_by_hand():
    found = parse_limits("enis=4, ips=15, vcpus=8")
    assert (found.max_addresses, found.vcpus, found.nitro, found.trunking) == (56, 8, True, True)
    assert parse_limits("enis=8,ips=30,cards=8+7").enis_per_network_card == (8, 7)
    assert not parse_limits("enis=2,ips=6,nitro=false").nitro
    assert parse_limits("enis=2,ips=6,trunk=false,name=mine").instance_type == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enis=4", "ips= is missing"),
        ("4,15", "'4' is none of enis="),
        ("enis=0,ips=15", "'0' is not a number of 1 to 64"),
        ("enis=4,ips=65", "'65' is not a number of 1 to 64"),
        ("enis=4,ips=15,nitro=yes", "'yes' is neither true nor false"),
        ("enis=4,ips=15,cards=8+7", "those of the first of cards"),
    ],
)
def test_limits_that_are_none_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        parse_limits(text)


# --- the command --------------------------------------------------------------------------


def facts(capsys, *arguments):
    status = run(["instances", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)["instances"]


def test_the_modes_answer_what_the_calculator_answers(capsys):
    modes = ["--prefixes", "--custom-networking", "--pod-eni"]
    _, (m5, t3) = facts(capsys, "m5.large", "t3.small", *modes)
    assert (m5["mode"]["max_pods"], m5["mode"]["calculated"]) == (110, 110)
    # 3 ENIs, one the primary, none for a trunk: 2 x 3 x 16 + 2.
    assert t3["mode"]["calculated"] == 98
    _, (m5,) = facts(capsys, "m5.xlarge", "--custom-networking")
    assert (m5["mode"]["max_pods"], m5["mode"]["calculated"]) == (58, 44)


def test_a_query_finds_types(capsys):
    status, found = facts(capsys, "--pods", "60", "--prefixes", "--max-vcpus", "8")
    assert status == 0
    names = {each["instance_type"] for each in found}
    assert "m5.large" in names
    assert "t3.nano" not in names  # 18 pods
    assert "m5.4xlarge" not in names
    assert all(each["nitro"] and each["vcpus"] <= 8 for each in found)
    assert all(each["mode"]["max_pods"] >= 60 for each in found)
    assert facts(capsys, "t3.nano", "--pods", "60")[0] == 1


def test_types_of_a_file_and_limits_by_hand(capsys, tmp_path):
    path = tmp_path / "types.json"
    path.write_text(answer(described("x9.large"), described("x9.xlarge", cards=(8,))))
    _, found = facts(capsys, "--instance-types", str(path))
    assert [each["instance_type"] for each in found] == ["x9.large", "x9.xlarge"]
    _, found = facts(capsys, "x9.x*", "m5.large", "--instance-types", str(path))
    assert [each["instance_type"] for each in found] == ["x9.xlarge", "m5.large"]
    _, (given,) = facts(capsys, "--limits", "enis=4,ips=15,vcpus=40", "--prefixes")
    assert given["mode"]["max_pods"] == 250


def test_what_is_known_is_shown_beside_what_is_not(capsys):
    assert run(["instances", "m5.large", "m5.lareg", "zz*", "t3.small"]) == 2
    captured = capsys.readouterr()
    assert "m5.large" in captured.out
    assert "t3.small" in captured.out
    assert captured.err.count("\n") == 1
    assert "'m5.lareg'" in captured.err
    assert "'zz*'" in captured.err


# --- the script ---------------------------------------------------------------------------


def refresh(tmp_path, *arguments):
    return python.run(ROOT / "tools" / "refresh_instances.py", *arguments, cwd=tmp_path)


def test_the_script_says_what_changes_and_writes_the_table(tmp_path):
    data = tmp_path / "data"
    shutil.copytree(ROOT / "python" / "ipam_core" / "data", data)
    old, path = (data / "instance-limits.csv").read_text(), tmp_path / "region.json"
    path.write_text(
        answer(described("m5.large", cards=(3,), ips=12, vcpus=2), described("x9.large"))
    )
    checked = refresh(tmp_path, path, "--data", data, "--check")
    assert checked.returncode == 1
    assert (data / "instance-limits.csv").read_text() == old
    go = tmp_path / "limits.go"
    go.write_text('var Limits = {\n\t"x9.large": {\n\t\tIsTrunkingCompatible:    false,\n\t},\n}\n')
    done = refresh(tmp_path, path, "--data", data, "--trunking", go, "--as-of", "2026-11")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "m5.large: ipv4_per_eni 10 -> 12",
        "m5.large: max_pods 29 -> 35",
        "x9.large: new, 4 ENIs x 15 addresses",
    ]
    new = (data / "instance-limits.csv").read_text().splitlines()
    assert set(new) ^ set(old.splitlines()) == {
        "m5.large,3,10,0,3,nitro,false,29,2,true",
        "m5.large,3,12,0,3,nitro,false,35,2,true",
        "x9.large,4,15,0,4,nitro,false,58,8,false",
    }
    assert json.loads((data / "instance-limits.json").read_text())["as_of"] == "2026-11"


def test_the_script_leaves_the_table_as_it_is_where_nothing_changed(tmp_path):
    path = tmp_path / "region.json"
    path.write_text(answer(described("m5.large", cards=(3,), ips=10, vcpus=2)))
    done = refresh(tmp_path, path, "--data", tmp_path, "--check")
    assert (done.returncode, done.stdout) == (0, "nothing changed\n")
    assert refresh(tmp_path, tmp_path / "none.json").returncode == 2
    assert len(instances.names()) == 1447


# --- everywhere ---------------------------------------------------------------------------


def test_limits_by_hand_stand_wherever_a_type_does():
    """A name of the form is looked up as such: in fleets, `tune`, `doctor` and the rest."""
    assert instances.limits("enis=4,ips=15") == parse_limits("enis=4,ips=15")
    for name in ("m5.large", "i7ie.48xlarge", "m4.large", "t3.small"):
        given = instances.limits(as_text(instances.limits(name)))
        known = instances.limits(name)
        assert (given.max_enis, given.slots, given.vcpus) == (
            known.max_enis,
            known.slots,
            known.vcpus,
        )
        assert (given.instance_type, given.nitro, given.trunking) == (
            name,
            known.nitro,
            known.trunking,
        )
    with pytest.raises(InputError, match="ips= is missing"):
        instances.limits("enis=4")


def test_a_type_that_the_table_lacks_stops_no_command(capsys, tmp_path):
    path = tmp_path / "types.json"
    path.write_text(answer(described("x9.large", cards=(3,), ips=10, vcpus=2)))
    file = ["--instance-types", str(path)]
    stuck = str(ROOT / "examples" / "stuck-node")
    assert run(["doctor", stuck, "--instance", "x9.large", *file]) == 1
    assert "x9.large" in capsys.readouterr().out
    forecast = ["subnet", "forecast", "--cidr", "10.0.0.0/22", "--nodes", "3", "--hours", "2"]
    assert run([*forecast, "--instance", "x9.large", *file]) == 0
    assert run([*forecast, "--limits", "enis=3,ips=10"]) == 0
    assert run([*forecast, "--instance", "x9.large"]) == 2
    assert "--instance-types FILE" in capsys.readouterr().err
    subnet = sorted(map(str, (ROOT / "examples" / "subnet").glob("*.json")))
    quick = ["--solve-seconds", "0.1"]
    assert run(["subnet", "report", *subnet, *quick, "--instance", "x9.large", *file]) in (0, 1)
    assert "x9.large" in capsys.readouterr().out


def test_a_fleet_may_have_nodes_of_limits_by_hand(tmp_path, capsys):
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "duration: 10m\nnodes: [{name: new, instance_type: 'enis=3,ips=10', count: 2}]\n"
        "workloads: [{kind: burst, pods: 20, at: 2m}]\n"
    )
    assert run(["simulate", str(path), "--json"]) == 0
    capsys.readouterr()
