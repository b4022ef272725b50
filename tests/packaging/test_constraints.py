"""What CI installs has one version, written down."""

import re

import pytest

from support.installed import ROOT
from support.loading import loaded

WRITTEN = dict(
    re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
)


def test_everything_that_is_declared_is_pinned_to_what_it_allows():
    constraints = loaded(ROOT / "tools" / "constraints.py")
    declared = [constraints.Requirement(each) for each in constraints.declared()]
    missing, wrong = [], []
    for one in declared:
        name = constraints.canonicalize_name(one.name)
        if name in constraints.NOT_PINNED:
            continue
        if name not in WRITTEN:
            missing.append(str(one))
        elif not one.specifier.contains(WRITTEN[name], prereleases=True):
            wrong.append(f"{one}: {WRITTEN[name]}")
    assert missing == [], "run: python tools/constraints.py > constraints.txt"
    assert wrong == []
    assert len(WRITTEN) > 100
    assert not WRITTEN.keys() & {"pip", "setuptools"}  # grpcio-tools needs newer ones
    some = constraints.pinned(["pytest>=8"])
    assert {"pytest", "pluggy", "packaging"} <= set(some)


def test_the_build_reads_its_settings_without_a_warning(capsys, monkeypatch):
    """Whoever builds it with `pip install -v` read that a table of ours is deprecated."""
    settings = pytest.importorskip("scikit_build_core.settings.skbuild_read_settings")
    monkeypatch.chdir(ROOT)
    settings.SettingsReader.from_file("pyproject.toml").validate_may_exit()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
