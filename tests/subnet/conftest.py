"""The example's generator, and inventories made with it."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest

from support.commands import called

EXAMPLES = Path(__file__).parents[2] / "examples" / "subnet"
_spec = importlib.util.spec_from_file_location("subnet_example", EXAMPLES / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


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
