"""What type checkers say of the wheel and of the programs that use it, with the source away."""

import importlib.util
import json
import os
import subprocess
import sys
import venv

import pytest

from support.installed import ROOT

pytestmark = pytest.mark.slow

IMPORTED = ("numpy", "botocore", "pytest", "_pytest", "pluggy", "iniconfig")
"""What the examples import next to the package, and what pytest is made of."""
WRONG = """
from ipam_core import DataStore, Sandbox, explain

address: int = DataStore().assign(Sandbox("c1")).address
DataStore().assign("c1")
explain("m5.large", {}).verdict.serves_every_pod
"""


def test_every_public_name_has_a_known_type(clean, tmp_path):
    """Pyright infers what mypy takes from an assignment, and another checker may infer another."""
    found = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal",
         "--verifytypes", "ipam_core"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{clean.python.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    judged = json.loads(found.stdout)["typeCompleteness"]
    assert judged["packageRootDirectory"].startswith(str(clean.folder))
    unknown = {
        symbol["name"]: [each["message"] for each in symbol["diagnostics"]]
        for symbol in judged["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    }
    assert unknown == {}
    assert judged["completenessScore"] == 1
    assert judged["exportedSymbolCounts"]["withKnownType"] > 6000
    assert found.returncode == 0


@pytest.fixture
def typed(clean, tmp_path):
    """The interpreter of an environment of the wheel, and of what the examples import.

    With all that is installed mypy would read five times as much.
    """
    venv.create(tmp_path / "typed", with_pip=False)
    (site,) = (tmp_path / "typed").glob("lib/python*/site-packages")
    (wheel,) = clean.folder.glob("lib/python*/site-packages")
    (site / "wheel.pth").write_text(f"{wheel}\n")
    for name in IMPORTED:
        (place,) = importlib.util.find_spec(name).submodule_search_locations
        (site / name).symlink_to(place)
    return tmp_path / "typed" / "bin" / "python"


def test_programs_of_users_are_checked_strictly(typed, tmp_path):
    """The examples have no error; the program that misuses the package has these."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    programs = [*sorted((ROOT / "examples").glob("*.py")), wrong]
    assert len(programs) > 10
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", typed,
         "--config-file", os.devnull, "--cache-dir", tmp_path / "cache", "--no-error-summary",
         "--disable-error-code", "import-untyped", *programs],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    said = [line.partition(": error: ") for line in checked.stdout.splitlines()]
    assert [(place, error.rpartition("  ")[2]) for place, _, error in said] == [
        ("wrong.py:4", "[assignment]"),
        ("wrong.py:5", "[arg-type]"),
        ("wrong.py:6", "[attr-defined]"),
    ]
