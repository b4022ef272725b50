"""`ipam-core explain` as people call it: what it says, its width, status and refusals."""

import io
import json
import sys
from functools import partial

import pytest

from ipam_core.diagnosis.explain.explanation import CHECKS
from support.commands import called, show_colours
from support.python import run

INCIDENT = ["-e", "MINIMUM_IP_TARGET=25", "-e", "WARM_ENI_TARGET=1"]
MANIFEST = """
kind: DaemonSet
metadata: {name: aws-node}
spec:
  template:
    spec:
      containers:
      - name: aws-node
        env:
        - {name: MINIMUM_IP_TARGET, value: "25"}
        - {name: WARM_IP_TARGET, valueFrom: {configMapKeyRef: {name: warm, key: ip}}}
"""
ADDON = {"addon": {"addonName": "vpc-cni", "configurationValues": '{"env":{"WARM_IP_TARGET":"5"}}'}}


@pytest.fixture
def command(capsys):
    """Explain in this process; return (status, standard output, error output)."""
    return partial(called, capsys, "explain")


def test_the_incident_in_80_columns_and_a_status_of_1():
    done = run("-m", "ipam_core", "explain", "--instance", "m8g.4xlarge", *INCIDENT)
    assert done.returncode == 1
    assert not done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "m8g.4xlarge: stalls at pod 26 with 207 slots unused"
    for told in (
        "minimum-without-warm",
        "short = max(WARM_IP_TARGET 0 - available 0,",
        "= max(0, 0, 0) = 0",
        "fix, played: serves all 232 pods",
        "kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET=10",
    ):
        assert told in done.stdout, told


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-e", "WARM_IP_TARGET=1"],
        ["-e", "ENABLE_PREFIX_DELEGATION=true", "--max-pods", 1202, "--subnet-free", 99999],
        ["-e", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true", "-e", "WARM_ENI_TARGET=0"],
        ["-e", "ENABLE_IPv6=true", "-e", "ENABLE_IPv4=false", "-e", "ENABLE_PREFIX_DELEGATION=1"],
        ["-e", "ENABLE_IPv6=true"],
        ["--subnet-free", 50, "--policy", "ipam-core"],
        ["--instance", "m5.large", "--instance", "t3.small", *INCIDENT],
    ],
    ids=str,
)
def test_fits_80_columns_and_few_lines(command, arguments):
    _, out, err = command("--instance", "m8g.4xlarge", *arguments)
    assert not err
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 90


def test_healthy_settings_exit_0(command):
    status, out, _ = command("--instance", "m8g.4xlarge")
    assert status == 0
    assert ": serves all 232 pods" in out
    assert "Burst limit: 29 " in out


def test_a_warning_exits_1(command):
    status, out, _ = command("--instance", "m8g.4xlarge", "-e", "WARM_IP_TARGET=ten")
    assert status == 1
    assert ": serves all 232 pods" in out
    assert "WARM_IP_TARGET='ten': not a 64-bit integer; the agent uses 0" in out


def test_the_table_has_a_row_only_where_something_changes(command):
    _, out, _ = command("--instance", "t3.small")
    rows = [line.split() for line in out.splitlines()[6:]]
    assert [row[:5] for row in rows[:3]] == [
        ["0", "1", "3", "3", "Assign"],
        ["1-3", "2", "3", "3", "5-3"],
        ["4-9", "3", "3x3", "5-0", "CreateENI"],
    ]


def test_what_repeats_is_told_once_and_what_never_ends_as_that(command):
    # m5.large, 9 slots an ENI: each pod costs an address, the 8th and the 17th an ENI.
    _, out, _ = command("--instance", "m5.large", "-e", "WARM_IP_TARGET=2", "--max-pods", 20)
    assert [line.split() for line in out.splitlines()[6:11]] == [
        ["0-7", "1", "2", "..", "9", "2", "Assign", "1", "each", "pod"],
        ["8", "2", "9", "1", "2", "CreateENI", "1"],
        ["9-16", "2", "9", "2", "..", "9", "9", "2", "Assign", "1", "each", "pod"],
        ["17", "3", "9", "9", "1", "2", "CreateENI", "1"],
        ["18", "3", "9", "9", "2", "2", "Assign", "1"],
    ]
    flapping = ["-e", "ENABLE_PREFIX_DELEGATION=true", "-e", "WARM_PREFIX_TARGET=0"]
    _, out, _ = command("--instance", "m5.large", *flapping)
    assert "Assign 4, Unassign 4, and on and on" in " ".join(out.split())


def test_json_holds_the_verdict_the_levels_and_the_findings(command):
    status, out, _ = command("--instance", "m8g.4xlarge", *INCIDENT, "--json")
    told = json.loads(out)
    assert status == 1
    assert told["healthy"] is False
    (node,) = told["nodes"]
    assert node["verdict"] == {
        "text": "stalls at pod 26 with 207 slots unused",
        "serves_all": False,
        "n_pods": 232,
        "served": 25,
        "stalled_at": 26,
        "unused_slots": 207,
        "burst": 0,
        "init_error": "",
    }
    assert node["capacity_slots"] == 232
    assert node["up"] == [
        {
            "pods": [0, 25],
            "enis": 1,
            "slots_per_eni": [25],
            "addresses": 25,
            "free": [25, 0],
            "settled": True,
            "waited": [],
            "ec2_calls": node["up"][0]["ec2_calls"],
        }
    ]
    assert node["up"][0]["ec2_calls"]["AssignPrivateIpAddresses"] == 1
    assert [finding["identifier"] for finding in node["findings"]] == [
        "minimum-without-warm",
        "setting-ignored",
    ]
    assert node["findings"][0]["fix"]["env"] == {"WARM_IP_TARGET": "10"}


