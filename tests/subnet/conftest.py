"""The example's generator, and inventories made with it."""

from functools import partial
from pathlib import Path

import pytest

from support.commands import called
from support.loading import loaded

EXAMPLES = Path(__file__).parents[2] / "examples" / "subnet"
generate = loaded(EXAMPLES / "generate.py")


@pytest.fixture
def examples():
    return sorted(EXAMPLES.glob("*.json"))


@pytest.fixture
def generator():
    return generate


@pytest.fixture
def run_subnet(capsys):
    """Return what calls `ipam-core subnet`: its status, output and errors."""
    return partial(called, capsys, "subnet")
