"""The examples of docs/rules.md and docs/scenarios.md are true: each is played."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipam_core.simulation.scenario.file import parse_scenarios
from ipam_core.simulation.scenario.player import play

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLES = [
    pytest.param(text, id=f"{page}-{number}")
    for page in ("rules.md", "scenarios.md")
    for number, text in enumerate(
        re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL), 1
    )
]


def test_there_are_examples():
    assert len(EXAMPLES) >= 13


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_is_true(text):
    (scenario,) = parse_scenarios(text)
    for seed in range(5):
        assert [str(m) for m in play(scenario, seed=seed, record=False).mismatches] == []