def test_several_types_are_told_apart(command):
    status, out, _ = command(
        "--instance", "m8g.4xlarge", "--instance", "t3.small", "-e", "MINIMUM_IP_TARGET=9"
    )
    assert status == 1
    assert ": stalls at pod 10 with 223 slots unused" in out
    assert ": serves all 9 pods" in out
    assert out.count("minimum-without-warm") == 1


def test_on_a_terminal_it_says_that_it_plays(command, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show_colours(monkeypatch)
    _, out, err = command("--instance", "t3.small", "--json")
    assert "Simulating" in err
    assert json.loads(out)["healthy"]


def test_several_types_have_a_row_each(command):
    env = ["-e", "WARM_IP_TARGET=5", "-e", "MINIMUM_IP_TARGET=9"]
    _, out, _ = command("--instance", "u7i-12tb.224xlarge", "--instance", "t3.small", *env)
    rows = [line.split() for line in out.splitlines()[3:7]]
    # 735 pods and 5 ahead on ENIs of 49; 9 are all that a t3.small has.
    assert rows[2][:6] == ["u7i-12tb.224xlarge", "735", "5", "1-15", "9-735", "9-0"]
    assert rows[3] == ["t3.small", "9", "none", "3", "9", "9-0", "3", "+", "0"]
    env = ["-e", "ENABLE_IPv6=1", "-e", "ENABLE_IPv4=0", "-e", "ENABLE_PREFIX_DELEGATION=1"]
    _, out, _ = command("--instance", "m5.large", "--instance", "t3.small", *env)
    assert out.splitlines()[5].split() == ["m5.large", "108", *"-----"]
    assert max(map(len, out.splitlines())) <= 80


def test_a_type_given_twice_is_told_once(command):
    _, out, _ = command("--instance", "t3.small", "--instance", "t3.small", "--json")
    assert len(json.loads(out)["nodes"]) == 1


def test_settings_come_out_of_a_manifest_and_e_wins(command, tmp_path):
    path = tmp_path / "aws-node.yaml"
    path.write_text(MANIFEST)
    status, out, _ = command("--instance", "m5.large", "--manifest", path)
    assert status == 1
    assert ": stalls at pod 26" in out
    assert "set from elsewhere and unknown here" in " ".join(out.split())
    status, out, _ = command("--instance", "m5.large", "--manifest", path, "-e", "WARM_IP_TARGET=5")
    assert status == 0
    assert "unknown here" not in out
    status, out, _ = command(
        "--instance", "m5.large", "--manifest", path, "-e", "MINIMUM_IP_TARGET=26"
    )
    assert "stalls at pod 27" in out


def test_helm_values_lie_over_the_chart(command, tmp_path):
    # The chart sets WARM_PREFIX_TARGET=1: in prefix mode nothing flaps.
    path = tmp_path / "values.yaml"
    path.write_text("env: {ENABLE_PREFIX_DELEGATION: true}")
    assert command("--instance", "m5.large", "--values", path)[0] == 0
    path.write_text("env: {ENABLE_PREFIX_DELEGATION: true, WARM_PREFIX_TARGET: 0}")
    status, out, _ = command("--instance", "m5.large", "--values", path)
    assert status == 1
    assert "pool-flaps" in out
    assert '{"env": {"WARM_PREFIX_TARGET": "1"}}' in out
    assert "fix in the Helm values" in out


def test_an_addon_is_read_from_the_standard_input(command, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ADDON)))
    status, out, _ = command("--instance", "m5.large", "--addon", "-", "--json")
    assert status == 0
    assert json.loads(out)["nodes"][0]["env"]["WARM_IP_TARGET"] == "5"


def test_list_documents_every_finding(command):
    status, out, _ = command("--list")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    _, listed, _ = command("--list", "--json")
    kinds = json.loads(listed)
    assert [kind["identifier"] for kind in kinds] == [check.kind.identifier for check in CHECKS]
    for kind in kinds:
        assert f"{kind['severity']}  {kind['identifier']}" in out
        assert kind["rule"]
        assert kind["change"]
        assert kind["source"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give an instance type, as --instance m5.large"),
        (["--instance", "m8g.4xlarg"], "unknown instance type 'm8g.4xlarg'; nearest: m8g.4xlarge"),
        (["--instance", "m5.large", "-e", "WARM_IP_TARGET"], "not 'WARM_IP_TARGET'"),
        (["--instance", "m5.large", "-e", "WARM_IP=5"], "nearest: WARM_IP_TARGET"),
        (["--instance", "m5.large", "-e", "qqq=5"], "'qqq'; known: AWS_MANAGE"),
        (["--instance", "m5.large", "--max-pods", "0"], "not '0'"),
        (["--instance", "m5.large", "--subnet-free", "-1"], "not '-1'"),
        (["--instance", "m5.large", "--policy", "other"], "unknown policy 'other'"),
        (["--instance", "m5.large", "--manifest", "nowhere.yaml"], "nowhere.yaml: No such file"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, arguments, said):
    status, out, err = command(*arguments)
    assert status == 2
    assert not out
    assert said in err
    assert err.count("\n") == 1


def test_files_that_are_not_what_they_should_be(command, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(b"\xff\xff")
    for option in ("--manifest", "--values", "--addon"):
        status, _, err = command("--instance", "m5.large", option, path)
        assert (status, err.count("\n")) == (2, 1)
        assert f"{path}: not UTF-8 text at byte 0" in err
    status, _, err = command("--instance", "m5.large", "--values", path, "--addon", path)
    assert status == 2
    assert "give one of --manifest, --values and --addon" in err
