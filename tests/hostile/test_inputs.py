"""Inputs that ran away, ended in a traceback or were printed raw: each refused, or shown whole."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time

import pytest

from ipam_core.cli._app import run
from ipam_core.cli._out import LONGEST_ERROR


def bomb(lines, end):
    """Return YAML in which line after line names nine times the one before."""
    first = "a0: &a0 [x,x,x,x,x,x,x,x,x]"
    more = (f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, lines))
    return "\n".join([first, *more, end]) + "\n"


NODE = "id: x\ninstance_type: m5.large\n"
FLEET = "duration: 2m\nnodes: [{instance_type: m5.large, count: 1}]\n"
SIMULATIONS = {
    "a thousand million pods": (
        f"{NODE}steps: [{{op: boot}}, {{op: add_pods, n: 1000000000}}]",
        "10,000",
    ),
    "three million years": (f"{NODE}steps: [{{op: run, seconds: 100000000000000}}]", "2,678,400"),
    "many small runs": (f"{NODE}steps: [{'{op: run, seconds: 2000000},' * 2}]", "2,678,400"),
    "a thousand million nodes": (FLEET.replace("count: 1", "count: 1000000000"), "200,000"),
    "nodes of an autoscaler": (
        FLEET.replace("count: 1", "count: 1, autoscale: {max: 1000000000}"),
        "200,000",
    ),
    "pods at once": (f"{FLEET}workloads: [{{kind: burst, pods: 1000000000, at: 0}}]", "20,000,000"),
    "jobs all the time": (
        f"{FLEET}workloads: [{{kind: cron_jobs, pods: 1, every: 0, lifetime: 1s}}]",
        "every is more than 0",
    ),
    "jobs nearly all the time": (
        FLEET.replace("2m", "3000d")
        + "workloads: [{kind: cron_jobs, pods: 9, every: 1ms, lifetime: 1s}]",
        "500,000,000",
    ),
    "pods of all nodes at once": (
        f"{FLEET}workloads: [{{kind: churn, pods_per_node: 30000000, lifetime: 1h}}]",
        "20,000,000",
    ),
    "pods that move at once": (
        FLEET
        + "workloads: [{kind: churn, pods_per_node: 3000000, lifetime: 1h}, "
        + "{kind: rolling_update, pods: 1, at: 60, ready_after: 0}]",
        "2,000,000",
    ),
    "lives of no time": (
        f"{FLEET}workloads: [{{kind: churn, pods_per_node: 1, lifetime: 0}}]",
        "lifetime is more than 0",
    ),
    "no end": (FLEET.replace("2m", "999999999999999999999d"), "at most 3660d"),
    "digits without end": (FLEET.replace("2m", "9" * 400), "is a duration"),
    "digits without end, quoted": (FLEET.replace("2m", f"'{'9' * 400}'"), "at most 3660d"),
    "very many max pods": (
        FLEET.replace("count: 1", "count: 1, max_pods: 1" + "0" * 24),
        "100,000",
    ),
    "very many free addresses": (
        f"{NODE}steps: [{{op: boot}}, {{op: subnet, free_ips: 1{'0' * 30}}}]",
        "16,777,216",
    ),
    "a lag of ages": (
        f"{NODE}node: {{metadata_lag_s: {'9' * 30}}}\nsteps: [{{op: boot}}]",
        "2,678,400",
    ),
    "a card of many ENIs": (
        f"{NODE}node: {{enis_per_card: [1000000000]}}\nsteps: [{{op: boot}}]",
        "64 numbers from 1 to 64",
    ),
    "a list for an op": (f"{NODE}steps: [{{op: [boot]}}]", "unknown op ['boot']"),
    "a typo in a range": (
        f"{NODE}steps: [{{op: boot}}]\nexpect: {{total_ips: {{min: 1, mx: 2}}}}",
        "a range is {min, max}",
    ),
    "a typo in a range in another": (
        f"{NODE}steps: [{{op: boot}}]\nexpect: {{total_ips: {{one_of: [{{min: 1, mx: 2}}]}}}}",
        "a range is {min, max}",
    ),
    "aliases for a name": (
        bomb(12, "id: *a11\ninstance_type: m5.large\nsteps: [{op: boot}]"),
        "more than 500,000 values",
    ),
    "aliases for an op": (
        bomb(9, f"{NODE}steps: [{{op: *a8}}]\nmax_pods: *a8"),
        "more than 500,000 values",
    ),
}


def refused(capsys, *arguments):
    """Return the one line with which a call is refused, at once."""
    started = time.perf_counter()
    status = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.endswith("\n")
    line = captured.err[:-1]
    assert line.isprintable()
    assert len(line) <= LONGEST_ERROR
    assert time.perf_counter() - started < 10
    return line


@pytest.mark.parametrize("name", SIMULATIONS)
def test_a_simulation_that_would_run_away_is_refused_with_the_bound(tmp_path, capsys, name):
    text, message = SIMULATIONS[name]
    file = tmp_path / "file.yaml"
    file.write_text(text)
    assert message in refused(capsys, "simulate", file)


@pytest.mark.parametrize(
    "expected",
    [{"init_error": {"min": 1}}, {"total_ips": {"one_of": [{"a": 1}]}}, {"requests": [5]}],
)
def test_an_expectation_of_another_kind_is_not_met(tmp_path, capsys, expected):
    file = tmp_path / "file.json"
    file.write_text(
        json.dumps({"instance_type": "m5.large", "steps": [{"op": "boot"}], "expect": expected})
    )
    assert run(["check", str(file)]) == 1
    assert "FAIL" in capsys.readouterr().out


MANIFEST = """\
kind: DaemonSet
metadata: {{name: aws-node}}
spec: {{template: {{spec: {{containers: [{{name: aws-node, env: [{}]}}]}}}}}}
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MANIFEST.format("{name: A, value: '5'}, null").encode(), "env: None is not a mapping"),
        (b"kind: DaemonSet\n\xff\xfe\n", "not UTF-8 text at byte 16"),
        (
            bomb(10, MANIFEST.format("{name: WARM_IP_TARGET, valueFrom: *a9}")).encode(),
            "more than 500,000 values",
        ),
        (
            MANIFEST.format("{name: MY_KEY, value: 12345}").encode(),
            "MY_KEY: a value of type int is not a string",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line(tmp_path, capsys, content, message):
    file = tmp_path / "aws-node.yaml"
    file.write_bytes(content)
    assert message in refused(capsys, "explain", "--instance", "m5.large", "--manifest", file)
    assert message in refused(capsys, "doctor", file)


@pytest.mark.parametrize(
    "setting",
    ["WARM_IP_TARGET", "MINIMUM_IP_TARGET", "WARM_ENI_TARGET", "WARM_PREFIX_TARGET", "MAX_ENI"],
)
@pytest.mark.parametrize("prefixes", ["true", "false"])
def test_the_largest_target_that_the_agent_reads_is_played(capsys, setting, prefixes):
    mode = f"ENABLE_PREFIX_DELEGATION={prefixes}"
    largest = f"{setting}={(1 << 63) - 1}"
    assert run(["explain", "--instance", "m5.large", "-e", largest, "-e", mode, "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["nodes"]


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "of-a-key",
    "AWS_ACCESS_KEY_ID": "id-of-it",
    "warm_eni_target": "hunter2",
    "DB_PASSWORD": "swordfish",
}


@pytest.mark.parametrize("how", [[], ["--json"]], ids=["text", "json"])
def test_only_variables_that_the_agent_knows_are_printed(tmp_path, capsys, how):
    env = [{"name": name, "value": value} for name, value in SECRETS.items()]
    env.append({"name": "WARM_IP_TARGET", "value": "5"})
    file = tmp_path / "aws-node.yaml"
    file.write_text(MANIFEST.format(", ".join(map(json.dumps, env))))
    life = tmp_path / "life.json"
    steps = [{"op": "boot"}, {"op": "restart", "env": SECRETS}]
    life.write_text(
        json.dumps(
            {"instance_type": "m5.large", "env": SECRETS | {"WARM_IP_TARGET": "5"}, "steps": steps}
        )
    )
    fleet = tmp_path / "fleet.json"
    nodes = [{"instance_type": "m5.large", "count": 1, "env": SECRETS | {"WARM_IP_TARGET": "5"}}]
    pods = [{"kind": "burst", "pods": 3, "at": 1}]
    fleet.write_text(json.dumps({"duration": 60, "nodes": nodes, "workloads": pods}))
    for call in (
        ["explain", "--instance", "m5.large", "--manifest", file],
        ["simulate", life],
        ["simulate", fleet],
        ["tune", fleet, "--jobs", "1", "--no-prefixes"],
    ):
        assert run([*map(str, call), *how]) in (0, 1)
        captured = capsys.readouterr()
        for value in SECRETS.values():
            assert value not in captured.out + captured.err, call
        assert "WARM_IP_TARGET" in captured.out or call[0] == "simulate"


def test_a_name_in_an_archive_is_shown_without_its_escapes(tmp_path, capsys):
    file = tmp_path / "node.tar.gz"
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo("\x1b]0;PWNED\x07\x1b[2Jevil")
        member.size = len(content := b'{"AvailableIPv4Cidrs" 5}')
        archive.addfile(member, io.BytesIO(content))
    file.write_bytes(gzip.compress(raw.getvalue()))
    assert r"\x1b]0;PWNED\x07\x1b[2Jevil" in refused(capsys, "doctor", file)


ALLOCATION = {
    "networkName": "aws-cni",
    "containerID": "1ae6fac6",
    "ifName": "eth0",
    "ipv4": "10.0.1.17",
    "metadata": {"k8sPodNamespace": "default", "k8sPodName": "web-0"},
}


def agents_file(path, **changes):
    path.write_text(
        json.dumps({"version": "vpc-cni-ipam/1", "allocations": [ALLOCATION | changes]})
    )
    return path


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"containerID": "\x1b[2Jabc"}, r"\x1b[2Jabc"),
        ({"metadata": {"k8sPodName": "web\x1b]0;PWNED\x07"}}, r"web\x1b]0;PWNED\x07"),
        ({"metadata": {"k8sPodName": "web[red]x"}}, "web[red]x"),
        ({"metadata": {"k8sPodNamespace": "[", "k8sPodName": "x]"}}, "[/x]"),
    ],
)
def test_names_of_pods_are_shown_as_they_are(tmp_path, capsys, changes, shown):
    file = agents_file(tmp_path / "ipam.json", **changes)
    database = str(tmp_path / "node.db")
    assert run(["checkpoint", "import", str(file), "--checkpoint", database]) == 0
    capsys.readouterr()
    assert run(["checkpoint", "show", "--checkpoint", database]) == 0
    out = capsys.readouterr().out
    assert shown in out
    assert out.replace("\n", "").isprintable()


def test_lone_surrogates_of_the_agents_file_are_refused(tmp_path, capsys):
    file = agents_file(tmp_path / "ipam.json", containerID="a\ud800")
    assert "surrogates" in refused(capsys, "checkpoint", "import", file)


@pytest.mark.parametrize("card", ["9" * 23, "1000", "\u0663"])
def test_a_card_that_cannot_be_is_refused_or_no_card(tmp_path, capsys, card):
    file = agents_file(tmp_path / "ipam.json")
    agents_file(tmp_path / f"ipam-nic-{card}.json")
    call = ["checkpoint", "import", file, "--checkpoint", tmp_path / "node.db"]
    if card.isascii():
        assert "a network card is a number below 1000" in refused(capsys, *call)
    else:
        assert run([str(each) for each in call]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nodes", 100_000_000], "nodes: at most 100,000"),
        (["--pod-life", 1e-9], "at most 1,000,000,000"),
        (["--hours", 1e12], "at most 1,000,000,000"),
    ],
)
def test_a_forecast_of_very_much_is_refused_with_the_bound(capsys, options, message):
    assert message in refused(capsys, "subnet", "forecast", "--cidr", "10.0.0.0/20", *options)
