"""The examples in docs/subnet.md are run."""

import doctest
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_examples_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "subnet.md"), module_relative=False, optionflags=doctest.ELLIPSIS
    )
    assert (failed, tried) == (0, 22)
