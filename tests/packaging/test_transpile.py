"""What tools/transpile.py makes anew, and what it leaves alone. Cython is a stand-in here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.loading import loaded

ROOT = Path(__file__).parent.parent.parent
HOUR_NS = 3600 * 10**9


@pytest.fixture
def transpile():
    return loaded(ROOT / "tools" / "transpile.py")


@pytest.fixture
def core(tmp_path, transpile, monkeypatch):
    """Two modules and what one of them takes in; `made` lists what each start of Cython makes."""
    core = SimpleNamespace(folder=tmp_path / "c", made=[], status=0)
    for name in ("a.pyx", "b.pyx", "shared.pxd"):
        (tmp_path / name).touch()

    def cython(command, *, check):
        if "--generate-shared" in command:
            core.made.append([command[-1].name])
            return subprocess.CompletedProcess(command, 0)
        core.made.append([path.name for path in command if getattr(path, "suffix", "") == ".pyx"])
        for name in core.made[-1]:
            c_file = core.folder / name.replace(".pyx", ".c")
            sources = [tmp_path / name, *([tmp_path / "shared.pxd"] if name == "a.pyx" else [])]
            newest_ns = max(path.stat().st_mtime_ns for path in sources if path.exists())
            c_file.touch()
            os.utime(c_file, ns=(newest_ns, newest_ns))
            Path(f"{c_file}.dep").write_text(" \\\n  ".join([f"{c_file}:", *map(str, sources)]))
        return subprocess.CompletedProcess(command, core.status)

    def make(*arguments):
        return transpile.main(core.folder, [*arguments], [tmp_path / "a.pyx", tmp_path / "b.pyx"])

    def edit(name):
        later = (core.folder / "a.c").stat().st_mtime_ns + HOUR_NS
        os.utime(tmp_path / name, ns=(later, later))

    monkeypatch.setattr(subprocess, "run", cython)
    core.make, core.edit = make, edit
    return core


def test_only_what_is_older_than_its_sources_is_made_anew(core):
    assert core.make("-3") == 0
    assert core.make("-3") == 0
    assert core.made == [["a.pyx", "b.pyx"]]
    core.edit("shared.pxd")
    core.make("-3")
    core.edit("b.pyx")
    core.make("-3")
    assert core.made[1:] == [["a.pyx"], ["b.pyx"]]


def test_other_arguments_make_all_of_it_anew(core):
    core.make("-3")
    core.make("-3", "-X", "boundscheck=True")
    assert core.made == [["a.pyx", "b.pyx"]] * 2


def test_another_cython_makes_all_of_it_anew(core, transpile, monkeypatch):
    """What one version makes need not fit the code for memory views of another."""
    core.make("-3")
    monkeypatch.setattr(transpile, "version", lambda _: "99")
    core.make("-3")
    core.make("-3")
    assert core.made == [["a.pyx", "b.pyx"]] * 2


def test_the_code_for_memory_views_is_made_once_and_with_all(core):
    core.make("--shared=package._views")
    core.edit("b.pyx")
    core.make("--shared=package._views")
    core.make("--shared=package._views", "-3")
    everything = [["a.pyx", "b.pyx"], ["_views.c"]]
    assert core.made == [*everything, ["b.pyx"], *everything]


def test_what_failed_is_made_anew(core):
    core.status = 1
    assert core.make("-3") == 1
    core.status = 0
    assert core.make("-3") == 0
    assert core.made == [["a.pyx", "b.pyx"]] * 2


def test_a_source_that_is_gone_is_asked_of_cython(core, tmp_path):
    core.make("-3")
    (tmp_path / "shared.pxd").unlink()
    core.make("-3")
    assert core.made == [["a.pyx", "b.pyx"], ["a.pyx"]]
