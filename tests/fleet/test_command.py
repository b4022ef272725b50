"""`ipam-core simulate` with fleets: the table, JSON, pictures and the record of calls."""

import json
from pathlib import Path

import pytest

from ipam_core.cli._app import run

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = """
name: small
duration: 10m
nodes: [{name: web, instance_type: m5.large, count: 2, env: {WARM_IP_TARGET: "2"}}]
workloads: [{kind: rolling_update, pods: 12, at: 5m}]
"""


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return str(file)


def test_the_table_fits_80_columns_and_compares(small, capsys):
    assert run(["simulate", small, "--compare"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "small: 2 m5.large, 10m, seed 0" in said
    for word in ("vpc-cni", "ipam-core", "refused at first", "EC2 calls", "addresses held"):
        assert word in said


def test_json_holds_it_all(small, capsys):
    assert run(["simulate", small, "--json", "--seed", "3", "--policy", "ipam-core"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["policy"], result["seed"], result["pods"]) == ("ipam-core", 3, 24)
    assert len(result["waits_s"]) == 24
    assert len(result["series"]["total"]) == len(result["times_s"]) == 241


def test_pods_that_never_get_an_address_are_a_problem_found(tmp_path, capsys):
    file = tmp_path / "full.yaml"
    file.write_text(SMALL.replace("pods: 12", "pods: 70"))
    assert run(["simulate", str(file)]) == 1
    assert "no node has room" in capsys.readouterr().out


def test_nodes_that_never_joined_are_a_problem_found(tmp_path, capsys):
    file = tmp_path / "full.yaml"
    file.write_text(
        "duration: 1h\nsubnets: [{id: a, cidr: 10.0.0.0/28}]\n"
        "nodes: [{instance_type: m5.large, count: 30}]\n"
    )
    assert run(["simulate", str(file)]) == 1
    out = capsys.readouterr().out
    assert "nodes that never joined 19" in " ".join(out.split())


def test_means_peaks_groups_and_subnets_are_shown(tmp_path, capsys):
    file = tmp_path / "two.yaml"
    file.write_text(
        "duration: 10m\nsubnets: [{id: a, cidr: 10.0.0.0/24}, {id: b, cidr: 10.0.1.0/24}]\n"
        "nodes:\n  - {name: one, instance_type: m5.large, count: 2}\n"
        "  - {name: two, instance_type: m5.xlarge, count: 1, max_pods: 40}\n"
        "workloads: [{kind: burst, pods: 30, at: 5m}]\n"
    )
    assert run(["simulate", str(file)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for words in (
        "mean / maximum over time",
        "the same in group two",
        "free, mean / minimum over time",
        "b: /28s",
        "m5.large: maxPods 29, AWS's number for the type with secondary IPs",
        "m5.xlarge: maxPods 40, given",
    ):
        assert words in out


def test_max_pods_is_taken_for_every_node(small, capsys):
    assert run(["simulate", small, "--max-pods", "5"]) == 1
    out = capsys.readouterr().out
    assert "m5.large: maxPods 5, given" in out
    assert "no node has room" in out
    assert run(["simulate", str(EXAMPLES / "stall.yaml"), "--max-pods", "5"]) == 2
    assert "--max-pods is for fleets" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture_is_drawn(small, suffix, tmp_path, capsys):
    picture = tmp_path / f"out.{suffix}"
    assert run(["simulate", small, "--compare", "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 10_000
    capsys.readouterr()


def test_calls_are_written_as_cloudtrail_has_them(small, tmp_path, capsys):
    file = tmp_path / "trail.json"
    assert run(["simulate", small, "--cloudtrail", str(file)]) == 0
    records = json.loads(file.read_text())["Records"]
    assert {"CreateTags", "AssignPrivateIpAddresses"} <= {r["eventName"] for r in records}
    capsys.readouterr()
    assert run(["simulate", small, "--cloudtrail", str(file), "--compare"]) == 2
    assert "one policy" in capsys.readouterr().err


def test_options_of_fleets_are_refused_with_a_scenario(capsys):
    assert run(["simulate", str(EXAMPLES / "stall.yaml"), "--compare"]) == 2
    assert "--compare is for fleets; this is a scenario" in capsys.readouterr().err


def test_a_call_is_recorded_in_the_region_of_its_node(tmp_path, capsys):
    """Whoever looked for the calls of one region found those of all, in us-east-1."""
    file, trail = tmp_path / "two.yaml", tmp_path / "trail.json"
    file.write_text(
        "duration: 5m\nsubnets:\n"
        "  - {id: subnet-a, cidr: 10.0.0.0/24, region: eu-west-1}\n"
        "  - {id: subnet-b, cidr: 10.1.0.0/24, region: ap-south-1}\n"
        "  - {id: subnet-c, cidr: 10.2.0.0/24}\n"
        "nodes:\n"
        "  - {name: a, instance_type: m5.large, count: 1, subnets: [subnet-a]}\n"
        "  - {name: b, instance_type: m5.large, count: 2, subnets: [subnet-b]}\n"
        "  - {name: c, instance_type: m5.large, count: 1, subnets: [subnet-c]}\n"
    )
    assert run(["simulate", str(file), "--cloudtrail", str(trail), "--jobs", "1"]) == 0
    capsys.readouterr()
    nodes = {}
    for record in json.loads(trail.read_text())["Records"]:
        nodes.setdefault(record["awsRegion"], set()).add(record["userIdentity"]["arn"])
    assert {region: len(found) for region, found in nodes.items()} == {
        "eu-west-1": 1,
        "ap-south-1": 2,
        "us-east-1": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scheduler", "nonsense"], "--scheduler 'nonsense': "),
        (["--tls-ca", "ca.pem", "--jobs", "2"], "--tls-ca, --tls-cert and --tls-key go with"),
    ],
)
def test_what_is_refused_is_one_line_and_no_note_of_what_would_be_played(
    small, arguments, said, capsys
):
    assert run(["simulate", small, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_fleet_of_one_part_says_that_more_processes_do_not_help(small, capsys):
    assert run(["simulate", small, "--jobs", "2"]) == 0
    assert capsys.readouterr().err.startswith("ipam-core: the fleet is played as one part: ")


def test_a_fleet_is_not_a_scenario_to_check(small, capsys):
    assert run(["check", small]) == 2
    assert "a fleet, not a scenario" in capsys.readouterr().err


def test_the_examples_show_what_they_say(capsys):
    """The numbers that README and docs speak of: waits under vpc-cni, fewer under the rules."""
    found = {}
    for name in ("rolling-update", "subnet-exhaustion"):
        run(["simulate", str(EXAMPLES / f"{name}.yaml"), "--compare", "--json"])
        found[name] = json.loads(capsys.readouterr().out)
    theirs, ours = found["rolling-update"]
    assert theirs["pods_waited"] > 0
    assert theirs["wait_s"]["p99"] > ours["wait_s"]["p99"]
    theirs, ours = found["subnet-exhaustion"]
    assert theirs["pods_still_waiting"] > 0
    assert theirs["errors"]["AssignPrivateIpAddresses InsufficientCidrBlocks"] > 0
    assert ours["pods_waited"] == 0
