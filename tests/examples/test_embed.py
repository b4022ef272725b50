"""The embedding example builds against the installed package, and works."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ipam_core import DataStore

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "embed"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def churn(tmp_path_factory):
    """Build the example as its reader would, into a folder of its own."""
    source = tmp_path_factory.mktemp("embed") / "source"
    shutil.copytree(EXAMPLE, source)
    target = source.parent / "built"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    command += ["--no-deps", "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(target))
    try:
        yield importlib.import_module("churn").churn
    finally:
        sys.path.remove(str(target))


def test_pods_are_served_as_far_as_the_cooldown_lets_them(churn):
    """16 addresses cool for 30 s each: in 100 s, one pod a second, 16 of every 31 are served."""
    store = DataStore("prefix", cooldown_s=30, given_time=True)
    store.add_eni("eni-1", device_number=0)
    store.add_prefix("eni-1", "10.0.0.16/28")
    expected = sum(second % 31 < 16 for second in range(100))
    assert churn(store, 100, 1) == expected
    store._check()
    assert store.stats(10**12).cooling == 0


def test_without_a_cooldown_all_are_served(churn):
    store = DataStore(cooldown_s=0, given_time=True)
    store.add_eni("eni-1", device_number=0)
    store.add_address("eni-1", "10.0.0.7")
    assert churn(store, 1000, 1) == 1000
    store._check()
