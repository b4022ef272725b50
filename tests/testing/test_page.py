"""The examples for pytest on docs/testing.md, run as somebody else's tests."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
pytest_plugins = ["pytester"]
assert np  # pytester unloads what its runs load, and NumPy cannot be loaded twice


def test_the_examples_with_fixtures_pass(pytester):
    page = PAGE.read_text("utf-8").split("## Your own cloud")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        pytester.makepyfile(**{f"test_{number}": block})
    overridden = "\n\ndef test_it(vpc):\n    assert len(vpc.instance_ids) == 2\n"
    pytester.makepyfile(test_3=blocks[1] + overridden)
    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3)
