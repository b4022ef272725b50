"""The README's examples run, and its commands are the ones that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_runs(number, capsys):
    exec(compile(BLOCKS[number], f"README example {number}", "exec"), {})
    if "growth_rule" in BLOCKS[number]:
        assert capsys.readouterr().out.strip().splitlines()[-1] in README


def test_the_two_commands_come_first():
    first = README.splitlines()[:10]
    assert any("make demo" in line for line in first)
    assert any("make test" in line for line in first)


def test_every_command_named_exists(capsys):
    from ipam_core.cli._app import run

    for name in set(re.findall(r"ipam-core (\w+)", README)):
        assert run([name, "--help"]) == 0
        capsys.readouterr()
