"""The package as its users get it: built once in a run of the tests, then installed for itself."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from support.soak import SOAK

ROOT = Path(__file__).parent.parent.parent


def run(*command, cwd, **more):
    """Run a command away from the source tree, and return what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made_once(tmp_path_factory, name, make):
    """Return the folder `name` that `make` filled, for all processes of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a try that failed
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def older_install(folder):
    """Make an install of another version, whose .pxd files have other things in them."""
    package = folder / "ipam_core"
    package.mkdir()
    (package / "__init__.py").touch()
    for path in ROOT.glob("src/ipam_core/_[!_]*.pxd"):
        (package / path.name).write_text("cdef int of_an_older_install\n")
    return folder


def built(tmp_path_factory):
    """Build the sdist and the wheel; return them by suffix.

    In a soak the wheel is built out of the sdist, as an installer would, for debugging: that
    takes half a minute, and to optimize it twice as long. Else it has the modules that are built
    already, those of the other tests, and the sdist is compared with the tree. An older version is
    installed where it is built: nothing of it may get in.
    """

    def make(folder):
        (folder / "older").mkdir()
        older = older_install(folder / "older")
        out = folder / "dist"
        out.mkdir()
        build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
        debug = ("--config-setting=cmake.build-type=Debug",)
        for what in [debug] if SOAK else [("--sdist",), ("--wheel",)]:
            run(*build, *what, cwd=out, PYTHONPATH=str(older))

    folder = made_once(tmp_path_factory, "distributions", make)
    return {path.suffix: path for path in (folder / "dist").iterdir()}


class Installed(NamedTuple):
    """An environment with nothing but the wheel in it, or with all the extras as well."""

    folder: Path

    @property
    def python(self):
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *arguments, cwd, **more):
        """Run its interpreter and return what it prints."""
        return run(str(self.python), *map(str, arguments), cwd=cwd, **more)

    def fails(self, *command, cwd):
        """Run a command of it that must fail; return its status and its error stream."""
        path = self.folder / "bin" / command[0]
        done = subprocess.run(
            [path, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False
        )
        assert done.returncode
        return done.returncode, done.stderr


def installed(tmp_path_factory, *, extras=False):
    """Install the wheel into an environment of its own.

    The extras are those of the environment that runs the tests: to install them again would
    take minutes. A test of the release does so.
    """

    def make(folder):
        venv.create(folder, with_pip=False)
        wheel = str(built(tmp_path_factory)[".whl"])
        python = folder / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet")
        run(*pip, "--no-deps", "--no-index", "--no-compile", wheel, cwd=folder)
        if extras:
            (site,) = folder.glob("lib/python*/site-packages")
            others = [path for path in sys.path if path.endswith("-packages")]
            (site / "extras.pth").write_text("".join(f"{path}\n" for path in others))

    return Installed(made_once(tmp_path_factory, f"with-extras-{extras}", make))
