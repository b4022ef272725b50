"""`ipam-core tune`: its table, JSON and picture, bad input, and a real Dask cluster."""

import json
from pathlib import Path

import pytest

from ipam_core.cli import _processes
from ipam_core.cli._app import run
from support.dask_cluster import cluster_of

WORKLOAD = """
name: few
duration: 20m
nodes: [{name: app, instance_type: m5.large, count: 3, env: {WARM_IP_TARGET: "1"}}]
workloads:
  - {kind: burst, pods: 24, at: 5m, lifetime: 5m}
  - {kind: burst, pods: 24, at: 12m}
"""


@pytest.fixture
def few(tmp_path):
    file = tmp_path / "few.yaml"
    file.write_text(WORKLOAD)
    return str(file)


def test_it_recommends_within_80_columns(few, capsys):
    assert run(["tune", few, "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    for words in (
        "Recommended: ",
        "today",
        "kubectl -n kube-system set env ds/aws-node",
        "Checked",
    ):
        assert words in said


def test_json_tells_the_same(few, capsys):
    assert run(["tune", few, "--json", "--jobs", "1", "--no-prefixes"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recommended"] in found["front"]
    assert found["today"]["env"] == {"WARM_IP_TARGET": "1"}
    assert not any("ENABLE_PREFIX_DELEGATION" in o["env"] for o in found["outcomes"])


def test_the_confidence_of_each_number_is_shown(few, capsys):
    assert run(["tune", few, "--jobs", "1", "--no-prefixes", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "±" in said
    assert "of 2 seeds alone" in said
    assert "m5.large: maxPods 29, AWS's number for the type with secondary IPs" in said
    assert run(["tune", few, "--jobs", "1", "--no-prefixes", "--seeds", "1", "--max-pods", "20",
                "--json"]) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["recommended"]["margin"] == {"idle": None, "wait_p99_s": None, "calls": None}
    assert found["n_seeds"] == 1


def test_settings_that_explain_warns_of_today_are_a_problem_found(few, capsys):
    assert run(["tune", few, "--jobs", "1", "-e", "WARM_IP_TARGET=0", "-e", "WARM_ENI_TARGET=0",
                "--seeds", "1", "--no-prefixes"]) == 1  # fmt: skip
    said = capsys.readouterr().out
    assert "Today, explain warns: m5.large: pool-flaps" in said
    assert "Excluded: WARM_ENI_TARGET=0" in said


def test_limits_that_nothing_holds_are_a_problem_found(few, capsys):
    assert run(["tune", few, "--jobs", "1", "--seeds", "1", "--no-prefixes",
                "--max-idle", "0", "--max-wait-p99", "0"]) == 1  # fmt: skip
    said = capsys.readouterr().out
    assert "No settings are within the limits." in said
    assert "Today: " in said


def test_settings_that_stall_today_are_a_problem_found(few, capsys):
    assert run(["tune", few, "--jobs", "1", "--seeds", "1", "--no-prefixes",
                "-e", "WARM_IP_TARGET=0", "-e", "MINIMUM_IP_TARGET=4"]) == 1  # fmt: skip
    assert "Today's settings stall: m5.large: stalls at pod 5" in capsys.readouterr().out


def test_a_picture_shows_the_front(few, tmp_path, capsys):
    assert run(["tune", few, "--jobs", "2", "--seeds", "1", "--no-prefixes",
                "--plot", str(tmp_path / "front.svg")]) == 0  # fmt: skip
    assert "recommended" in (tmp_path / "front.svg").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--weight-idle", "0", "--weight-wait", "0", "--weight-calls", "0"], "weights are all 0"),
        (["--instance", "m5.huge"], "unknown instance type 'm5.huge'"),
        (["-e", "WARM_IP_TARGET"], "-e takes NAME=VALUE, not 'WARM_IP_TARGET'"),
        (["-e", "WARM_IP_TARGT=3"], "called 'WARM_IP_TARGT'; nearest: WARM_IP_TARGET"),
        (["--plot", "front.gif"], "must end in .png or .svg"),
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler 'tcp://127.0.0.1:9'"),
        (["--max-idle", "-1"], "-1"),
    ],
)
def test_a_bad_option_gives_one_line_and_status_2(few, arguments, line, capsys, monkeypatch):
    monkeypatch.setattr(_processes, "_REACHED_WITHIN_S", 0.5)
    assert run(["tune", few, *arguments]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("workloads:", "rollouts: []\nworkloads: []\nx:"), "unknown key 'x'"),
        (("count: 3", "count: many"), "nodes 1: count is an integer"),
    ],
)
def test_a_bad_file_gives_one_line_and_status_2(few, change, line, capsys):
    Path(few).write_text(WORKLOAD.replace(*change))
    assert run(["tune", few]) == 2
    assert line in capsys.readouterr().err


def test_a_scenario_or_a_fleet_without_pods_is_refused(few, capsys):
    Path(few).write_text(WORKLOAD.split("workloads:", maxsplit=1)[0])
    assert run(["tune", few]) == 2
    assert "no workloads" in capsys.readouterr().err
    stall = Path(__file__).parents[2] / "examples" / "stall.yaml"
    assert run(["tune", str(stall)]) == 2
    assert "a scenario; tune takes a fleet" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_search_on_a_dask_cluster_finds_the_same(few, tmp_path, capsys):
    with cluster_of(tmp_path) as (address, _):
        assert run(["tune", few, "--json", "--no-prefixes", "--scheduler", address]) == 0
    there = json.loads(capsys.readouterr().out)
    assert run(["tune", few, "--json", "--no-prefixes", "--jobs", "1"]) == 0
    assert there == json.loads(capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_with_tls_takes_only_who_has_its_certificate(few, tmp_path, capsys):
    from distributed import Security

    keys = Security.temporary()
    files = {}
    for name in ("ca_file", "client_cert", "client_key"):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(getattr(keys, f"tls_{name}"))
    ca, cert, key = map(str, files.values())
    given = ("--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key)
    with cluster_of(tmp_path, *given) as (address, _):
        assert address.startswith("tls://")
        call = ["tune", few, "--json", "--no-prefixes", "--seeds", "1", "--scheduler", address]
        assert run([*call, "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key]) == 0
        assert json.loads(capsys.readouterr().out)["recommended"]
        assert run(call) == 2  # without a certificate
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheduler", "tcp://127.0.0.1:9", "--tls-ca", "ca.pem"], "for tls://HOST:PORT"),
        (["--tls-key", "key.pem"], "go with --scheduler tls://HOST:PORT"),
        (["--scheduler", "tls://127.0.0.1:9", "--tls-ca", "none.pem"], "--scheduler"),
    ],
)
def test_certificates_that_cannot_be_used_are_one_line(few, capsys, arguments, message):
    assert run(["tune", few, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
