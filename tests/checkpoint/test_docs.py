"""The examples of docs/checkpoint.md do what the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ipam_core.cli._app import run

ROOT = Path(__file__).parent.parent.parent


def blocks(language):
    text = (ROOT / "docs" / "checkpoint.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_examples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "ipam.json", tmp_path)
    for block in blocks("python"):
        exec(compile(block, "docs/checkpoint.md", "exec"), {})
    (session,) = blocks("console")
    for step in session.split("$ ipam-core ")[1:]:
        command, _, expected = step.partition("\n")
        assert run(command.split()) == 0
        assert capsys.readouterr().out == expected
