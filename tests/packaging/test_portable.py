"""Wheels for other systems: what is built, and that the core compiles for their headers."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

from support.installed import ROOT, run

WINDOWS = """
#define MS_WINDOWS 1
#define MS_WIN64 1
#define NT_THREADS 1
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_WCHAR_T 2
#define ALIGNOF_MAX_ALIGN_T 16
#define HAVE_DECLSPEC_DLL 1
#define HAVE_PROCESS_H 1
#define HAVE_IO_H 1
#define WITH_DOC_STRINGS 1
"""
"""The facts of Windows that Python's headers ask for; for other systems those of this one do."""


def identifiers(tmp_path, platform, *archs):
    pytest.importorskip("cibuildwheel", reason="dependency group `release`")
    command = [sys.executable, "-m", "cibuildwheel", str(ROOT), "--print-build-identifiers"]
    printed = run(*command, f"--platform={platform}", f"--archs={','.join(archs)}", cwd=tmp_path)
    return printed.split()


def test_a_wheel_is_built_for_every_python_and_system(tmp_path):
    pythons = ("cp311", "cp312", "cp313", "cp314")
    assert set(identifiers(tmp_path, "linux", "x86_64", "aarch64")) == {
        f"{python}-{libc}_{arch}"
        for python in pythons
        for libc in ("manylinux", "musllinux")
        for arch in ("x86_64", "aarch64")
    }
    assert set(identifiers(tmp_path, "macos", "x86_64", "arm64")) == {
        f"{python}-macosx_{arch}" for python in pythons for arch in ("x86_64", "arm64")
    }


@pytest.mark.slow
def test_this_machines_wheel_runs_on_old_linux(distributions, tmp_path):
    pytest.importorskip("auditwheel", reason="dependency group `release`")
    if not sys.platform.startswith("linux"):
        pytest.skip("auditwheel judges wheels of Linux")
    printed = run(
        sys.executable, "-m", "auditwheel", "show", str(distributions[".whl"]), cwd=tmp_path
    )
    tag = re.search(r'"(manylinux|musllinux)_(\d+)_(\d+)_', printed)
    assert tag, printed
    assert (int(tag[2]), int(tag[3])) <= (2, 28)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["aarch64-macos", "x86_64-macos", "aarch64-linux-musl", "x86_64-windows-gnu"]
)
def test_the_core_compiles_for_the_headers_of(target, tmp_path):
    """The coarse clock, `getpid` and GCC's builtins are not everywhere."""
    pytest.importorskip("ziglang", reason="dependency group `release`")
    folders = sorted((ROOT / "build").glob("*/c"), key=os.path.getmtime)
    if not folders:
        pytest.skip("the core was not built here")
    headers = sysconfig.get_paths()["include"]
    if "windows" in target:
        headers = shutil.copytree(headers, tmp_path / "include")
        (headers / "pyconfig.h").write_text(WINDOWS)
    for name in ("_shared", "_pods"):
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            target,
            "-std=c11",
            "-O0",
            "-c",
        ]
        command += ["-I", headers, "-o", tmp_path / f"{name}.o", folders[-1] / f"{name}.c"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path), "ZIG_LOCAL_CACHE_DIR": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{name}.o").stat().st_size > 10_000


def test_without_a_compiler_one_line_says_so(tmp_path):
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("no cmake here")
    (tmp_path / "bin").mkdir()
    options = {
        "SKBUILD_PROJECT_NAME": "ipam_core",
        "CMAKE_MAKE_PROGRAM": sys.executable,  # any will do: nothing is made
        "CMAKE_IGNORE_PATH": "/bin;/usr/bin;/usr/local/bin;/opt/homebrew/bin",
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [cmake, "-S", ROOT, "-B", tmp_path / "build", "-G", "Unix Makefiles", *defined],
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    said = "ipam-core needs a C compiler (gcc, clang), or a wheel that has it compiled"
    assert said in " ".join(done.stderr.split())
