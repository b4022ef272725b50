"""`ipam-core doctor` as people call it: exit status, 80 columns, JSON, damaged input."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipam_core.cli import doctor as command_module
from ipam_core.cli._app import run
from ipam_core.diagnosis.doctor.causes.table import as_markdown
from support.commands import called, show_colours

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "cases").iterdir())
EXAMPLE = HERE.parent.parent / "examples" / "stuck-node"


@pytest.fixture
def command(capsys):
    """Run a command in this process; return (status, standard output, error output)."""
    return partial(called, capsys, "doctor")


def test_incident_is_told_from_the_nodes_files(command):
    status, out, err = command(EXAMPLE)
    assert (status, err) == (1, "")
    for told in (
        "MINIMUM_IP_TARGET=25 without WARM_IP_TARGET: the pool stopped at 25 addresses",
        "= max(0, 0, 0) = 0",
        "eni.out:1  TotalIPs 25, AssignedIPs 25",
        "kubectl -n kube-system set env ds/aws-node WARM_IP_TARGET=10",
        "with it:  1 pod served within 5 s; 36 addresses on 2 ENIs",
        "then more pods start, until 232 run",
        "throttled API",
    ):
        assert told in out, told


@pytest.mark.parametrize("path", [EXAMPLE, *CASES], ids=lambda path: path.name)
def test_output_fits_80_columns(command, path):
    status, out, _ = command(path, "--instance", "m5.large")
    assert status == (0 if path.name == "healthy" else 1)
    # A name that has no space cannot be broken.
    assert all(len(line) <= 80 or " " not in line.strip() for line in out.splitlines())


def test_json_holds_all_that_the_text_tells(command):
    status, out, _ = command(EXAMPLE, "--json")
    told = json.loads(out)
    assert status == 1
    assert told["pool"] == {"total": 25, "assigned": 25, "cooling": 0, "assignable": 0}
    (found,) = told["found"]
    assert (found["cause"], found["certainty"]) == ("minimum-only stall", "certain")
    assert found["evidence"][2]["file"] == "eni.out"
    assert found["prognosis"]["with_fix"]["waiting"] == 0
    assert "throttled API" in told["ruled_out"]


def test_healthy_node_exits_0(command):
    status, out, _ = command(HERE / "cases" / "healthy")
    assert status == 0
    assert "Nothing wrong: 14 addresses can be given now" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no/such/file"], "no/such/file: No such file or directory"),
        ([HERE / "conftest.py"], "conftest.py: not recognised"),
        ([EXAMPLE, "--instance", "m8g.4xlrage"], "nearest: m8g.4xlarge"),
        ([EXAMPLE, "--max-pods", "0"], "--max-pods"),
        ([EXAMPLE / "aws-node.yaml"], "settings alone do not show"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, arguments, says):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert says in err


def test_what_files_hold_does_not_reach_the_terminal_raw(command, tmp_path):
    """A log may hold escape sequences, and half a surrogate pair."""
    shutil.copytree(EXAMPLE, tmp_path / "node")
    text = "Failed to attach ENI eni-1: \x1b[2J\ud800 api error UnauthorizedOperation: no"
    line = json.dumps({"level": "error", "ts": "2026-03-12T02:58:58.000Z", "msg": text})
    (tmp_path / "node" / "ipamd.log").write_text(line + "\n")
    status, out, _ = command(tmp_path / "node" / "ipamd.log")
    assert status == 1
    assert "\x1b[2J" not in out
    assert "UnauthorizedOperation" in out


def test_bar_is_drawn_for_large_input_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(command_module, "WORTH_A_BAR", 1)
    show_colours(monkeypatch)
    assert run(["doctor", str(EXAMPLE)]) == 1
    drawn = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert re.search(r"reading .*?([\d.]+)/\1 kB", drawn)  # all of it, in the end


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(path.name for path in EXAMPLE.iterdir())),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=5), st.integers(0, 30)), max_size=5),
)
def test_damaged_file_among_the_nodes_never_gives_a_traceback(tmp_path, capsys, name, edits):
    node = tmp_path / "node"
    shutil.copytree(EXAMPLE, node, dirs_exist_ok=True)
    content = bytearray((node / name).read_bytes())
    for place, put_in, n_cut in edits:
        at = int(place * len(content))
        content[at : at + n_cut] = put_in
    (node / name).write_bytes(content)
    assert run(["doctor", str(node)]) in (0, 1)  # the other files still tell something
    capsys.readouterr()


DOC = (HERE.parent.parent / "docs" / "doctor.md").read_text()


def fenced(language):
    return [part.split("\n```")[0] for part in DOC.split(f"```{language}\n")[1:]]


def test_document_shows_what_the_command_prints(command, monkeypatch):
    monkeypatch.chdir(HERE.parent.parent)
    (shell,), (shown,) = fenced("sh"), fenced("text")
    _, out, _ = command(*shell.split()[2:])
    assert out.rstrip() == shown


def test_documents_example_of_the_library_runs(capsys, monkeypatch):
    monkeypatch.chdir(HERE.parent.parent)
    (example,) = fenced("python")
    exec(example, {})
    assert "minimum-only stall certain" in capsys.readouterr().out


def test_document_has_the_table_of_causes():
    """It is made from the causes themselves: print(as_markdown()) where this fails."""
    assert as_markdown() in DOC


def test_documents_links_are_defined():
    for name in re.findall(r"\[((?:#|PR )\d+)\](?!:)", DOC):
        assert f"[{name}]: https://" in DOC
