"""JUnit and SARIF of `explain`, and the examples of a GitHub Action and a pre-commit hook."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import yaml

from ipam_core.cli._app import run
from ipam_core.diagnosis.explain.explanation import CHECKS

EXAMPLES = Path(__file__).parents[2] / "examples" / "pull-request"
STALLS = ["explain", "m5.large", "t3.small", "-e", "MINIMUM_IP_TARGET=5", "-e", "MAX_ENI=9"]


def test_junit_has_a_case_for_each_type_and_kind(capsys):
    assert run([*STALLS, "--format", "junit"]) == 1
    suites = ElementTree.fromstring(capsys.readouterr().out)
    assert [suite.get("name") for suite in suites] == ["m5.large", "t3.small"]
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase")) == len(CHECKS)
        failed = [each.get("name") for each in suite if each.find("failure") is not None]
        assert failed == ["minimum-without-warm"]
        assert suite.get("failures") == "1"
        noted = [each.get("name") for each in suite if each.find("system-out") is not None]
        assert "setting-ignored" in noted


def test_junit_fails_what_fail_on_fails(capsys):
    flaps = ["explain", "m5.large", "-e", "WARM_ENI_TARGET=0", "--format", "junit"]
    for fail_on, failures in (("warning", 2), ("error", 0)):
        run([*flaps, "--fail-on", fail_on])
        (suite,) = ElementTree.fromstring(capsys.readouterr().out)
        assert suite.get("failures") == str(failures)


def test_sarif_names_the_file_and_the_rules(capsys, tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("env: {MINIMUM_IP_TARGET: 5}")
    assert run(["explain", "m5.large", "--values", str(path), "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert rules == [check.kind.identifier for check in CHECKS]
    (stall,) = [each for each in only["results"] if each["level"] == "error"]
    assert stall["ruleId"] == "minimum-without-warm"
    place = stall["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == str(path)
    assert stall["message"]["text"].startswith("m5.large: short = max(")


# --- the examples -------------------------------------------------------------------------


def commands_of_the_action():
    """Return the shell lines of the workflow's steps that run ipam-core."""
    workflow = yaml.safe_load((EXAMPLES / "workflow.yaml").read_text())
    (job,) = workflow["jobs"].values()
    lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    return [line for line in lines if line.startswith("ipam-core ")]


def run_in(folder, line):
    program = Path(sys.executable).parent / "ipam-core"
    return subprocess.run(
        re.sub(r"^ipam-core", shlex.quote(str(program)), line),
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def repository(tmp_path, old, new):
    """Return a folder as the workflow checks it out: the base's file next to the new one."""
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "vpc-cni-values.yaml").write_text(old)
    (tmp_path / "vpc-cni-values.yaml").write_text(new)
    return tmp_path


def test_the_github_action_passes_what_is_well_and_fails_what_stalls(tmp_path):
    good, bad = "env: {WARM_IP_TARGET: 5}", "env: {MINIMUM_IP_TARGET: 25}"
    compare, report = commands_of_the_action()
    folder = repository(tmp_path / "good", good, "env: {WARM_IP_TARGET: 6}")
    assert run_in(folder, compare).returncode == 0
    assert run_in(folder, report).returncode == 0
    folder = repository(tmp_path / "bad", good, bad)
    compared = run_in(folder, compare)
    assert compared.returncode == 1
    assert "minimum-without-warm" in " ".join(compared.stdout.split())
    assert run_in(folder, report).returncode == 1
    log = json.loads((folder / "ipam-core.sarif").read_text())
    assert log["runs"][0]["results"]


def test_the_pre_commit_hook_checks_the_files_that_it_is_given(tmp_path):
    configuration = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())
    ((hook,),) = [each["hooks"] for each in configuration["repos"]]
    line = f"{hook['entry']} vpc-cni-values.yaml"
    assert re.search(hook["files"], "deploy/vpc-cni-values.yaml")
    assert (
        run_in(repository(tmp_path / "good", "", "env: {WARM_IP_TARGET: 5}"), line).returncode == 0
    )
    stalls = "env: {MINIMUM_IP_TARGET: 25}"
    assert run_in(repository(tmp_path / "bad", "", stalls), line).returncode == 1
    misspelt = "env: {WARM_IP_TARGETS: 5, WARM_IP_TARGET: 5}"
    assert run_in(repository(tmp_path / "slip", "", misspelt), line).returncode == 2
