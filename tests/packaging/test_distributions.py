"""A wheel and an sdist install, and work away from the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


def run(*command, cwd, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


TOPS = {
    ".gitignore", "CHANGELOG.md", "CMakeLists.txt", "CONTRIBUTING.md", "LICENSE", "Makefile",
    "PKG-INFO", "README.md", "benchmarks", "deploy", "docs", "examples", "mkdocs.yml",
    "pyproject.toml", "python", "src", "stubtest-allowlist.txt", "tests", "tools",
}  # fmt: skip
"""All that belongs at the top: databases of a test that ran there once got in, 100 MB of them."""


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Return a folder with an install of another version, whose .pxd files have other things."""
    folder = tmp_path_factory.mktemp("older")
    package = folder / "ipam_core"
    package.mkdir()
    (package / "__init__.py").touch()
    for path in ROOT.glob("src/ipam_core/_[!_]*.pxd"):
        (package / path.name).write_text("cdef int of_an_older_install\n")
    return folder


def test_cython_takes_the_sources_own_pxd_over_an_older_install(older, tmp_path):
    """It once took the installed ones where there were any, and miscounted fields."""
    found = [path.name for path in older.glob("ipam_core/*.pxd")]
    assert "_pool.pxd" in found
    command = (sys.executable, "-m", "cython", "-3", "-I", str(ROOT / "src"))
    source = ROOT / "src" / "ipam_core" / "_invariants.pyx"
    named = ("--module-name", "ipam_core._invariants", "-o", "out.c", str(source))
    run(*command, *named, cwd=tmp_path, PYTHONPATH=str(older))
    assert (tmp_path / "out.c").exists()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory, older):
    """Build the sdist, and the wheel out of the sdist, as an installer would.

    An older version is installed where it is built: nothing of it may get in. It is built for
    debugging, for what optimizes takes most of the time: the other tests run what is optimized.
    """
    out = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
    run(*build, "--config-setting=cmake.build-type=Debug", cwd=out, PYTHONPATH=str(older))
    return {path.suffix: path for path in out.iterdir()}


def test_the_sdist_holds_the_sources_and_no_workplace(distributions):
    with tarfile.open(distributions[".gz"]) as sdist:
        members = sdist.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    assert {"LICENSE", "README.md", "CMakeLists.txt", "src/ipam_core/_store.pyx"} <= names
    tops = {name.partition("/")[0] for name in names if name}
    assert tops <= TOPS
    assert sum(member.size for member in members) < 20_000_000


def test_the_wheel_holds_the_core_its_pxd_and_the_types(distributions):
    with zipfile.ZipFile(distributions[".whl"]) as wheel:
        names = wheel.namelist()
    assert {"ipam_core/_store.pxd", "ipam_core/_store.pyi", "ipam_core/py.typed"} <= set(names)
    assert "ipam_core/__init__.pxd" in names  # for those who cimport it over an older one
    assert any(name.startswith("ipam_core/_store.") and name.endswith(".so") for name in names)
    assert "ipam_core/data/instance-limits.csv" in names


def test_the_wheel_works_away_from_the_source_tree(distributions, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = (str(python), "-m", "pip", "install", "-q", "--no-compile")
    run(*install, str(distributions[".whl"]), cwd=tmp_path)
    code = (
        "from ipam_core import DataStore, Sandbox\n"
        "store = DataStore()\n"
        "store.add_eni('eni-1', device_number=0, primary=True)\n"
        "store.add_address('eni-1', '10.0.0.7')\n"
        "print(store.assign(Sandbox('c1')).address)"
    )
    assert run(str(python), "-c", code, cwd=tmp_path).strip() == "10.0.0.7"
    out = run(str(python.with_name("ipam-core")), "demo", cwd=tmp_path)
    assert "The simulation did what the real agent did." in out
