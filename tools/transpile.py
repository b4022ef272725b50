"""Make the C of each .pyx file that is newer than its C, all in one process of Cython.

Cython's start takes as long as a module does. CMakeLists.txt calls this in the build folder:

    python transpile.py FOLDER CYTHON-ARGUMENT... FILE.pyx...

The C is in FOLDER afterwards; what is up to date there is not touched, so that nothing is
compiled for nothing. Other arguments than last time, or another Cython, make all of it anew.

With `--shared=PACKAGE.NAME` Cython's own code for memory views, thousands of lines for each
module that has one, is once in NAME.c, a module that the others import.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SHARED = "--shared="
# A third of the time goes into looking for garbage, while it runs and once more when it ends.
# There is little: 460 MB at most.
CYTHON = (
    "import atexit, gc; gc.disable(); atexit.register(gc.freeze); "
    "from Cython.Compiler.Main import main; main(command_line=1)"
)


def is_fresh(c_file: Path) -> bool:
    """Return whether a C file is as new as all that it was made of (`cython -M` lists it)."""
    try:
        made_ns = c_file.stat().st_mtime_ns
        sources = Path(f"{c_file}.dep").read_text("utf-8").partition(":")[2]
        return all(
            Path(source).stat().st_mtime_ns <= made_ns
            for source in sources.replace("\\\n", " ").split()
        )
    except FileNotFoundError:
        return False


def main(folder: Path, arguments: list[str], sources: list[Path]) -> int:
    """Transpile what is not fresh; return Cython's exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    made_with = folder / "arguments"
    wanted = "\n".join([version("cython"), *arguments])
    if made_with.exists() and made_with.read_text("utf-8") == wanted:
        sources = [path for path in sources if not is_fresh(folder / f"{path.stem}.c")]
    if not sources:
        return 0
    shared = [
        folder / f"{each.rpartition('.')[2]}.c" for each in arguments if each.startswith(SHARED)
    ]
    calls = [[*arguments, "-M", "--output-file", folder, *sources]]
    if not made_with.exists() or made_with.read_text("utf-8") != wanted:
        calls += [["--generate-shared", path] for path in shared]
    made_with.unlink(missing_ok=True)  # until all are made
    for call in calls:
        status = subprocess.run([sys.executable, "-c", CYTHON, *call], check=False).returncode
        if status:
            return status
    made_with.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    rest = sys.argv[2:]
    sys.exit(
        main(
            Path(sys.argv[1]),
            [argument for argument in rest if not argument.endswith(".pyx")],
            [Path(argument) for argument in rest if argument.endswith(".pyx")],
        )
    )
