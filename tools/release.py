"""Make a release in dist/: sdist, wheel, bill of materials, checksums; each is checked first.

    python tools/release.py [FOLDER]

1. The sdist, and the wheel out of it, of this machine. On Linux `auditwheel` gives it its tag.
   Wheels of other systems are `cibuildwheel`'s; put them into the folder before.
2. `twine check` and `check-wheel-contents`.
3. Installed into two new environments, alone and with the extra `cli`: tools/smoke.py runs in the
   one, `ipam-core demo` in the other. The sdist is built and run in a third.
4. SBOM.json (CycloneDX) of all that the extras install, and SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; end with its status if it fails."""
    sys.stdout.write(f"$ {' '.join(map(str, command))}\n")
    sys.stdout.flush()
    status = subprocess.run(command, cwd=cwd, check=False).returncode
    if status:
        sys.exit(status)


def module(name: str, *arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run a module of this environment."""
    run(sys.executable, "-m", name, *arguments, cwd=cwd)


def environment(folder: Path, *install: str) -> Path:
    """Return the interpreter of a new environment with these installed."""
    module("venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", *install)
    return python


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel out of it; return both."""
    module("build", "--outdir", out, ROOT)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = (path for path in out.glob("*.whl") if "-linux_" in path.name or _is_ours(path))
    if "-linux_" in wheel.name:
        module("auditwheel", "repair", "--only-plat", "--wheel-dir", out, wheel)
        wheel.unlink()
        (wheel,) = (path for path in out.glob("*.whl") if _is_ours(path))
    return sdist, wheel


def _is_ours(path: Path) -> bool:
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"-{version}-" in path.name


def check(sdist: Path, wheel: Path, work: Path) -> None:
    """Check what was built, in environments that have nothing else."""
    module("twine", "check", "--strict", sdist, wheel)
    module("check_wheel_contents", wheel)
    alone = environment(work / "alone", str(wheel))
    run(alone, ROOT / "tools" / "smoke.py", cwd=work)
    complete = environment(work / "complete", f"{wheel}[cli]")
    run(complete.with_name("ipam-core"), "demo", cwd=work)
    from_source = environment(work / "source", str(sdist))
    run(from_source, ROOT / "tools" / "smoke.py", cwd=work)


def describe(wheel: Path, work: Path, out: Path) -> None:
    """Write the bill of materials, and the checksums of all."""
    every = environment(work / "all", f"{wheel}[all]")
    project = ("--pyproject", ROOT / "pyproject.toml")
    module("cyclonedx_py", "environment", *project, "--output-file", out / "SBOM.json", every)
    sums = out / "SHA256SUMS"
    names = sorted(path.name for path in out.iterdir() if path != sums)
    sums.write_text(
        "".join(
            f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names
        )
    )


def main(folder: str = "dist") -> None:
    """Build, check and describe a release."""
    out = (ROOT / folder).resolve()
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        sdist, wheel = build(out)
        check(sdist, wheel, work)
        describe(wheel, work, out)
    sys.stdout.write((out / "SHA256SUMS").read_text())


if __name__ == "__main__":
    main(*sys.argv[1:])
