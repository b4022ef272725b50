"""The command line's front: version, `python -m`, completion, help, and where errors point."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import ipam_core
from ipam_core.cli._app import app, run

PROGRAM = Path(sys.executable).parent / "ipam-core"


def call(*arguments, **environment):
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("program", [[PROGRAM], [sys.executable, "-m", "ipam_core"]], ids=str)
def test_version_and_module(program):
    done = call(*program, "--version")
    assert (done.returncode, done.stdout) == (0, f"ipam-core {ipam_core.__version__}\n")
    assert call(*program, "instances", "no-such").returncode == 2


def test_the_version_loads_no_command():
    """It was five times the processor time, all of it for commands that are not run."""
    code = (
        "import sys; from ipam_core.cli import main; sys.argv = ['ipam-core', '--version']\n"
        "try: main()\n"
        "finally: print('typer' in sys.modules, 'ipam_core.cli.explain' in sys.modules)"
    )
    done = call(sys.executable, "-c", code)
    assert done.stdout.split() == ["ipam-core", ipam_core.__version__, "False", "False"]
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_version_that_cannot_be_written_is_a_line_and_status_2(unbuffered):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [PROGRAM, "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2
    assert done.stderr.startswith("ipam-core: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_shell_completes_commands_and_options():
    def completed(words):
        n_words = str(len(words.split()) - 1)
        environment = {"_IPAM_CORE_COMPLETE": "complete_bash", "COMP_WORDS": words}
        return call(PROGRAM, **environment, COMP_CWORD=n_words).stdout.split()

    assert completed("ipam-core expl") == ["explain"]
    assert completed("ipam-core explain --compare") == ["--compare", "--compare-env"]
    script = call(PROGRAM, _IPAM_CORE_COMPLETE="source_bash").stdout
    assert "complete -o default -F" in script


def commands(command, path=()):
    """Yield the words and the object of every command."""
    if subcommands := getattr(command, "commands", None):
        for name, each in subcommands.items():
            yield from commands(each, (*path, name))
    else:
        yield path, command


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_is_wrapped_once(path, capsys):
    """A line ends only where the next word does not fit: 78 columns, of which 2 are indented."""
    assert run([*path, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for paragraph in inspect.cleandoc(ALL[path].help).split("\n\n"):
        words = paragraph.removeprefix("\b\n").split()
        first = next(n for n, line in enumerate(lines) if words and line.startswith(words[0]))
        shown = " ".join(lines)
        assert " ".join(words) in re.sub(r"\s+", " ", shown)
        while words:
            line = lines[first] if first < len(lines) else ""
            if not line or not " ".join(words).startswith(line):
                first += 1
                assert first <= len(lines)
                continue
            words = words[len(line.split()) :]
            assert not words or len(line) + 1 + len(words[0]) > 76, line
            first += 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["explain", "--instance"], "ipam-core explain"),
        (["subnet", "report", "--win"], "ipam-core subnet report"),
        (["node", "plan"], "ipam-core node plan"),
        (["no-such"], "ipam-core"),
    ],
)
def test_a_wrong_call_points_to_the_help_of_its_command(arguments, path, capsys):
    assert run(arguments) == 2
    assert f"(see '{path} --help')" in capsys.readouterr().err


def test_one_pod_is_one_pod(capsys):
    assert run(["explain", "m5.large", "--max-pods", "3"]) == 0
    out = capsys.readouterr().out
    assert "m5.large: serves its 1 pod\n" in out
    assert "1 pod needs an address" in out


def test_the_options_of_settings_have_one_name_everywhere():
    """`-e` next to `--env`, and `--instance` next to `--instance-type`."""
    for path, command in ALL.items():
        for option in command.params:
            if "--env" in option.opts:
                assert "-e" in option.opts, path


def test_checkpoints_are_named_by_position_too(capsys, tmp_path):
    source = Path(__file__).parents[2] / "examples" / "ipam.json"
    path = tmp_path / "ipam.db"
    assert run(["checkpoint", "import", str(source), "--checkpoint", str(path)]) == 0
    for verb in ("show", "verify", "export"):
        assert run(["checkpoint", verb, str(path)]) == 0
    capsys.readouterr()
    assert run(["checkpoint", "export", str(path), "--card", "3"]) == 2
    assert "nothing of network card 3 in it; cards: 0" in capsys.readouterr().err
    missing = tmp_path / "missing" / "ipam.json"
    assert run(["checkpoint", "export", str(path), "--output", str(missing)]) == 2
    assert f"{missing.parent}: no such folder" in capsys.readouterr().err


def test_a_narrow_terminal_loses_nothing(capsys, monkeypatch):
    types = ["u7i-12tb.224xlarge", "t3.small"]
    arguments = ["explain", *types, "-e", "WARM_IP_TARGET=2", "--max-pods", "11"]

    def printed(columns):
        monkeypatch.setenv("COLUMNS", columns)
        assert run(arguments) == 0
        return capsys.readouterr().out

    wide = printed("80")
    assert "u7i-12tb.224xlarge     9" in wide
    assert "…" not in wide
    assert printed("50") == printed("200") == wide
    assert call(PROGRAM, *arguments, COLUMNS="40").stdout == wide
