"""docs/record.md shows what the command prints and writes, and its Python runs."""

import re
from pathlib import Path

from support.commands import called

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "record.md").read_text("utf-8")


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)[1]


def test_the_session_prints_and_writes_what_is_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    first, shown = block("console").split("$ head -4 pods.csv\n")
    command, _, expected = first.removeprefix("$ ipam-core ").partition("\n")
    assert called(capsys, *command.split()) == (0, expected, "")
    written = (tmp_path / "pods.csv").read_text()
    assert "".join(written.splitlines(keepends=True)[:4]) == shown


def test_the_python_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(block("python"), {})
