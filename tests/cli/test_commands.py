"""The commands as people call them: output, exit status, and one line for bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ipam_core.cli import check
from support.commands import called

CASES = Path(__file__).parent.parent / "conformance"
STALL = CASES / "blog-velog-m8g-min-25.json"


@pytest.fixture
def command(capsys):
    """Run a command in this process; return (status, standard output, error output)."""
    return partial(called, capsys)


def widest(text):
    return max(map(len, text.splitlines()))


def test_demo_tells_the_incident_in_80_columns(command):
    status, out, _ = command("demo")
    assert status == 0
    assert widest(out) <= 80
    for told in (
        "AssignPodIPAddress: no available IP/Prefix addresses",
        "DataStore has no available IP/Prefix addresses",
        "FailedCreatePodSandBox",
        "= max(0, 0, 0) = 0",
        "207 of 232 addresses",
        "WARM_IP_TARGET=10",
        "AssignedIPs 25 of TotalIPs 35",
        f"device 0  {25 * '#'}....  25 assigned, 0 free",
        f"device 1  {6 * 'o'}{23 * '.'}  0 assigned, 6 free",
    ):
        assert told in out, told


def test_demo_json_holds_the_state_before_and_after(command):
    status, out, _ = command("demo", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["passed"]
    before, after = told["enis"]["stalled"]["0"], told["enis"]["mended"]["0"]
    assert (before["TotalIPs"], before["AssignedIPs"], len(before["ENIs"])) == (25, 25, 1)
    assert (after["TotalIPs"], after["AssignedIPs"], len(after["ENIs"])) == (35, 25, 2)
    sizes = sorted(len(eni["AvailableIPv4Cidrs"]) for eni in after["ENIs"].values())
    assert sizes == [6, 29]


def test_simulate_prints_a_timeline_in_80_columns(command):
    status, out, _ = command("simulate", STALL)
    assert status == 0
    assert widest(out) <= 80
    assert "Assign(25)" in out
    assert "CreateENI(6)" in out


def test_simulate_json_has_every_moment(command):
    status, out, _ = command("simulate", STALL, "--json")
    (played,) = json.loads(out)
    assert status == 0
    assert played["passed"]
    last = played["timeline"][-1]
    assert (last["total"], last["assigned"], last["enis"]) == (35, 25, 2)


def test_simulate_reads_yaml(command, tmp_path):
    file = tmp_path / "life.yaml"
    file.write_text(
        "instance_type: m5.large\n"
        "env: {WARM_IP_TARGET: '3'}\n"
        "steps: [{op: boot}, {op: add_pods, n: 2}, {op: settle}]\n"
        "expect: {total_ips: 5, pending_pods: 0}\n",
        encoding="utf-8",
    )
    assert command("simulate", file)[0] == 0


def test_check_prints_one_line_each_and_exits_1_on_a_mismatch(command, tmp_path):
    wrong = json.loads(STALL.read_text())
    wrong["expect"]["total_ips"] = 36
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(wrong))
    status, out, _ = command("check", STALL, file, "--seeds", 2)
    lines = out.splitlines()
    assert status == 1
    assert lines[0] == "ok    blog-velog-m8g-min-25  (2 seeds)"
    assert lines[1] == "FAIL  blog-velog-m8g-min-25  (seed 0)"
    assert lines[2].strip() == "end: total_ips: expected 36, met 35"
    assert lines[-1] == "1 passed, 1 failed"


def test_check_uses_processes_and_keeps_the_order(command, monkeypatch):
    monkeypatch.setattr(check, "WORTH_A_PROCESS", 1)
    files = sorted(CASES.glob("docs-*.json"))
    status, out, _ = command("check", *files, "--seeds", 4, "--jobs", 2, "--json")
    told = json.loads(out)
    assert status == 0
    assert [verdict["id"] for verdict in told] == [file.stem for file in files]


BAD = {
    "no file": (None, "No such file or directory"),
    "empty": ("", "no scenario in it"),
    "neither JSON nor YAML": ("{a: [", "neither JSON nor YAML: line"),
    "not a mapping": ("[1]", "a scenario is a mapping, not 1"),
    "unknown key": ('{"instance_type": "m5.large", "stepps": []}', "unknown key 'stepps'"),
    "unknown type": (
        '{"instance_type": "m5.larg", "steps": [{"op": "boot"}]}',
        "unknown instance type 'm5.larg'",
    ),
    "no step": ('{"instance_type": "m5.large", "steps": []}', "at least one step"),
    "unknown step": (
        '{"instance_type": "m5.large", "steps": [{"op": "reboot"}]}',
        "step 1: unknown op 'reboot'",
    ),
    "unknown argument": (
        '{"instance_type": "m5.large", "steps": [{"op": "boot", "fast": true}]}',
        "step 1 (boot): unknown key 'fast'",
    ),
    "negative number": (
        '{"instance_type": "m5.large", "steps": [{"op": "add_pods", "n": -1}]}',
        "step 1 (add_pods): n is an integer >= 1, not -1",
    ),
    "number as a setting": (
        '{"instance_type": "m5.large", "env": {"WARM_IP_TARGET": 5}, "steps": [{"op": "boot"}]}',
        "env.WARM_IP_TARGET is a text, as in a manifest, not 5",
    ),
    "unknown expectation": (
        '{"instance_type": "m5.large", "steps": [{"op": "boot"}], "expect": {"ips": 1}}',
        "expect: unknown key 'ips'",
    ),
    "pod removed twice": (
        json.dumps(
            {
                "instance_type": "m5.large",
                "steps": [
                    {"op": "boot"},
                    {"op": "add_pods", "n": 3},
                    {"op": "del_pods", "which": [1, 1]},
                ],
            }
        ),
        "step 3 (del_pods): which: a pod removed twice in [1, 1]",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("verb", ["simulate", "check"])
def test_bad_input_is_one_line_and_status_2(command, tmp_path, verb, name):
    text, message = BAD[name]
    file = tmp_path / "life.json"
    if text is not None:
        file.write_text(text)
    status, out, err = command(verb, file)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulat"], "No such command"),
        (["check"], "Missing argument"),
        (["check", STALL, "--seeds", "0"], "greater than or equal to 1, not '0'"),
        (["check", STALL, "--seeds", "two"], "not 'two'"),
        (["simulate", STALL, "--policy", "best"], "unknown policy 'best'"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(command, arguments, message):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


def test_help_has_an_example_for_every_command(command):
    _, out, _ = command("--help")
    _, _, commands = out.partition("Commands")
    names = re.findall(r"^  (\S+)", commands, re.MULTILINE)
    assert {"demo", "simulate", "check"} <= set(names)
    for name in names:
        _, text, _ = command(name, "--help")
        assert widest(text) <= 80
        assert "Example" in text or "Commands" in text, name


def test_files_named_in_the_help_exist(command):
    root = CASES.parent.parent
    _, out, _ = command("--help")
    names = re.findall(r"^  ([a-z]+) ", out.partition("Commands")[2], re.MULTILINE)
    pages = [command(name, "--help")[1] for name in names]
    files = {file for page in pages for file in re.findall(r"examples/[\w./*-]+", page)}
    assert files
    for file in files:
        assert list(root.glob(file)), file


def test_importing_the_package_is_quick_and_light():
    """`import ipam_core` loads neither NumPy nor anything else that is heavy."""
    code = (
        "import sys, ipam_core\n"
        "heavy = {'numpy', 'rich', 'typer', 'yaml', 'boto3', 'scipy', 'matplotlib', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
