"""A wheel and an sdist install, and work away from the source tree."""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser

import pytest

import ipam_core
from support.installed import ROOT, older_install, run

pytestmark = pytest.mark.slow

TOPS = {
    ".gitignore", "CHANGELOG.md", "CMakeLists.txt", "CONTRIBUTING.md", "LICENSE", "Makefile",
    "PKG-INFO", "README.md", "benchmarks", "constraints.txt", "deploy", "docs", "examples",
    "mkdocs.yml", "pyproject.toml", "python", "src", "stubtest-allowlist.txt", "tests", "tools",
}  # fmt: skip
"""All that belongs at the top: databases of a test that ran there once got in, 100 MB of them."""


def test_cython_takes_the_sources_own_pxd_over_an_older_install(tmp_path):
    """It once took the installed ones where there were any, and miscounted fields."""
    older = older_install(tmp_path)
    found = [path.name for path in older.glob("ipam_core/*.pxd")]
    assert "_pool.pxd" in found
    command = (sys.executable, "-m", "cython", "-3", "-I", str(ROOT / "src"))
    source = ROOT / "src" / "ipam_core" / "_invariants.pyx"
    named = ("--module-name", "ipam_core._invariants", "-o", "out.c", str(source))
    run(*command, *named, cwd=tmp_path, PYTHONPATH=str(older))
    assert (tmp_path / "out.c").exists()


def test_the_sdist_holds_the_sources_and_no_workplace(distributions):
    with tarfile.open(distributions[".gz"]) as sdist:
        members = sdist.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    assert {"LICENSE", "README.md", "CMakeLists.txt", "src/ipam_core/_store.pyx"} <= names
    tops = {name.partition("/")[0] for name in names if name}
    assert tops <= TOPS
    for folder in ("src", "python", "tools"):  # a wheel is built of these
        sources = {
            str(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.parent.name != "__pycache__"
        }
        assert sources
        assert sources <= names
    assert sum(member.size for member in members) < 20_000_000


def test_the_wheel_holds_the_core_its_pxd_and_the_types(distributions):
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        names = wheel.namelist()
    assert {"ipam_core/_store.pxd", "ipam_core/_store.pyi", "ipam_core/py.typed"} <= set(names)
    assert "ipam_core/_subnet.pxd" in names
    assert "ipam_core/__init__.pxd" in names  # for those who cimport it over an older one
    assert any(name.startswith("ipam_core/_store.") and name.endswith(".so") for name in names)
    assert "ipam_core/data/instance-limits.csv" in names


def test_the_metadata_is_complete_and_the_version_is_one(distributions):
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Version"] == ipam_core.__version__
    assert ipam_core.__version__ in distributions[".gz"].name
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    needed = [each for each in metadata.get_all("Requires-Dist") if "extra ==" not in each]
    assert needed == []


def test_the_checkers_of_distributions_find_nothing(distributions, tmp_path):
    files = [str(path) for path in distributions.values()]
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=tmp_path)
    wheel = str(distributions[".whl"])
    run(sys.executable, "-m", "check_wheel_contents", wheel, cwd=ROOT)


def test_every_link_of_the_readme_works_where_there_is_nothing_else():
    """The index shows it without the repository next to it."""
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]*)\)|(?:src|href)=\"([^\"]*)\"", text)
    assert [link for link in links if not "".join(link).startswith("https://")] == []


def test_all_has_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    (every,) = extras["all"]
    assert set(every.removeprefix("ipam-core[").removesuffix("]").split(",")) == {*extras} - {"all"}


def test_the_wheel_works_away_from_the_source_tree(complete, tmp_path):
    out = run(str(complete.python.with_name("ipam-core")), "demo", cwd=tmp_path)
    assert "The simulation did what the real agent did." in out
